"""What a sender can get wrong about collateral."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class CollateralRefused(TxError):
    codespace = "collateral"
    code = 2
