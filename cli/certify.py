"""`evergrid mlnode certify`: does this machine compute the puzzle, and how fast is it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import LOCAL, shared

if TYPE_CHECKING:
    from cli.session import Session


def model_a() -> Path | None:
    """Where `make setup` made it; None where it did not."""
    from cli.demo import CACHE  # noqa: PLC0415 - only where no model is named
    from cli.demo_stage import MODEL_A_FOLDER  # noqa: PLC0415 - as above

    folder = CACHE / "models" / MODEL_A_FOLDER
    return folder if (folder / "config.json").exists() else None


class Certify(click.Command):
    """A command whose exit code 2 says mismatch alone: a command line that is at fault exits with 1."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else info_name
            raise click.ClickException(
                f"{error.format_message().rstrip('.')} (see '{path} --help')"
            ) from error


@click.command(cls=Certify)
@click.option("--preset", default="small", show_default=True, help="Size of the puzzle that is checked.")
@click.option("--device", default="auto", show_default=True, help='A device of torch, or "cuda:0+cuda:1".')
@click.option("--dtype", help="Number format (default: float16 on CUDA, else float32).")
@click.option("--threads", type=int, default=None, help="Threads of torch (default: torch's choice).")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Folder of the model whose tokens/s are measured (default: model A, where `make setup` made it).",
)
@click.option("--golden", type=click.Path(path_type=Path), help="Folder of other golden vectors.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Folder for certify.json and certify.txt (default: HOME/certify).",
)
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

    report = report or session.home / "certify"
    report.mkdir(parents=True, exist_ok=True)
    found = certifying.certify(
        preset=preset,
        device=device,
        dtype=dtype,
        threads=threads,
        model=model or model_a(),
        golden=golden or certifying.GOLDEN,
    )
    facts = asdict(found)
    (report / "certify.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (report / "certify.txt").write_text(found.text() + "\n", encoding="utf-8")
    if as_json:
        session.values["output"] = "json"
    session.emit(facts, f"{found.text()}\nwritten to {report}")
    if found.exit_code:
        raise click.exceptions.Exit(found.exit_code)
