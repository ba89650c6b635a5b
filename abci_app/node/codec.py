"""The frames of the ABCI socket: a varint length, then an encoded Request or Response."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.varint import uvarint

# Twice the largest block that CometBFT allows (100 MiB), and room for what surrounds the transactions.
FRAME_BYTES_MAX: Final = 2 * 104_857_600 + 64 * 1024 * 1024

# 2^31 - 1 is the protocol's own limit, so a longer varint is no length.
LENGTH_BYTES_MAX: Final = 5

# Bytes that were read already are cut off in one go once there are so many of them.
CUT_BYTES: Final = 1024 * 1024

WIRE_TYPE_LENGTH: Final = 2


class FrameError(Exception):
    """The peer does not speak ABCI; nothing that follows on its connection can be understood."""


class FrameReader:
    """Cuts a stream of bytes into frames, however it was split; looks at each byte of a length only once."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()
        self._offset = 0
        self._length: int | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def has_frame(self) -> bool:
        """Whether a whole frame lies ready. Raises FrameError when what lies there can never become one."""
        if self._length is None:
            self._length = self._read_length()
        return self._length is not None and len(self._buffer) - self._offset >= self._length

    def next_frame(self) -> bytes | None:
        """The next whole frame without its length, or None. Raises FrameError as `has_frame` does."""
        if not self.has_frame():
            return None
        assert self._length is not None
        end = self._offset + self._length
        frame = bytes(memoryview(self._buffer)[self._offset : end])
        self._offset, self._length = end, None
        self._cut()
        return frame

    def _read_length(self) -> int | None:
        value = 0
        for position, byte in enumerate(self._buffer[self._offset : self._offset + LENGTH_BYTES_MAX]):
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if value > self._frame_bytes_max:
                    raise FrameError(f"a frame of {value} bytes is longer than {self._frame_bytes_max}")
                self._offset += position + 1
                return value
        if len(self._buffer) - self._offset >= LENGTH_BYTES_MAX:
            raise FrameError(f"a frame's length takes more than {LENGTH_BYTES_MAX} bytes")
        return None

    def _cut(self) -> None:
        if self._offset == len(self._buffer):
            self._buffer.clear()
            self._offset = 0
        elif self._offset > CUT_BYTES:
            del self._buffer[: self._offset]
            self._offset = 0


def frame(body: bytes) -> bytes:
    """An encoded Request or Response with its length before it."""
    return uvarint(len(body)) + body


def _tag(field: int) -> bytes:
    return uvarint(field << 3 | WIRE_TYPE_LENGTH)


RESPONSE_TAGS: Final = {field.name: _tag(field.number) for field in abci.Response.DESCRIPTOR.fields}
TX_RESULT_TAG: Final = _tag(abci.ResponseFinalizeBlock.DESCRIPTOR.fields_by_name["tx_results"].number)


def response_frame(method: str, body: bytes) -> bytes:
    """The frame of a Response whose arm `method` holds the encoded body, without building the Response."""
    head = RESPONSE_TAGS[method] + uvarint(len(body))
    return uvarint(len(head) + len(body)) + head + body


def finalize_block_bytes(tx_results: Iterable[bytes], rest: abci.ResponseFinalizeBlock) -> bytes:
    """An encoded ResponseFinalizeBlock, spliced from encoded ExecTxResults, in order, and all else."""
    assert not rest.tx_results, "the results come encoded, not in the message"
    parts: list[bytes] = []
    for result in tx_results:
        parts += (TX_RESULT_TAG, uvarint(len(result)), result)
    parts.append(rest.SerializeToString())
    return b"".join(parts)
