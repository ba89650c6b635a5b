from __future__ import annotations

from pathlib import Path

import pytest

from tools.determinism import CONSENSUS, ROOT, files, lint_text, main

FORBIDDEN = [
    ("share = 0.5", "float"),
    ("turn = 2j", "float"),
    ("share = float(text)", "float"),
    ("def rate(x: float) -> int: return 1", "float"),
    ("import math\nroot = math.sqrt(9)", "float"),
    ("from math import log2", "float"),
    ("part = 10 ** -2", "float"),
    ("half = total / 2", "division"),
    ("total /= 2", "division"),
    ("import time", "import"),
    ("import os.path", "import"),
    ("from random import choice", "import"),
    ("from datetime import datetime", "import"),
    ("import secrets, uuid", "import"),
    ("import threading", "import"),
    ("import asyncio", "import"),
    ("from socket import socket", "import"),
    ("bucket = hash(key)", "hash"),
    ("identity = id(key)", "hash"),
    ("for x in {1, 2}: pass", "set-order"),
    ("for x in set(names): pass", "set-order"),
    ("for x in {n for n in names}: pass", "set-order"),
    ("for x in old.keys() - new.keys(): pass", "set-order"),
    ("for x in a.union(b): pass", "set-order"),
    ("seen = set()\nfor x in seen: pass", "set-order"),
    ("seen: frozenset[int] = make()\nfor x in seen: pass", "set-order"),
    ("def walk(seen: set[int]):\n    for x in seen: pass", "set-order"),
    ("def walk():\n    seen = {1}\n    return [x for x in seen]", "set-order"),
    ("seen = {1}\nrows = {x: 1 for x in seen}", "set-order"),
    ("seen = {1}\nrows = list(seen)", "set-order"),
    ("seen = {1}\nrows = tuple(seen | other)", "set-order"),
    ("seen = {1}\nrows = [*seen]", "set-order"),
    ("seen = {1}\nfirst = next(iter(seen))", "set-order"),
    ("seen = {1}\nfirst = seen.pop()", "set-order"),
    ("seen = {1}\na, b = seen", "set-order"),
    ("seen = {1}\ntext = ','.join(seen)", "set-order"),
    ("seen = {1}\nbest = max(seen, key=weight)", "set-order"),
    ("seen = {1}\nrows = sorted(seen, key=weight)", "set-order"),
    ("def walk():\n    seen = {1}\n    yield from seen", "set-order"),
    ("class A:\n    seen: set[int]\ndef walk(a):\n    for x in a.seen: pass", "set-order"),
    (
        "class A:\n    def __init__(self):\n        self.seen = set()\n        self.rows = list(self.seen)",
        "set-order",
    ),
    ("def names() -> set[str]: return make()\nfor x in names(): pass", "set-order"),
    ("try: pass\nexcept: pass", "except"),
    ("try: pass\nexcept Exception: pass", "except"),
    ("try: pass\nexcept (ValueError, BaseException): pass", "except"),
]

ALLOWED = [
    "half = total // 2",
    "power = 2 ** 64",
    "from math import isqrt",
    "for x in sorted({1, 2}): pass",
    "seen = {1}\nrows = sorted(x for x in seen)",
    "seen = {1}\nknown = 1 in seen and any(x > 1 for x in seen)",
    "seen = {1}\nother = {x + 1 for x in seen}",
    "seen = {1}\nlargest = max(seen)",
    "for key, value in {'a': 1}.items(): pass",
    "def first():\n    seen = {1}\ndef second(seen: list[int]):\n    return [x for x in seen]",
    "stack = [1]\ntop = stack.pop()",
    "try: pass\nexcept ValueError: pass",
    "import timeit_helper",
]


@pytest.mark.parametrize(("source", "rule"), FORBIDDEN)
def test_each_rule_names_what_breaks_it(source: str, rule: str) -> None:
    findings = lint_text(source)

    assert [finding.rule for finding in findings][:1] == [rule]


@pytest.mark.parametrize("source", ALLOWED)
def test_code_with_one_outcome_passes(source: str) -> None:
    assert lint_text(source) == []


def test_a_reason_on_the_line_allows_it() -> None:
    assert lint_text("import time  # determinism: only for the log") == []


def test_a_reason_alone_on_the_line_above_allows_it() -> None:
    assert lint_text("# determinism: only for the log\nimport time") == []


def test_an_allowance_without_a_reason_allows_nothing() -> None:
    assert len(lint_text("import time  # determinism:")) == 1


def test_an_allowance_reaches_one_line_only() -> None:
    findings = lint_text("import time  # determinism: only for the log\nimport random")

    assert [finding.line for finding in findings] == [2]


def test_a_finding_says_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.py"
    file.write_text("a = 1\nb = a / 2\n", "utf-8")

    code = main([str(tmp_path)])

    assert code == 1
    assert f"{file}:2: division:" in capsys.readouterr().out


def test_generated_code_is_left_out() -> None:
    read = [str(file.relative_to(ROOT)) for file in files([ROOT / "protocol"])]

    assert "protocol/pool.py" in read
    assert not [name for name in read if name.startswith("protocol/gen/")]


def test_the_consensus_code_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("place", CONSENSUS)
def test_every_place_of_consensus_code_is_read(place: str) -> None:
    assert list(files([ROOT / place])), f"{place} holds no Python"
