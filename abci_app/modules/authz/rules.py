"""What is wrong with a grant, and whose authorization a message needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from google.protobuf.message import DecodeError

from protocol import address as addresses
from protocol.gen.cosmos.authz.v1beta1 import authz_pb2

EXEC: Final = "/cosmos.authz.v1beta1.MsgExec"
GENERIC: Final = "/cosmos.authz.v1beta1.GenericAuthorization"
SECOND_NS: Final = 10**9
# Ends are kept by their nanoseconds, in keys of 64 bits: up to the year 2554.
SECONDS_MAX: Final = (2**64 - 1) // SECOND_NS - 1
SHOWN: Final = 200


def parties_errors(granter: str, grantee: str) -> list[str]:
    """All that is wrong with the two addresses as such."""
    return addresses.problems({"granter": granter, "grantee": grantee})


def granted_type(grant: authz_pb2.Grant) -> str | None:
    """The type URL that a grant is for; None where its authorization is of no known kind."""
    packed = grant.authorization
    if packed.type_url != GENERIC:
        return None
    try:
        return authz_pb2.GenericAuthorization.FromString(packed.value).msg
    except DecodeError:
        return None


def type_errors(type_url: str, known: Collection[str]) -> list[str]:
    """Why a type of message cannot be granted."""
    if type_url not in known:
        return [f"{type_url[:SHOWN]!r} is no message of this chain"]
    return [f"{type_url} cannot be granted: it carries messages of other types"] if type_url == EXEC else []


def expiration_ns(grant: authz_pb2.Grant) -> int | None:
    """When the grant ends, in nanoseconds since 1970; None: never."""
    if not grant.HasField("expiration"):
        return None
    return grant.expiration.seconds * SECOND_NS + grant.expiration.nanos


def expiration_errors(grant: authz_pb2.Grant) -> list[str]:
    """What is wrong with the end of a grant as a point in time."""
    end = grant.expiration
    if 0 <= end.seconds <= SECONDS_MAX and 0 <= end.nanos < SECOND_NS:
        return []
    return [f"expiration is no time: {end.seconds} s and {end.nanos} ns"]


def is_expired(grant: authz_pb2.Grant, time_ns: int) -> bool:
    """Whether a block of this time can no longer use the grant."""
    end_ns = expiration_ns(grant)
    return end_ns is not None and end_ns <= time_ns


def genesis_errors(grants: Sequence[authz_pb2.GrantAuthorization], known: Collection[str]) -> list[str]:
    """All that is wrong with the grants of a genesis, in order."""
    errors: list[str] = []
    seen: set[tuple[str, str, str]] = set()
    for index, entry in enumerate(grants):
        grant = as_grant(entry)
        type_url = granted_type(grant)
        found = parties_errors(entry.granter, entry.grantee) + expiration_errors(grant)
        if entry.granter == entry.grantee:
            found.append("granter and grantee are the same")
        if type_url is None:
            found.append(f"unknown authorization {entry.authorization.type_url[:SHOWN]!r}")
        else:
            found += type_errors(type_url, known)
            key = (entry.granter, entry.grantee, type_url)
            if key in seen:
                found.append("it stands twice")
            seen.add(key)
        errors += (f"authorization[{index}]: {text}" for text in found)
    return errors


def as_grant(entry: authz_pb2.GrantAuthorization) -> authz_pb2.Grant:
    """The grant of an entry that names both parties."""
    grant = authz_pb2.Grant(authorization=entry.authorization)
    if entry.HasField("expiration"):
        grant.expiration.CopyFrom(entry.expiration)
    return grant


def as_entry(granter: str, grantee: str, grant: authz_pb2.Grant) -> authz_pb2.GrantAuthorization:
    """The grant with both parties."""
    entry = authz_pb2.GrantAuthorization(granter=granter, grantee=grantee, authorization=grant.authorization)
    if grant.HasField("expiration"):
        entry.expiration.CopyFrom(grant.expiration)
    return entry
