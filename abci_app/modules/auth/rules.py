"""What is wrong with a genesis state of auth."""

from __future__ import annotations

from collections.abc import Sequence

from protocol import address as addresses
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.evergrid.auth.v1 import auth_pb2 as evergrid_auth


def fee_errors(fees: evergrid_auth.FeeParams) -> list[str]:
    """All that is wrong with the fee params."""
    return [] if fees.denom else ["fees.denom is empty"]


def account_errors(accounts: Sequence[tuple[auth_pb2.BaseAccount, str]]) -> list[str]:
    """All that is wrong with accounts in order of number, each with the name of the module whose it is."""
    errors: list[str] = []
    seen: dict[str, int] = {}
    for index, (account, module) in enumerate(accounts):
        try:
            addresses.decode(account.address)
        except addresses.AddressError as error:
            errors.append(f"accounts[{index}]: {account.address!r}: {error}")
        if account.address in seen:
            errors.append(
                f"accounts[{index}]: {account.address} is accounts[{seen[account.address]}] already"
            )
        seen.setdefault(account.address, index)
        if account.account_number not in {0, index}:
            errors.append(f"accounts[{index}]: its number is {account.account_number}, its place {index}")
        if module and addresses.module_account(module) != account.address:
            errors.append(f"accounts[{index}]: {account.address} is not the address of module {module}")
    return errors


def unordered_errors(nonces: Sequence[tuple[int, str]]) -> list[str]:
    """All that is wrong with times used up by signers: each stands once, in order."""
    errors: list[str] = []
    for index, (time_ns, signer) in enumerate(nonces):
        try:
            addresses.decode(signer)
        except addresses.AddressError as error:
            errors.append(f"unordered[{index}]: {signer!r}: {error}")
        if index and (time_ns, signer) <= nonces[index - 1]:
            errors.append(f"unordered[{index}]: it is not behind the one before it")
    return errors
