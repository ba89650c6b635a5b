"""What a proposal about models can get wrong."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class InvalidModel(TxError):
    codespace, code, text = "models", 2, "invalid model"


class CannotRetire(TxError):
    codespace, code, text = "models", 3, "model cannot be retired"
