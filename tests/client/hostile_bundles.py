"""Bundles as somebody would write them who wants a client to err or to die."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client.verify_bundle import BUNDLE_BYTES_MAX, write_bundle
from protocol.varint import uvarint

RECORDED = json.loads((Path(__file__).parent / "data" / "bundles.json").read_text())["bundles"]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**70,
    "",
    "x",
    "\ud800",
    "\0",
    "9" * 5000,
    "-1",
    "00",
    "é",
]
VALUES += ["0" * 64, "1e3", str(2**62), [], {}, [[]], {"a": 1}, ["\ud800"], [None]]

Place = tuple[str | int, ...]


def hostile_texts(name: str) -> list[str]:
    """A recorded bundle with another value, or none, or one more, at each place; cut off; bombs."""
    bundle = RECORDED[name]
    whole = write_bundle(bundle)
    changed = [write_bundle(each) for place, held in places(bundle) for each in _changes(bundle, place, held)]
    doubled = [
        whole.replace(_text(held), _doubled(held), 1) for _, held in places(bundle) if _is_object(held)
    ]
    return [*changed, *doubled, *(whole[:cut] for cut in range(0, len(whole), 97)), *_bombs(bundle)]


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _doubled(value: dict[str, Any]) -> str:
    """An object whose first name stands twice, with the honest value behind."""
    return "{" + _text(next(iter(value))) + ":0," + _text(value)[1:]


def _bombs(bundle: dict[str, Any]) -> list[str]:
    steps = b"\x20\x01" * 100_000
    link = {**bundle["proof"][0], "data": (b"\x0a" + uvarint(len(steps)) + steps).hex()}
    long = {**bundle["proof"][0], "data": (b"\x0a" + uvarint(2**63)).hex()}
    return [
        *(write_bundle({**bundle, "proof": [each, *bundle["proof"][1:]]}) for each in (link, long)),
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"format":' + "9" * 100_000 + "}",
        " " * BUNDLE_BYTES_MAX + write_bundle(bundle),
    ]


def places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Each place within a value of JSON, with what is there."""
    yield place, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, held in inner:
        yield from places(held, (*place, name))


def _changes(bundle: dict[str, Any], place: Place, held: Any) -> Iterator[Any]:
    values = [each for each in VALUES if (type(each), each) != (type(held), held)]
    if isinstance(held, list) and held:
        values.append([*held, held[-1]])
    if isinstance(held, dict):
        values.append({**held, "__proto__": 1})
    yield from (_with(bundle, place, each) for each in values)
    if place:
        without = copy.deepcopy(bundle)
        del _inside(without, place[:-1])[place[-1]]
        yield without


def _with(bundle: dict[str, Any], place: Place, value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(bundle)
    _inside(changed, place[:-1])[place[-1]] = value
    return changed


def _inside(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value
