"""Any causal language model that transformers itself builds is served, or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mlnode.batch import Batch, Prefill, check_batches
from mlnode.model import Model, context_of, load_model
from mlnode.sampling import Sampling
from mlnode.scoring import score_tokens
from mlnode.tiny import CHAT_TEMPLATE, VOCAB, byte_tokenizer, make_tiny_llama
from tests.mlnode.service_harness import OTHER, TINY, Service

CONTEXT, WINDOW = 512, 6
NAMES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
NARROW: dict[str, Any] = NAMES | {
    "intermediate_size": 128,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 257,
    "eos_token_id": 258,
    "pad_token_id": 256,
}
OLD: dict[str, Any] = {
    "vocab_size": VOCAB,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": CONTEXT,
    "eos_token_id": 258,
}
SERVED: list[tuple[str, dict[str, Any]]] = [
    ("Qwen2Config", NARROW),
    ("GemmaConfig", NARROW | {"head_dim": 16}),
    ("Gemma2Config", NARROW | {"head_dim": 16, "sliding_window": WINDOW}),
    ("MistralConfig", NARROW | {"sliding_window": WINDOW}),
    ("MixtralConfig", NARROW | {"num_local_experts": 2}),
    ("GPTNeoXConfig", {key: value for key, value in NARROW.items() if key != "num_key_value_heads"}),
    ("GPT2Config", OLD),
    ("BloomConfig", NAMES | {"n_layer": 2, "n_head": 4, "eos_token_id": 258}),
]
GREEDY = Sampling(tokens_max=100, temperature=0, top_p=1, stop=(), seed=None)


def make(folder: Path, config_name: str, fields: dict[str, Any], *, template: bool = True) -> Path:
    """A folder with a random model of that kind, wide enough that its layers matter."""
    import transformers

    torch.manual_seed(3)
    network = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config_name)(**fields))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6)
    network.save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}
    config |= {"chat_template": CHAT_TEMPLATE} if template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def whole(model: Model, prompt: list[int], count: int) -> list[int]:
    """Greedy tokens without any cache."""
    ids = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(
                int(model.network(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            )
    return ids[len(prompt) :]


@pytest.mark.parametrize(("config_name", "fields"), SERVED, ids=[name for name, _ in SERVED])
def test_a_model_of_another_kind_says_in_a_batch_what_it_says_without_a_cache(
    tmp_path: Path, config_name: str, fields: dict[str, Any]
) -> None:
    torch.set_num_threads(1)
    model = load_model(make(tmp_path / "m", config_name, fields), "float32", None, torch.device("cpu"))
    prompts = [[40, 41], list(range(50, 80)), [90, 7, 3, 9, 100]]
    batch = Batch(model.network)
    said: list[list[int]] = []

    for prompt in prompts:
        prefill = Prefill(model.network, prompt)
        while prefill.step():
            pass
        batch.join(prefill.cache, 1)
        said.append([int(prefill.logits.argmax())])
    for _ in range(12):
        for row, logits in enumerate(batch.step([tokens[-1] for tokens in said])):
            said[row].append(int(logits.argmax()))
    scores = [each for part in score_tokens(model, prompts[1], said[1], GREEDY) for each in part]

    assert check_batches(model.network) > 0
    assert model.context >= CONTEXT
    assert said == [whole(model, prompt, 13) for prompt in prompts]
    assert max(each.gap for each in scores) < 1e-3


def test_a_model_that_remembers_otherwise_than_by_keys_and_values_is_refused(tmp_path: Path) -> None:
    fields = {"vocab_size": VOCAB, "hidden_size": 64, "num_hidden_layers": 2}
    model = load_model(make(tmp_path / "m", "MambaConfig", fields), "float32", None, torch.device("cpu"))

    with pytest.raises(ValueError, match="serves no MambaForCausalLM: it cannot be batched"):
        check_batches(model.network)


def test_a_context_ends_where_longrope_would_change_its_frequencies() -> None:
    from transformers import Phi3Config

    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "long_factor": [1.0] * 8,
        "short_factor": [1.0] * 8,
    }
    long = Phi3Config(**(NARROW | {"rope_parameters": rope, "original_max_position_embeddings": 64}))

    assert context_of(long, 10**30) == 64
    assert context_of(Phi3Config(**NARROW), 10**30) == CONTEXT


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"architectures": ["OtherModel"]}, "OtherModel"),
        ({"architectures": ["LlamaModel"]}, "of llama this is LlamaForCausalLM"),
        ({"model_type": "bert", "architectures": ["LlamaForCausalLM"]}, "bert"),
        ({"architectures": ["os.system"]}, "os.system"),
        ({"model_type": ["llama"]}, "not a causal language model"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
    ],
)
def test_a_model_of_no_known_kind_is_refused_before_the_running_one_is_touched(
    node: Service, models_dir: Path, changes: dict[str, Any], problem: str
) -> None:
    folder = make_tiny_llama(models_dir / "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    node.up()
    since = node.state()["since"]

    answer = node.post("/api/v1/inference/up", {"model": "odd"})

    assert answer.status_code == 400, answer.text
    assert problem in answer.json()["detail"]
    assert (node.state()["model"], node.state()["since"]) == (TINY, since)


def test_code_of_a_hub_that_a_configuration_names_is_not_used(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {"_attn_implementation": "someone/kernel", "attn_implementation": "someone/kernel"}
    (folder / "config.json").write_text(json.dumps(config))

    model = load_model(folder, "float32", None, torch.device("cpu"))

    assert model.network.config._attn_implementation == "sdpa"


def test_a_model_without_a_chat_template_completes_texts_and_says_why_it_cannot_chat(
    node: Service, models_dir: Path
) -> None:
    make(models_dir / "base", "GPTNeoXConfig", dict(SERVED)["GPTNeoXConfig"], template=False)
    node.up("base")

    text = node.ok("/v1/completions", {"model": "base", "prompt": "once", "max_tokens": 4})
    chat = node.post(
        "/v1/chat/completions", {"model": "base", "messages": [{"role": "user", "content": "a"}]}
    )

    assert text["usage"]["completion_tokens"] >= 1
    assert chat.status_code == 400
    assert "no chat template" in chat.json()["error"]["message"]
    node.up(OTHER)
