"""The flight recorder: what each MLNode was meant to do and did, on disk, the latest entries of each node."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog

from api_node.database import open_database

log = structlog.get_logger("api_node.timeline")

ENTRIES_PER_NODE_MAX = 1000
LIMIT_MAX = 1000
TEXT_MAX = 500
REMOVED = "[removed]"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node_id TEXT NOT NULL, time REAL NOT NULL, height INTEGER NOT NULL,
    kind TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, reason TEXT NOT NULL,
    asked_by TEXT NOT NULL, duration_s REAL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_node ON entries (node_id, id);
"""
_NAMES = ("id", "time", "height", "kind", "from", "to", "reason", "asked_by", "duration_s", "text")
_COLUMNS = "id, time, height, kind, before, after, reason, asked_by, duration_s, text"

# Whatever follows such a word, the user and password of a URL, and tokens that show what they are.
_SECRETS = (
    # But "a bearer token is needed" names none.
    re.compile(r"(?i)(?P<kept>\b(?:bearer|basic)\s+)(?!token\b)[^\s\"',;&]+"),
    re.compile(
        r"(?i)(?P<kept>(?:token|secret|passw(?:or)?d|passphrase|mnemonic|api[_-]?key|private[_-]?key|credential)s?"
        r"[\"']?\s*[:=]\s*[\"']?)(?!\s|bearer\b|basic\b)[^\s\"',;&]+"
    ),
    re.compile(r"(?P<kept>[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@]+@"),
    re.compile(r"(?P<kept>\b)(?:sk-|hf_|ghp_)[A-Za-z0-9_-]{4,}"),
)


class Kind(StrEnum):
    """What an entry tells of."""

    INTENT = "intent"  # what the node should do
    STATE = "state"  # what it does
    COMMAND = "command"  # what it was asked, and what came of it


class Asker(StrEnum):
    """Who wanted it so."""

    CHAIN = "chain"
    OPERATOR = "operator"
    WINDOW = "maintenance_window"
    WORKER = "worker"  # this process, on the way to an intent
    NODE = "mlnode"  # the node itself, as it was found


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with known secrets and whatever looks like one taken out."""
    for secret in secrets:
        text = text.replace(secret, REMOVED)
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: found["kept"] + REMOVED, text)
    return text


class Timeline:
    """One SQLite file. What cannot be written is logged and lost: no node waits for its recorder."""

    def __init__(
        self,
        path: Path | str = ":memory:",
        *,
        secrets: Iterable[str] = (),
        entries_max: int = ENTRIES_PER_NODE_MAX,
    ) -> None:
        self.height = 0
        self._secrets = [secret for secret in secrets if secret]
        self._entries_max = entries_max
        self._db = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def record(
        self,
        node_id: str,
        kind: Kind,
        *,
        before: str,
        after: str,
        reason: str = "",
        asked_by: Asker = Asker.WORKER,
        duration_s: float | None = None,
        text: str = "",
    ) -> None:
        """Notes one change at the height of the last view; `duration_s` is how long `before` took."""
        plain = without_secrets(text, self._secrets)[:TEXT_MAX]
        seconds = None if duration_s is None else round(duration_s, 3)
        values = (node_id, time.time(), self.height, kind, before, after, reason, asked_by, seconds, plain)
        try:
            self._db.execute(
                "INSERT INTO entries (node_id, time, height, kind, before, after, reason, asked_by,"
                " duration_s, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self._db.execute(
                "DELETE FROM entries WHERE node_id = ?1 AND id <= (SELECT id FROM entries WHERE node_id = ?1"
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (node_id, self._entries_max),
            )
        except sqlite3.Error as error:
            log.warning("timeline not written", node_id=node_id, problem=str(error))

    def entries(self, node_id: str, limit: int = 100, before: int = 0) -> list[dict[str, Any]]:
        """A node's entries, newest first, of ids below `before` (0: all); at most LIMIT_MAX of them."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE node_id = ? AND id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608
            (node_id, before if before > 0 else 2**63 - 1, max(1, min(limit, LIMIT_MAX))),
        )
        return [dict(zip(_NAMES, row, strict=True)) for row in rows]
