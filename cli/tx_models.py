"""`evergrid tx models`: proposals that change the registry of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.files import FILE, read_object
from cli.options import TX, shared
from cli.tx_gov import propose
from client.registry import from_json
from protocol.address import module_account
from protocol.gen.evergrid.models.v1.models_pb2 import Model, MsgRegisterModel, MsgRetireModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session

TEXTS = ("title", "summary", "deposit", "metadata")
_UINT = click.IntRange(0, (1 << 64) - 1)
# Field -> (type, help); the field's name in kebab case is the flag.
FIELDS: dict[str, tuple[click.ParamType[Any], str]] = {
    "id": (click.STRING, "Id of the model, such as org/name."),
    "name": (click.STRING, "Name for people."),
    "version": (click.STRING, "Version of the model."),
    "units_of_compute_per_token": (_UINT, "What one token costs, in units of compute."),
    "hf_repo": (click.STRING, "Repository of the weights."),
    "hf_commit": (click.STRING, "Commit of the weights, in hex."),
    "v_ram": (_UINT, "Memory that a node needs, in GB."),
    "throughput_per_nonce": (_UINT, "Millionths of a token served in the time of one nonce."),
    "quantization": (click.STRING, "Form of the weights."),
    "context_window": (_UINT, "Longest context, in tokens."),
    "kv_cache_quantization": (click.STRING, "Form of the cache."),
    "validation_threshold": (click.IntRange(0, 10000), "Threshold of inference validation, in bps."),
}


def _model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option(
        "--model-arg",
        "model_args",
        multiple=True,
        metavar="ARG",
        help="Argument of the engine; may be repeated.",
    )(function)
    for name, (kind, text) in reversed(FIELDS.items()):
        function = click.option(f"--{name.replace('_', '-')}", name, type=kind, help=text)(function)
    return function


def _proposal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for flag, text in (
        ("--metadata", "A note to the proposal."),
        ("--deposit", "Such as 10000000nevg (default: the least that opens the vote)."),
        ("--summary", "Summary of the proposal (default: made from the model)."),
        ("--title", "Title of the proposal (default: made from the model)."),
    ):
        function = click.option(flag, help=text)(function)
    return function


@click.group()
def models() -> None:
    """Propose to register or retire a model."""


@models.command()
@click.argument("file", type=FILE, required=False)
@_model_options
@_proposal_options
@shared(*TX)
def register(session: Session, file: str | None, **values: Any) -> None:
    """Propose to register or change a model: FILE is a JSON object of its fields, options come over it."""
    texts = {name: values.pop(name) for name in TEXTS}
    model = model_of(read_object(file) if file else {}, values)
    propose(
        session,
        [MsgRegisterModel(authority=module_account("gov"), model=model)],
        texts,
        title=f"Register {model.id}",
        summary=f"Register the model {model.id}, {model.version or 'without a version'}.",
    )


def model_of(fields: dict[str, Any], options: dict[str, Any]) -> Model:
    """The model of a file's fields and the options over them; raises ClickException with all its faults."""
    from abci_app.modules.models.rules import model_errors  # noqa: PLC0415 - the chain's own check

    model = from_json(fields, Model)
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    if "model_args" in given:
        del model.model_args[:]
    model.MergeFrom(Model(**given))
    if errors := model_errors(model):
        raise click.ClickException(f"the model cannot be registered: {'; '.join(errors)}")
    return model


@models.command()
@click.argument("model_id")
@_proposal_options
@shared(*TX)
def retire(session: Session, model_id: str, **texts: str | None) -> None:
    """Propose to take a model out of the registry, from the formation after the next on."""
    propose(
        session,
        [MsgRetireModel(authority=module_account("gov"), model_id=model_id)],
        texts,
        title=f"Retire {model_id}",
        summary=f"Take the model {model_id} out of the registry.",
    )
