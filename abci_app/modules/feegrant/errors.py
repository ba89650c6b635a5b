"""What can be wrong with an allowance and its use; codes are those of the Cosmos SDK."""

from __future__ import annotations

from abci_app.kernel.errors import NotFound, TxError


class FeegrantError(TxError):
    codespace = "feegrant"


class FeeLimitExceeded(FeegrantError):
    code, text = 2, "fee limit exceeded"


class AllowanceExpired(FeegrantError):
    code, text = 3, "fee allowance expired"


class InvalidDuration(FeegrantError):
    code, text = 4, "invalid duration"


class NoAllowance(FeegrantError):
    code, text = 5, "no allowance"


class NoMessages(FeegrantError):
    code, text = 6, "allowed messages are empty"


class MessageNotAllowed(FeegrantError):
    code, text = 7, "message not allowed"


class GrantNotFound(NotFound):
    """Wallets match the text: it stands at code 38 of codespace `sdk`."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{detail}: fee-grant not found" if detail else "fee-grant not found")
