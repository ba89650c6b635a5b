"""What a sender can get wrong about an announcement."""

from __future__ import annotations

from abci_app.kernel.errors import TxError


class MaintenanceRefused(TxError):
    codespace = "maintenance"
    code = 2
