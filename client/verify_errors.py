"""Why a proof, a header or a bundle is refused: one class a reason, whose `code` other clients use too."""

from __future__ import annotations

from typing import ClassVar


class VerifyError(ValueError):
    """What was to be verified does not hold."""

    code: ClassVar[str] = "not_verified"


class MalformedError(VerifyError):
    """Bytes or fields that no honest sender writes so."""

    code = "malformed"


class WrongKeyError(VerifyError):
    """The proof is of another key."""

    code = "wrong_key"


class WrongStoreError(VerifyError):
    """The proof is of another store."""

    code = "wrong_store"


class WrongValueError(VerifyError):
    """The proof is of another value, or of absence where a value is claimed, or the other way round."""

    code = "wrong_value"


class WrongRootError(VerifyError):
    """The proof does not lead to the app hash, or to the root of the store."""

    code = "wrong_root"


class NotAbsentError(VerifyError):
    """The two neighbours leave room for the key between them."""

    code = "not_absent"


class WrongChainError(VerifyError):
    """A header of another chain."""

    code = "wrong_chain"


class WrongHeightError(VerifyError):
    """A header or commit of another height than the one needed."""

    code = "wrong_height"


class ForgedHeaderError(VerifyError):
    """A header that does not have the hash that was signed or is trusted."""

    code = "forged_header"


class WrongValidatorsError(VerifyError):
    """Validators that are not those whose hash the header, or the trusted header before it, names."""

    code = "wrong_validators"


class BadSignatureError(VerifyError):
    """A signature of a commit that its validator did not make."""

    code = "bad_signature"


class TooFewSignaturesError(VerifyError):
    """Validators with no more than two thirds of the power signed the header."""

    code = "too_few_signatures"


class NotEnoughTrustError(VerifyError):
    """No more than a third of the trusted power signed a later header: headers in between are needed."""

    code = "not_enough_trust"


class TrustExpiredError(VerifyError):
    """The trusted header is older than the trusting period."""

    code = "trust_expired"


class TimeNotRisingError(VerifyError):
    """A later header that is not later in time."""

    code = "time_not_rising"


class FromFutureError(VerifyError):
    """A header whose time lies further ahead than clocks may differ."""

    code = "from_future"
