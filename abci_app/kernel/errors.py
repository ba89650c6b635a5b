"""What a sender or a reader can get wrong.

Codes and texts of codespace `sdk` are those that wallets match.
"""

from __future__ import annotations

from typing import ClassVar

SDK = "sdk"


class TxError(Exception):
    """A transaction asked for what the rules forbid. Its writes are dropped; the block goes on."""

    codespace: ClassVar[str] = SDK
    code: ClassVar[int]
    text: ClassVar[str] = ""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{detail}: {self.text}" if detail and self.text else detail or self.text)


class TxParseError(TxError):
    code, text = 2, "tx parse error"


class InvalidSequence(TxError):
    code, text = 3, "invalid sequence"


class Unauthorized(TxError):
    code, text = 4, "unauthorized"


class InsufficientFunds(TxError):
    code, text = 5, "insufficient funds"


class UnknownRequest(TxError):
    code, text = 6, "unknown request"


class InvalidAddress(TxError):
    code, text = 7, "invalid address"


class InvalidPublicKey(TxError):
    code, text = 8, "invalid pubkey"


class UnknownAddress(TxError):
    code, text = 9, "unknown address"


class InvalidCoins(TxError):
    code, text = 10, "invalid coins"


class OutOfGas(TxError):
    code, text = 11, "out of gas"


class MemoTooLarge(TxError):
    code, text = 12, "memo too large"


class InsufficientFee(TxError):
    code, text = 13, "insufficient fee"


class TooManySignatures(TxError):
    code, text = 14, "maximum number of signatures exceeded"


class NoSignatures(TxError):
    code, text = 15, "no signatures supplied"


class InvalidRequest(TxError):
    code, text = 18, "invalid request"


class TxTooLarge(TxError):
    code, text = 21, "tx too large"


class KeyNotFound(TxError):
    code, text = 22, "key not found"


class InvalidType(TxError):
    code, text = 29, "invalid type"


class TxTimeoutHeight(TxError):
    code, text = 30, "tx timeout height"


class UnknownExtensionOptions(TxError):
    code, text = 31, "unknown extension options"


class WrongSequence(TxError):
    code, text = 32, "incorrect account sequence"


class NotSupported(TxError):
    code, text = 37, "feature not supported"


class NotFound(TxError):
    code, text = 38, "not found"


class InvalidGasLimit(TxError):
    code, text = 41, "invalid gas limit"


class QueryError(Exception):
    """A query that cannot be answered.

    `status` is the name of the gRPC status; the text is for the reader.
    """

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


def not_found(text: str) -> QueryError:
    """The answer to a query for what is not there."""
    return QueryError("NotFound", text)


def invalid_argument(text: str) -> QueryError:
    """The answer to a query that asks for nothing that could be."""
    return QueryError("InvalidArgument", text)
