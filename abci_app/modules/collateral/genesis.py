"""collateral: the state as a genesis, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.modules import auth, bank
from abci_app.modules.collateral import keeper, state
from protocol.gen.evergrid.collateral.v1 import collateral_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context


def validate_genesis(genesis: pb.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    return [
        *_holding_errors("deposits", [((each.participant,), each.amount) for each in genesis.deposits]),
        *_holding_errors(
            "unbondings",
            [((each.participant, each.epoch_release), each.amount) for each in genesis.unbondings],
        ),
    ]


def _holding_errors(name: str, holdings: list[tuple[tuple[str | int, ...], str]]) -> Iterator[str]:
    seen: dict[tuple[str | int, ...], None] = {}
    for key, text in holdings:
        if not key[0]:
            yield f"{name}: a participant is missing"
        if key in seen:
            yield f"{name}: {' '.join(map(str, key))} stands twice"
        if not bank.parse_amount(text):
            yield f"{name}: {text!r} of {key[0]} is no positive amount"
        seen[key] = None


def init_genesis(ctx: Context, genesis: pb.GenesisState) -> None:
    """Writes everything that an export gave; raises ValueError where the coins are not there."""
    held = bank.balance(ctx, keeper.account_address(), keeper.denom(ctx))
    if not keeper.is_on(ctx):
        if genesis.ByteSize():
            raise ValueError("collateral: without params.collateral of epochs there is none")
        return
    auth.ensure_module_account(ctx, keeper.ACCOUNT)
    for deposit in genesis.deposits:
        keeper.set_deposit(ctx, deposit.participant, int(deposit.amount))
    for each in genesis.unbondings:
        keeper.set_unbonding(ctx, each.participant, each.epoch_release, int(each.amount))
    for slash in genesis.slashes:
        state.SLASHES.set(ctx, (slash.epoch_index, slash.participant, slash.height), slash)
    for weight in genesis.weights:
        state.WEIGHTS.set(ctx, (weight.epoch_index, weight.participant), weight)
    if genesis.HasField("downtime_due"):
        state.DOWNTIME_DUE.set(ctx, genesis.downtime_due)
    owed = keeper.obligations(ctx)
    if held != owed:
        raise ValueError(f"collateral: the account {keeper.ACCOUNT} holds {held} and owes {owed}")


def export_genesis(ctx: Context) -> pb.GenesisState:
    """All state of the module."""
    return pb.GenesisState(
        deposits=(pb.Deposit(participant=who, amount=str(n)) for who, n in state.DEPOSITS.walk(ctx)),
        unbondings=(
            pb.Unbonding(participant=who, epoch_release=release, amount=str(amount))
            for (who, release), amount in state.UNBONDING.walk(ctx)
        ),
        slashes=state.SLASHES.values(ctx),
        weights=state.WEIGHTS.values(ctx),
        downtime_due=state.DOWNTIME_DUE.get(ctx),
    )
