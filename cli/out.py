"""Values as a person or a program reads them: JSON, YAML, tables."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH_PIPED = 1 << 15


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
    if isinstance(value, dict) and set(value) == {"denom", "amount"}:
        return f"{value['amount']}{value['denom']}"
    if isinstance(value, list):
        return ", ".join(cell(each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={cell(each)}" for name, each in value.items())
    return str(value)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> str:
    """A table of rows with the same fields; as wide as the terminal, or else as its content."""
    from io import StringIO  # noqa: PLC0415 - only for text

    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - costs more than click itself
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))
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
