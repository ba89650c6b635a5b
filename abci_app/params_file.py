"""Params as people write them: a JSON object of those that differ; all its faults are named at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from abci_app.modules import epochs
from protocol.gen.evergrid.epochs.v1 import params_pb2

_BOUNDS: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
# Queries write numbers of 64 bits as text.
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_SHOWN_MAX: Final = 40


class ParamsError(ValueError):
    """The params cannot be read or cannot work; the text names all that is wrong."""


def merge_params(params: params_pb2.Params, changes: Mapping[str, Any]) -> params_pb2.Params:
    """The params with those of a JSON object in their place, spelled as queries show them.

    Raises ParamsError that names everything that cannot be read and every number that cannot work.
    """
    merged = params_pb2.Params()
    merged.CopyFrom(params)
    if wrong := merge_errors(merged, [changes]):
        raise ParamsError("; ".join(wrong))
    return merged


def read_params(params: params_pb2.Params, changes: Any) -> dict[str, str]:
    """Puts into params in place what can be read; returns what is wrong with all else, by its path."""
    if not isinstance(changes, Mapping):
        return {"": f"the params must be an object, not {_shown(changes)}"}
    return dict(_merge(params, changes))


def merge_errors(merged: params_pb2.Params, changes: Iterable[Any]) -> list[str]:
    """Puts into params in place what can be read of each object; returns all that is wrong then."""
    unread = {path: fault for each in changes for path, fault in read_params(merged, each).items()}
    # What a check says of a number that could not be read is about the start value in its place.
    names = {path.rpartition(".")[2] for path in unread}
    failed = [
        error for error in epochs.params_errors(merged) if not names.intersection(re.findall(r"\w+", error))
    ]
    return [*unread.values(), *failed]


def _merge(merged: params_pb2.Params, changes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Writes what can be read; gives the path of all else, with what is wrong there."""
    sections = merged.DESCRIPTOR.fields_by_name
    for section, values in changes.items():
        if section not in sections:
            yield section, f"{section} is no section of the params: {_instead(section, sections)}"
        elif not isinstance(values, Mapping):
            yield section, f"{section} must be an object of params, not {_shown(values)}"
        else:
            inside = getattr(merged, section)
            inside.SetInParent()
            yield from _merge_section(section, inside, values)


def _merge_section(section: str, inside: Message, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    fields = cast("Mapping[str, FieldDescriptor]", inside.DESCRIPTOR.fields_by_name)
    for name, value in values.items():
        path = f"{section}.{name}"
        if name not in fields:
            yield path, f"{path} is no param: {_instead(name, fields)}"
            continue
        try:
            setattr(inside, name, _read(fields[name], value))
        except ValueError as error:
            yield path, f"{path} must be {error}, not {_shown(value)}"


def _read(field: FieldDescriptor, value: Any) -> bool | int | str:
    """The value of a field; raises ValueError that says what it must be."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if field.type == FieldDescriptor.TYPE_STRING:
        if not isinstance(value, str):
            raise ValueError("text")
        return value
    if field.enum_type is not None:
        numbers = {each.name: each.number for each in field.enum_type.values if each.number}
        if value not in list(numbers):
            raise ValueError(f"one of {', '.join(numbers)}")
        return int(numbers[value])
    return _whole(value, *_BOUNDS[field.type])


def _whole(value: Any, low: int, high: int) -> int:
    digits = isinstance(value, str) and _WHOLE.fullmatch(value)
    if isinstance(value, bool) or not (digits or isinstance(value, int)):
        raise ValueError("a whole number")
    if not low <= (number := int(value)) <= high:
        raise ValueError(f"{low} to {high}")
    return number


def _instead(name: str, known: Mapping[str, object]) -> str:
    """What may have been meant, else all that there is."""
    near = get_close_matches(name, known, 1)
    return f"is {near[0]} meant?" if near else f"there are {', '.join(known)}"


def _shown(value: Any) -> str:
    # TOML has values that JSON has not.
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
