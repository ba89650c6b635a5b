"""Messages on their way to the chain, kept on disk until they are in a block or their time is over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from api_node.database import open_database
from protocol.descriptors import message_class

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL,
    height_deadline INTEGER NOT NULL, status TEXT NOT NULL, tx_hash TEXT NOT NULL DEFAULT '',
    alone INTEGER NOT NULL DEFAULT 0, gas_factor INTEGER NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0,
    code INTEGER NOT NULL DEFAULT 0, log TEXT NOT NULL DEFAULT '', height INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS messages_status ON messages (status, id);
CREATE TABLE IF NOT EXISTS txs (
    hash TEXT PRIMARY KEY, raw BLOB NOT NULL, sequence INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Status(StrEnum):
    """Where a message is."""

    PENDING = "pending"
    SENT = "sent"
    INCLUDED = "included"
    FAILED = "failed"
    EXPIRED = "expired"


COLUMNS = (
    "id, key, type, body, height_deadline, status, tx_hash, alone, gas_factor, attempts, code, log, height"
)
FINAL = (Status.INCLUDED, Status.FAILED, Status.EXPIRED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. `alone`: it must not share a transaction, since it failed in company."""

    id: int
    key: str
    type: str
    body: bytes
    height_deadline: int
    status: Status
    tx_hash: str
    alone: bool
    gas_factor: int
    attempts: int
    code: int
    log: str
    height: int

    @property
    def message(self) -> Message:
        """The message itself."""
        return message_class(self.type).FromString(self.body)


@dataclass(frozen=True, slots=True)
class SentTx:
    """A broadcast transaction whose fate is not known yet."""

    hash: str
    raw: bytes
    sequence: int


def _entry(row: Sequence[Any]) -> Entry:
    fields = dict(zip(COLUMNS.split(", "), row, strict=True))
    return Entry(**fields | {"status": Status(fields["status"]), "alone": bool(fields["alone"])})


class Outbox:
    """A table in one SQLite file; each call is one durable step."""

    def __init__(self, path: Path | str) -> None:
        self._db = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """What is done within is on disk as a whole or not at all."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # messages

    def put(self, key: str, message: Message, height_deadline: int = 0) -> bool:
        """Queues a message once: false where its key is there already."""
        name, body = message.DESCRIPTOR.full_name, message.SerializeToString(deterministic=True)
        values = (key, name, body, height_deadline, Status.PENDING)
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO messages (key, type, body, height_deadline, status) "
            "VALUES (?, ?, ?, ?, ?)",
            values,
        ).rowcount
        return inserted == 1

    def retry(self, key: str, message: Message, height_deadline: int = 0) -> bool:
        """As `put`, but a message that failed or expired is queued anew."""
        self._db.execute(
            "DELETE FROM messages WHERE key = ? AND status IN (?, ?)", (key, Status.FAILED, Status.EXPIRED)
        )
        return self.put(key, message, height_deadline)

    def withdraw(self, key: str) -> bool:
        """Takes a message back that was not sent yet."""
        cursor = self._db.execute(
            "DELETE FROM messages WHERE key = ? AND status = ? AND attempts = 0", (key, Status.PENDING)
        )
        return cursor.rowcount == 1

    def get(self, key: str) -> Entry | None:
        """One message by its key."""
        found = self._select("key = ?", (key,))
        return found[0] if found else None

    def pending(self, limit: int = 1000) -> list[Entry]:
        """What waits to be sent, oldest first."""
        return self._select(f"status = '{Status.PENDING}'", (), limit)

    def of_tx(self, tx_hash: str) -> list[Entry]:
        """The messages that a transaction carries, in order."""
        return self._select("tx_hash = ? AND status = ?", (tx_hash, Status.SENT))

    def waiting(self) -> int:
        """How many messages are in no block yet."""
        query = "SELECT COUNT(*) FROM messages WHERE status IN (?, ?)"
        count: int = self._db.execute(query, (Status.PENDING, Status.SENT)).fetchone()[0]
        return count

    def open_entries(self, limit: int = 200) -> list[Entry]:
        """What is in no block yet, oldest first."""
        return self._select("status IN (?, ?)", (Status.PENDING, Status.SENT), limit)

    def expire(self, height: int) -> list[Entry]:
        """Gives up what was to be in a block at most as high as this one and is in none."""
        late = self._select(
            "status = ? AND height_deadline > 0 AND height_deadline <= ?", (Status.PENDING, height)
        )
        self._settle(late, Status.EXPIRED, log="its time was over before it was in a block")
        return late

    def finish(
        self, entries: Iterable[Entry], status: Status, code: int = 0, log: str = "", height: int = 0
    ) -> None:
        """What became of messages."""
        self._settle(entries, status, code, log, height)

    def again(self, entries: Iterable[Entry], *, alone: bool = False, gas_factor: int = 0) -> None:
        """Back into the queue, at their old place."""
        for entry in entries:
            self._db.execute(
                "UPDATE messages SET status = ?, tx_hash = '', alone = ?, gas_factor = ? WHERE id = ?",
                (Status.PENDING, int(alone or entry.alone), gas_factor or entry.gas_factor, entry.id),
            )

    def prune(self, height: int) -> None:
        """Forgets finished messages whose deadline is long past; those without one stay."""
        marks = ", ".join("?" * len(FINAL))
        self._db.execute(
            f"DELETE FROM messages WHERE status IN ({marks}) AND height_deadline > 0 AND height_deadline < ?",  # noqa: S608
            (*FINAL, height),
        )

    # transactions in flight

    def sent(self, entries: Sequence[Entry], tx_hash: str, raw: bytes, sequence: int) -> None:
        """Notes a transaction before it is broadcast, so that a crash in between loses nothing."""
        with self.whole():
            self._db.execute(
                "INSERT OR REPLACE INTO txs (hash, raw, sequence) VALUES (?, ?, ?)", (tx_hash, raw, sequence)
            )
            self._db.executemany(
                "UPDATE messages SET status = ?, tx_hash = ?, attempts = attempts + 1 WHERE id = ?",
                [(Status.SENT, tx_hash, entry.id) for entry in entries],
            )

    def in_flight(self) -> list[SentTx]:
        """Broadcast transactions, by sequence."""
        rows = self._db.execute("SELECT hash, raw, sequence FROM txs ORDER BY sequence, rowid")
        return [SentTx(*row) for row in rows]

    def landed(self, tx_hash: str) -> None:
        """The transaction's fate is known."""
        self._db.execute("DELETE FROM txs WHERE hash = ?", (tx_hash,))

    # facts: done-flags and the like

    def fact(self, name: str) -> str | None:
        """A remembered value."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def remember(self, name: str, value: str) -> None:
        """Keeps a value."""
        self._db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    # helpers

    def _select(self, where: str, values: Sequence[object], limit: int = 100_000) -> list[Entry]:
        query = f"SELECT {COLUMNS} FROM messages WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608
        rows = self._db.execute(query, (*values, limit)).fetchall()
        return [_entry(row) for row in rows]

    def _settle(
        self, entries: Iterable[Entry], status: Status, code: int = 0, log: str = "", height: int = 0
    ) -> None:
        self._db.executemany(
            "UPDATE messages SET status = ?, code = ?, log = ?, height = ? WHERE id = ?",
            [(status, code, log[:1000], height, entry.id) for entry in entries],
        )
