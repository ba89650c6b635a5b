"""The messages within a proposal: checked when it is submitted, run together when it has passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from abci_app.kernel.block import MACHINE_FAILURES
from abci_app.kernel.context import Context
from abci_app.kernel.errors import OutOfGas, TxError, TxParseError
from abci_app.kernel.kv import Overlay
from abci_app.kernel.tx import unpack
from abci_app.modules import bank
from abci_app.modules.gov.deposits import GOV_ADDRESS, deposits_held
from abci_app.modules.gov.errors import DepositsSpent, InvalidMessage, InvalidSigner, UnroutableMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

    from abci_app.kernel.module import MessageRoute
    from protocol.gen.google.protobuf import any_pb2

INTERNAL_REASON = "internal error"


def check_messages(ctx: Context, packed: Iterable[any_pb2.Any]) -> None:
    """Routable, signed by the gov account alone, and accepted by their handlers as the state is now.

    The handlers run in order on a state that is thrown away, so a later message may build on an earlier.
    """
    unpacked = [_unpack(each) for each in packed]
    strangers = [
        f"{route.type_url} of {route.signer_of(message)[:100]!r}"
        for route, message in unpacked
        if route.signer_of(message) != GOV_ADDRESS
    ]
    if strangers:
        raise InvalidSigner(", ".join(strangers))
    trial = Context(ctx.block, Overlay(ctx.kv), ctx.gas, ctx.mode)
    for index, (route, message) in enumerate(unpacked):
        try:
            route.handler(trial, message)
        except OutOfGas:
            raise
        except TxError as error:
            raise InvalidMessage(f"message {index}, {route.type_url}: {error}") from error


def _unpack(packed: any_pb2.Any) -> tuple[MessageRoute, Message]:
    try:
        return unpack(packed.type_url, packed.value)
    except (TxParseError, DecodeError) as error:
        raise UnroutableMessage(f"{packed.type_url[:200]}: {error}") from error


def run_messages(ctx: Context, packed: Sequence[any_pb2.Any]) -> str:
    """Runs all messages, or none; returns why they failed, empty if they did not."""
    where = 0
    try:
        with ctx.branch() as branch:
            for where, each in enumerate(packed):  # noqa: B007 - told when it fails
                route, message = _unpack(each)
                route.handler(branch, message)
            _check_deposits(branch)
    except TxError as error:
        return f"message {where} failed on execution: {error}"
    except MACHINE_FAILURES:
        raise
    except Exception as bug:  # noqa: BLE001 # determinism: a vote may not halt all validators
        ctx.on_bug(f"proposal: {packed[where].type_url if packed else ''}", bug)
        # What is kept is constant: what a traceback says could differ between machines.
        return f"message {where} failed on execution: {INTERNAL_REASON}"
    return ""


def _check_deposits(ctx: Context) -> None:
    owed = deposits_held(ctx)
    left = {denom: bank.balance(ctx, GOV_ADDRESS, denom) for denom in owed}
    if not bank.covers(left, owed):
        raise DepositsSpent(f"{bank.text_of(left)} would be left of {bank.text_of(owed)}")
