"""docs/clients.md: every row of its tables names a test that there is, and no check of CosmJS is missing."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.conformance.cosmjs_checks import names_of
from tests.node.chain_process import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| ---",))]
FEATURES = [line for line in ROWS if not line.endswith("| Test |")]
LINK = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[(\w+)\])?` \|$")


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", FEATURES, ids=lambda row: row.split("|")[1].strip())
def test_a_row_names_a_test_that_there_is(row: str) -> None:
    found = LINK.search(row)

    assert found is not None, f"no test stands at the end of: {row}"
    file, function, check = found.groups()
    assert function in functions_of(file)
    assert check is None or check in names_of("checks.mjs")


def test_every_check_of_cosmjs_and_every_test_of_cosmpy_has_its_row() -> None:
    links = [found.groups() for row in FEATURES if (found := LINK.search(row))]
    cosmpy = "tests/conformance/test_cosmpy.py"

    assert {check for _, _, check in links if check} == set(names_of("checks.mjs"))
    assert {function for file, function, _ in links if file == cosmpy} == {
        name for name in functions_of(cosmpy) if name.startswith("test_")
    } - {"test_bytes_that_are_no_transaction_are_an_invalid_argument"}
