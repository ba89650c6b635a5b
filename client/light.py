"""Follows a chain's headers by the rules of CometBFT's light client, without any I/O.

One starts with a header that one trusts: its height and hash, learned from somebody whom one believes. From
there a header is believed if it is the next one and names validators whom the trusted one announced, or a
later one that validators with more than a third of the trusted power signed; in both cases validators with
more than two thirds of its own power have to have signed it. Trust ends with the trusting period, after which
validators of then could sign anything without losing anything. Numbers are integers, times nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client.light_header import FLAG_ABSENT, FLAG_COMMIT, NS, Fetch, LightBlock, Validator
from client.verify_errors import (
    BadSignatureError,
    ForgedHeaderError,
    FromFutureError,
    NotEnoughTrustError,
    TimeNotRisingError,
    TooFewSignaturesError,
    TrustExpiredError,
    WrongChainError,
    WrongHeightError,
    WrongValidatorsError,
)

DAY_NS: Final = 24 * 3600 * NS


@dataclass(frozen=True, slots=True)
class Trust:
    """How far trust reaches: for how long, and how much clocks may differ; all in nanoseconds."""

    period_ns: int = 14 * DAY_NS
    drift_ns: int = 10 * NS


def trust_root(block: LightBlock, height: int, trusted_hash: bytes) -> LightBlock:
    """The block, if it is the one whose height and hash are trusted; raises VerifyError."""
    if block.height != height:
        raise WrongHeightError(f"the trusted header has height {height}, this one {block.height}")
    if block.header.hash != trusted_hash:
        raise ForgedHeaderError(
            f"the header at height {height} has the hash {block.header.hash.hex().upper()}, "
            f"not the trusted {trusted_hash.hex().upper()}"
        )
    check_block(block, block.header.chain_id)
    return block


def follow(
    trusted: LightBlock,
    height: int,
    fetch: Fetch,
    now_ns: int,
    trust: Trust = Trust(),
    *,
    sequential: bool = False,
) -> list[LightBlock]:
    """The blocks from the trusted one to a height, each believed by the one before; raises VerifyError.

    Skips as far as the trusted power allows, halving the distance where it does not; sequential: takes each.
    A height that is trusted itself is believed for ever: only steps need a trust that has not expired.
    """
    if height < trusted.height:
        raise WrongHeightError(
            f"height {height} lies below the trusted {trusted.height}: trust an earlier header"
        )
    path, fetched = [trusted], dict[int, LightBlock]()
    while path[-1].height < height:
        at = path[-1].height
        step = at + 1 if sequential else height
        while True:
            if step not in fetched:
                fetched[step] = _of_height(fetch(step), step)
            try:
                verify_next(path[-1], fetched[step], now_ns, trust)
            except NotEnoughTrustError:
                step = at + (step - at) // 2
                continue
            path.append(fetched[step])
            break
    return path


def verify_next(trusted: LightBlock, block: LightBlock, now_ns: int, trust: Trust) -> None:
    """That a later block follows from a trusted one; raises VerifyError.

    Raises NotEnoughTrustError where blocks in between could help.
    """
    verify_not_expired(trusted, now_ns, trust)
    if block.height <= trusted.height:
        raise WrongHeightError(f"height {block.height} does not follow {trusted.height}")
    adjacent = block.height == trusted.height + 1
    if adjacent and block.header.validators_hash != trusted.header.next_validators_hash:
        raise WrongValidatorsError(f"the validators of height {block.height} are not those announced before")
    if block.header.time.ns <= trusted.header.time.ns:
        raise TimeNotRisingError(f"the header at height {block.height} is not later than the trusted one")
    if block.header.time.ns > now_ns + trust.drift_ns:
        raise FromFutureError(f"the header at height {block.height} is from the future")
    check_header(block, trusted.header.chain_id)
    if not adjacent:
        _check_trusted_power(trusted, block)
    check_votes(block)


def verify_not_expired(trusted: LightBlock, now_ns: int, trust: Trust) -> None:
    """Raises TrustExpiredError where the trusting period of a block is over."""
    if trusted.header.time.ns + trust.period_ns <= now_ns:
        raise TrustExpiredError(
            f"the header at height {trusted.height} is older than the trusting period: trust a newer one"
        )


def check_block(block: LightBlock, chain_id: str) -> None:
    """That a block agrees with itself and enough of its own validators signed it; raises VerifyError."""
    check_header(block, chain_id)
    check_votes(block)


def check_header(block: LightBlock, chain_id: str) -> None:
    """That header, commit and validators belong together, and to the chain; raises VerifyError."""
    header, commit = block.header, block.commit
    if header.chain_id != chain_id:
        raise WrongChainError(f"a header of {header.chain_id!r}, not of {chain_id!r}")
    if commit.height != header.height or header.height < 1:
        raise WrongHeightError(f"the commit is of height {commit.height}, the header of {header.height}")
    if commit.block_id.hash != header.hash:
        raise ForgedHeaderError(f"the commit at height {header.height} is for another header")
    if block.validators_hash != header.validators_hash:
        raise WrongValidatorsError(f"the header at height {header.height} names other validators")


def check_votes(block: LightBlock) -> None:
    """That all votes are genuine, and those for the block of more than two thirds; raises VerifyError."""
    votes, height = block.commit.votes, block.height
    if len(votes) != len(block.validators):
        raise WrongValidatorsError(
            f"{len(votes)} votes of {len(block.validators)} validators at height {height}"
        )
    power = 0
    for index, (validator, vote) in enumerate(zip(block.validators, votes, strict=True)):
        if vote.flag == FLAG_ABSENT:
            continue
        if vote.address != validator.address:
            raise WrongValidatorsError(f"vote {index} at height {height} is another validator's")
        _check_signature(block, index, validator)
        power += validator.power if vote.flag == FLAG_COMMIT else 0
    total = sum(each.power for each in block.validators)
    if power * 3 <= total * 2:
        raise TooFewSignaturesError(f"{power} of a power of {total} signed the header at height {height}")


def _check_signature(block: LightBlock, index: int, validator: Validator) -> None:
    vote = block.commit.votes[index]
    signed = block.commit.signed_bytes(block.header.chain_id, vote)
    try:
        Ed25519PublicKey.from_public_bytes(validator.key).verify(vote.signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise BadSignatureError(
            f"vote {index} at height {block.height} is not signed by {validator.address.hex().upper()}"
        ) from error


def _check_trusted_power(trusted: LightBlock, block: LightBlock) -> None:
    """That validators with more than a third of the trusted power are among those who vote for the block.

    That the votes are genuine is checked with the block's own validators, whose addresses follow from keys.
    """
    known: Mapping[bytes, Validator] = {each.address: each for each in trusted.validators}
    voters = {vote.address for vote in block.commit.votes if vote.flag == FLAG_COMMIT}
    power = sum(each.power for address, each in known.items() if address in voters)
    total = sum(each.power for each in trusted.validators)
    if power * 3 <= total:
        raise NotEnoughTrustError(
            f"{power} of the power of {total} trusted at height {trusted.height} signed height {block.height}"
        )


def _of_height(block: LightBlock, height: int) -> LightBlock:
    if block.height != height:
        raise WrongHeightError(f"asked for height {height}, got {block.height}")
    return block
