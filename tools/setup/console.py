"""What every step shares: where things lie, commands with visible progress, and failures as one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
TEMPORARY = CACHE / "tmp"
LOG = CACHE / "setup.log"

Command = Sequence[str | Path]

QUIET_SECONDS = 15  # how often a line is printed where no terminal can show a running clock
TAIL_LINES = 30

FAILURE = re.compile(r"\b(?:error|cause|fatal|cannot|failed|not found)\b", re.IGNORECASE)
NO_SPACE = re.compile(r"No space left on device|ENOSPC|disk quota exceeded", re.IGNORECASE)
NO_NETWORK = re.compile(
    r"name resolution|dns error|failed to lookup|no such host|network is unreachable|connection refused"
    r"|error sending request|dial tcp|i/o timeout|newconnectionerror|nameresolutionerror|connecttimeout"
    r"|failed to establish a new connection|max retries exceeded|tls handshake",
    re.IGNORECASE,
)


class SetupError(Exception):
    """A failure whose text is one sentence that says what to do."""


def shown(path: Path) -> str:
    """A path as a person in the checkout would write it."""
    return str(path.relative_to(ROOT)) if path != ROOT and path.is_relative_to(ROOT) else str(path)


def say(text: str) -> None:
    print(f"      {text}", flush=True)


def need_space(folder: Path, megabytes: int) -> None:
    """Raises SetupError when the disk under a folder has less than that free."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < megabytes:
        raise SetupError(
            f"The disk under {shown(folder)} has {free:,} MB free and this step needs {megabytes:,} MB: "
            "make room there (or clone to a larger disk) and run make setup again."
        )


def why_it_failed(title: str, output: Sequence[str]) -> SetupError:
    """Turns a command's last lines into one sentence with a way out."""
    text = "\n".join(output)
    if NO_SPACE.search(text):
        return SetupError(f"{title}: the disk is full; make room under {ROOT} and run make setup again.")
    if NO_NETWORK.search(text):
        return SetupError(
            f"{title}: the network cannot be reached; connect (or set the proxy or package index that "
            "pip and go use here) and run make setup again, what is done stays done."
        )
    lines = [line.strip() for line in reversed(output) if line.strip()]
    told = next((line for line in lines if FAILURE.search(line)), lines[0] if lines else "no output")
    return SetupError(f"{title} failed ({told}); all of its output is in {shown(LOG)}.")


class Ticker:
    """Shows that a long step lives: a running clock on a terminal, a line now and then elsewhere."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.started = time.monotonic()
        self.ended = threading.Event()
        self.terminal = sys.stdout.isatty()
        self.thread = threading.Thread(target=self.show, daemon=True)

    def show(self) -> None:
        while not self.ended.wait(0.2 if self.terminal else QUIET_SECONDS):
            seconds = int(time.monotonic() - self.started)
            line = f"      {self.title} ... {seconds} s  {self.detail}"
            if self.terminal:
                width = shutil.get_terminal_size().columns - 1
                print(f"\r\x1b[2K{line[:width]}", end="", flush=True)
            else:
                print(line[:120], flush=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        if self.terminal:
            print("\r\x1b[2K", end="", flush=True)


def run(title: str, command: Command, env: Mapping[str, str] | None = None) -> str:
    """Runs a command with progress and returns its output; raises SetupError when it fails."""
    CACHE.mkdir(exist_ok=True)
    lines: list[str] = []
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with Ticker(title) as ticker, LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(str(part) for part in command)}\n")
        with subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                log.write(line)
                lines.append(line)
                tail.append(line)
                ticker.detail = line.strip()
    if process.returncode:
        raise why_it_failed(title, list(tail))
    say(f"{title}: {time.monotonic() - ticker.started:.0f} s")
    return "".join(lines)


def pip(python: Path, action: str, *arguments: str | Path) -> Command:
    """A pip command that leaves no cache behind and gives up soon where there is no network."""
    plain = ["--no-cache-dir", "--disable-pip-version-check", "--retries", "2"]
    return [python, "-m", "pip", action, *plain, *arguments]


def empty_temporary() -> Path:
    """An empty folder for what a step throws away at its end."""
    drop_temporary()
    TEMPORARY.mkdir(parents=True)
    return TEMPORARY


def drop_temporary() -> None:
    shutil.rmtree(TEMPORARY, ignore_errors=True)
