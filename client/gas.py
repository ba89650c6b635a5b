"""How much gas a transaction needs, and what it costs."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from client.amounts import Amount, AmountError, parse_price
from client.chain import ChainError, ChainUnreachableError
from protocol.gen.cosmos.base.node.v1beta1 import query_pb2 as node_pb2
from protocol.gen.cosmos.tx.v1beta1 import service_pb2

if TYPE_CHECKING:
    from client.chain import ChainClient

# Simulation runs on the state of the last block; the factor covers what the blocks until then change.
ADJUSTMENT = Fraction(14, 10)


def simulate(client: ChainClient, raw: bytes) -> int:
    """The gas that a transaction uses now; raises ChainError with the reason why it would fail."""
    request = service_pb2.SimulateRequest(tx_bytes=raw)
    return int(client.query(request, service_pb2.SimulateResponse).gas_info.gas_used)


def gas_limit(gas_used: int, adjustment: Fraction = ADJUSTMENT) -> int:
    """The limit to declare after a simulation, rounded up."""
    return math.ceil(gas_used * adjustment)


def fee(limit: int, price: Fraction, denom: str) -> Amount:
    """What a gas limit costs at a price, rounded up."""
    return Amount(math.ceil(limit * price), denom)


def minimum_gas_price(client: ChainClient) -> tuple[Fraction, str]:
    """The lowest price that the node takes; (0, "") where it names none."""
    try:
        answer = client.query(node_pb2.ConfigRequest(), node_pb2.ConfigResponse)
        return parse_price(answer.minimum_gas_price.split(",")[0])
    except ChainUnreachableError:
        raise
    except (ChainError, AmountError):
        return Fraction(0), ""
