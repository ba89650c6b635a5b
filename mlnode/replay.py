"""What an engine would have made of given tokens: the text, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from mlnode.text_stream import TextStream

CUT = "cut"


@dataclass(frozen=True, slots=True)
class Replay:
    """What an engine would have made of these tokens: the text, and why it ends; `cut`: nothing ends it."""

    text: str
    finish_reason: str
    # Whether the last token is one by which the model ends an answer.
    ended_by_token: bool = False


def replay_tokens(
    decode: Callable[..., str | list[str]],
    end_ids: Container[int],
    tokens: Sequence[int],
    *,
    stop: Sequence[str],
    tokens_max: int,
) -> Replay:
    """Goes the way of a request with tokens that are given; ValueError where some follow behind its end."""
    text = TextStream(decode, stop)
    parts: list[str] = []
    for count, token in enumerate(tokens, start=1):
        ended = token in end_ids
        parts.append(text.flush() if ended else text.push(token))
        if ended or text.stopped or count == tokens_max:
            if count < len(tokens):
                raise ValueError(f"of {len(tokens)} tokens {count} end the answer")
            if ended or text.stopped:
                return Replay("".join(parts), "stop", ended)
            parts.append(text.flush())
            return Replay("".join(parts), "stop" if text.stopped else "length")
    parts.append(text.flush())
    return Replay("".join(parts), CUT)
