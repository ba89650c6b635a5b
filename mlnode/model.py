"""A loaded model: weights, tokenizer, chat template; and the plainest way to continue a prompt with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mlnode.sampling import Sampling, choose, new_generator
from mlnode.token_bytes import TokenBytes
from mlnode.wire import Message

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "half": torch.float16,
    "float32": torch.float32,
    "float": torch.float32,
}


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model with all that a request needs."""

    network: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    end_ids: frozenset[int]
    context: int
    token_bytes: TokenBytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "token_bytes", TokenBytes(self.tokenizer))

    def encode_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> list[int]:
        """The prompt's tokens up to the assistant's answer; ValueError if the template refuses."""
        from jinja2 import TemplateError  # noqa: PLC0415 - with transformers, which is imported late

        try:
            prompt = self.tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=add_generation_prompt, tokenize=False
            )
        except TemplateError as error:
            raise ValueError(f"the model's chat template refuses these messages: {error}") from error
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids

    def encode_text(self, prompt: str | Sequence[int], *, add_special_tokens: bool = True) -> list[int]:
        """The tokens of a bare prompt, which may be given as tokens; ValueError if there are none of it."""
        ids: list[int]
        if isinstance(prompt, str):
            ids = self.tokenizer(prompt, add_special_tokens=add_special_tokens)["input_ids"]
        else:
            ids = list(prompt)
        if not ids:
            raise ValueError("prompt: it has no tokens")
        if not all(0 <= token < self.network.config.vocab_size for token in ids):
            raise ValueError("prompt: there are ids that the model's vocabulary does not have")
        return ids

    def encode(self, prompt: Message) -> list[int]:
        """The tokens of {messages} or {text}."""
        return (
            self.encode_chat(prompt["messages"]) if "messages" in prompt else self.encode_text(prompt["text"])
        )


def prepare_transformers() -> None:
    """Imports what a load needs: seconds that are better spent before somebody waits for a model."""
    from transformers import DynamicCache, GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: F401, PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()


def load_model(folder: Path, dtype: str, context_max: int | None, device: torch.device) -> Model:
    """A Llama from safetensors, by class name: nothing in the folder is executed or unpickled."""
    from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    network = LlamaForCausalLM.from_pretrained(
        folder, dtype=DTYPES.get(dtype, "auto"), local_files_only=True, use_safetensors=True
    )
    network.to(device).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if not tokenizer.chat_template:
        raise ValueError("the model has no chat template")
    end = network.config.eos_token_id
    if (folder / "generation_config.json").is_file():
        end = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id or end
    end_ids = frozenset(end if isinstance(end, list) else [] if end is None else [end])
    context = int(network.config.max_position_embeddings)
    return Model(network, tokenizer, end_ids, min(context, context_max or context))


def generate_tokens(model: Model, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Endless tokens after `prompt`, alone, each for one forward pass; whoever asks decides when to stop."""
    from transformers import DynamicCache  # noqa: PLC0415

    device = model.network.device
    generator = new_generator(sampling.seed, device)
    cache = DynamicCache(config=model.network.config)
    ids = torch.tensor([list(prompt)], device=device)
    while True:
        # The mode is per thread and must not stay on while the generator rests.
        with torch.inference_mode():
            output = model.network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = choose(output.logits[0, -1].float(), sampling, generator)
        yield token
        ids = torch.tensor([[token]], device=device)
