"""The registry, the embedded engine and the process engine read model arguments alike: one table for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abci_app.modules.models.rules import model_errors
from mlnode.engine_args import parse_engine_args
from mlnode.engines.base import ModelToServe
from mlnode.engines.vllm import command_line
from protocol.model_args import merge_model_args
from tests.chain import a_model

VECTORS = json.loads(Path(__file__).with_name("model_args_vectors.json").read_text(encoding="utf-8"))


def registry_errors(args: list[str]) -> list[str]:
    model = a_model("org/m")
    del model.model_args[:]
    model.model_args.extend(args)
    return model_errors(model)


@pytest.mark.parametrize("vector", VECTORS["allowed"], ids=lambda each: " ".join(each["args"]))
def test_what_the_registry_allows_every_engine_takes_in_the_same_words(vector: dict[str, Any]) -> None:
    args = vector["args"]

    words = merge_model_args([], args)

    assert registry_errors(args) == []
    assert words == vector["words"]
    parse_engine_args(args)
    started = command_line("vllm", 1, ModelToServe("org/m", "auto", tuple(words), Path("/m")))
    assert started[3 : 3 + len(words)] == words


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda each: " ".join(each["args"]))
def test_what_the_registry_refuses_every_engine_refuses_by_the_same_names(vector: dict[str, Any]) -> None:
    told = "; ".join(registry_errors(vector["args"]))

    with pytest.raises(ValueError, match="additional_args") as caught:
        parse_engine_args(vector["args"])

    for name in vector["names"]:
        assert name in told
        assert name in str(caught.value)
