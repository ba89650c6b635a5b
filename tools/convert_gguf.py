"""Converts a Llama model from GGUF to bf16 safetensors: `python -m tools.convert_gguf FILE.gguf FOLDER`.

A model that was loaded from GGUF refuses to be saved, so its weights go through a fresh LlamaForCausalLM.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

# Traces of the file the model came from; everything else describes the model.
FOREIGN = (
    "_name_or_path",
    "_model_name_or_path",
    "quantization_config",
    "dtype",
    "transformers_version",
    "architectures",
)


def fresh_config(loaded: LlamaConfig) -> LlamaConfig:
    """The same architecture without any trace of GGUF."""
    described = {key: value for key, value in loaded.to_dict().items() if key not in FOREIGN}
    return LlamaConfig(**described, architectures=["LlamaForCausalLM"], dtype=torch.bfloat16)


def convert(gguf: Path, folder: Path) -> None:
    """Writes weights, configuration and tokenizer into a folder that `from_pretrained` loads offline."""
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = LlamaForCausalLM.from_pretrained(**where, dtype=torch.float32)
    model = LlamaForCausalLM(fresh_config(loaded.config)).to(torch.bfloat16)
    model.load_state_dict({name: weight.to(torch.bfloat16) for name, weight in loaded.state_dict().items()})
    model.tie_weights()
    model.generation_config = loaded.generation_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].endswith(".gguf"):
        sys.exit("usage: python -m tools.convert_gguf FILE.gguf FOLDER")
    convert(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
