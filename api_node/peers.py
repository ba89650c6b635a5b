"""Connections to addresses that others wrote on the chain: to public ones alone, never to a place of ours.

A name is resolved once and what is connected to is the address that was checked, so that no later answer of a
name server leads elsewhere. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore2
import httpx2

URL_LENGTH_MAX = 2048
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# Carrier-grade NAT: neither private nor global to the standard library.
SHARED = ipaddress.ip_network("100.64.0.0/10")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def url_errors(url: str) -> list[str]:
    """All that is wrong with a URL of a peer, whatever its name leads to."""
    if len(url) > URL_LENGTH_MAX:
        return [f"it is longer than {URL_LENGTH_MAX} characters"]
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        return ["it has characters that no URL has"]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return [str(error)]
    return list(_part_errors(parts, port))


def _part_errors(parts: SplitResult, port: int | None) -> Iterable[str]:
    if parts.scheme not in {"http", "https"}:
        yield "its scheme is neither http nor https"
    if not parts.hostname:
        yield "it names no host"
    if parts.username is not None or parts.password is not None:
        yield "it holds credentials"
    if port == 0:
        yield "its port is 0"
    if parts.query or parts.fragment:
        yield "it holds a query or a fragment"


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the internet at large, also where it is wrapped in another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and address not in SHARED


class ForbiddenPeerError(httpx2.ConnectError):
    """The address of a peer that must not be connected to; the text says why."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host; raises OSError where it has none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the address that it has checked, not to a name."""

    def __init__(self) -> None:
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of the library
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection; raises ConnectError where the host is not a public one."""
        try:
            addresses = await asyncio.wait_for(resolve(host, port), timeout)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host}: {error}") from error
        if refused := forbidden(addresses):
            raise httpcore2.ConnectError(f"{host} leads to {refused}, which is no public address")
        problem: Exception | None = None
        for address in dict.fromkeys(addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        assert problem is not None, "a host without addresses is refused"
        raise problem

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)


def forbidden(addresses: Sequence[str]) -> str:
    """The first address that is not public; empty where all are. One is enough to refuse a name."""
    for text in addresses:
        if not is_public(ipaddress.ip_address(text.partition("%")[0])):
            return text
    return "" if addresses else "nothing"


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """Refuses URLs that are none of a peer's before anything is connected to."""

    def __init__(self, *, allow_private: bool, limits: httpx2.Limits) -> None:
        super().__init__(trust_env=False, limits=limits)
        if not allow_private:
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=httpx2.create_ssl_context(trust_env=False),
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_keepalive_connections,
                network_backend=CheckedBackend(),
            )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer; raises ForbiddenPeerError where the URL itself is refused."""
        if errors := url_errors(str(request.url.copy_with(query=None))):
            raise ForbiddenPeerError(f"the peer's URL is refused: {'; '.join(errors)}", request=request)
        return await super().handle_async_request(request)


def peer_client(timeout_s: float, *, allow_private: bool) -> httpx2.AsyncClient:
    """A client for addresses from the chain. `allow_private`: loopback and private networks, too."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
    transport = CheckedTransport(allow_private=allow_private, limits=limits)
    return httpx2.AsyncClient(timeout=timeout_s, follow_redirects=False, trust_env=False, transport=transport)


async def is_answering(http: httpx2.AsyncClient, url: str, timeout_s: float) -> bool:
    """Whether anybody answers at a URL, whatever it says; what it says is not read."""
    try:
        async with http.stream("GET", url, timeout=timeout_s):
            return True
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
