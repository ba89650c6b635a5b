"""Every word of the proposal has a home that exists, and a test that names it."""

from __future__ import annotations

import importlib
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"^\| (?P<proposal>[\w.]+) \| `(?P<ours>[\w.]+)` \| `(?P<home>[\w.]+)` \|$", re.MULTILINE)
ROWS = [match.groupdict() for match in ROW.finditer((ROOT / "docs" / "glossary.md").read_text())]
TESTS = "\n".join(
    path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")) if path.name != Path(__file__).name
)


def test_the_table_is_read_whole() -> None:
    assert len(ROWS) >= 45


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["ours"])
def test_each_home_exists_and_a_test_names_it(row: dict[str, str]) -> None:
    found = importlib.import_module(row["home"])
    first, _, field = row["ours"].partition(".")

    thing = getattr(found, first)

    if field:
        # A field of a message, or of a dataclass.
        fields = (
            thing.__dataclass_fields__
            if isinstance(thing, type) and is_dataclass(thing)
            else thing.DESCRIPTOR.fields_by_name
        )
        assert field in fields
    assert re.search(rf"\b{field or first}\b", TESTS), f"no test names {row['ours']}"
