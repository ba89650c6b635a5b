"""A request for several choices is as many inferences: each is escrowed, executed and judged on its own.

Validators re-execute one answer to one prompt. So `n` choices of one prompt, or one each of several prompts,
go their own ways through the network, and are put together again here in the form that the client asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from api_node.relay import DONE_LINE, Reply, sse

SEED_MAX = 2**63 - 1
COUNTED_MAX = 64
# Fields of a request that only make sense for all of its choices.
SHARED = ("n", "best_of")


def single_bodies(body: dict[str, Any]) -> list[dict[str, Any]]:
    """One body for each choice, in the order of their index; seeds differ, the first keeps its own."""
    prompts = [body.get("prompt")]
    if isinstance(prompts[0], list) and prompts[0] and not isinstance(prompts[0][0], int):
        prompts = prompts[0]
    plain = {name: value for name, value in body.items() if name not in SHARED}
    bodies: list[dict[str, Any]] = []
    for prompt in prompts:
        for _ in range(_count(body.get("n"))):
            single = dict(plain)
            if "prompt" in body:
                single["prompt"] = prompt
            if isinstance(body.get("seed"), int):
                single["seed"] = (body["seed"] + len(bodies) + SEED_MAX + 1) % 2**64 - SEED_MAX - 1
            bodies.append(single)
    return bodies


def _count(n: Any) -> int:
    # Past what anybody serves the number only has to be refused, not counted.
    return min(n, COUNTED_MAX) if type(n) is int and n > 0 else 1


def merged(replies: Sequence[Reply], n: int) -> Reply:
    """The replies to single choices as one: `n` of them have the same prompt, which the usage counts once."""
    if len(replies) == 1:
        return replies[0]
    streams = [reply.events for reply in replies if reply.events is not None]
    if streams:
        return Reply(events=_merged_events(streams, n))
    bodies = [reply.body or {} for reply in replies]
    choices = [
        choice | {"index": index} for index, body in enumerate(bodies) for choice in body.get("choices", ())
    ]
    whole = bodies[0] | {"choices": choices, "usage": _usage([body.get("usage") for body in bodies], n)}
    return Reply(body=whole | {"inference_ids": [body.get("id") for body in bodies]})


def _usage(usages: Sequence[Any], n: int) -> dict[str, int]:
    prompt = sum(int((usage or {}).get("prompt_tokens", 0)) for usage in usages[::n])
    completion = sum(int((usage or {}).get("completion_tokens", 0)) for usage in usages)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _merged_events(streams: Sequence[AsyncIterator[str]], n: int) -> AsyncIterator[str]:
    """Chunks as they come, under the first one's id; an error of any choice ends the whole."""
    queue: asyncio.Queue[tuple[int, str | None]] = asyncio.Queue()
    tasks = [asyncio.create_task(_pour(index, events, queue)) for index, events in enumerate(streams)]
    usages: dict[int, Any] = {}
    last: dict[str, Any] = {}
    answer_id, left = None, len(streams)
    try:
        while left:
            index, event = await queue.get()
            if event is None:
                left -= 1
                continue
            if event == DONE_LINE:
                continue
            chunk = json.loads(event.removeprefix("data:"))
            if "error" in chunk:
                yield event
                return
            answer_id = answer_id or chunk.get("id")
            if chunk.get("choices"):
                choices = [choice | {"index": index} for choice in chunk["choices"]]
                yield sse(chunk | {"id": answer_id, "choices": choices})
            else:
                usages[index], last = chunk.get("usage"), chunk
        if usages:
            ordered = [usages.get(index) for index in range(len(streams))]
            yield sse(last | {"id": answer_id, "choices": [], "usage": _usage(ordered, n)})
        yield DONE_LINE
    finally:
        for task in tasks:
            task.cancel()


async def _pour(index: int, events: AsyncIterator[str], queue: asyncio.Queue[tuple[int, str | None]]) -> None:
    with contextlib.suppress(StopAsyncIteration):
        while True:
            queue.put_nowait((index, await anext(events)))
    queue.put_nowait((index, None))
