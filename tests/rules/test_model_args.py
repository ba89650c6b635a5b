"""Model arguments: one reading of them, an allow-list, and the merge in which the epoch wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.model_args import ALLOWED, argument_errors, merge_model_args, parse


@pytest.mark.parametrize(
    "args",
    [
        ["--max-model-len", "4096"],
        ["--max-model-len=4096"],
        ["--max_model_len", "4096"],
        ["--max_model_len=4096"],
    ],
)
def test_every_spelling_of_a_flag_with_its_value_is_the_same_pair(args: list[str]) -> None:
    assert parse(args) == [("--max-model-len", "4096")]


def test_a_bare_flag_has_no_value_and_a_following_flag_is_none_of_it() -> None:
    assert parse(["--enforce-eager", "--dtype", "half"]) == [("--enforce-eager", None), ("--dtype", "half")]


def test_a_negative_number_is_a_value_and_any_other_word_with_a_dash_is_not() -> None:
    assert parse(["--seed", "-1"]) == [("--seed", "-1")]
    assert parse(["--seed=-x"]) == [("--seed", "-x")]

    with pytest.raises(ValueError, match="no flag in full, nor a flag's value: -tp, 2, -x"):
        parse(["-tp", "2", "--seed", "-x"])


def test_every_fault_is_named_at_once() -> None:
    args = ["--model", "/etc/passwd", "--trust-remote-code", "--dtype", "int3", "--max-num-seqs", "--seed=1"]
    args += ["--enforce-eager=yes", "--seed", "2", "--no-enable-chunked-prefill", "--enable_chunked_prefill"]

    assert argument_errors(args) == [
        "--model is not allowed",
        "--trust-remote-code is not allowed",
        "--dtype takes one of auto, half, float16, bfloat16, float, float32, not int3",
        "--max-num-seqs needs a whole number from 1 to 999999999",
        "--enforce-eager takes no value, not yes",
        "--seed is set more than once",
        "--enable-chunked-prefill is set more than once",
    ]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--seed"] * 65, "65 arguments are more than 64"),
        (["--seed=" + "1" * 600], "argument 0 is longer than 512 characters"),
        (["--dtype", "half\n"], "argument 1 has control characters"),
        (["--max-model-len", "٤٠٩٦"], "--max-model-len takes a whole number from 1 to 999999999, not ٤٠٩٦"),
        (
            ["--gpu-memory-utilization", "1.5"],
            "--gpu-memory-utilization takes a number above 0 and at most 1, not 1.5",
        ),
        (
            ["--gpu-memory-utilization", "0.0"],
            "--gpu-memory-utilization takes a number above 0 and at most 1, not 0.0",
        ),
        (["--max-model", "1"], "--max-model is not allowed"),
        (
            ["--tool-call-parser", "../x"],
            "--tool-call-parser takes one word of letters, digits, `_`, `-`, `.`, not ../x",
        ),
    ],
)
def test_an_argument_out_of_bounds_is_refused(args: list[str], error: str) -> None:
    assert argument_errors(args) == [error]


def test_usual_arguments_pass() -> None:
    args = ["--tensor-parallel-size", "4", "--gpu-memory-utilization=0.92", "--kv-cache-dtype", "fp8"]
    assert argument_errors([*args, "--quantization", "awq", "--enable-chunked-prefill", "--seed", "-1"]) == []


@pytest.mark.parametrize(
    "flag",
    ["--host", "--port", "--api-key", "--middleware", "--worker-cls", "--logits-processors", "--download-dir",
     "--revision", "--hf-overrides.x", "--lora-modules", "--load-format", "--config", "--hf-token"],
)  # fmt: skip
def test_flags_that_name_files_hosts_or_code_are_not_allowed(flag: str) -> None:
    assert argument_errors([flag, "x"]) == [f"{flag} is not allowed"]


def test_the_epoch_wins_and_local_arguments_are_added_behind_it() -> None:
    epoch = ["--dtype=half", "--max-model-len", "4096", "--enable-chunked-prefill"]
    local = ["--max_model_len=99", "--seed", "-1", "--no-enable-chunked-prefill", "--swap-space", "4"]

    merged = merge_model_args(epoch, local)

    assert merged[:5] == ["--dtype", "half", "--max-model-len", "4096", "--enable-chunked-prefill"]
    assert merged[5:] == ["--seed=-1", "--swap-space", "4"]


SETTINGS = {
    "--dtype": "half", "--seed": "-7", "--enforce-eager": None, "--block-size": "16", "--swap-space": "2.5",
}  # fmt: skip
settings = st.lists(st.sampled_from(sorted(SETTINGS)), unique=True)


def written(flags: list[str], *, joined: bool) -> list[str]:
    words: list[str] = []
    for flag in flags:
        value = SETTINGS[flag]
        if value is None:
            words.append(flag)
        else:
            words += [f"{flag}={value}"] if joined else [flag, value]
    return words


@given(settings, settings, st.booleans(), st.booleans())
def test_a_merge_holds_each_flag_of_either_side_once_the_epochs_first(
    epoch: list[str], local: list[str], first: bool, second: bool
) -> None:
    merged = merge_model_args(written(epoch, joined=first), written(local, joined=second))

    pairs = parse(merged)
    assert [flag for flag, _ in pairs] == epoch + [flag for flag in local if flag not in epoch]
    assert all(value == SETTINGS[flag] for flag, value in pairs)
    assert argument_errors(merged) == []
    assert merge_model_args(merged, []) == merged


@given(st.lists(st.one_of(st.sampled_from(sorted(ALLOWED)), st.text(max_size=20)), max_size=10))
def test_any_words_get_an_answer_and_what_passes_can_be_merged(words: list[str]) -> None:
    if not argument_errors(words):
        assert argument_errors(merge_model_args(words, [])) == []
