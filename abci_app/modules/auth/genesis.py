"""The genesis of auth, read and written; one is the inverse of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from abci_app.modules.auth import state
from abci_app.modules.auth.accounts import PARAMS_DEFAULT, params
from abci_app.modules.auth.rules import account_errors, fee_errors, unordered_errors
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth
from protocol.gen.google.protobuf import any_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from abci_app.kernel.context import Context

BASE_TYPE_URL = "/" + auth_pb2.BaseAccount.DESCRIPTOR.full_name
MODULE_TYPE_URL = "/" + auth_pb2.ModuleAccount.DESCRIPTOR.full_name


def pack(message: Message) -> any_pb2.Any:
    """An Any as Cosmos writes it: the type URL has a slash and no host."""
    return any_pb2.Any(
        type_url="/" + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True)
    )


def packed_account(ctx: Context, account: auth_pb2.BaseAccount) -> any_pb2.Any:
    """The account as what it is: a BaseAccount, or a ModuleAccount."""
    module = state.MODULE_ACCOUNTS.get(ctx, account.address)
    if module is None:
        return pack(account)
    module.base_account.CopyFrom(account)
    return pack(module)


def _unpack(packed: any_pb2.Any) -> auth_pb2.ModuleAccount:
    """Either kind as a ModuleAccount, whose name is empty where it is a BaseAccount; raises ValueError."""
    try:
        if packed.type_url == BASE_TYPE_URL:
            base = auth_pb2.BaseAccount.FromString(packed.value)
            return auth_pb2.ModuleAccount(base_account=base)
        if packed.type_url == MODULE_TYPE_URL:
            return auth_pb2.ModuleAccount.FromString(packed.value)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"{packed.type_url!r} is no kind of account")


def validate_genesis(genesis: evergrid_auth.GenesisState) -> list[str]:
    """All that is wrong with the state, in order."""
    errors = fee_errors(genesis.fees)
    unpacked: list[tuple[auth_pb2.BaseAccount, str]] = []
    for index, packed in enumerate(genesis.accounts):
        try:
            account = _unpack(packed)
        except ValueError as error:
            errors.append(f"accounts[{index}]: {error}")
            continue
        if packed.type_url == MODULE_TYPE_URL and not account.name:
            errors.append(f"accounts[{index}]: a module account without a name")
        unpacked.append((account.base_account, account.name))
    if len(unpacked) == len(genesis.accounts):
        errors += account_errors(unpacked)
    errors += unordered_errors([(nonce.timeout_ns, nonce.signer) for nonce in genesis.unordered])
    return errors


def init_genesis(ctx: Context, genesis: evergrid_auth.GenesisState) -> None:
    """Writes params and accounts; numbers go by place."""
    state.PARAMS.set(ctx, genesis.params if genesis.HasField("params") else PARAMS_DEFAULT)
    state.FEES.set(ctx, genesis.fees)
    for number, packed in enumerate(genesis.accounts):
        module = _unpack(packed)
        account = module.base_account
        account.account_number = number
        state.ACCOUNTS.set(ctx, account.address, account)
        if module.name:
            state.MODULE_ACCOUNTS.set(
                ctx,
                account.address,
                auth_pb2.ModuleAccount(name=module.name, permissions=module.permissions),
            )
    state.ACCOUNT_NUMBER.set(ctx, len(genesis.accounts))
    for nonce in genesis.unordered:
        state.UNORDERED.add(ctx, (nonce.timeout_ns, nonce.signer))


def export_genesis(ctx: Context) -> evergrid_auth.GenesisState:
    """Params and all accounts by number."""
    accounts = sorted(state.ACCOUNTS.values(ctx), key=lambda account: account.account_number)
    return evergrid_auth.GenesisState(
        params=params(ctx),
        fees=state.FEES.get(ctx),
        accounts=[packed_account(ctx, account) for account in accounts],
        unordered=[
            evergrid_auth.UnorderedNonce(timeout_ns=time_ns, signer=signer)
            for time_ns, signer in state.UNORDERED.walk(ctx)
        ],
    )
