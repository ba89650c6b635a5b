"""A model's engine arguments: one parser and one allow-list for registry, local configuration and merge.

They are vLLM's flags. An argument list runs a program, so only flags that shape or tune are let through: none
that name files, hosts, classes or code. Words are compared as options: `--a_b` is `--a-b`; `--flag value`,
`--flag=value`, `--flag` are the same flag, as are `--x` and `--no-x` of an on-off flag.

A word that begins with `-` is a value only if it is a number (`--seed -1`) or stands behind `=`. Flags are
written in full: short forms (`-tp`) and abbreviations are refused. A flag may stand once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ARGS_MAX = 64
ARG_CHARS_MAX = 512
VALUE_CHARS_SHOWN = 60

_FLAG = re.compile(r"--[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
_NUMBER = re.compile(r"-(?:[0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_COUNT = ("a whole number from 1 to 999999999", re.compile(r"[1-9][0-9]{0,8}", re.ASCII))
_WHOLE = ("a whole number", re.compile(r"-?[0-9]{1,18}", re.ASCII))
_DECIMAL = ("a number >= 0", re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII))
_SHARE = (
    "a number above 0 and at most 1",
    re.compile(r"1(?:\.0{1,6})?|0?\.(?=0*[1-9])[0-9]{1,6}", re.ASCII),
)
_WORD = (
    "one word of letters, digits, `_`, `-`, `.`",
    re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII),
)
_SWITCH = None  # takes no value


def _one_of(*words: str) -> tuple[str, re.Pattern[str]]:
    return "one of " + ", ".join(words), re.compile("|".join(map(re.escape, words)))


# Every flag that governance or a local configuration may set, and what it takes.
ALLOWED: dict[str, tuple[str, re.Pattern[str]] | None] = {
    "--block-size": _COUNT,
    "--cpu-offload-gb": _DECIMAL,
    "--data-parallel-size": _COUNT,
    "--disable-custom-all-reduce": _SWITCH,
    "--dtype": _one_of("auto", "half", "float16", "bfloat16", "float", "float32"),
    "--enable-auto-tool-choice": _SWITCH,
    "--enable-chunked-prefill": _SWITCH,
    "--enable-expert-parallel": _SWITCH,
    "--enable-prefix-caching": _SWITCH,
    "--enforce-eager": _SWITCH,
    "--generation-config": _one_of("auto", "vllm"),
    "--gpu-memory-utilization": _SHARE,
    "--kv-cache-dtype": _WORD,
    "--max-logprobs": _COUNT,
    "--max-model-len": _COUNT,
    "--max-num-batched-tokens": _COUNT,
    "--max-num-seqs": _COUNT,
    "--max-seq-len-to-capture": _COUNT,
    "--pipeline-parallel-size": _COUNT,
    "--quantization": _WORD,
    "--reasoning-parser": _WORD,
    "--seed": _WHOLE,
    "--swap-space": _DECIMAL,
    "--tensor-parallel-size": _COUNT,
    "--tokenizer-mode": _one_of("auto", "slow", "mistral"),
    "--tool-call-parser": _WORD,
}


def parse(args: Sequence[str]) -> list[tuple[str, str | None]]:
    """The (flag, value) pairs in order, flags in their one spelling.

    Raises ValueError that names every word which is neither a flag nor a flag's value.
    """
    pairs: list[tuple[str, str | None]] = []
    stray: list[str] = []
    may_take = False  # whether the flag before still waits for its value
    for word in args:
        flag, equals, value = word.partition("=")
        if _FLAG.fullmatch(flag):
            pairs.append((flag.replace("_", "-"), value if equals else None))
            may_take = not equals
        elif may_take and (not word.startswith("-") or _NUMBER.fullmatch(word)):
            pairs[-1] = (pairs[-1][0], word)
            may_take = False
        else:
            stray.append(_shown(word))
    if stray:
        raise ValueError(f"no flag in full, nor a flag's value: {', '.join(stray)}")
    return pairs


def argument_errors(args: Sequence[str]) -> list[str]:
    """All that forbids these arguments, in their order; empty: nothing."""
    errors = [f"{len(args)} arguments are more than {ARGS_MAX}"] if len(args) > ARGS_MAX else []
    errors += [
        f"argument {i} is longer than {ARG_CHARS_MAX} characters"
        for i, word in enumerate(args)
        if len(word) > ARG_CHARS_MAX
    ]
    errors += [f"argument {i} has control characters" for i, word in enumerate(args) if _CONTROL.search(word)]
    if errors:
        return errors
    try:
        pairs = parse(args)
    except ValueError as error:
        return [str(error)]
    seen: list[str] = []
    for flag, value in pairs:
        errors += _pair_errors(flag, value)
        option = option_of(flag)
        if option in seen:
            errors.append(f"{option} is set more than once")
        seen.append(option)
    return errors


def merge_model_args(epoch: Sequence[str], local: Sequence[str]) -> list[str]:
    """MergeModelArgs: the epoch's arguments in order, then local ones whose flag the epoch does not set.

    Words of the result: the flag in its one spelling, then its value; `--flag=value` where the value begins
    with `-`. Within one list the last of a repeated flag holds, in the place of the first. Raises ValueError,
    as `parse` does.
    """
    merged = {option_of(flag): (flag, value) for flag, value in parse(epoch)}
    theirs = {option_of(flag): (flag, value) for flag, value in parse(local)}
    for option, pair in theirs.items():
        merged.setdefault(option, pair)
    return _words(merged.values())


def option_of(flag: str) -> str:
    """The option that a flag sets: `--no-x` sets the on-off flag `--x`."""
    positive = "--" + flag.removeprefix("--no-")
    return positive if flag.startswith("--no-") and ALLOWED.get(positive, _COUNT) is _SWITCH else flag


def _words(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    words: list[str] = []
    for flag, value in pairs:
        if value is None:
            words.append(flag)
        elif value.startswith("-"):
            words.append(f"{flag}={value}")
        else:
            words += (flag, value)
    return words


def _pair_errors(flag: str, value: str | None) -> list[str]:
    option = option_of(flag)
    if option not in ALLOWED:
        return [f"{flag} is not allowed"]
    kind = ALLOWED[option]
    if kind is _SWITCH:
        return [] if value is None else [f"{flag} takes no value, not {_shown(value)}"]
    meaning, pattern = kind
    if value is None:
        return [f"{flag} needs {meaning}"]
    return [] if pattern.fullmatch(value) else [f"{flag} takes {meaning}, not {_shown(value)}"]


def _shown(word: str) -> str:
    return word if len(word) <= VALUE_CHARS_SHOWN else word[:VALUE_CHARS_SHOWN] + "…"
