"""Results and events are written by hand: protobuf must read in them what it would have written itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abci_app.kernel.block import TxResult, encode_event, encode_events, encode_messages, encode_result
from abci_app.kernel.context import Event
from protocol.gen.tendermint.abci import types_pb2 as abci

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
EVENTS = st.builds(Event, NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=4).map(tuple))


def as_message(event: Event) -> abci.Event:
    attributes = [abci.EventAttribute(key=key, value=value, index=True) for key, value in event.attributes]
    return abci.Event(type=event.type, attributes=attributes)


@given(EVENTS)
def test_an_event_has_the_bytes_that_protobuf_writes(event: Event) -> None:
    assert encode_event(event) == as_message(event).SerializeToString()


@given(st.lists(EVENTS, max_size=3), st.integers(0, 2**31 - 1), VALUES, st.integers(0, 2**62))
def test_a_result_is_read_back_as_it_was(events: list[Event], code: int, log: str, gas: int) -> None:
    result = TxResult(code, "sdk", log, gas_wanted=gas, gas_used=gas // 2, events=tuple(events))

    read = abci.ExecTxResult.FromString(encode_result(result))

    assert read == abci.ExecTxResult(
        code=code,
        codespace="sdk",
        log=log,
        gas_wanted=gas,
        gas_used=gas // 2,
        events=[as_message(event) for event in events],
    )


@given(st.lists(EVENTS, max_size=3), st.integers(0, 3))
def test_a_block_holds_its_events_and_a_result_for_each_transaction(
    events: list[Event], results: int
) -> None:
    encoded = [encode_result(TxResult(code=number)) for number in range(results)]

    read = abci.ResponseFinalizeBlock.FromString(encode_events(1, events) + encode_messages(2, encoded))

    assert list(read.events) == [as_message(event) for event in events]
    assert [result.code for result in read.tx_results] == list(range(results))
