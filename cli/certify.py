"""`evergrid mlnode certify`: does this machine compute the puzzle, and how fast is it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


@click.command()
@click.option("--preset", default="small", show_default=True, help="Size of the puzzle that is checked.")
@click.option("--device", default="auto", show_default=True, help='A device of torch, or "cuda:0+cuda:1".')
@click.option("--dtype", help="Number format (default: float16 on CUDA, else float32).")
@click.option("--threads", type=int, default=None, help="Threads of torch (default: torch's choice).")
@click.option(
    "--model", type=click.Path(path_type=Path), help="Folder of a model: measures its tokens/s too."
)
@click.option("--golden", type=click.Path(path_type=Path), help="Folder of other golden vectors.")
@click.option("--report", type=click.Path(path_type=Path), help="Folder for certify.json and certify.txt.")
@click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
@shared(*LOCAL)
def certify(
    session: Session,
    *,
    preset: str,
    device: str,
    dtype: str | None,
    threads: int | None,
    model: Path | None,
    golden: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare this machine with golden vectors and measure it: exit 0 match, 2 mismatch, 1 error."""
    from mlnode import certify as certifying  # noqa: PLC0415 - brings torch when it runs

    found = certifying.certify(
        preset=preset,
        device=device,
        dtype=dtype,
        threads=threads,
        model=model,
        golden=golden or certifying.GOLDEN,
    )
    facts = asdict(found)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / "certify.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (report / "certify.txt").write_text(found.text() + "\n", encoding="utf-8")
    if as_json:
        session.values["output"] = "json"
    session.emit(facts, found.text())
    if found.exit_code:
        raise click.exceptions.Exit(found.exit_code)
