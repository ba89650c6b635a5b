"""Makes the command of a message from its descriptor: fields become options, nested ones take JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.generate import click_type, enum_words
from cli.options import TX, shared
from cli.send import sender, submit
from client.registry import MessageError, from_json, load_all
from protocol.descriptors import message_class, set_signer, signer_field

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cli.session import Session

_REPEATED = 3


def message_command(name: str, full_name: str, text: str) -> click.Command:
    """The command that sends one message of a type; the key of --from is its signer."""
    load_all()
    kind = message_class(full_name)
    signer = signer_field(kind.DESCRIPTOR)
    fields = [field for field in kind.DESCRIPTOR.fields if field.name != signer]

    def run(session: Session, **values: Any) -> None:
        message = filled(kind, {name: value for name, value in values.items() if value not in {None, ()}})
        set_signer(message, sender(session))
        submit(session, [message])

    run.__click_params__ = [_option(field) for field in reversed(fields)]  # type: ignore[attr-defined]
    help_text = f"{text}\n\nSends /{full_name}."
    return click.command(name=name, help=help_text, short_help=text)(shared(*TX)(run))


def filled(kind: type[Message], values: dict[str, Any]) -> Message:
    """A message with the fields that options gave; raises MessageError that names all that is wrong."""
    message, wrong = kind(), []
    for field in kind.DESCRIPTOR.fields:
        if field.name not in values:
            continue
        value = values[field.name]
        if field.message_type is not None:
            try:
                read = from_json(_parsed(field.name, value), kind)
            except MessageError as error:
                wrong.append(f"--{field.name.replace('_', '-')}: {error}")
                continue
            message.MergeFrom(read)
        elif _is_repeated(field):
            getattr(message, field.name).extend(value)
        elif field.enum_type is not None:
            setattr(message, field.name, enum_words(field.enum_type)[value])
        else:
            setattr(message, field.name, value)
    if wrong:
        raise MessageError("; ".join(wrong))
    return message


def _parsed(name: str, text: str) -> dict[str, Any]:
    import json  # noqa: PLC0415 - only for nested fields

    try:
        return {name: json.loads(text)}
    except ValueError as error:
        raise MessageError(f"it is no JSON: {error}") from error


def _option(field: Any) -> click.Option:
    flag = f"--{field.name.replace('_', '-')}"
    if field.message_type is not None:
        what = "JSON array of" if _is_repeated(field) else "JSON of"
        return click.Option([flag, field.name], metavar="JSON", help=f"{what} {field.message_type.name}.")
    return click.Option([flag, field.name], type=click_type(field), multiple=_is_repeated(field))


def _is_repeated(field: Any) -> bool:
    return bool(field.label == _REPEATED)
