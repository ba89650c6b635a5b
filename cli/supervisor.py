"""Starts, watches and stops the processes of a network on this machine.

Each process leads a process group of its own and writes to a log file. What was started is recorded on disk
with the start time that the kernel gave it, so that another command can stop it later and never hits a
process that took over its number.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_S = 15.0
LAST_WORDS_S = 1.0
POLL_S = 0.1
LOG_TAIL_LINES = 15


class ProcessFailedError(Exception):
    """A process ended that should go on; the text names it and shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """One started process: its number, when the kernel says it began, and its log."""

    name: str
    pid: int
    started: int
    log: str

    @property
    def alive(self) -> bool:
        """Whether it still runs: this very process, and not as a zombie."""
        return _started(self.pid) == self.started


def _started(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None where there is none, or a zombie only."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def start(
    name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, nice: int = 0
) -> Process:
    """Starts a process that outlives this one unless it is stopped."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = ["nice", "-n", str(nice), *command] if nice else list(command)
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - our own commands
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    return Process(name, child.pid, _started(child.pid) or 0, str(log))


# Kept so that ended children do not stay zombies while this process lives.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def reap() -> None:
    """Collects children that ended."""
    for child in _CHILDREN.values():
        child.poll()


def tail(log: str, lines: int = LOG_TAIL_LINES) -> str:
    """The end of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])
    return ""


def check(processes: Sequence[Process]) -> None:
    """Raises ProcessFailedError that names those that do not run any more, with the log of the first."""
    reap()
    if all(process.alive for process in processes):
        return
    # Who takes another one along may be the last to be gone: CometBFT ends before the chain that failed does.
    deadline = time.monotonic() + LAST_WORDS_S
    while time.monotonic() < deadline:
        time.sleep(POLL_S)
        reap()
    first, *others = [process for process in processes if not process.alive]
    also = f" ({', '.join(each.name for each in others)} ended too)" if others else ""
    raise ProcessFailedError(f"{first.name} ended by itself{also}; the end of its log:\n{tail(first.log)}")


def stop(processes: Sequence[Process], timeout_s: float = STOP_S) -> list[str]:
    """Asks all to end, in the reverse order of their start, and kills what has not ended in time.

    Returns the names of those that had to be killed.
    """
    for process in reversed(processes):
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while any(process.alive for process in processes) and time.monotonic() < deadline:
        reap()
        time.sleep(POLL_S)
    stubborn = [process for process in processes if process.alive]
    for process in stubborn:
        _signal(process, signal.SIGKILL, group=True)
    while any(process.alive for process in stubborn):
        reap()
        time.sleep(POLL_S)
    return [process.name for process in stubborn]


def _signal(process: Process, number: signal.Signals, *, group: bool = False) -> None:
    if not process.alive:
        return
    with contextlib.suppress(ProcessLookupError):
        # The leader passes a polite end on to its own children; a kill has to reach them all.
        if group:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)


def save(path: Path, processes: Sequence[Process], facts: Mapping[str, object]) -> None:
    """Records what runs, replacing the file at once."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"processes": [asdict(p) for p in processes], **facts}, indent=2))
    temporary.replace(path)


def load(path: Path) -> tuple[list[Process], dict[str, object]]:
    """What was recorded; nothing where there is no record."""
    if not path.exists():
        return [], {}
    facts = json.loads(path.read_text())
    return [Process(**fields) for fields in facts.pop("processes")], facts
