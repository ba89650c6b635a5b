"""Headers, commits and validator sets of CometBFT 0.38: read strictly from its JSON, hashed by ourselves.

The hashes and the bytes that validators sign follow CometBFT's specification of its data structures: a header
is the RFC 6962 root over its encoded fields, a validator set the one over its encoded keys and powers, and a
vote is signed in the canonical encoding with the chain's id.
"""

from __future__ import annotations

import base64
import re
from calendar import timegm
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from client.verify_errors import MalformedError
from protocol.merkle import Tree
from protocol.varint import uvarint

ADDRESS_BYTES: Final = 20
HASH_BYTES: Final = 32
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
VALIDATORS_MAX: Final = 10_000
INT64_MAX: Final = 2**63 - 1
# CometBFT's own limit, so that sums of powers stay far below the limit of an integer.
POWER_MAX: Final = INT64_MAX // 8
NS: Final = 10**9
PRECOMMIT: Final = 2
KEY_TYPE: Final = "tendermint/PubKeyEd25519"
FLAG_ABSENT: Final = 1
FLAG_COMMIT: Final = 2
FLAG_NIL: Final = 3
NO_TIME: Final = "0001-01-01T00:00:00Z"

_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{0,8}[1-9]))?Z", re.ASCII)
_NUMBER: Final = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9A-F]{2})*", re.ASCII)
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds since 1970 and nanoseconds."""

    seconds: int
    nanos: int

    @property
    def ns(self) -> int:
        return self.seconds * NS + self.nanos

    def encode(self) -> bytes:
        return number_field(1, self.seconds) + number_field(2, self.nanos)


@dataclass(frozen=True, slots=True)
class BlockId:
    """A block's hash, and how its bytes were cut into parts."""

    hash: bytes
    parts_total: int
    parts_hash: bytes

    def encode(self) -> bytes:
        parts = number_field(1, self.parts_total) + bytes_field(2, self.parts_hash)
        return bytes_field(1, self.hash) + message_field(2, parts)


@dataclass(frozen=True)
class Header:
    """A block's header."""

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time: Time
    last_block_id: BlockId
    hashes: tuple[bytes, ...]
    proposer_address: bytes

    @property
    def validators_hash(self) -> bytes:
        return self.hashes[2]

    @property
    def next_validators_hash(self) -> bytes:
        return self.hashes[3]

    @property
    def app_hash(self) -> bytes:
        """Of the state after the block before this one."""
        return self.hashes[5]

    @cached_property
    def hash(self) -> bytes:
        """The block's hash."""
        head = (
            number_field(1, self.version_block) + number_field(2, self.version_app),
            bytes_field(1, self.chain_id.encode()),
            number_field(1, self.height),
            self.time.encode(),
            self.last_block_id.encode(),
        )
        rest = (bytes_field(1, each) for each in (*self.hashes, self.proposer_address))
        return Tree((*head, *rest)).root


HASH_NAMES: Final = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
)


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's part in a commit; an absent one has no address, time or signature."""

    flag: int
    address: bytes
    time: Time
    signature: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """The votes that sealed a block, in the order of the validator set."""

    height: int
    round: int
    block_id: BlockId
    votes: tuple[Vote, ...]

    def signed_bytes(self, chain_id: str, vote: Vote) -> bytes:
        """What a vote's signature is over."""
        block = message_field(4, self.block_id.encode()) if vote.flag == FLAG_COMMIT else b""
        body = (
            number_field(1, PRECOMMIT)
            + fixed_field(2, self.height)
            + fixed_field(3, self.round)
            + block
            + message_field(5, vote.time.encode())
            + bytes_field(6, chain_id.encode())
        )
        return uvarint(len(body)) + body


@dataclass(frozen=True, slots=True)
class Validator:
    """An ed25519 key with its power."""

    key: bytes
    power: int

    @property
    def address(self) -> bytes:
        return sha256(self.key).digest()[:ADDRESS_BYTES]

    def encode(self) -> bytes:
        return message_field(1, bytes_field(1, self.key)) + number_field(2, self.power)


@dataclass(frozen=True)
class LightBlock:
    """A header with the votes on it and the validators who may vote."""

    header: Header
    commit: Commit
    validators: tuple[Validator, ...]

    @property
    def height(self) -> int:
        return self.header.height

    @cached_property
    def validators_hash(self) -> bytes:
        """What the header has to name."""
        return Tree(each.encode() for each in self.validators).root


# Encoding: fields of protobuf, left out where they are zero


def number_field(number: int, value: int) -> bytes:
    return uvarint(number << 3) + uvarint(value % 2**64) if value else b""


def fixed_field(number: int, value: int) -> bytes:
    return uvarint(number << 3 | 1) + value.to_bytes(8, "little", signed=True) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    return message_field(number, value) if value else b""


def message_field(number: int, value: bytes) -> bytes:
    """Written also where it is empty."""
    return uvarint(number << 3 | 2) + uvarint(len(value)) + value


# CometBFT's JSON


def read_block(value: Any) -> LightBlock:
    """A light block from {"header", "commit", "validators"}; raises MalformedError."""
    found = _object(value, "a light block", ("header", "commit", "validators"))
    entries = found["validators"]
    if not isinstance(entries, list) or not 0 < len(entries) <= VALIDATORS_MAX:
        raise MalformedError(f"a validator set is a list of 1 to {VALIDATORS_MAX}")
    validators = tuple(map(_validator, entries))
    if len({each.key for each in validators}) != len(validators):
        raise MalformedError("a validator is listed twice")
    return LightBlock(_header(found["header"]), _commit(found["commit"]), validators)


def _header(value: Any) -> Header:
    names = ("version", "chain_id", "height", "time", "last_block_id", *HASH_NAMES, "proposer_address")
    found = _object(value, "a header", names)
    version = _object(found["version"], "a version", ("block",), ("app",))
    if not isinstance(found["chain_id"], str):
        raise MalformedError("a chain id is text")
    return Header(
        version_block=_number(version["block"], "version.block"),
        version_app=_number(version.get("app", "0"), "version.app"),
        chain_id=found["chain_id"],
        height=_number(found["height"], "height"),
        time=read_time(found["time"]),
        last_block_id=_block_id(found["last_block_id"]),
        hashes=tuple(_hex(found[name], name, (0, HASH_BYTES)) for name in HASH_NAMES),
        proposer_address=_hex(found["proposer_address"], "proposer_address", (ADDRESS_BYTES,)),
    )


def _block_id(value: Any) -> BlockId:
    found = _object(value, "a block id", ("hash", "parts"))
    parts = _object(found["parts"], "a block id's parts", ("total", "hash"))
    return BlockId(
        _hex(found["hash"], "hash", (0, HASH_BYTES)),
        _integer(parts["total"], "parts.total"),
        _hex(parts["hash"], "parts.hash", (0, HASH_BYTES)),
    )


def _commit(value: Any) -> Commit:
    found = _object(value, "a commit", ("height", "round", "block_id", "signatures"))
    votes = found["signatures"]
    if not isinstance(votes, list):
        raise MalformedError("a commit's signatures are a list")
    height, block_id = _number(found["height"], "height"), _block_id(found["block_id"])
    return Commit(height, _integer(found["round"], "round"), block_id, tuple(map(_vote, votes)))


def _vote(value: Any) -> Vote:
    names = ("block_id_flag", "validator_address", "timestamp", "signature")
    found = _object(value, "a signature of a commit", names)
    flag = found["block_id_flag"]
    if flag == FLAG_ABSENT and type(flag) is int:
        if (found["validator_address"], found["timestamp"]) != ("", NO_TIME) or found["signature"]:
            raise MalformedError("an absent validator neither votes nor signs")
        return Vote(FLAG_ABSENT, b"", Time(0, 0), b"")
    if type(flag) is not int or flag not in {FLAG_COMMIT, FLAG_NIL}:
        raise MalformedError("a validator is absent, or votes for the block or for none")
    address = _hex(found["validator_address"], "validator_address", (ADDRESS_BYTES,))
    return Vote(
        flag,
        address,
        read_time(found["timestamp"]),
        _base64(found["signature"], "signature", SIGNATURE_BYTES),
    )


def _validator(value: Any) -> Validator:
    found = _object(value, "a validator", ("address", "pub_key", "voting_power"), ("proposer_priority",))
    key = _object(found["pub_key"], "a key", ("type", "value"))
    if key["type"] != KEY_TYPE:
        raise MalformedError(f"the key of a validator is a {KEY_TYPE}")
    validator = Validator(
        _base64(key["value"], "pub_key", KEY_BYTES), _number(found["voting_power"], "voting_power")
    )
    if not 0 < validator.power <= POWER_MAX:
        raise MalformedError("a validator has power")
    if _hex(found["address"], "address", (ADDRESS_BYTES,)) != validator.address:
        raise MalformedError("a validator's address does not follow from its key")
    return validator


def read_time(text: Any) -> Time:
    """A time as Go writes it: UTC, no trailing zeros; raises MalformedError."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise MalformedError(f"a time is RFC 3339 in UTC, not {text!r}")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    fits = 1 <= month <= len(_DAYS) and 1 <= day <= _DAYS[month - 1] - (month == 2 and not leap)
    if year < 1 or not fits or hour > 23 or minute > 59 or second > 59:
        raise MalformedError(f"there is no time {text!r}")
    nanos = (match[7] or "").ljust(9, "0")
    return Time(timegm((year, month, day, hour, minute, second)), int(nanos))


def _object(value: Any, what: str, names: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    """The fields of an object that has all the names and nothing else beside the optional ones."""
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is an object")
    missing = [name for name in names if name not in value]
    unknown = sorted(name for name in value if name not in {*names, *optional})
    if missing or unknown:
        raise MalformedError(f"{what} lacks {missing} and has unknown {unknown}")
    return value


def _number(value: Any, what: str) -> int:
    """A number >= 0 that JSON holds as text."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or int(value) > INT64_MAX:
        raise MalformedError(f"{what} is a number in text, not {value!r}")
    return int(value)


def _integer(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise MalformedError(f"{what} is a number, not {value!r}")
    return value


def _hex(value: Any, what: str, lengths: Sequence[int]) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) // 2 not in lengths:
        raise MalformedError(f"{what} is hexadecimal in capital letters, of the right length")
    return bytes.fromhex(value)


def _base64(value: Any, what: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError as error:
        raise MalformedError(f"{what} is no base64") from error
    if len(raw) != length or base64.b64encode(raw).decode() != value:
        raise MalformedError(f"{what} is {length} bytes in base64")
    return raw


Fetch = Callable[[int], LightBlock]
"""The light block of a height, from anyone: what it returns is checked."""
