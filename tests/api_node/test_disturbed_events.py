"""Events dropped, doubled, late and out of order, and processes that end anywhere: the same effects."""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_node import poc_closing
from api_node.intents import Intent, NodeStatus
from tests.api_node.disturbed import Life, Script, views
from tests.api_node.views import S_FIRST, Y

# Of each PoC: S, its miners, and where posts of ten nonces each are found.
POCS = {S_FIRST: ("n1", "n2"), S_FIRST + 30: ("n2",)}
POSTS, COUNT = 4, 10
LAST = S_FIRST + 50
# From S: in each of these one block at least is seen; within the first one nonces come, too.
GENERATION, EXCHANGE, WINDOWS = (1, 4), 5, ((8, 9), (10, 11), (12, 14))

Event = tuple[str, int]
Effects = tuple[dict[str, bytes], dict[str, Intent], set[tuple[str, str]]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poc_closing, "POLL_S", 0.0)


async def live(home: Path, events: list[Event], *, committed: bool) -> Effects:
    """A life through events: ("block", height), ("post", S), ("again", S) and ("restart", 0)."""
    spans = [(COUNT * number, COUNT) for number in range(POSTS)]
    untaken = {(start, node): list(spans) for start, nodes in POCS.items() for node in nodes}
    script = Script(views(committed=committed), untaken)
    life = Life(home, script)
    for kind, number in events:
        if kind == "block":
            await life.block(number)
        elif kind == "restart":
            await life.restart()
        else:
            for node in POCS[number]:
                waiting = script.untaken[number, node]
                # What was acknowledged may come again, for the answer may have been lost.
                taken = POSTS - len(waiting)
                again = [spans[taken - 1]] if kind == "again" and taken else []
                for first, count in [*again, *waiting[:1]]:
                    life.post(number, node, first, count)
    effects = life.effects(), life.intents(), set(script.prepared)
    await life.end()
    return effects


def run(events: list[Event], *, committed: bool) -> Effects:
    """A life on a disk of its own."""
    with tempfile.TemporaryDirectory() as home:
        return asyncio.run(live(Path(home), events, committed=committed))


@cache
def undisturbed(*, committed: bool) -> Effects:
    """Every block once, in order; a post with each block of a generation."""
    events: list[Event] = []
    for height in range(1, LAST + 1):
        events.append(("block", height))
        events += [("post", start) for start in POCS if start < height <= start + POSTS]
    return run(events, committed=committed)


@st.composite
def disturbed(draw: st.DrawFn) -> list[Event]:
    """Most blocks dropped, many doubled or late; posts late, refused or repeated; ends of the process."""
    events: list[Event] = []

    def blocks(first: int, last: int) -> None:
        for height in sorted(draw(st.lists(st.integers(first, last), min_size=1, max_size=3))):
            events.extend([("block", height)] * draw(st.integers(1, 2)))
            disturb(height)

    def disturb(height: int) -> None:
        what = draw(st.sampled_from(("nothing", "late block", "restart")))
        if what == "late block":
            events.append(("block", draw(st.integers(1, height))))
        elif what == "restart":
            events.append(("restart", 0))

    for start in POCS:
        posts = [(draw(st.sampled_from(("post", "again"))), start) for _ in range(POSTS)]
        # Some are posted before any block of the PoC is seen, and refused; a node posts until it is heard.
        early = draw(st.integers(0, POSTS))
        events += posts[:early]
        blocks(start + GENERATION[0], start + GENERATION[1])
        during = draw(st.integers(0, POSTS))
        events += posts[:during]
        disturb(start + GENERATION[1])
        events.append(("block", start + EXCHANGE))
        events += [("post", start)] * POSTS
        disturb(start + EXCHANGE)
        events.append(("block", start + EXCHANGE + 1))
        for first, last in WINDOWS:
            blocks(start + first, start + last)
    return [*events, ("block", LAST)]


@pytest.mark.parametrize("committed", [False, True])
def test_an_undisturbed_life_has_all_batches_one_verdict_a_poc_and_the_next_models(committed: bool) -> None:
    messages, intents, prepared = undisturbed(committed=committed)

    miners = [(start, node) for start, nodes in POCS.items() for node in nodes]
    inline = {f"poc_batch/{start}/{node}/{COUNT * at}" for start, node in miners for at in range(POSTS)}
    roots = {f"poc_root/{start}/{node}" for start, node in miners}
    assert set(messages) == (roots if committed else inline) | {f"verdicts/{start}" for start in POCS}
    assert {node: (each.status, each.model_id) for node, each in intents.items()} == {
        "n1": (NodeStatus.INFERENCE, Y),
        "n2": (NodeStatus.INFERENCE, Y),
    }
    assert prepared == {("n1", Y)}


@pytest.mark.slow
@pytest.mark.parametrize("committed", [False, True])
@given(events=disturbed())
@settings(max_examples=10, deadline=None)
def test_whatever_happens_to_events_and_processes_the_effects_are_those_of_an_undisturbed_life(
    committed: bool, events: list[Event]
) -> None:
    assert run(events, committed=committed) == undisturbed(committed=committed)
