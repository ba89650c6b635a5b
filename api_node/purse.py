"""Whether an account can pay for what it asks: its balance, less the escrows that are on their way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from google.protobuf.message import Message

from api_node.chain import ChainReader
from api_node.errors import ApiError
from api_node.outbox import Outbox, Status
from client.chain import ChainError
from protocol.gen.cosmos.bank.v1beta1 import query_pb2 as bank_query
from protocol.gen.evergrid.inference.v1 import inference_pb2

R = TypeVar("R", bound=Message)

REMEMBERED_MAX = 10_000


class LatestAnswers:
    """Answers of the chain, asked once for each height; while it is away, those that are not too old."""

    def __init__(self, reader: ChainReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, bytes], tuple[int, Message]] = {}

    async def ask(self, request: Message, response: type[R], blocks_old_max: int) -> R:
        """The answer at the height of the last view, or an older one; raises ChainError."""
        key = (request.DESCRIPTOR.full_name, request.SerializeToString(deterministic=True))
        height = self._reader.height
        try:
            answer = await self._reader.cached(request, response)
        except ChainError as error:
            at, known = self._known.get(key, (height - blocks_old_max - 1, None))
            if error.code or known is None or at < height - blocks_old_max:
                raise
            assert isinstance(known, response)
            return known
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[key] = (height, answer)
        return answer


@dataclass(frozen=True, slots=True)
class _Held:
    account: str
    amount: int
    # Of the message which carries it; empty while none does.
    key: str = ""


class Purse:
    """Balances of those who pay, so that no more is begun than the chain is going to take escrow for."""

    # A balance may be so many blocks old while the chain is away.
    BLOCKS_OLD_MAX = 20

    def __init__(self, answers: LatestAnswers, outbox: Outbox, denom: str) -> None:
        self._answers = answers
        self._outbox = outbox
        self._denom = denom
        self._held: dict[str, _Held] = {}

    async def price(self, model_id: str) -> int:
        """nevg per token of a model of the epoch; 0: it is free, or not known."""
        request = inference_pb2.QueryPricingRequest()
        answer = await self._answers.ask(request, inference_pb2.QueryPricingResponse, self.BLOCKS_OLD_MAX)
        return next((each.price_per_token for each in answer.models if each.id == model_id), 0)

    async def free(self, account: str) -> int:
        """What an account holds beyond escrows that are not in a block yet, at least 0."""
        request = bank_query.QueryBalanceRequest(address=account, denom=self._denom)
        answer = await self._answers.ask(request, bank_query.QueryBalanceResponse, self.BLOCKS_OLD_MAX)
        held = sum(each.amount for each in self._held.values() if each.account == account)
        return max(0, int(answer.balance.amount or "0") - held)

    def hold(self, hold_id: str, account: str, amount: int) -> None:
        """An escrow that a request is going to need, until a message carries it or it is let go."""
        if amount:
            self._held[hold_id] = _Held(account, amount)

    def bind(self, hold_id: str, key: str) -> None:
        """The message with this key carries it from now on; empty: none does any more."""
        if held := self._held.get(hold_id):
            self._held[hold_id] = replace(held, key=key)

    def let_go(self, hold_id: str) -> None:
        """The request has ended; what a message carries stays held until a block has it."""
        held = self._held.get(hold_id)
        if held is not None and not held.key:
            del self._held[hold_id]

    def on_height(self, height: int) -> None:
        """Forgets escrows that the balances of this height show, and those that never will be."""
        self._held = {name: each for name, each in self._held.items() if self._is_coming(each, height)}

    def _is_coming(self, held: _Held, height: int) -> bool:
        if not held.key:
            return True
        entry = self._outbox.get(held.key)
        if entry is None or entry.status in {Status.FAILED, Status.EXPIRED}:
            return False
        return entry.status != Status.INCLUDED or entry.height > height

    def too_little(self, account: str, free: int, price: int, tokens: int) -> ApiError:
        """The refusal of who cannot pay."""
        text = (
            f"account {account} has {free} {self._denom} free, which does not pay for {tokens} tokens at "
            f"{price} a token"
        )
        return ApiError(402, text, code="insufficient_funds")
