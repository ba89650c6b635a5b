"""How a module tells the application what it handles, answers and keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from protocol.descriptors import routes_of, signer_field, signer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from abci_app.kernel.context import Context
    from protocol.descriptors import Route

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class MessageRoute:
    """A message that transactions may carry: its handler, who signs it, what it answers."""

    type_url: str
    message: type[Message]
    handler: Callable[[Context, Any], Message | None]
    signer: str
    response: type[Message]
    module: str

    def signer_of(self, message: Message) -> str:
        """Who must sign the message; empty where it names none, or more than one."""
        return signer_of(message, self.signer)


@dataclass(frozen=True, slots=True)
class QueryRoute:
    """A query: its route and the function that answers it."""

    route: Route
    answer: Callable[[Context, Any], Message]


MESSAGES: dict[str, MessageRoute] = {}  # by type URL
QUERIES: dict[str, QueryRoute] = {}  # by gRPC path


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the application. Steps run in the order in which the application lists the modules."""

    name: str
    genesis: type[Message]
    init_genesis: Callable[[Context, Any], None]
    export_genesis: Callable[[Context], Message]
    # All that is wrong with a genesis state, in order; empty: nothing.
    validate_genesis: Callable[[Any], list[str]] = field(default=lambda _state: [])
    begin_block: Callable[[Context], None] | None = None
    end_block: Callable[[Context], None] | None = None
    # Names of the module's accounts; nobody may send coins to them.
    accounts: tuple[str, ...] = ()


def _route_by_request(message: type[Message]) -> Route:
    descriptor = message.DESCRIPTOR
    for route in routes_of(descriptor.file):
        if route.request is message:
            return route
    raise AssertionError(f"no service takes {descriptor.full_name}")


def handles(
    message: type[M],
) -> Callable[[Callable[[Context, M], Message | None]], Callable[[Context, M], Message | None]]:
    """Registers the decorated function as the one handler of a message.

    Returning None answers an empty response.
    """
    raw = cast("type[Message]", message)

    def register(handler: Callable[[Context, M], Message | None]) -> Callable[[Context, M], Message | None]:
        type_url = "/" + raw.DESCRIPTOR.full_name
        assert type_url not in MESSAGES, f"{type_url} has a handler already"
        signer = signer_field(raw.DESCRIPTOR)
        assert signer is not None, f"{type_url} declares no signer"
        module = handler.__module__.split(".")[-2]
        response = _route_by_request(raw).response
        MESSAGES[type_url] = MessageRoute(type_url, raw, handler, signer, response, module)
        return handler

    return register


def answers(
    request: type[M],
) -> Callable[[Callable[[Context, M], Message]], Callable[[Context, M], Message]]:
    """Registers the decorated function as the answer to a query, at the gRPC path of its request."""
    raw = cast("type[Message]", request)

    def register(answer: Callable[[Context, M], Message]) -> Callable[[Context, M], Message]:
        route = _route_by_request(raw)
        assert route.path not in QUERIES, f"{route.path} is answered already"
        QUERIES[route.path] = QueryRoute(route, answer)
        return answer

    return register
