"""`evergrid version`."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session

PACKAGES = ("protobuf", "cosmpy", "torch", "transformers")
ROOT = Path(__file__).resolve().parents[1]
ASK_S = 10.0
_NAME = re.compile(r"[^A-Za-z0-9._-]")


@click.command()
@click.option(
    "--long", "long_form", is_flag=True, help="With the commit and the versions of what it stands on."
)
@shared(*LOCAL)
def version(session: Session, *, long_form: bool) -> None:
    """Show the version."""
    from importlib import metadata  # noqa: PLC0415 - only here

    def of(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return ""

    own = of("evergrid") or "unknown"
    fields: dict[str, Any] = {"name": "evergrid", "version": own, "python": platform.python_version()}
    if long_form:
        fields |= {"commit": commit(), "cometbft": cometbft()}
        fields |= {package: found for package in PACKAGES if (found := of(package))}
        fields["build_deps"] = build_deps(of)
    session.emit(fields, None if long_form else own)


def commit() -> str:
    """The commit of the checkout that runs, with -dirty where files differ; empty where it is none."""
    if not (ROOT / ".git").exists():
        return ""
    found = _said("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changed = found and _said("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{found}-dirty" if changed else found


def cometbft() -> str:
    """The version of the CometBFT that `start --with-comet` would run; empty where there is none."""
    from abci_app.node.config import ConfigError  # noqa: PLC0415 - brings pydantic
    from abci_app.node.home import find_cometbft  # noqa: PLC0415 - brings the chain

    try:
        return _said(str(find_cometbft()), "version")
    except ConfigError:
        return ""


def build_deps(of: Callable[[str], str]) -> list[str]:
    """NAME@VERSION of each installed package that this distribution names."""
    from importlib import metadata  # noqa: PLC0415 - only here

    try:
        named = metadata.requires("evergrid") or []
    except metadata.PackageNotFoundError:
        return []
    names = sorted({_NAME.split(each, maxsplit=1)[0] for each in named})
    return [f"{name}@{found}" for name in names if (found := of(name))]


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=ASK_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
