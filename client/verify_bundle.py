"""Proves facts of the chain's state from a trusted header on, over RPC or out of a bundle without a network.

A bundle is JSON: the question, key and value, the ICS-23 proof, and the light blocks that lead from a trusted
header to the one whose app hash the proof is against. Who checks it brings a height and a hash that they
trust, and the time; it works the same in `client/js/verify.mjs`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from client.light import Trust, follow, trust_root, verify_next
from client.light_header import Header, LightBlock, read_block
from client.light_rpc import block_json, latest_height, proof_of
from client.verify_errors import (
    MalformedError,
    WrongChainError,
    WrongHeightError,
    WrongKeyError,
    WrongStoreError,
)
from client.verify_facts import Question
from client.verify_proof import Op, verify_key

if TYPE_CHECKING:
    from client.chain import ChainClient

FORMAT: Final = "evergrid-proof/1"
# What is read of a hostile one takes some thirty times its bytes in memory.
BUNDLE_BYTES_MAX: Final = 16 << 20
_FIELDS: Final = frozenset(
    {"format", "chain_id", "question", "height", "store", "key", "value", "proof", "blocks"}
)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_HEIGHT: Final = re.compile(r"[1-9]\d{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trusted:
    """The header that somebody trusts, and the rules for going on from it."""

    height: int
    hash: bytes
    rules: Trust = field(default_factory=Trust)


@dataclass(frozen=True, slots=True)
class Proved:
    """A fact of the state after block `height`, proved under `header`, which is that of the next block.

    value: None where the key is proved to be absent. headers: how many were checked on the way.
    """

    question: Question
    height: int
    value: bytes | None
    header: Header
    headers: int

    @property
    def shown(self) -> dict[str, Any] | None:
        """What is proved, as JSON; None: there is no such thing."""
        return None if self.value is None else self.question.show(self.value)


def prove(
    chain: ChainClient, question: Question, trusted: Trusted, now_ns: int, height: int = 0
) -> tuple[Proved, dict[str, Any]]:
    """Fetches and checks a fact (height 0: as late as it can be proved), with the bundle that proves it.

    Raises VerifyError, and ChainError where the node does not answer.
    """
    store, key = question.store, question.key
    height = height or max(latest_height(chain) - 1, trusted.height - 1)
    fetched: dict[int, dict[str, Any]] = {}

    def fetch(wanted: int) -> LightBlock:
        fetched[wanted] = block_json(chain, wanted)
        return read_block(fetched[wanted])

    root = trust_root(fetch(trusted.height), trusted.height, trusted.hash)
    path = follow(root, height + 1, fetch, now_ns, trusted.rules)
    value, ops = proof_of(chain, store, key, height)
    held = value if value or not _is_absence(ops) else None
    bundle = {
        "format": FORMAT,
        "chain_id": root.header.chain_id,
        "question": {"kind": question.kind, "args": list(question.args)},
        "height": str(height),
        "store": store,
        "key": key.hex(),
        "value": None if held is None else held.hex(),
        "proof": [{"type": op.type, "key": op.key.hex(), "data": op.data.hex()} for op in ops],
        "blocks": [fetched[block.height] for block in path],
    }
    verify_key(path[-1].header.app_hash, store, key, held, ops)
    return Proved(question, height, held, path[-1].header, len(path)), bundle


def write_bundle(bundle: dict[str, Any]) -> str:
    """A bundle as text without any space, so that no byte of it is without meaning."""
    return json.dumps(bundle, separators=(",", ":"), ensure_ascii=True)


def verify_bundle(text: str | bytes, trusted: Trusted, now_ns: int) -> Proved:
    """What a bundle proves, from a trusted header on, at a time; raises VerifyError."""
    found = _fields(text)
    question = _question(found["question"])
    if found["store"] != question.store:
        raise WrongStoreError(f"{question} lies in the store {question.store}, not in {found['store']!r}")
    key = _hex(found["key"], "key")
    if key != question.key:
        raise WrongKeyError(f"{question} lies under another key")
    height = _height(found["height"])
    value = None if found["value"] is None else _hex(found["value"], "value")
    blocks = [read_block(each) for each in _list(found["blocks"], "blocks")]
    _check_path(blocks, height, found["chain_id"], trusted, now_ns)
    verify_key(blocks[-1].header.app_hash, question.store, key, value, _ops(found["proof"]))
    proved = Proved(question, height, value, blocks[-1].header, len(blocks))
    _ = proved.shown  # a value that does not decode is refused here
    return proved


def _check_path(blocks: list[LightBlock], height: int, chain_id: Any, trusted: Trusted, now_ns: int) -> None:
    if not blocks:
        raise MalformedError("a bundle holds at least one block")
    trust_root(blocks[0], trusted.height, trusted.hash)
    if blocks[0].header.chain_id != chain_id:
        raise WrongChainError(f"the bundle is of {chain_id!r}, its blocks of {blocks[0].header.chain_id!r}")
    for before, block in pairwise(blocks):
        verify_next(before, block, now_ns, trusted.rules)
    if blocks[-1].height != height + 1:
        raise WrongHeightError(
            f"the state after block {height} is in header {height + 1}, not in {blocks[-1].height}"
        )


def _fields(text: str | bytes) -> dict[str, Any]:
    if len(text) > BUNDLE_BYTES_MAX:
        raise MalformedError(f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    try:
        found = json.loads(text, object_pairs_hook=_object)
        # Text that is no Unicode comes in by escapes alone, and can be neither hashed nor shown.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"a bundle is JSON: {str(error)[:200]!a}") from error
    if not isinstance(found, dict) or set(found) != _FIELDS:
        raise MalformedError(f"a bundle has the fields {', '.join(sorted(_FIELDS))}")
    if found["format"] != FORMAT:
        raise MalformedError(f"the format of a bundle is {FORMAT}, not {found['format']!r}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different: of two values, readers would take one or the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _question(value: Any) -> Question:
    if not isinstance(value, dict) or set(value) != {"kind", "args"} or not isinstance(value["kind"], str):
        raise MalformedError("a question has a kind and args")
    args = _list(value["args"], "args")
    if not all(isinstance(each, str) for each in args):
        raise MalformedError("the args of a question are texts")
    return Question(value["kind"], tuple(args))


def _ops(value: Any) -> list[Op]:
    ops = []
    for each in _list(value, "proof"):
        if not isinstance(each, dict) or set(each) != {"type", "key", "data"}:
            raise MalformedError("a link of a proof has type, key and data")
        ops.append(Op(str(each["type"]), _hex(each["key"], "key"), _hex(each["data"], "data")))
    return ops


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedError(f"{what} is a list")
    return value


def _hex(value: Any, what: str) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise MalformedError(f"{what} is hexadecimal in small letters")
    return bytes.fromhex(value)


def _height(value: Any) -> int:
    if not isinstance(value, str) or not _HEIGHT.fullmatch(value):
        raise MalformedError(f"a height is a number in text, not {value!r}")
    return int(value)


def _is_absence(ops: list[Op]) -> bool:
    """Whether the first link is of absence (field 2 of its message); checked later with all else."""
    return bool(ops) and ops[0].data[:1] == b"\x12"
