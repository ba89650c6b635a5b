"""Makes a tiny random Llama with a byte-level tokenizer: tests and local networks need no download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HIDDEN, LAYERS, HEADS, KV_HEADS, FFN = 64, 2, 4, 2, 128
CONTEXT = 4096
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCAB = 256 + len(SPECIALS)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tiny_llama(folder: Path, seed: int = 0) -> Path:
    """Writes config, weights (safetensors), tokenizer and chat template; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config())
    _write_json(folder / "config.json", _config())
    _write_json(folder / "generation_config.json", {"eos_token_id": VOCAB - 1, "pad_token_id": 256})
    save_file(_weights(tokenizer, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def byte_tokenizer() -> Tokenizer:
    """One token a byte, in the order of the byte-level alphabet, then the special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return tokenizer


def _weights(tokenizer: Tokenizer, seed: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    pair = HIDDEN * KV_HEADS // HEADS

    def matrix(rows: int, columns: int, gain: float = 1.0) -> NDArray[np.float32]:
        drawn = rng.standard_normal((rows, columns), dtype=np.float32)
        return drawn * np.float32(gain / np.sqrt(columns))

    ones = np.ones(HIDDEN, dtype=np.float32)
    weights = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN, gain=8.0), "model.norm.weight": ones}
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        weights |= {
            f"{layer}.input_layernorm.weight": ones.copy(),
            f"{layer}.post_attention_layernorm.weight": ones.copy(),
            f"{layer}.self_attn.q_proj.weight": matrix(HIDDEN, HIDDEN),
            f"{layer}.self_attn.k_proj.weight": matrix(pair, HIDDEN),
            f"{layer}.self_attn.v_proj.weight": matrix(pair, HIDDEN),
            f"{layer}.self_attn.o_proj.weight": matrix(HIDDEN, HIDDEN),
            f"{layer}.mlp.gate_proj.weight": matrix(FFN, HIDDEN),
            f"{layer}.mlp.up_proj.weight": matrix(FFN, HIDDEN),
            f"{layer}.mlp.down_proj.weight": matrix(HIDDEN, FFN),
        }
    # Bytes that a person can read get random logits, all others zero: answers are nonsense, but text.
    head = matrix(VOCAB, HIDDEN, gain=4.0)
    readable = {tokenizer.encode(chr(code)).ids[0] for code in range(32, 127)}
    head[[i for i in range(VOCAB) if i not in readable]] = 0
    return weights | {"lm_head.weight": head}


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "vocab_size": VOCAB,
        "bos_token_id": 257,
        "eos_token_id": 258,
        "pad_token_id": 256,
        "torch_dtype": "float32",
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
