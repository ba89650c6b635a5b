"""The import contracts hold, and each of them fires on a tree that breaks it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.setup.console import ROOT, VENV

PACKAGES = ["abci_app", "api_node", "cli", "client", "mlnode", "protocol"]
SKELETON = [
    "abci_app/kernel/store.py",
    "abci_app/kernel/context.py",
    "abci_app/kernel/collections.py",
    "abci_app/kernel/fixed.py",
    "abci_app/node/server.py",
    "abci_app/formation.py",
    "abci_app/stages.py",
    "abci_app/modules/auth/state.py",
    "abci_app/modules/bank/state.py",
    "abci_app/modules/bank/rules.py",
    "abci_app/modules/bank/handlers.py",
    "abci_app/modules/gov/rules.py",
]

INTRUSIONS = [
    ("abci_app/modules/gov/rules.py", "import mlnode", "not each other's code"),
    ("protocol/extra.py", "import client", "cli > processes > client > protocol"),
    ("mlnode/extra.py", "import cosmpy", "do not stand on a client"),
    ("abci_app/kernel/fixed.py", "import abci_app.stages", "node | sim > app > stages"),
    ("abci_app/modules/auth/state.py", "import abci_app.modules.gov.rules", "depend downward only"),
    ("abci_app/modules/other/rules.py", "", "depend downward only"),
    ("abci_app/modules/gov/handlers.py", "import abci_app.modules.bank.state", "belongs to it alone"),
    ("abci_app/modules/bank/rules.py", "import abci_app.kernel.store", "Rules are pure"),
    ("abci_app/modules/bank/rules.py", "import abci_app.modules.bank.handlers", "Rules are pure"),
    ("abci_app/modules/bank/rules.py", "import os", "Rules are pure"),
    ("abci_app/stages.py", "import time", "differs between machines"),
    ("abci_app/kernel/fixed.py", "import threading", "differs between machines"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(VENV / "bin" / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def write(root: Path, path: str, text: str) -> None:
    """Writes a module, with the packages above it."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    for parent in file.relative_to(root).parents[:-1]:
        (root / parent / "__init__.py").touch()
    file.write_text(f"{text}\n", "utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree in our layout that keeps every contract."""
    for path in [*(f"{package}/__init__.py" for package in PACKAGES), *SKELETON]:
        write(tmp_path, path, "")
    write(tmp_path, "tools/__init__.py", "")
    shutil.copy(ROOT / "tools" / "contracts.py", tmp_path / "tools")
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_a_tree_in_our_layout_keeps_every_contract(tree: Path) -> None:
    answer = lint(tree)

    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(("path", "line", "contract"), INTRUSIONS)
def test_each_contract_fires_on_what_breaks_it(tree: Path, path: str, line: str, contract: str) -> None:
    write(tree, path, line)

    answer = lint(tree)

    broken = [text for text in answer.stdout.splitlines() if text.endswith("BROKEN")]
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert any(contract in text for text in broken), answer.stdout
