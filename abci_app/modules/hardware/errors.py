"""What a sender can get wrong about participants and hardware."""

from __future__ import annotations

from typing import ClassVar

from abci_app.kernel.errors import TxError


class HardwareError(TxError):
    codespace: ClassVar[str] = "hardware"


class UnknownModels(HardwareError):
    code, text = 2, "hardware names models that governance has not registered"


class InvalidDiff(HardwareError):
    code, text = 3, "invalid hardware diff"


class NotAParticipant(HardwareError):
    code, text = 4, "not a participant"


class InvalidParticipant(HardwareError):
    code, text = 5, "invalid participant"


class KeyTaken(HardwareError):
    code, text = 6, "consensus key is taken"


class InvalidParams(HardwareError):
    code, text = 7, "invalid params"
