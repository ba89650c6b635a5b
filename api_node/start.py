"""The start of one inference on its way to the chain, and its way back where nobody executes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from api_node.purse import Purse
from api_node.relay import CONNECT_TIMEOUT_S
from api_node.sender import Sender
from protocol.gen.evergrid.inference.v1 import inference_pb2

# Who cannot be reached has shown it by then; what takes longer is being computed.
HOLD_S = CONNECT_TIMEOUT_S + 1


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose account pays; with a signature where that is another than this node's own."""

    address: str
    timestamp_ns: int = 0
    signature: bytes = b""

    @property
    def is_requester(self) -> bool:
        """Whether the account signed this very request, which the chain takes once."""
        return bool(self.signature)


class Start:
    """One start. That of a signed request waits until it is clear who executes it: it is good for one."""

    def __init__(
        self,
        sender: Sender,
        purse: Purse,
        message: inference_pb2.MsgStartInference,
        deadline: int,
        hold_id: str,
    ) -> None:
        self._sender = sender
        self._purse = purse
        self._message = message
        self._deadline = deadline
        self._hold_id = hold_id
        self._timer: asyncio.TimerHandle | None = None
        self._is_submitted = False

    @property
    def key(self) -> str:
        """That of the message among those which wait."""
        return f"start/{self._message.inference_id}"

    def begin(self) -> None:
        """Sends it at the first byte of the answer, or once the executor has had time to refuse."""
        if self._message.requester_signature:
            self._timer = asyncio.get_running_loop().call_later(HOLD_S, self.submit)
        else:
            self.submit()

    def submit(self) -> None:
        """Queues the message, once."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_submitted:
            self._is_submitted = True
            self._purse.bind(self._hold_id, self.key)
            self._sender.submit(self.key, self._message, self._deadline)

    def take_back(self) -> bool:
        """True where the chain will never see it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_submitted and not self._sender.withdraw(self.key):
            return False
        self._purse.bind(self._hold_id, "")
        return True
