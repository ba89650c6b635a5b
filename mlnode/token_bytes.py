"""What bytes a single token stands for: a token may be part of a character, which has no text of its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>", re.ASCII)


def byte_alphabet() -> dict[str, int]:
    """The letter of each byte in byte-level vocabularies (GPT-2's): itself where it is visible."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = {chr(byte): byte for byte in visible}
    return letters | {chr(256 + i): byte for i, byte in enumerate(hidden)}


class TokenBytes:
    """The bytes of tokens of one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        decoder = json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
        self._alphabet = byte_alphabet() if '"ByteLevel"' in decoder else None
        self._known: dict[int, bytes] = {}

    def of(self, token: int) -> bytes:
        """The token's bytes, by the kind of its vocabulary: byte-level, or pieces with byte fallback."""
        if token not in self._known:
            self._known[token] = self._read(token)
        return self._known[token]

    def describe(self, token: int, logprob: float) -> dict[str, Any]:
        """{token, logprob, bytes}, as OpenAI writes them."""
        raw = self.of(token)
        return {"token": raw.decode(errors="replace"), "logprob": logprob, "bytes": list(raw)}

    def _read(self, token: int) -> bytes:
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # the head may have rows that the vocabulary has no token for
            return b""
        text = str(piece)
        if self._alphabet is not None:
            if all(letter in self._alphabet for letter in text):
                return bytes(self._alphabet[letter] for letter in text)
            return text.encode()
        if fallback := _FALLBACK.fullmatch(text):
            return bytes([int(fallback[1], 16)])
        return text.replace("\u2581", " ").encode()
