"""`evergrid version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session

PACKAGES = ("protobuf", "cosmpy", "torch", "transformers")


@click.command()
@click.option("--long", "long_form", is_flag=True, help="With the versions of what it stands on.")
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
    fields = {"name": "evergrid", "version": own, "python": platform.python_version()}
    if long_form:
        fields |= {package: found for package in PACKAGES if (found := of(package))}
    session.emit(fields, None if long_form else own)
