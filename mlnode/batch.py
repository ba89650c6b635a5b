"""Sequences of different lengths decoded together: one forward pass gives each of them its next token.

Their caches lie in one tensor a layer, filled up on the left; what is filled up is masked. A sequence that
joins or leaves costs one copy of the cache, the tokens between cost none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from mlnode.model import new_cache

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

# Prompt tokens of one forward pass: running answers wait no longer than that.
CHUNK_TOKENS = 256
# How far logits of a batch may lie from those alone, in parts of their norm: rounding, no other position.
DIFFERENCE_MAX = {torch.float32: 2e-3}
DIFFERENCE_MAX_HALF = 6e-2


class Prefill:
    """A prompt that is being read, chunk by chunk; then `cache` and `logits` [vocab] are those at its end."""

    def __init__(self, network: PreTrainedModel, prompt: Sequence[int]) -> None:
        self.cache: DynamicCache = new_cache()
        self.logits = torch.empty(0)
        self._network = network
        self._chunks: Iterator[Sequence[int]] = iter(
            [prompt[at : at + CHUNK_TOKENS] for at in range(0, len(prompt), CHUNK_TOKENS)]
        )

    def step(self) -> bool:
        """Reads the next chunk; False when there is none left."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        with torch.inference_mode():
            output = self._network(
                input_ids=torch.tensor([list(chunk)], device=self._network.device),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            self.logits = output.logits[0, -1].float()
        return True


class Batch:
    """The running sequences, in the order in which they joined."""

    def __init__(self, network: PreTrainedModel) -> None:
        self._network = network
        self._cache: DynamicCache | None = None
        self._pads: list[int] = []

    @property
    def size(self) -> int:
        return len(self._pads)

    @property
    def tokens(self) -> int:
        """How many tokens' keys and values it holds, filled up ones included."""
        return 0 if self._cache is None else self.size * self._cache.get_seq_length()

    @torch.inference_mode()
    def join(self, cache: DynamicCache, count: int) -> None:
        """Adds `count` sequences that have this one's past."""
        length = cache.get_seq_length()
        before = self._cache.get_seq_length() if self._cache is not None else 0
        whole = max(length, before)
        layers = []
        for i, layer in enumerate(cache.layers):
            keys, values = (
                _padded(past.expand(count, -1, -1, -1), whole) for past in (layer.keys, layer.values)
            )
            if self._cache is not None:
                old = self._cache.layers[i]
                keys = torch.cat([_padded(old.keys, whole), keys])
                values = torch.cat([_padded(old.values, whole), values])
            layers.append((keys, values))
        self._replace(layers)
        self._pads = [pad + whole - before for pad in self._pads] + [whole - length] * count

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Each sequence's logits [sequences, vocab], float32, after the token given for it."""
        assert self._cache is not None
        device, length = self._network.device, self._cache.get_seq_length()
        pads = torch.tensor(self._pads, device=device).unsqueeze(1)
        mask = torch.arange(length + 1, device=device).unsqueeze(0) >= pads if any(self._pads) else None
        output = self._network(
            input_ids=torch.tensor(list(tokens), device=device).unsqueeze(1),
            attention_mask=mask if mask is None else mask.long(),
            position_ids=length - pads,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Drops all sequences but those at these places."""
        if len(rows) == self.size:
            return
        if not rows or self._cache is None:
            self._cache, self._pads = None, []
            return
        pads = [self._pads[row] for row in rows]
        spare = min(pads)
        chosen = torch.tensor(list(rows), device=self._network.device)
        self._replace(
            [(layer.keys[chosen, :, spare:], layer.values[chosen, :, spare:]) for layer in self._cache.layers]
        )
        self._pads = [pad - spare for pad in pads]

    def _replace(self, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self._cache = new_cache()
        for i, (keys, values) in enumerate(layers):
            self._cache.update(keys, values, i)


def _padded(past: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(past, (0, 0, length - past.shape[2], 0))


def check_batches(network: PreTrainedModel) -> int:
    """The bytes of cache of one token; ValueError where a batch says other than each of its sequences alone.

    So a model whose layers remember in another way than by keys and values, or that cannot be told positions
    and masks, is refused when it is loaded instead of answering wrongly.
    """
    prompts = [[1, 2], [3, 4, 5, 6, 7, 8, 9]]
    batch, nexts = Batch(network), [5, 6]
    try:
        for prompt in prompts:
            prefill = Prefill(network, prompt)
            while prefill.step():
                pass
            batch.join(prefill.cache, 1)
        logits = batch.step(nexts)
        alone = [_alone(network, [*prompt, after]) for prompt, after in zip(prompts, nexts, strict=True)]
        held: int = sum(layer.keys.nbytes + layer.values.nbytes for layer in prefill.cache.layers)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{_named(network)} cannot be batched: {type(error).__name__}: {error}") from error
    allowed = DIFFERENCE_MAX.get(network.dtype, DIFFERENCE_MAX_HALF)
    for ours, theirs in zip(logits, alone, strict=True):
        difference = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-9))
        if not difference <= allowed:
            raise ValueError(f"{_named(network)} cannot be batched: answers differ by {difference:.2g}")
    return held // len(prompts[-1])


@torch.inference_mode()
def _alone(network: PreTrainedModel, ids: Sequence[int]) -> torch.Tensor:
    """The last position's logits [vocab], float32, without a cache."""
    ids_there = torch.tensor([list(ids)], device=network.device)
    logits: torch.Tensor = network(input_ids=ids_there, use_cache=False).logits[0, -1].float()
    return logits


def _named(network: PreTrainedModel) -> str:
    return f"the embedded engine serves no {type(network).__name__}: it"
