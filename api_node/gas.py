"""How much gas a transaction declares, and what it pays for it.

Most messages are free, and their gas follows the chain's flat schedule: room costs nothing there. Where
gas is paid for, or a limit proved too low, the chain simulates the transaction; where it cannot, for it is
away or the message depends on one that is in no block yet, the schedule holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import structlog
from google.protobuf.message import Message

from api_node.outbox import Entry
from client.chain import AsyncChainClient, ChainError
from client.tx import Fee
from protocol.gen.cosmos.tx.v1beta1 import service_pb2

# Their descriptors must be in the pool before a queue from an earlier run is read.
from protocol.gen.evergrid.hardware.v1 import hardware_pb2
from protocol.gen.evergrid.inference.v1 import inference_pb2
from protocol.gen.evergrid.poc.v1 import poc_pb2

log = structlog.get_logger("api_node.gas")

GAS_BASE = 200_000
GAS_PER_MESSAGE = 200_000
GAS_PER_BYTE = 50
# A verdict takes some 7,000, and 250 more for each that its sender gave before.
GAS_PER_VERDICT = 10_000
# The chain takes no more without a fee (FREE_GAS_MAX of its ante chain).
GAS_FREE_MAX = 40_000_000
GAS_FACTOR_MAX = 16
# A simulation runs on the state of the last block; others' messages may come before this one.
SIMULATION_MARGIN = Fraction(3, 2)
FREE = (
    hardware_pb2.MsgSubmitHardwareDiff,
    poc_pb2.MsgSubmitPocBatch,
    poc_pb2.MsgSubmitPocValidations,
    inference_pb2.MsgStartInference,
    inference_pb2.MsgFinishInference,
    inference_pb2.MsgValidateInference,
)
FREE_TYPES = frozenset(kind.DESCRIPTOR.full_name for kind in FREE)


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit of gas costs where a fee is due."""

    per_gas: Fraction = Fraction(0)
    denom: str = "nevg"

    def fee(self, gas: int, *, free: bool) -> Fee:
        """The fee of a transaction, rounded up."""
        if free or not self.per_gas:
            return Fee(gas)
        return Fee(gas, str(-(-gas * self.per_gas.numerator // self.per_gas.denominator)), self.denom)


def gas_limit(entries: Sequence[Entry]) -> int:
    """Gas enough for these messages by the chain's flat schedule, with room; no more than may be free."""
    size = sum(len(entry.body) for entry in entries)
    factor = max(entry.gas_factor for entry in entries)
    gas = GAS_BASE + GAS_PER_MESSAGE * len(entries) + GAS_PER_BYTE * size
    gas += sum(_verdicts_gas(entry.message) for entry in entries)
    return min(factor * gas, GAS_FREE_MAX)


def _verdicts_gas(message: Message) -> int:
    """What verdicts cost beside their bytes, which are few: the chain reads and writes each tally."""
    if not isinstance(message, poc_pb2.MsgSubmitPocValidations):
        return 0
    count = len(message.verdicts) + sum(len(group.places) for group in message.groups)
    return GAS_PER_VERDICT * count


def wants_simulation(entries: Sequence[Entry], price: Price) -> bool:
    """Whether it matters how much gas these messages take: they pay for it, or ran out of it."""
    is_paid = bool(price.per_gas) and any(entry.type not in FREE_TYPES for entry in entries)
    return is_paid or any(entry.gas_factor > 1 for entry in entries)


def gas_limit_simulated(entries: Sequence[Entry], used: int) -> int:
    """The limit after a simulation, with a margin that grows with each time that it was not enough."""
    factor = max(entry.gas_factor for entry in entries) * SIMULATION_MARGIN
    limit = min(-(-used * factor.numerator // factor.denominator), GAS_FREE_MAX)
    is_free = all(entry.type in FREE_TYPES for entry in entries)
    # Where room costs nothing, the more careful of both holds.
    return max(limit, gas_limit(entries)) if is_free else limit


async def simulated_gas(chain: AsyncChainClient, raw: bytes) -> int | None:
    """The gas that a transaction would use now; None where the chain does not say."""
    try:
        answer = await chain.query(service_pb2.SimulateRequest(tx_bytes=raw), service_pb2.SimulateResponse)
    except ChainError as error:
        log.info("no simulation", reason=str(error))
        return None
    return int(answer.gas_info.gas_used) or None
