"""`evergrid verify`: one command for each fact of the state that can be proved, and for bundles."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.lazy import LazyGroup
from cli.options import CHAIN, LOCAL, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.session import Session
    from client.verify_bundle import Proved, Trusted
    from client.verify_facts import Fact

EXIT_ABSENT = 3
EXIT_REFUSED = 4
HOUR_NS = 3600 * 10**9
_HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class NotVerified(click.ClickException):
    """Something was refused: the exit code tells it from an answer that did not come."""

    exit_code = EXIT_REFUSED


class Hash(click.ParamType):  # type: ignore[type-arg]
    """The hash of a block, 64 hexadecimal digits."""

    name = "HASH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        if not _HASH.fullmatch(str(value)):
            self.fail(f"{value!r} is no block hash: 64 hexadecimal digits", param, ctx)
        return bytes.fromhex(value)


HEIGHT = click.Option(
    ["--trusted-height"],
    type=click.IntRange(min=1),
    metavar="HEIGHT",
    envvar="EVERGRID_TRUSTED_HEIGHT",
    help="Height of a header that you trust [env EVERGRID_TRUSTED_HEIGHT].",
)
HASH = click.Option(
    ["--trusted-hash"],
    type=Hash(),
    envvar="EVERGRID_TRUSTED_HASH",
    help="Its hash, from somebody whom you believe [env EVERGRID_TRUSTED_HASH].",
)
PERIOD = click.Option(
    ["--trusting-period-hours"],
    type=click.IntRange(min=1),
    default=336,
    show_default=True,
    help="For so long after its time a header leads on to others.",
)
TRUST_NODE = click.Option(
    ["--trust-node"],
    is_flag=True,
    help="Trust the node's own latest header: shows only that the node agrees with itself.",
)
FILE = click.Option(
    ["--bundle"], type=click.Path(dir_okay=False), metavar="FILE", help="Write a proof that needs no network."
)
STATE_HEIGHT = click.Option(
    ["--height"],
    type=click.IntRange(min=1),
    help="Prove the state after this block (default: the one before the last).",
)


KINDS = {
    "model": "A governance model, as the registry has it.",
    "epoch": "The record of an epoch, or the snapshot that it froze of a model.",
    "group": "The group of an epoch, or the subgroup of one of its models.",
    "slot": "The timeslots and the weight of an MLNode in an epoch.",
    "weight": "The weight of a participant in an epoch, or in a model's subgroup.",
    "settlement": "What the settlement of an epoch paid in all.",
    "reward": "What the settlement of an epoch paid a participant.",
    "balance": "The balance of an account.",
}


class VerifyGroup(LazyGroup):
    """A command for each kind of fact, made when it is used."""

    def load(self, name: str) -> click.Command:
        from client.verify_facts import FACTS  # noqa: PLC0415 - brings protobuf

        return _command(FACTS[name], KINDS[name])


@click.group(cls=VerifyGroup, lazy={name: ("", text) for name, text in KINDS.items()})
def verify() -> None:
    """Prove what the chain's state holds, and trust no node.

    One starts with the height and the hash of a block that one trusts; each later header is believed only if
    enough validators signed it. Exit codes: 0 proved, 3 proved to be absent, 4 refused, 1 no answer.
    """


def _command(fact: Fact, text: str) -> click.Command:
    def callback(session: Session, **values: Any) -> int:
        args = tuple(values[name] for name in _names(fact) if values[name] is not None)
        return _prove(session, fact.kind, args, values)

    arguments = [
        click.Argument([name], metavar=metavar, required=name not in _lower(fact.optional))
        for name, metavar in zip(_names(fact), (*fact.args, *fact.optional), strict=True)
    ]
    options = [HEIGHT, HASH, TRUST_NODE, PERIOD, STATE_HEIGHT, FILE]
    return _made(fact.kind, text, [*arguments, *options], callback)


def _made(name: str, text: str, params: list[click.Parameter], callback: Callable[..., int]) -> click.Command:
    with_session = shared(*CHAIN)(callback)
    added: list[click.Parameter] = with_session.__click_params__  # type: ignore[attr-defined]
    return click.Command(name, params=[*params, *reversed(added)], callback=with_session, help=text)


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _names(fact: Fact) -> tuple[str, ...]:
    return _lower((*fact.args, *fact.optional))


def _prove(session: Session, kind: str, args: tuple[str, ...], values: dict[str, Any]) -> int:
    from client.light_header import read_block  # noqa: PLC0415 - brings cryptography
    from client.light_rpc import block_json, latest_height  # noqa: PLC0415
    from client.verify_bundle import prove, write_bundle  # noqa: PLC0415
    from client.verify_errors import VerifyError  # noqa: PLC0415
    from client.verify_facts import Question  # noqa: PLC0415

    question = Question(kind, args)
    try:
        _ = question.key
    except VerifyError as error:
        raise click.UsageError(str(error)) from error
    try:
        if values["trust_node"]:
            if values["trusted_height"] or values["trusted_hash"]:
                raise click.UsageError("--trust-node takes the place of --trusted-height and --trusted-hash")
            height = values["height"] + 1 if values["height"] else latest_height(session.client)
            header = read_block(block_json(session.client, height)).header
            values = {**values, "trusted_height": header.height, "trusted_hash": header.hash}
        trusted = _trusted(values)
        proved, bundle = prove(session.client, question, trusted, time.time_ns(), values["height"] or 0)
        shown = _shown(proved, trusted, by_node=values["trust_node"])
    except VerifyError as error:
        raise NotVerified(f"not verified, {error.code}: {error}") from error
    if values["bundle"]:
        Path(values["bundle"]).write_text(write_bundle(bundle), encoding="ascii")
    return _emit(session, shown, proved)


@verify.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@shared(*LOCAL)
def bundle(session: Session, file: str, **values: Any) -> int:
    """Check a proof that `--bundle` wrote, with no network."""
    from client.verify_bundle import BUNDLE_BYTES_MAX, verify_bundle  # noqa: PLC0415 - brings cryptography
    from client.verify_errors import VerifyError  # noqa: PLC0415

    trusted = _trusted(values)
    try:
        with Path(file).open("rb") as opened:
            proved = verify_bundle(opened.read(BUNDLE_BYTES_MAX + 1), trusted, time.time_ns())
        shown = _shown(proved, trusted, by_node=False)
    except VerifyError as error:
        raise NotVerified(f"not verified, {error.code}: {error}") from error
    return _emit(session, shown, proved)


bundle.params[1:1] = [HEIGHT, HASH, PERIOD]


def _trusted(values: dict[str, Any]) -> Trusted:
    from client.light import Trust  # noqa: PLC0415 - brings cryptography
    from client.verify_bundle import Trusted  # noqa: PLC0415

    if not values["trusted_height"] or not values["trusted_hash"]:
        raise click.UsageError(
            "--trusted-height and --trusted-hash say from which header on to believe: "
            "ask several people whom you trust for a recent block and its hash"
        )
    rules = Trust(period_ns=values["trusting_period_hours"] * HOUR_NS)
    return Trusted(values["trusted_height"], values["trusted_hash"], rules)


def _shown(proved: Proved, trusted: Trusted, *, by_node: bool) -> dict[str, Any]:
    header, question = proved.header, proved.question
    return {
        "fact": str(question),
        "proved": proved.shown is not None,
        "value": proved.shown,
        "chain_id": header.chain_id,
        "state_height": str(proved.height),
        "header": {
            "height": str(header.height),
            "hash": header.hash.hex().upper(),
            "time_ns": str(header.time.ns),
            "app_hash": header.app_hash.hex().upper(),
        },
        "trusted": {
            "height": str(trusted.height),
            "hash": trusted.hash.hex().upper(),
            "named_by": "the node itself" if by_node else "you",
        },
        "headers_checked": proved.headers,
        "store": question.store,
        "key": question.key.hex(),
    }


def _emit(session: Session, shown: dict[str, Any], proved: Proved) -> int:
    from cli.out import as_yaml  # noqa: PLC0415 - only for text

    absent = shown["value"] is None
    body = (
        f"{shown['fact']}: there is none"
        if absent
        else f"{shown['fact']}:\n{_indented(as_yaml(shown['value']))}"
    )
    header, trusted = shown["header"], shown["trusted"]
    lines = [
        body,
        "",
        f"Proved for the state after block {proved.height} of {shown['chain_id']},",
        f"against header {header['height']} ({header['hash']}),",
        f"from header {trusted['height']} ({trusted['hash']}) on, which {_named(trusted)}.",
        f"Headers checked: {proved.headers}.",
    ]
    session.emit(shown, "\n".join(lines))
    return EXIT_ABSENT if absent else 0


def _named(trusted: dict[str, Any]) -> str:
    return (
        "you trust" if trusted["named_by"] == "you" else "the node itself named: nobody else vouches for it"
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
