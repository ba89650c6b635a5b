"""What a proposal about params can get wrong."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class InvalidParams(TxError):
    codespace, code, text = "epochs", 2, "invalid params"
