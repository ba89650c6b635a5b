"""Frames: cut from any split of the stream, exact bytes, and what is no frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.node.codec import (
    FrameError,
    FrameReader,
    finalize_block_bytes,
    frame,
    response_frame,
)
from protocol.gen.tendermint.abci import types_pb2 as abci
from protocol.varint import uvarint

BODIES = st.lists(st.binary(max_size=400), max_size=20)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The stream in pieces of the given sizes, and what is left."""
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [*pieces, stream]


def drain(reader: FrameReader) -> list[bytes]:
    return list(iter(reader.next_frame, None))


@given(BODIES, st.lists(st.integers(min_value=0, max_value=300)))
def test_any_split_of_the_stream_gives_the_frames_that_went_in(bodies: list[bytes], sizes: list[int]) -> None:
    reader = FrameReader()

    seen = []
    for piece in cut(b"".join(map(frame, bodies)), sizes):
        reader.feed(piece)
        seen += drain(reader)

    assert seen == bodies


@given(BODIES)
def test_bytes_one_by_one_complete_each_frame_at_its_last_byte(bodies: list[bytes]) -> None:
    reader = FrameReader()

    for body in bodies:
        framed = frame(body)
        for position in range(len(framed)):
            assert reader.next_frame() is None
            reader.feed(framed[position : position + 1])
        assert reader.has_frame()
        assert reader.next_frame() == body


@given(st.integers(min_value=0, max_value=2**31 - 1))
def test_a_length_reads_back_as_it_was_written(value: int) -> None:
    encoded = uvarint(value)

    decoded = sum((byte & 0x7F) << (7 * position) for position, byte in enumerate(encoded))

    assert decoded == value
    assert all(byte >= 0x80 for byte in encoded[:-1])
    assert encoded[-1] < 0x80


@given(st.binary(min_size=1, max_size=64))
def test_arbitrary_bytes_give_frames_or_a_frame_error_and_nothing_else(garbage: bytes) -> None:
    reader = FrameReader(frame_bytes_max=1000)
    reader.feed(garbage)

    try:
        frames = drain(reader)
    except FrameError:
        return

    assert sum(map(len, frames)) < len(garbage)


def test_a_frame_of_thirty_megabytes_is_not_scanned_again_while_it_arrives() -> None:
    body = bytes(30_000_000)
    framed = frame(body)
    reader = FrameReader()

    for start in range(0, len(framed), 65_536):
        assert not reader.has_frame()
        reader.feed(framed[start : start + 65_536])

    # The length was read once, with the first piece; only then does the offset stand behind it.
    assert reader._offset == len(uvarint(len(body)))
    assert reader.next_frame() == body


def test_many_small_frames_do_not_pile_up_behind_the_offset() -> None:
    reader = FrameReader()
    framed = frame(bytes(1000))
    reader.feed(framed * 10_000 + framed[:-1])

    taken = len(drain(reader))

    assert taken == 10_000
    assert len(reader._buffer) < 2 * 1024 * 1024


@pytest.mark.parametrize("length", [1001, 2**31 - 1])
def test_a_frame_beyond_the_guard_is_refused_before_it_is_read(length: int) -> None:
    reader = FrameReader(frame_bytes_max=1000)
    reader.feed(uvarint(length))

    with pytest.raises(FrameError, match=f"a frame of {length} bytes is longer than 1000"):
        reader.has_frame()


def test_a_length_of_more_than_five_bytes_is_refused() -> None:
    reader = FrameReader()
    reader.feed(b"\xff\xff\xff\xff\xff")

    with pytest.raises(FrameError, match="more than 5 bytes"):
        reader.next_frame()


@pytest.mark.parametrize(
    ("request_message", "golden"),
    [
        (abci.Request(flush=abci.RequestFlush()), "021200"),
        (abci.Request(echo=abci.RequestEcho(message="hi")), "060a040a026869"),
        (abci.Request(commit=abci.RequestCommit()), "025a00"),
        (abci.Request(check_tx=abci.RequestCheckTx(tx=b"a=1")), "0742050a03613d31"),
        (abci.Request(check_tx=abci.RequestCheckTx(tx=b"a=1", type=abci.RECHECK)), "0942070a03613d311001"),
    ],
)
def test_requests_have_the_bytes_that_the_specification_gives_them(
    request_message: abci.Request, golden: str
) -> None:
    assert frame(request_message.SerializeToString()).hex() == golden


@pytest.mark.parametrize(
    ("method", "body", "golden"),
    [
        ("flush", b"", "021a00"),
        ("check_tx", b"", "024a00"),
        ("commit", b"", "026200"),
        ("finalize_block", b"\x2a\x01\xff", "06aa01032a01ff"),
    ],
)
def test_responses_have_the_bytes_that_the_specification_gives_them(
    method: str, body: bytes, golden: str
) -> None:
    assert response_frame(method, body).hex() == golden


@pytest.mark.parametrize("method", [field.name for field in abci.Response.DESCRIPTOR.fields])
@given(length=st.integers(min_value=0, max_value=40_000))
def test_a_response_frame_equals_the_encoded_response(method: str, length: int) -> None:
    # An unknown field of the wanted length stands for a body of any kind.
    body = b"\xfa\x06" + uvarint(length) + bytes(length)
    whole = abci.Response()
    getattr(whole, method).MergeFromString(body)

    assert response_frame(method, body) == frame(whole.SerializeToString())


@given(st.lists(st.builds(abci.ExecTxResult, code=st.integers(0, 9), data=st.binary(max_size=300))))
def test_spliced_results_decode_to_the_message_built_the_long_way(results: list[abci.ExecTxResult]) -> None:
    rest = abci.ResponseFinalizeBlock(app_hash=b"\x01" * 32, events=[abci.Event(type="epoch")])
    long_way = abci.ResponseFinalizeBlock(app_hash=b"\x01" * 32, events=rest.events, tx_results=results)

    spliced = finalize_block_bytes((result.SerializeToString() for result in results), rest)

    assert abci.ResponseFinalizeBlock.FromString(spliced) == long_way
