"""Runs a script of CosmJS and gives what each of its checks said."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.cosmjs import CosmJs, UnavailableError, prepare

SCRIPTS = Path(__file__).parent / "cosmjs"
TIMEOUT_S = 240


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one check: whether it held, what it returned, else the error."""

    ok: bool
    value: Any
    error: str


def cosmjs_or_skip() -> CosmJs:
    """CosmJS, set up; skips with the reason where it is not to be had."""
    try:
        return prepare()
    except UnavailableError as error:
        pytest.skip(f"CosmJS is not available: {error}")


def names_of(script: str) -> list[str]:
    """The checks that a script declares, in order."""
    return re.findall(r"^  async (\w+)\(", (SCRIPTS / script).read_text(), re.MULTILINE)


def run_script(script: str, config: dict[str, Any]) -> dict[str, Outcome]:
    """What each check of a script said, by name."""
    found = cosmjs_or_skip()
    done = subprocess.run(
        [found.node, SCRIPTS / script, json.dumps(config)],
        cwd=found.folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, f"the script ended with {done.returncode}:\n{done.stderr}\n{lines}"
    return {line["name"]: Outcome(line["ok"], line.get("value"), line.get("error", "")) for line in lines}
