"""Turns tokens into text piece by piece: no half characters, and nothing of a stop string gets out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
# A character has at most four bytes: what is no character after as many tokens never becomes one.
INCOMPLETE_TOKENS_MAX = 4


class TextStream:
    """All that `push` and `flush` return, joined, is the decoded text up to the first stop string."""

    def __init__(self, decode: Callable[..., str | list[str]], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._ids: list[int] = []
        self._prefix = 0  # tokens before this one no longer influence how those after `_done` are decoded
        self._done = 0
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that is certain now that `token` has come."""
        self._ids.append(token)
        return self._release(self._held + self._fresh(final=False), final=False)

    def flush(self) -> str:
        """The rest, since no token follows."""
        return self._release(self._held + self._fresh(final=True), final=True)

    def _text(self, first: int, last: int) -> str:
        return str(self._decode(self._ids[first:last], skip_special_tokens=True))

    def _fresh(self, *, final: bool) -> str:
        whole = self._text(self._prefix, len(self._ids))
        pending = len(self._ids) - self._done
        if whole.endswith(REPLACEMENT) and pending < INCOMPLETE_TOKENS_MAX and not final:
            return ""
        fresh = whole[len(self._text(self._prefix, self._done)) :]
        self._prefix, self._done = self._done, len(self._ids)
        return fresh

    def _release(self, text: str, *, final: bool) -> str:
        ends = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:
            self.stopped = True
            self._held = ""
            return text[: min(ends)]
        held = 0 if final else self._overlap(text)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def _overlap(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a stop string."""
        return max(
            (
                size
                for stop in self._stop
                for size in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:size])
            ),
            default=0,
        )
