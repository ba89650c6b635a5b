"""Which tests show each sentence of docs/protocol.md and each row of docs/departures.md.

`python -m tools.protocol_map` says what is wrong with tests/protocol_map.toml; with `--write` it first renews
the map: a sentence that was reworded keeps its id, a new one gets the next of its section, without tests;
one that is gone leaves.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
PROTOCOL, DEPARTURES = Path("docs/protocol.md"), Path("docs/departures.md")
MAP = Path("tests/protocol_map.toml")
SAME_SENTENCE = 0.6
HASH_DIGITS, WORDS_SHOWN = 10, 9
HEAD = """\
# Which tests show each sentence of docs/protocol.md, and each row of docs/departures.md (proposal-…).
# After a change of either: `python -m tools.protocol_map --write`, then fill in what it names.
"""

_SECTION = re.compile(r"^## (\d+)\. ")
_ITEM = re.compile(r"^(?:-|\d+\.) +")
_SEPARATOR = re.compile(r"^\|[ :|-]+\|$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_NUMBERED_ROW = re.compile(r"^\| (\d+\.\d+) \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or a row of a table, its white space made single; id "" where the text gives none."""

    section: str
    text: str
    id: str = ""

    @property
    def hash(self) -> str:
        """By this the map knows the sentence, wherever it stands in its section."""
        return sha256(f"{self.section} {self.text}".encode()).hexdigest()[:HASH_DIGITS]

    @property
    def begins(self) -> str:
        """The first words, for people."""
        words = self.text.split(" ")
        return " ".join(words[:WORDS_SHOWN]) + (" …" if len(words) > WORDS_SHOWN else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the map says of one statement: the tests that show it, or why it states nothing to be tested."""

    id: str
    hash: str
    begins: str
    tests: tuple[str, ...] = ()
    prose: str = ""


# reading


def statements(text: str) -> list[Statement]:
    """Every sentence of the prose and every row of the tables, in order, without headings and heads."""
    found: list[Statement] = []
    section, block = "0", ""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_row = line.startswith("|")
        if not line.strip() or line.startswith("#") or is_row or _ITEM.match(line):
            found += _sentences(section, block)
            block = ""
        if match := _SECTION.match(line):
            section = match[1]
        elif is_row:
            if not _SEPARATOR.match(line) and not _SEPARATOR.match(following):
                found.append(Statement(section, _single(line)))
        elif not line.startswith("#"):
            block += f" {_ITEM.sub('', line, count=1)}"
    return [*found, *_sentences(section, block)]


def _sentences(section: str, block: str) -> Iterator[Statement]:
    text = _single(block)
    return (Statement(section, sentence) for sentence in _SENTENCE_END.split(text) if sentence)


def _single(text: str) -> str:
    return " ".join(text.split())


def proposal_statements(text: str) -> list[Statement]:
    """The rows of the tables of docs/departures.md that begin with a number; ids `proposal-1.1`."""
    rows = ((match[1], _single(match[2])) for match in _NUMBERED_ROW.finditer(text))
    return [
        Statement(f"proposal-{number.partition('.')[0]}", row, f"proposal-{number}") for number, row in rows
    ]


def read_map(text: str) -> list[Entry]:
    """The entries of the map, in its order."""
    return [
        Entry(key, each["hash"], each["begins"], tuple(each.get("tests", ())), each.get("prose", ""))
        for key, each in tomllib.loads(text).items()
    ]


def test_names(root: Path) -> set[str]:
    """Every test of the suite as `path::name`, read from the source without importing it."""
    found = set()
    for path in sorted((root / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(f"{path.relative_to(root).as_posix()}::{node.name}")
            elif isinstance(node, ast.Assign | ast.ClassDef):
                names = (
                    [node.name] if isinstance(node, ast.ClassDef) else [ast.unparse(t) for t in node.targets]
                )
                found |= {f"{path.relative_to(root).as_posix()}::{n}" for n in names if n.startswith("Test")}
    return found


# checking and renewing


def problems(wanted: Iterable[Statement], entries: Iterable[Entry], tests: set[str]) -> list[str]:
    """All that is wrong with the map; empty: each statement has its tests, and each test is there."""
    wrong = []
    by_hash = {entry.hash: entry for entry in entries}
    stated = {}
    for statement in wanted:
        if statement.hash in stated:
            wrong.append(f"stated twice: {statement.begins}")
        stated[statement.hash] = statement
        if statement.hash not in by_hash:
            wrong.append(f"not in the map: section {statement.section}: {statement.begins}")
    for entry in entries:
        statement_found = stated.get(entry.hash)
        if statement_found is None:
            wrong.append(f"{entry.id}: the text no longer says: {entry.begins}")
        elif statement_found.id not in {"", entry.id}:
            wrong.append(f"{entry.id}: is {statement_found.id} in the text")
        if bool(entry.tests) == bool(entry.prose):
            wrong.append(f"{entry.id}: needs tests, or a reason why it is prose: {entry.begins}")
        wrong += (f"{entry.id}: there is no test {name}" for name in entry.tests if name not in tests)
    return wrong


def renewed(wanted: Iterable[Statement], entries: Iterable[Entry]) -> list[Entry]:
    """The map in the order of the text: known sentences keep their entry, reworded ones id and tests."""
    by_hash = {entry.hash: entry for entry in entries}
    wanted = list(wanted)
    known = {statement.hash for statement in wanted}
    gone = [entry for entry in entries if entry.hash not in known]
    made: list[Entry] = []
    taken = {entry.id for entry in by_hash.values()}
    for statement in wanted:
        entry = by_hash.get(statement.hash) or _reworded(statement, gone)
        if entry is None:
            entry = Entry(statement.id or _next_id(statement.section, taken), "", "")
        taken.add(entry.id)
        made.append(replace(entry, hash=statement.hash, begins=statement.begins))
    return made


def _reworded(statement: Statement, gone: list[Entry]) -> Entry | None:
    """The entry of a sentence that was reworded into this one, taken out of those that are gone."""
    for entry in gone:
        likeness = SequenceMatcher(None, entry.begins, statement.begins).ratio()
        same_section = entry.id.rpartition(".")[0] == statement.section
        if entry.id == statement.id or (not statement.id and same_section and likeness >= SAME_SENTENCE):
            gone.remove(entry)
            return entry
    return None


def _next_id(section: str, taken: Iterable[str]) -> str:
    numbers = [int(each.rpartition(".")[2]) for each in taken if each.rpartition(".")[0] == section]
    return f"{section}.{max(numbers, default=0) + 1}"


def write_map(entries: Iterable[Entry]) -> str:
    """The map as text."""
    parts = [HEAD]
    for entry in entries:
        lines = [f'["{entry.id}"]', f'hash = "{entry.hash}"', f"begins = {_quoted(entry.begins)}"]
        if entry.prose:
            lines.append(f"prose = {_quoted(entry.prose)}")
        else:
            lines.append("tests = [" + "".join(f'\n    "{name}",' for name in entry.tests) + "\n]")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def wanted_statements(root: Path) -> list[Statement]:
    """Everything that must be mapped."""
    text, departures = ((root / path).read_text("utf-8") for path in (PROTOCOL, DEPARTURES))
    return statements(text) + proposal_statements(departures)


def main(arguments: list[str]) -> int:
    """Renews the map where asked, and prints what is wrong with it; 1 where anything is."""
    wanted = wanted_statements(ROOT)
    entries = read_map((ROOT / MAP).read_text("utf-8")) if (ROOT / MAP).exists() else []
    if "--write" in arguments:
        entries = renewed(wanted, entries)
        (ROOT / MAP).write_text(write_map(entries), "utf-8")
    wrong = problems(wanted, entries, test_names(ROOT))
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
