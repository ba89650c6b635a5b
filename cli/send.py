"""From messages to what became of them: signer, gas, fee, confirmation, broadcast."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.out import as_json, as_yaml
from cli.reply import reply_json
from client import gas as gas_tools
from client.amounts import Amount, parse_amounts, parse_factor, parse_price
from client.chain import ChainError, ChainUnreachableError
from client.keyring import KeyringError
from client.registry import to_json
from client.tx import Fee, Signer, build, pack
from protocol.address import AddressError, decode
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.tx.v1beta1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from cli.session import Session
    from client.chain import TxReply
    from client.keys import Key

_GAS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_EXPECTED = re.compile(r"account sequence mismatch, expected (\d+),", re.ASCII)
CODE_NOT_FOUND = 22
WRONG_SEQUENCE = (32, "sdk")
SEQUENCE_TRIES = 5
WAIT_S = 60.0
UNORDERED_S = 60


@dataclass(frozen=True, slots=True)
class Cost:
    """The gas limit, the fee where there is one, and the account whose allowance pays it."""

    gas_limit: int
    fee: Amount | None = None
    granter: str = ""

    @property
    def wire(self) -> Fee:
        if self.fee is None:
            return Fee(self.gas_limit, granter=self.granter)
        return Fee(self.gas_limit, str(self.fee.number), self.fee.denom, self.granter)


def sender(session: Session) -> str:
    """The address that signs; with --generate-only an address without a key will do."""
    name = session.get("from")
    if not name:
        raise click.UsageError("name the key that signs with --from")
    try:
        return session.keyring().show(name).address
    except KeyringError:
        if not session.get("generate_only"):
            raise
    return checked_address(name)


def checked_address(text: str) -> str:
    """An account's address as it is; raises ClickException that says what is wrong with it."""
    try:
        decode(text)
    except AddressError as error:
        raise click.ClickException(f"{text!r} is no address: {error}") from error
    return text


def coins(text: str) -> list[Coin]:
    """Coins for a message; raises AmountError."""
    return [Coin(denom=amount.denom, amount=str(amount.number)) for amount in parse_amounts(text)]


def submit(session: Session, messages: Sequence[Message]) -> None:
    """Signs and sends the messages as the options say, and prints what became of them."""
    check_options(session)
    if session.get("generate_only"):
        # A file for `tx sign`, whatever form the output has.
        return write(session, unsigned(session, messages), session.get("output_document"))
    key = session.keyring().key(session.get("from"))
    if session.get("offline"):
        return write(session, signed_offline(session, messages, key), session.get("output_document"))
    with session.client as client:
        signer = on_chain(session, key)
        chain_id = session.get("chain_id") or client.status()["node_info"]["network"]
        cost = price(session, messages, signer, chain_id)
        if session.get("dry_run"):
            return session.emit(
                {"gas_estimate": str(cost.gas_limit), "fee": str(cost.fee) if cost.fee else ""}
            )
        confirm(session, messages, cost)
        return finish(session, signing(session, messages, chain_id, cost), signer)


def signing(
    session: Session, messages: Sequence[Message], chain_id: str, cost: Cost
) -> Callable[[Signer], bytes]:
    """What makes of a signer the signed transaction, the same for each sequence."""
    memo, height = session.get("note") or "", session.get("timeout_height") or 0
    until_ns = unordered_until_ns(session)
    amino = session.get("sign_mode") == "amino-json"

    def sign(now: Signer) -> bytes:
        raw = build(
            messages,
            [now],
            chain_id,
            cost.wire,
            memo=memo,
            timeout_height=height,
            unordered_until_ns=until_ns,
        )
        return _in_amino_json(raw, now, chain_id) if amino else raw

    return sign


def _in_amino_json(raw: bytes, signer: Signer, chain_id: str) -> bytes:
    from cli.tx_files import raw_of  # noqa: PLC0415 - it imports this module
    from cli.tx_sign import MODES, signed_by  # noqa: PLC0415 - as above

    return raw_of(signed_by(tx_pb2.Tx.FromString(raw), signer, MODES["amino-json"], chain_id))


def signed_offline(session: Session, messages: Sequence[Message], key: Key) -> tx_pb2.Tx:
    """The signed transaction, for which no node is asked; raises UsageError with all that it lacks."""
    named = ["chain_id", "account_number", *([] if session.get("unordered") else ["sequence"])]
    missing = [f"--{name.replace('_', '-')}" for name in named if session.get(name) is None]
    if str(session.get("gas")) == "auto":
        missing.append("--gas N")
    if missing:
        raise click.UsageError(f"--offline needs {', '.join(missing)}")
    cost = Cost(int(session.get("gas")), offered_fee(session), fee_granter(session))
    signer = Signer(key, session.get("account_number"), session.get("sequence") or 0)
    return tx_pb2.Tx.FromString(signing(session, messages, session.get("chain_id"), cost)(signer))


def check_options(session: Session) -> None:
    """Refuses options that contradict each other or cannot be read, before the chain is asked."""
    if not session.get("from"):
        raise click.UsageError("name the key that signs with --from")
    if session.get("unordered") and session.get("sequence") is not None:
        raise click.UsageError("an unordered transaction has no sequence")
    if session.get("timeout_duration") and not session.get("unordered"):
        raise click.UsageError("--timeout-duration goes with --unordered")
    if session.get("dry_run") and session.get("offline"):
        raise click.UsageError("--dry-run asks a node, and --offline asks none")
    if session.get("fee_payer") and not session.get("generate_only"):
        raise click.UsageError(
            "--fee-payer goes with --generate-only: `evergrid tx sign` of both accounts follows"
        )
    if session.get("output_document") and not (session.get("generate_only") or session.get("offline")):
        raise click.UsageError("--output-document goes with --generate-only or --offline")
    if session.get("fees") and session.get("gas_prices"):
        raise click.UsageError("use only one of --fees and --gas-prices")
    if (gas := str(session.get("gas"))) != "auto" and not _GAS.fullmatch(gas):
        raise click.UsageError(f"--gas {gas!r} is neither auto nor a number")
    parse_factor(str(session.get("gas_adjustment")))
    fixed_fee(session)
    fee_granter(session)
    if session.get("gas_prices"):
        parse_price(str(session.get("gas_prices")))


def unordered_until_ns(session: Session) -> int:
    """Until when an unordered transaction may come into a block, in nanoseconds since 1970; 0 for others."""
    if not session.get("unordered"):
        return 0
    return time.time_ns() + int((session.get("timeout_duration") or UNORDERED_S) * 10**9)


def fixed_fee(session: Session) -> Amount | None:
    """The fee that was given as such."""
    if not (text := session.get("fees")):
        return None
    amounts = parse_amounts(text)
    if len(amounts) > 1:
        raise click.UsageError("a fee is paid in one denomination")
    return amounts[0]


def fee_granter(session: Session) -> str:
    """The address whose allowance pays the fee; empty: the signer pays."""
    text = session.get("fee_granter")
    return checked_address(text) if text else ""


def on_chain(session: Session, key: Key, address: str = "") -> Signer:
    """The key with the number and sequence of its account, or of another one for which it signs."""
    return Signer(key, *numbers_of(session, address or key.address))


def numbers_of(session: Session, address: str) -> tuple[int, int]:
    """Number and sequence of an account: given, else as the chain has them."""
    number, sequence = session.get("account_number"), session.get("sequence")
    if number is None or sequence is None:
        try:
            account = session.client.account(address)
        except ChainUnreachableError:
            raise
        except ChainError as error:
            if error.code != CODE_NOT_FOUND:
                raise
            raise click.ClickException(
                f"the account {address} is not on the chain yet: it must receive coins first"
            ) from error
        number = account.account_number if number is None else number
        sequence = account.sequence if sequence is None else sequence
    return number, sequence


def price(session: Session, messages: Sequence[Message], signer: Signer, chain_id: str) -> Cost:
    """Gas limit and fee: given, or simulated and priced by what the node wants at least."""
    gas, granter = str(session.get("gas")), fee_granter(session)
    if gas == "auto" or session.get("dry_run"):
        unpaid = Fee(0, granter=granter)
        memo, until_ns = session.get("note") or "", unordered_until_ns(session)
        raw = build(messages, [signer], chain_id, unpaid, memo=memo, unordered_until_ns=until_ns)
        used = gas_tools.simulate(session.client, raw)
        limit = gas_tools.gas_limit(used, parse_factor(str(session.get("gas_adjustment"))))
    else:
        limit = int(gas)
    if (fixed := fixed_fee(session)) is not None:
        return Cost(limit, fixed, granter)
    if session.get("gas_prices"):
        unit_price, denom = parse_price(str(session.get("gas_prices")))
    else:
        unit_price, denom = gas_tools.minimum_gas_price(session.client)
    return Cost(limit, gas_tools.fee(limit, unit_price, denom) if unit_price else None, granter)


def confirm(session: Session, messages: Sequence[Message], cost: Cost) -> None:
    """Shows what is about to be signed and asks, unless that was answered by an option."""
    if session.get("yes"):
        return
    shown = {
        "messages": [to_json(pack(message)) for message in messages],
        "gas_limit": cost.gas_limit,
        "fee": str(cost.fee) if cost.fee else "none",
        **({"fee_granter": cost.granter} if cost.granter else {}),
    }
    click.echo(as_yaml(shown), err=True)
    click.confirm("Sign and broadcast this transaction?", abort=True, err=True)


def broadcast(session: Session, sign: Callable[[Signer], bytes], signer: Signer) -> TxReply:
    """Signs and broadcasts, again with the sequence that the node expects unless one was given.

    An API node sends under the same key at any time, and the account that a node answers knows of none of
    what waits for a block.
    """
    for _ in range(SEQUENCE_TRIES):
        reply = session.client.broadcast(sign(signer), checked=session.get("broadcast_mode") != "async")
        expected = _EXPECTED.search(reply.log)
        if (reply.code, reply.codespace) != WRONG_SEQUENCE or expected is None:
            break
        if session.get("sequence") is not None:
            break
        signer = replace(signer, sequence=int(expected[1]))
    return reply


def finish(session: Session, sign: Callable[[Signer], bytes], signer: Signer) -> None:
    """Broadcasts, waits where that is wanted, and prints the outcome."""
    reply = broadcast(session, sign, signer)
    if not reply.code and session.get("broadcast_mode") == "block":
        reply = session.client.wait_tx(reply.hash, WAIT_S)
    outcome(session, reply)


def outcome(session: Session, reply: TxReply) -> None:
    """Prints what became of a transaction; raises ChainError when the chain refused."""
    session.emit(reply_json(reply))
    if reply.code:
        what = f"failed in block {reply.height}" if reply.height else "was refused"
        code = f"code {reply.code} of {reply.codespace or 'the node'}"
        text = f"transaction {reply.hash} {what} with {code}: {reply.log}"
        raise ChainError(text, reply.code, reply.codespace)


def offered_fee(session: Session) -> Amount | None:
    """The fee as the options alone say it; a gas limit that is to be simulated counts as 0."""
    if (fixed := fixed_fee(session)) is not None or not session.get("gas_prices"):
        return fixed
    return gas_tools.fee(declared_gas(session), *parse_price(str(session.get("gas_prices"))))


def declared_gas(session: Session) -> int:
    """The gas limit that was given, or 0."""
    gas = str(session.get("gas"))
    return 0 if gas == "auto" else int(gas)


def write(session: Session, message: Message, output_document: str | None) -> None:
    """Prints a message as JSON, which other commands read, or writes it into a file."""
    text = as_json(to_json(message))
    if output_document is None:
        return click.echo(text)
    Path(output_document).write_text(text + "\n", encoding="utf-8")
    return session.emit({"file": output_document})


def unsigned(session: Session, messages: Sequence[Message]) -> tx_pb2.Tx:
    """The transaction before it is signed; without a simulation the gas limit is the given one, or 0."""
    fee, limit = offered_fee(session), declared_gas(session)
    amount = [Coin(denom=fee.denom, amount=str(fee.number))] if fee and fee.number else []
    body = tx_pb2.TxBody(
        messages=[pack(message) for message in messages],
        memo=session.get("note") or "",
        timeout_height=session.get("timeout_height") or 0,
        unordered=bool(session.get("unordered")),
    )
    if body.unordered:
        body.timeout_timestamp.FromNanoseconds(unordered_until_ns(session))
    payer = session.get("fee_payer")
    fee_paid = tx_pb2.Fee(
        amount=amount,
        gas_limit=limit,
        granter=fee_granter(session),
        payer=checked_address(payer) if payer else "",
    )
    auth_info = tx_pb2.AuthInfo(fee=fee_paid)
    return tx_pb2.Tx(body=body, auth_info=auth_info)
