"""The table of scenarios and defects is whole, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent
ROW = re.compile(
    r"^\| (?P<number>[SMPDQ]\d+a?) \| (?P<what>[^|]+) \| (?P<ours>[^|]+) \| (?P<tests>[^|]+) \|$",
    re.MULTILINE,
)
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = [match.groupdict() for match in ROW.finditer((HERE / "README.md").read_text(encoding="utf-8"))]


def names_in(path: Path) -> set[str]:
    """The names of the tests of a file, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {each.name for each in functions if each.name.startswith("test_")}


@pytest.mark.parametrize(("letter", "last"), [("S", 57), ("M", 11), ("P", 15), ("D", 30), ("Q", 6)])
def test_no_row_is_left_out_or_there_twice(letter: str, last: int) -> None:
    numbers = [row["number"] for row in ROWS if row["number"].startswith(letter)]

    wanted = {f"{letter}{number}" for number in range(1, last + 1)} | ({"D11a"} if letter == "D" else set())
    assert sorted(numbers) == sorted(wanted)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["number"])
def test_each_row_names_tests_that_exist(row: dict[str, str]) -> None:
    named = NAMED.findall(row["tests"])

    assert named, "a row without a test"
    assert NAMED.sub("", row["tests"]).strip() == "", "something that is no test"
    for file, test in named:
        assert test in names_in(TESTS / file), f"{file} has no {test}"


def test_each_test_beside_the_table_is_named_in_it() -> None:
    named = {test for row in ROWS for _, test in NAMED.findall(row["tests"])}
    own = {
        path.name: names_in(path) for path in sorted(HERE.glob("test_*.py")) if path.name != "test_table.py"
    }

    assert {name: sorted(tests - named) for name, tests in own.items() if tests - named} == {}
