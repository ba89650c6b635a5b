"""A loaded model: weights, tokenizer, chat template; and the plainest way to continue a prompt with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mlnode.sampling import Sampling, choose, new_generator
from mlnode.token_bytes import TokenBytes
from mlnode.wire import Message

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "half": torch.float16,
    "float32": torch.float32,
    "float": torch.float32,
}


# Of models that say nothing, and whose tokenizer says nothing either.
CONTEXT_DEFAULT = 2048
CONTEXT_MAX = 2**24


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model with all that a request needs."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    end_ids: frozenset[int]
    context: int
    token_bytes: TokenBytes = field(init=False)
    # The characters of the longest token.
    token_chars_max: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "token_bytes", TokenBytes(self.tokenizer))
        longest = max((len(piece) for piece in self.tokenizer.get_vocab()), default=1)
        object.__setattr__(self, "token_chars_max", longest)

    @property
    def vocab_size(self) -> int:
        return int(self.network.config.get_text_config(decoder=True).vocab_size)

    def check_chars(self, count: int) -> None:
        """ValueError for a text beyond the context whatever its tokens are: to count them takes long."""
        if count > self.context * self.token_chars_max:
            raise ValueError(
                f"the prompt has {count} characters, which is more than the model's context of {self.context}"
                " tokens"
            )

    def encode_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> list[int]:
        """The prompt's tokens up to the assistant's answer; ValueError if the template refuses."""
        from jinja2 import TemplateError  # noqa: PLC0415 - with transformers, which is imported late

        if not self.tokenizer.chat_template:
            raise ValueError("the model has no chat template; ask it by /v1/completions")
        try:
            prompt = self.tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=add_generation_prompt, tokenize=False
            )
        except TemplateError as error:
            raise ValueError(f"the model's chat template refuses these messages: {error}") from error
        self.check_chars(len(prompt))
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids

    def encode_text(self, prompt: str | Sequence[int], *, add_special_tokens: bool = True) -> list[int]:
        """The tokens of a bare prompt, which may be given as tokens; ValueError if there are none of it."""
        ids: list[int]
        if isinstance(prompt, str):
            self.check_chars(len(prompt))
            ids = self.tokenizer(prompt, add_special_tokens=add_special_tokens)["input_ids"]
        else:
            ids = list(prompt)
        if not ids:
            raise ValueError("prompt: it has no tokens")
        if not all(0 <= token < self.vocab_size for token in ids):
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


def new_cache() -> DynamicCache:
    """An empty cache that keeps every token; a sliding window is kept by the mask alone.

    So the layers of all models have one shape, and sequences that join or leave a batch can be cut out of it.
    """
    from transformers import DynamicCache  # noqa: PLC0415 - imported late, as all of it

    return DynamicCache()


def network_class(folder: Path) -> type[PreTrainedModel]:
    """transformers' own class of the causal model that config.json names; ValueError that says what is amiss.

    By name and out of the installed library: nothing in the folder is executed.
    """
    import transformers  # noqa: PLC0415
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: PLC0415

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind, named = config.get("model_type"), config.get("architectures")
    known: Any = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, ()) if isinstance(kind, str) else ()
    known = (known,) if isinstance(known, str) else known
    if not isinstance(named, list) or len(named) != 1 or named[0] not in known:
        served = f"; of {kind} this is {', '.join(known)}" if known else ""
        raise ValueError(
            f"architectures is {named} and model_type {kind!r}: not a causal language model of"
            f" transformers {transformers.__version__}{served}"
        )
    if "quantization_config" in config:
        raise ValueError("quantization_config: this engine loads plain weights only")
    network: type[PreTrainedModel] = getattr(transformers, named[0])
    return network


def load_model(folder: Path, dtype: str, context_max: int | None, device: torch.device) -> Model:
    """A causal model from safetensors: nothing in the folder is executed or unpickled."""
    from transformers import GenerationConfig, PreTrainedTokenizerFast  # noqa: PLC0415

    kind = network_class(folder)
    network = kind.from_pretrained(
        folder,
        dtype=DTYPES.get(dtype, "auto"),
        local_files_only=True,
        use_safetensors=True,
        # Said here, since what a configuration says may be code of a hub.
        attn_implementation="sdpa" if kind._supports_sdpa else "eager",  # noqa: SLF001 - it has no public name
    )
    network.to(device).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    end = network.config.get_text_config(decoder=True).eos_token_id
    if (folder / "generation_config.json").is_file():
        end = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id or end
    end_ids = frozenset(end if isinstance(end, list) else [] if end is None else [end])
    context = context_of(network.config.get_text_config(decoder=True), tokenizer.model_max_length)
    return Model(network, tokenizer, end_ids, min(context, context_max or context))


def context_of(config: Any, tokenizer_max: int) -> int:
    """Where positions end; with `longrope` where it would change its frequencies, for all of a batch."""
    context: int | None = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None)
    rope = rope if isinstance(rope, dict) else {}
    if rope.get("rope_type") == "longrope":
        limits = (context, rope.get("original_max_position_embeddings"))
        context = min((limit for limit in limits if limit), default=None)
    if not context:
        context = tokenizer_max if tokenizer_max <= CONTEXT_MAX else CONTEXT_DEFAULT
    return context


def generate_tokens(model: Model, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Endless tokens after `prompt`, alone, each for one forward pass; whoever asks decides when to stop."""
    device = model.network.device
    generator = new_generator(sampling.seed, device)
    cache = new_cache()
    ids = torch.tensor([list(prompt)], device=device)
    while True:
        # The mode is per thread and must not stay on while the generator rests.
        with torch.inference_mode():
            output = model.network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = choose(output.logits[0, -1].float(), sampling, generator)
        yield token
        ids = torch.tensor([[token]], device=device)
