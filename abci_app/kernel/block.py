"""Runs transactions: decode, ante, messages.

What the sender got wrong becomes a result; what we got wrong is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from abci_app.kernel.context import Block, Context, Event, Gas, Mode
from abci_app.kernel.errors import OutOfGas, TxError
from abci_app.kernel.store import Overlay
from abci_app.kernel.tx import decode
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2 as sdk_abci
from protocol.gen.google.protobuf import any_pb2
from protocol.gen.tendermint.abci import types_pb2 as abci

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from abci_app.kernel.module import MessageRoute
    from abci_app.kernel.store import KV
    from abci_app.kernel.tx import Tx

INTERNAL_CODESPACE, INTERNAL_CODE = "undefined", 111222
INTERNAL_LOG = "internal error"

# Results carry gas as int64, and CometBFT reads no answer above 100 MiB: what a sender writes may not grow
# without bound on its way into a result.
GAS_SHOWN_MAX = (1 << 63) - 1
LOG_BYTES, LOG_BYTES_PER_TX_BYTE = 1000, 4

# These say that the machine failed, not that our code is wrong: other validators would not see them.
MACHINE_FAILURES = (MemoryError, RecursionError, OSError)


@dataclass(frozen=True, slots=True)
class TxResult:
    """What became of a transaction; `messages` are the answers of its messages, in order."""

    code: int = 0
    codespace: str = ""
    log: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def data(self) -> bytes:
        """TxMsgData of the answers; empty where the transaction failed."""
        if not self.messages:
            return b""
        return sdk_abci.TxMsgData(msg_responses=self.msg_responses).SerializeToString()

    @property
    def msg_responses(self) -> list[any_pb2.Any]:
        """The answers, each packed."""
        return [
            any_pb2.Any(type_url=f"/{m.DESCRIPTOR.full_name}", value=m.SerializeToString())
            for m in self.messages
        ]


class TxRunner:
    """Runs transactions through an ante chain. `on_bug` is told of our own errors inside of transactions."""

    def __init__(
        self, ante: Sequence[Callable[[Context, Tx], None]], on_bug: Callable[[str, BaseException], None]
    ) -> None:
        self._ante = tuple(ante)
        self._on_bug = on_bug

    def run(
        self, kv: KV, block: Block, raw: bytes, mode: Mode = Mode.DELIVER, tx: Tx | None = None
    ) -> TxResult:
        """One transaction on the given state; its writes reach `kv` as far as the failure table says.

        A failed ante leaves nothing. A failed message leaves what the ante wrote (fee, sequence). Raises only
        what the machine got wrong.
        """
        try:
            tx = tx or decode(raw)
        except TxError as error:
            return TxResult(error.code, error.codespace, str(error))
        except MACHINE_FAILURES:
            raise
        except Exception as bug:  # noqa: BLE001 # determinism: one crafted tx must not halt every validator
            return self._internal("decode", bug, Gas())
        return _bounded(self._run(kv, block, tx, mode), len(raw))

    def _run(self, kv: KV, block: Block, tx: Tx, mode: Mode) -> TxResult:
        gas = Gas(None if mode is Mode.SIMULATE else tx.gas_limit)
        wanted = tx.gas_limit

        ctx = Context(block, Overlay(kv), gas, mode)
        failure = self._attempt(ctx, tx, wanted)
        if failure is not None:
            return failure
        _flush(ctx)
        if mode in (Mode.CHECK, Mode.RECHECK):
            return TxResult(gas_wanted=wanted, gas_used=gas.used, events=tuple(ctx.events))
        return self._messages(kv, ctx, tx)

    def _attempt(self, ctx: Context, tx: Tx, wanted: int) -> TxResult | None:
        try:
            for step in self._ante:
                step(ctx, tx)
        except TxError as error:
            return _failed(error, str(error), wanted, ctx.gas.used)
        except MACHINE_FAILURES:
            raise
        except Exception as bug:  # noqa: BLE001 # determinism: one crafted tx must not halt every validator
            return self._internal("ante", bug, ctx.gas, wanted)
        return None

    def _messages(self, kv: KV, ante: Context, tx: Tx) -> TxResult:
        ctx = Context(ante.block, Overlay(kv), ante.gas, ante.mode)
        answers: list[Message] = []
        events = list(ante.events)
        wanted = tx.gas_limit
        for index, (route, message) in enumerate(tx.messages):
            try:
                answers.append(route.handler(ctx, message) or route.response())
            except OutOfGas as error:
                return _failed(error, str(error), wanted, ctx.gas.used, tuple(ante.events))
            except TxError as error:
                log = f"failed to execute message; message index: {index}: {error}"
                return _failed(error, log, wanted, ctx.gas.used, tuple(ante.events))
            except MACHINE_FAILURES:
                raise
            except Exception as bug:  # noqa: BLE001 # determinism: one crafted tx must not halt every validator
                return self._internal(route.type_url, bug, ctx.gas, wanted, tuple(ante.events))
            events += _message_events(route, message, index, ctx.events)
            ctx.events = []
        _flush(ctx)
        return TxResult(
            gas_wanted=wanted, gas_used=ctx.gas.used, events=tuple(events), messages=tuple(answers)
        )

    def _internal(
        self, where: str, bug: BaseException, gas: Gas, wanted: int = 0, events: tuple[Event, ...] = ()
    ) -> TxResult:
        # The text is constant: what a traceback says could differ between machines.
        self._on_bug(where, bug)
        return TxResult(INTERNAL_CODE, INTERNAL_CODESPACE, INTERNAL_LOG, wanted, gas.used, events)


def _flush(ctx: Context) -> None:
    overlay = ctx.kv
    assert isinstance(overlay, Overlay)
    overlay.flush()


def _failed(error: TxError, log: str, wanted: int, used: int, events: tuple[Event, ...] = ()) -> TxResult:
    return TxResult(error.code, error.codespace, log, wanted, used, events)


def _bounded(result: TxResult, tx_bytes: int) -> TxResult:
    """The result with gas and log within what its encoding and its reader can take."""
    log_max = LOG_BYTES + LOG_BYTES_PER_TX_BYTE * tx_bytes
    fits = max(result.gas_wanted, result.gas_used) <= GAS_SHOWN_MAX and len(result.log) * 4 <= log_max
    if fits:
        return result
    return replace(
        result,
        log=clipped(result.log, log_max),
        gas_wanted=min(result.gas_wanted, GAS_SHOWN_MAX),
        gas_used=min(result.gas_used, GAS_SHOWN_MAX),
    )


def clipped(text: str, bytes_max: int) -> str:
    """The text, or as much of its beginning as fits, with a mark that there was more."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - 3].decode("utf-8", "ignore") + "..."


def _message_events(route: MessageRoute, message: Message, index: int, events: list[Event]) -> list[Event]:
    """The message's own event first, then what its handler left; each with the message's index."""
    place = (("msg_index", str(index)),)
    sender = route.signer_of(message)
    head = Event(
        "message", (("action", route.type_url), ("sender", sender), ("module", route.module), *place)
    )
    return [head, *(Event(event.type, event.attributes + place) for event in events)]


_SHORT = tuple(bytes((size,)) for size in range(0x80))


def _length(size: int) -> bytes:
    if size < 0x80:
        return _SHORT[size]
    out = bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def encode_event(event: Event) -> bytes:
    """The bytes of tendermint.abci.Event, every attribute indexed; by hand, since blocks hold thousands."""
    parts = [_first_field(event.type)]
    for key, value in event.attributes:
        body = _first_field(key)
        if value:
            raw = value.encode()
            body += b"\x12%b%b" % (_length(len(raw)), raw)
        # The last field is `index`.
        parts.append(b"\x12%b%b\x18\x01" % (_length(len(body) + 2), body))
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _first_field(name: str) -> bytes:
    """A name as the first field of its message; there are as many as the code has of them."""
    raw = name.encode()
    return b"\x0a%b%b" % (_length(len(raw)), raw)


def encode_result(result: TxResult) -> bytes:
    """The bytes of tendermint.abci.ExecTxResult."""
    head = abci.ExecTxResult(
        code=result.code,
        data=result.data,
        log=result.log,
        gas_wanted=result.gas_wanted,
        gas_used=result.gas_used,
        codespace=result.codespace,
    ).SerializeToString()
    # Field 7 (events) comes before 8 (codespace) in the declaration; protobuf accepts any order.
    return head + encode_events(7, result.events)


def encode_events(number: int, events: Sequence[Event]) -> bytes:
    """Events as a repeated field with the given number (below 16)."""
    tag = bytes((number << 3 | 2,))
    parts: list[bytes] = []
    for event in events:
        raw = encode_event(event)
        parts += (tag, _length(len(raw)), raw)
    return b"".join(parts)


def encode_messages(number: int, messages: Sequence[bytes]) -> bytes:
    """Already encoded messages as a repeated field with the given number (below 16)."""
    tag = bytes((number << 3 | 2,))
    return b"".join(part for raw in messages for part in (tag, _length(len(raw)), raw))
