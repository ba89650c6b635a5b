"""The SQLite files of this node: one connection each, steps that are durable, nobody else's to read."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def open_database(path: Path | str, schema: str, *, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """The file, made where there is none; each statement is a transaction unless one is begun.

    `synchronous` FULL: what is written outlives the machine's power too, not the process alone.
    """
    _keep_private(path)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.executescript(schema)
    return database


def _keep_private(path: Path | str) -> None:
    """Lets only this user read the file; SQLite gives those that it makes beside it the same mode."""
    if str(path) == ":memory:":
        return
    for each in (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm")):
        if each == Path(path):
            each.touch(mode=0o600)
        if each.exists():
            each.chmod(0o600)
