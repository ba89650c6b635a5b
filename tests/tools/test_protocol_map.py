"""Each sentence of the protocol, and each statement of the original design, has tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import protocol_map
from tools.protocol_map import Entry, Statement

ROOT = Path(__file__).parent.parent.parent
PAGE = """# A page

Before the sections. Two sentences.

## 1. First

One sentence
over two lines; with a clause. The second ends here.

- an item. Its second sentence
  goes on.
1. numbered

| Head | Of the table |
| --- | --- |
| a | row |

### A heading within

Last.

## 2. Second

A `code.` word.
"""
STATEMENTS = protocol_map.wanted_statements(ROOT)
ENTRIES = protocol_map.read_map((ROOT / protocol_map.MAP).read_text("utf-8"))


def test_every_statement_of_the_protocol_is_mapped_and_each_named_test_exists() -> None:
    assert protocol_map.problems(STATEMENTS, ENTRIES, protocol_map.test_names(ROOT)) == []


def test_the_pages_are_read_whole() -> None:
    sections = {statement.section for statement in STATEMENTS}

    assert sections >= {str(number) for number in range(1, 14)}
    assert sections >= {f"proposal-{number}" for number in range(1, 9)}
    assert len(STATEMENTS) > 350


def test_few_statements_are_without_tests_and_each_says_why() -> None:
    prose = [entry for entry in ENTRIES if entry.prose]

    assert all(len(entry.prose) > 3 for entry in prose)
    assert len(prose) * 20 < len(ENTRIES)


def test_ids_are_given_once() -> None:
    ids = [entry.id for entry in ENTRIES]

    assert len(ids) == len(set(ids))


def test_a_page_falls_into_its_sentences_items_and_rows() -> None:
    found = protocol_map.statements(PAGE)

    assert [(each.section, each.text) for each in found] == [
        ("0", "Before the sections."),
        ("0", "Two sentences."),
        ("1", "One sentence over two lines; with a clause."),
        ("1", "The second ends here."),
        ("1", "an item."),
        ("1", "Its second sentence goes on."),
        ("1", "numbered"),
        ("1", "| a | row |"),
        ("1", "Last."),
        ("2", "A `code.` word."),
    ]


def test_line_breaks_do_not_change_a_statement_and_words_do() -> None:
    one, other = (protocol_map.statements(f"## 1. A\n\n{text}\n")[0] for text in ("a b\nc.", "a\nb c."))
    changed = protocol_map.statements("## 1. A\n\na b d.\n")[0]

    assert one == other
    assert one.hash != changed.hash


def an_entry(number: int, statement: Statement, *tests: str, prose: str = "") -> Entry:
    return Entry(f"1.{number}", statement.hash, statement.begins, tests, prose)


A, B = Statement("1", "The first sentence stands."), Statement("1", "Quite another thing is said.")


@pytest.mark.parametrize(
    ("wanted", "entries", "wrong"),
    [
        ([A], [an_entry(1, A, "t::x")], []),
        ([A], [an_entry(1, A, prose="a remark")], []),
        ([A, B], [an_entry(1, A, "t::x")], ["not in the map: section 1: Quite another thing is said."]),
        ([A], [an_entry(1, A, "t::x"), an_entry(2, B, "t::x")], ["1.2: the text no longer says"]),
        ([A], [an_entry(1, A)], ["1.1: needs tests"]),
        ([A], [an_entry(1, A, "t::x", prose="both")], ["1.1: needs tests"]),
        ([A], [an_entry(1, A, "t::y")], ["1.1: there is no test t::y"]),
        ([A, A], [an_entry(1, A, "t::x")], ["stated twice"]),
    ],
)
def test_what_is_wrong_with_a_map_is_named(
    wanted: list[Statement], entries: list[Entry], wrong: list[str]
) -> None:
    found = protocol_map.problems(wanted, entries, {"t::x"})

    assert [text[: len(start)] for text, start in zip(found, wrong, strict=True)] == wrong


def test_a_renewed_map_keeps_ids_and_tests_of_what_was_reworded_and_forgets_what_is_gone() -> None:
    reworded = Statement("1", "The first sentence stays.")
    new = Statement("1", "Nothing like it was here before.")

    made = protocol_map.renewed([new, reworded], [an_entry(1, A, "t::x"), an_entry(2, B, "t::y")])

    assert [(entry.id, entry.hash, entry.tests) for entry in made] == [
        ("1.3", new.hash, ()),
        ("1.1", reworded.hash, ("t::x",)),
    ]


def test_a_written_map_reads_back_the_same() -> None:
    entries = [
        an_entry(1, Statement("1", 'A "quoted" \\ thing.'), "t::x", "t::y"),
        an_entry(2, B, prose="why"),
    ]

    assert protocol_map.read_map(protocol_map.write_map(entries)) == entries
