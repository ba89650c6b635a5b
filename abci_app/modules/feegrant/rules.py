"""What is wrong with an allowance, and what is left of it once it has paid a fee.

An allowance is basic or periodic, or a filter that holds one of these. A filter within a filter says nothing
that one list could not say, so it is refused: no allowance is deeper than two levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from abci_app.kernel.errors import InvalidCoins, InvalidRequest, TxError
from abci_app.modules.bank.coins import Amounts, Coins, amounts_of, coin_errors, coins_of, covers
from abci_app.modules.feegrant.errors import (
    AllowanceExpired,
    FeeLimitExceeded,
    InvalidDuration,
    MessageNotAllowed,
    NoAllowance,
    NoMessages,
)
from protocol import address as addresses
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2
from protocol.gen.google.protobuf.any_pb2 import Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from protocol.gen.google.protobuf.duration_pb2 import Duration
    from protocol.gen.google.protobuf.timestamp_pb2 import Timestamp

    Limits = feegrant_pb2.BasicAllowance | feegrant_pb2.PeriodicAllowance

BASIC: Final = "/cosmos.feegrant.v1beta1.BasicAllowance"
PERIODIC: Final = "/cosmos.feegrant.v1beta1.PeriodicAllowance"
FILTER: Final = "/cosmos.feegrant.v1beta1.AllowedMsgAllowance"
SECOND_NS: Final = 10**9
# Ends are kept by their nanoseconds, in keys of 64 bits: up to the year 2554.
SECONDS_MAX: Final = (2**64 - 1) // SECOND_NS - 1
# A hundred years, so that no period ends where a time can no longer be written.
PERIOD_SECONDS_MAX: Final = 3_155_760_000
# Each fee reads and writes the whole of it: room for a filter of all messages that there are.
ALLOWANCE_BYTES_MAX: Final = 8192
SHOWN: Final = 200

Problem = tuple[type[TxError], str]


@dataclass(frozen=True, slots=True)
class Opened:
    """An allowance out of its Any: the limits, and the types of messages where a filter names them."""

    limits: Limits
    allowed: tuple[str, ...] | None = None

    @property
    def basic(self) -> feegrant_pb2.BasicAllowance:
        """The amount in all, and the end."""
        if isinstance(self.limits, feegrant_pb2.PeriodicAllowance):
            return self.limits.basic
        return self.limits

    @property
    def packed(self) -> Any:
        """The Any that it came out of."""
        limits = _packed(self.limits)
        if self.allowed is None:
            return limits
        return _packed(feegrant_pb2.AllowedMsgAllowance(allowance=limits, allowed_messages=self.allowed))


def _packed(message: Message) -> Any:
    value = message.SerializeToString(deterministic=True)
    return Any(type_url=f"/{message.DESCRIPTOR.full_name}", value=value)


def opened(packed: Any) -> Opened | None:
    """The allowance in an Any; None where it holds none, or a filter within a filter."""
    try:
        if packed.type_url != FILTER:
            limits = _limits(packed)
            return None if limits is None else Opened(limits)
        outer = feegrant_pb2.AllowedMsgAllowance.FromString(packed.value)
        limits = _limits(outer.allowance)
        return None if limits is None else Opened(limits, tuple(outer.allowed_messages))
    except DecodeError:
        return None


def _limits(packed: Any) -> Limits | None:
    if packed.type_url == BASIC:
        return feegrant_pb2.BasicAllowance.FromString(packed.value)
    if packed.type_url == PERIODIC:
        return feegrant_pb2.PeriodicAllowance.FromString(packed.value)
    return None


def nanoseconds(time: Timestamp | Duration) -> int:
    """A point or span of time as one number."""
    return time.seconds * SECOND_NS + time.nanos


def expiration_ns(allowance: Opened) -> int | None:
    """The last moment at which it pays, in nanoseconds since 1970; None: it has no end."""
    basic = allowance.basic
    return nanoseconds(basic.expiration) if basic.HasField("expiration") else None


def is_expired(allowance: Opened, time_ns: int) -> bool:
    """Whether a block of this time is past its end."""
    end_ns = expiration_ns(allowance)
    return end_ns is not None and end_ns < time_ns


# What is wrong


def parties_errors(granter: str, grantee: str) -> list[str]:
    """All that is wrong with the two addresses."""
    errors = addresses.problems({"granter": granter, "grantee": grantee})
    if granter == grantee:
        errors.append("cannot self-grant fee authorization")
    return errors


def problems(packed: Any) -> list[Problem]:
    """All that is wrong with an allowance as such, each with the error that says so."""
    if len(packed.value) > ALLOWANCE_BYTES_MAX:
        return [(InvalidRequest, f"it has {len(packed.value)} bytes of at most {ALLOWANCE_BYTES_MAX}")]
    allowance = opened(packed)
    if allowance is None:
        return [(NoAllowance, _why_none(packed))]
    found: list[Problem] = []
    if allowance.allowed == ():
        found.append((NoMessages, "a filter must name messages"))
    found += _coin_problems("spend_limit", allowance.basic.spend_limit)
    if allowance.basic.HasField("expiration"):
        found += _time_problems("expiration", allowance.basic.expiration)
    if isinstance(allowance.limits, feegrant_pb2.PeriodicAllowance):
        found += _period_problems(allowance.limits)
    return found


def _why_none(packed: Any) -> str:
    if not packed.type_url:
        return "allowance should not be empty"
    if packed.type_url not in {BASIC, PERIODIC, FILTER}:
        return f"{packed.type_url[:SHOWN]} is none"
    return f"{packed.type_url} does not hold an allowance that it may hold"


def _period_problems(periodic: feegrant_pb2.PeriodicAllowance) -> list[Problem]:
    found = _coin_problems("period_spend_limit", periodic.period_spend_limit)
    found += _coin_problems("period_can_spend", periodic.period_can_spend)
    if not periodic.period_spend_limit:
        found.append((InvalidCoins, "period_spend_limit must be positive"))
    if not 0 < nanoseconds(periodic.period) <= PERIOD_SECONDS_MAX * SECOND_NS:
        text = f"period is {periodic.period.seconds} s, not above 0 and at most {PERIOD_SECONDS_MAX} s"
        found.append((InvalidDuration, text))
    return found + _time_problems("period_reset", periodic.period_reset)


def _coin_problems(name: str, coins: Coins) -> list[Problem]:
    return [(InvalidCoins, f"{name}: {text}") for text in coin_errors(coins)]


def _time_problems(name: str, time: Timestamp) -> list[Problem]:
    if 0 <= time.seconds <= SECONDS_MAX and 0 <= time.nanos < SECOND_NS:
        return []
    return [(InvalidDuration, f"{name} is out of range: {time.seconds} s and {time.nanos} ns")]


def denom_problems(allowance: Opened) -> list[Problem]:
    """What a period could never spend, since the limit in all has none of it; asked when it is granted."""
    limits = allowance.limits
    if not isinstance(limits, feegrant_pb2.PeriodicAllowance) or not limits.basic.spend_limit:
        return []
    known = {coin.denom for coin in limits.basic.spend_limit}
    strange = sorted({coin.denom for coin in limits.period_spend_limit} - known)
    if not strange:
        return []
    return [(InvalidCoins, f"period_spend_limit has what spend_limit lacks: {', '.join(strange)}")]


def genesis_errors(grants: Iterable[feegrant_pb2.Grant]) -> list[str]:
    """All that is wrong with the allowances of a genesis, in order."""
    errors: list[str] = []
    seen: set[tuple[str, str]] = set()
    for index, grant in enumerate(grants):
        found = parties_errors(grant.granter, grant.grantee)
        found += (text for _, text in problems(grant.allowance))
        if (grant.granter, grant.grantee) in seen:
            found.append("it stands twice")
        seen.add((grant.granter, grant.grantee))
        errors += (f"allowances[{index}]: {text}" for text in found)
    return errors


# What is left


def begun(allowance: Opened, time_ns: int) -> Opened:
    """The allowance as it is granted at this time: its first period begins now."""
    if not isinstance(allowance.limits, feegrant_pb2.PeriodicAllowance):
        return allowance
    limits = feegrant_pb2.PeriodicAllowance()
    limits.CopyFrom(allowance.limits)
    _set_reset(limits, time_ns + nanoseconds(limits.period))
    return Opened(limits, allowance.allowed)


def spent(allowance: Opened, fee: Amounts, type_urls: Sequence[str], time_ns: int) -> Opened | None:
    """What is left once it has paid the fee of a transaction of such messages; None: nothing.

    Raises MessageNotAllowed, AllowanceExpired or FeeLimitExceeded where it does not pay.
    """
    if allowance.allowed is not None:
        allowed = frozenset(allowance.allowed)
        if refused := [each for each in type_urls if each not in allowed]:
            raise MessageNotAllowed(f"{refused[0]} does not exist in allowed messages")
    if is_expired(allowance, time_ns):
        raise AllowanceExpired(f"it ended at {expiration_ns(allowance)} ns, now is {time_ns} ns")
    if isinstance(allowance.limits, feegrant_pb2.PeriodicAllowance):
        limits: Limits | None = _spent_of_period(allowance.limits, fee, time_ns)
    else:
        limits = _spent_of_all(allowance.limits, fee, "basic allowance")
    return None if limits is None else Opened(limits, allowance.allowed)


def _spent_of_all(
    basic: feegrant_pb2.BasicAllowance, fee: Amounts, what: str
) -> feegrant_pb2.BasicAllowance | None:
    if not basic.spend_limit:
        return basic
    left = _minus(amounts_of(basic.spend_limit), fee, what)
    if not any(left.values()):
        return None
    changed = feegrant_pb2.BasicAllowance(spend_limit=coins_of(left))
    if basic.HasField("expiration"):
        changed.expiration.CopyFrom(basic.expiration)
    return changed


def _spent_of_period(
    periodic: feegrant_pb2.PeriodicAllowance, fee: Amounts, time_ns: int
) -> feegrant_pb2.PeriodicAllowance | None:
    changed = feegrant_pb2.PeriodicAllowance()
    changed.CopyFrom(periodic)
    if time_ns >= nanoseconds(periodic.period_reset):
        _begin_period(changed, time_ns)
    left = _minus(amounts_of(changed.period_can_spend), fee, "period limit")
    basic = _spent_of_all(changed.basic, fee, "absolute limit")
    if basic is None:
        return None
    del changed.period_can_spend[:]
    changed.period_can_spend.extend(coins_of(left))
    changed.basic.CopyFrom(basic)
    return changed


def _begin_period(periodic: feegrant_pb2.PeriodicAllowance, time_ns: int) -> None:
    """Fills the period up, by no more than is left in all; one that nobody used has no successor to keep."""
    fresh = amounts_of(periodic.period_spend_limit)
    if periodic.basic.spend_limit:
        left = amounts_of(periodic.basic.spend_limit)
        fresh = {denom: min(amount, left.get(denom, 0)) for denom, amount in fresh.items()}
    del periodic.period_can_spend[:]
    periodic.period_can_spend.extend(coins_of(fresh))
    period_ns = nanoseconds(periodic.period)
    reset_ns = nanoseconds(periodic.period_reset) + period_ns
    _set_reset(periodic, reset_ns if time_ns <= reset_ns else time_ns + period_ns)


def _set_reset(periodic: feegrant_pb2.PeriodicAllowance, time_ns: int) -> None:
    periodic.period_reset.seconds, periodic.period_reset.nanos = divmod(time_ns, SECOND_NS)


def _minus(limit: Amounts, fee: Amounts, what: str) -> dict[str, int]:
    if not covers(limit, fee):
        raise FeeLimitExceeded(what)
    return {denom: amount - fee.get(denom, 0) for denom, amount in limit.items()}
