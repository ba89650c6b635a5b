"""Runs `evergrid` as a person would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli import supervisor
from cli.localnet_run import RECORD

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240


def evergrid(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """The result of one command."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cli.main", *map(str, arguments)]


def output_of(*arguments: object) -> Any:
    """The JSON that a command printed, which has to succeed."""
    done = evergrid(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def alive(home: Path) -> list[str]:
    """The recorded processes of a home that run."""
    return [process.name for process in supervisor.load(home / RECORD)[0] if process.alive]
