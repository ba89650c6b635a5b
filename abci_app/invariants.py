"""What must hold of the state after every block, told as text where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.genesis import MODULES
from abci_app.modules import auth, bank, collateral, epochs, gov, hardware, inference, rewards
from protocol.address import module_account
from protocol.gen.cosmos.gov.v1 import genesis_pb2 as gov_genesis_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.kernel.context import Context
    from protocol.gen.evergrid.epochs.v1.epochs_pb2 import EpochGroup


def broken(ctx: Context) -> list[str]:
    """Every invariant that does not hold, with its numbers; empty: all hold."""
    errors = [*_account_errors(ctx), *_form_errors(ctx)]
    effective = epochs.state(ctx).epoch_effective
    if effective and not any(epochs.voting_powers(ctx).values()):
        errors.append("no member of the effective group has voting power")
    for epoch in range(epochs.oldest_retained(ctx), effective + 2):
        if epochs.is_published(ctx, epoch):
            errors += _group_errors(ctx, epoch)
    errors += _slot_errors(ctx, effective)
    return errors


def _account_errors(ctx: Context) -> Iterator[str]:
    """Accounts of modules hold what the modules owe."""
    denom = auth.fee_params(ctx).denom
    held = bank.balance(ctx, module_account(inference.ACCOUNT), denom)
    owed = inference.obligations(ctx) + rewards.unpaid_total(ctx)
    if held != owed:
        yield f"the account {inference.ACCOUNT} holds {held}{denom} and owes {owed}{denom}"
    held, owed = bank.balance(ctx, module_account(collateral.ACCOUNT), denom), collateral.obligations(ctx)
    if collateral.is_on(ctx) and held != owed:
        yield f"the account {collateral.ACCOUNT} holds {held}{denom} and owes {owed}{denom}"
    exported = gov.MODULE.export_genesis(ctx)
    assert isinstance(exported, gov_genesis_pb2.GenesisState)
    owed = sum(int(coin.amount) for each in exported.deposits for coin in each.amount if coin.denom == denom)
    held = bank.balance(ctx, module_account("gov"), denom)
    if held < owed:
        yield f"the account gov holds {held}{denom} and owes {owed}{denom} of deposits"


def _form_errors(ctx: Context) -> Iterator[str]:
    """The state of each module is one that a genesis may bring."""
    for module in MODULES:
        yield from (f"{module.name}: {text}" for text in module.validate_genesis(module.export_genesis(ctx)))


def _group_errors(ctx: Context, epoch: int) -> Iterator[str]:
    """Totals are the sums of members, and no subgroup has a member that the parent lacks."""
    parent = epochs.group(ctx, epoch)
    assert parent is not None, f"epoch {epoch} is published without a group"
    members = {each.member_address: each for each in epochs.members(ctx, epoch)}
    yield from _total_errors(parent, [each.weight for each in members.values()])
    power = sum(each.voting_power for each in members.values())
    if parent.total_voting_power != power:
        yield f"group {epoch}: total_voting_power is {parent.total_voting_power}, of its members {power}"
    for subgroup in epochs.subgroups(ctx, epoch):
        inside = list(epochs.members(ctx, epoch, subgroup.model_id))
        yield from _total_errors(subgroup, [each.weight for each in inside])
        throughput = sum(node.throughput for each in inside for node in each.ml_nodes)
        if subgroup.total_throughput != throughput:
            yield (
                f"group {epoch} {subgroup.model_id}: total_throughput is {subgroup.total_throughput}, "
                f"of its nodes {throughput}"
            )
        for each in inside:
            if each.member_address not in members:
                yield f"group {epoch} {subgroup.model_id}: {each.member_address} is not in the parent"
            if (each.proved_weight or each.weight) != sum(node.poc_weight for node in each.ml_nodes):
                yield f"group {epoch} {subgroup.model_id}: {each.member_address} is not what its nodes weigh"


def _total_errors(group: EpochGroup, weights: list[int]) -> Iterator[str]:
    name = f"group {group.epoch_index} {group.model_id}".rstrip()
    if group.total_weight != sum(weights):
        yield f"{name}: total_weight is {group.total_weight}, of its members {sum(weights)}"
    if group.member_count != len(weights):
        yield f"{name}: member_count is {group.member_count}, of {len(weights)} members"


def _slot_errors(ctx: Context, epoch: int) -> Iterator[str]:
    """Who is INVALID serves in no slot of the effective group."""
    invalid = frozenset(hardware.invalid_participants(ctx))
    for subgroup in epochs.subgroups(ctx, epoch) if invalid else ():
        for address in sorted(invalid):
            member = epochs.member(ctx, epoch, subgroup.model_id, address)
            nodes = member.ml_nodes if member is not None else ()
            if any(any(node.timeslot_allocation) for node in nodes):
                yield f"group {epoch} {subgroup.model_id}: {address} is INVALID and holds a slot"
