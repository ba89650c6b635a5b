"""Acts of a wild life that have to do with fees: allowances of all kinds, and who names their granters."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.modules.feegrant import state
from client.tx import pack
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.feegrant.v1beta1 import feegrant_pb2, tx_pb2
from tests.chain import DENOM, GENESIS_TIME_S, key_of
from tests.simulation.driver import CLIENTS, NAMES
from tests.simulation.wild_power import TYPES, WARM, PowerLife
from tests.simulation.wild_work import Act

if TYPE_CHECKING:
    from google.protobuf.message import Message

GRANTERS = (*CLIENTS, NAMES[0])


@dataclass
class FeeLife(PowerLife):
    """Chances about fees are drawn apart, so that they move no other act of the life."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.purse = random.Random(self.seed + 2)

    def granter_for(self, name: str) -> str:
        """The account that a transaction of this name wants to be paid by: one that lets it, or another."""
        letting = [
            granter for _, granter in state.ALLOWANCES.keys(self.chain.context(), (key_of(name).address,))
        ]
        if letting and self.purse.random() < 0.7:
            return self.purse.choice(letting)
        return key_of(self.purse.choice(GRANTERS)).address if self.purse.random() < 0.01 else ""

    def allow(self) -> Act:
        """An allowance to the warm key or a participant, or one that cannot be."""
        granter = self.purse.choice(GRANTERS)
        grantee = self.purse.choice((WARM, WARM, WARM, *NAMES))
        message = tx_pb2.MsgGrantAllowance(
            granter=key_of(granter).address,
            grantee=key_of(grantee).address,
            allowance=pack(self._allowance()),
        )
        if self.purse.random() < self.spite:
            message.allowance.type_url = "/cosmos.authz.v1beta1.GenericAuthorization"
        return granter, message

    def _allowance(self) -> Message:
        limit = [Coin(denom=DENOM, amount=self.purse.choice(("0", "7", "14", "20", "20", "100")))]
        found: Message = feegrant_pb2.BasicAllowance(spend_limit=self.purse.choice((limit, [])))
        if self.purse.random() < 0.4:
            now_s = GENESIS_TIME_S + self.chain.height
            found.expiration.seconds = now_s + self.purse.randint(-1, 40)  # type: ignore[attr-defined]
        if self.purse.random() < 0.4:
            periodic = feegrant_pb2.PeriodicAllowance(basic=found, period_spend_limit=limit)  # type: ignore[arg-type]
            periodic.period.seconds = self.purse.randint(0, 20)
            found = periodic
        if self.purse.random() < 0.15:
            types = self.purse.sample(
                (*TYPES, "/cosmos.authz.v1beta1.MsgExec"), self.purse.choice((0, 2, 4, 4))
            )
            found = feegrant_pb2.AllowedMsgAllowance(allowance=pack(found), allowed_messages=types)
        return found

    def disallow(self) -> Act:
        """An allowance goes, if it was there."""
        granter = self.purse.choice(GRANTERS)
        return granter, tx_pb2.MsgRevokeAllowance(
            granter=key_of(granter).address, grantee=key_of(WARM).address
        )

    def clear(self) -> Act:
        """Somebody clears away what has ended."""
        name = self.purse.choice(GRANTERS)
        return name, tx_pb2.MsgPruneAllowances(pruner=key_of(name).address)
