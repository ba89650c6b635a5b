"""poc: what a sender can get wrong; the text lists every reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.kernel.errors import TxError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.modules.poc.refusals import Refusal


class Refused(TxError):
    """A message of this module that the rules refuse, with all that is wrong with it."""

    codespace = "poc"

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        super().__init__("; ".join(map(str, refusals)))


class BatchRefused(Refused):
    code = 2


class VerdictsRefused(Refused):
    code = 3
