"""Which ports the processes of a local network take, and whether they are free."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from abci_app.node.home import Ports

LOOPBACK = "127.0.0.1"
PORTS_PER_VALIDATOR = 20
# Behind a validator's own seven ports stand those of its API node.
API_PORTS_FIRST = 10


class NetworkError(ValueError):
    """The network cannot be made; the text names all that is in the way."""


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """The ports of one API node."""

    public: int
    callback: int
    admin: int
    metrics: int


def validator_ports(base: int, index: int) -> Ports:
    first = base + index * PORTS_PER_VALIDATOR
    return Ports(*range(first, first + 7))


def api_ports(base: int, index: int) -> ApiPorts:
    first = base + index * PORTS_PER_VALIDATOR + API_PORTS_FIRST
    return ApiPorts(*range(first, first + 4))


def taken(ports: Iterable[int]) -> list[int]:
    """Those that someone listens on already, or that are no ports."""
    return [port for port in ports if not _is_free(port)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def base_port_free(count: int, first: int, last: int = 32_000) -> int:
    """The first base at which a whole range of ports is free; raises NetworkError."""
    # Another network may be starting at the same time: each process begins its search elsewhere.
    offset = os.getpid() % 20 * 200
    bases: list[int] = [*range(first + offset, last, 200), *range(first, first + offset, 200)]
    for base in bases:
        if not taken(range(base, base + count)):
            return base
    raise NetworkError(f"no {count} free ports in a row between {first} and {last}")
