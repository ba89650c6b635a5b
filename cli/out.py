"""Values as a person or a program reads them: JSON, YAML, tables."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH_PIPED = 1 << 15
_COIN = {"denom", "amount"}


def as_json(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_yaml(value: Any) -> str:
    """YAML in the order of the fields; a text stays as it is."""
    if isinstance(value, str):
        return value
    import yaml  # noqa: PLC0415 - only for text

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDTH_PIPED)
    return text.rstrip("\n").removesuffix("\n...")


def cell(value: Any) -> str:
    """A value in one cell of a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and set(value) == _COIN:
        return f"{value['amount']}{value['denom']}"
    if isinstance(value, list):
        return ", ".join(cell(each) for each in value)
    if isinstance(value, dict) and "@type" in value:
        own = [f"{name}={each}" for name, each in value.items() if isinstance(each, str) and _says(each)]
        return " ".join([str(value["@type"]), *(each for each in own if not each.startswith("@type="))])
    if isinstance(value, dict):
        return " ".join(f"{name}={cell(each)}" for name, each in value.items() if _says(each))
    return str(value)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the fields of its nested objects beside its own, where no name comes twice."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        is_object = isinstance(value, dict) and set(value) != _COIN and "@type" not in value
        nested = value if is_object else {name: value}
        flat |= {key if key not in row or key == name else f"{name}.{key}": nested[key] for key in nested}
    return flat


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every field that says something in at least one row."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if any(_says(row.get(name)) for row in rows)] or list(names)


def _says(value: Any) -> bool:
    return value not in (None, "", "0", 0, False, [], {}) and not str(value).endswith("_UNSPECIFIED")


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> str:
    """A table of rows with the same fields; as wide as the terminal, or else as its content."""
    from io import StringIO  # noqa: PLC0415 - only for text

    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - costs more than click itself
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    rows = [_flat(row) for row in rows]
    names = list(columns) or _columns(rows)
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        numeric = all(str(row.get(name, "")).lstrip("-").isdigit() for row in rows)
        grid.add_column(name, overflow="fold", justify="right" if numeric else "left")
    for row in rows:
        grid.add_row(*(Text(cell(row.get(name, ""))) for name in names))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_PIPED
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(grid)
    out = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in out.splitlines())
