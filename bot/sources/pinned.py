"""A name looked up once, every answer checked, and a connection to a checked address only."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Final

import httpx

from bot.models.clients import trusted_authorities
from bot.sources.addresses import Address, is_public, read_address
from bot.sources.destinations import Destination
from handlers.ports import SourceUnread

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""All addresses of a host, as text; OSError when the name leads nowhere."""

OpenTransport = Callable[[], httpx.AsyncBaseTransport]

LOOKUP_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_MOST_ADDRESSES: Final = 64
_TRIED: Final = 3


def system_resolver(threads: Executor) -> Resolve:
    """The machine's own resolver, in threads of ours: a slow name must not hold up anybody else's."""

    def look_up(host: str, port: int) -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(place[0]) for *_, place in found]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(threads, look_up, host, port)

    return resolve


def direct_transport() -> httpx.AsyncBaseTransport:
    """One connection, no proxy, no retries. It is never reused: another name on the same address is another peer."""
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=trusted_authorities(), trust_env=False, limits=limits, retries=0)


async def checked_addresses(there: Destination, resolve: Resolve) -> list[Address]:
    """Every address of the destination, all of them public, or SourceUnread."""
    if (literal := read_address(there.host)) is not None:
        return _all_public([literal])
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await resolve(there.host, there.port)
    except TimeoutError:
        raise SourceUnread(f"its name was not found within {LOOKUP_SECONDS:.0f} s") from None
    except (OSError, UnicodeError):
        raise SourceUnread("its name is not known") from None
    if not found or len(found) > _MOST_ADDRESSES:
        raise SourceUnread("its name is not known")
    return _all_public([read_address(each) for each in dict.fromkeys(found)])


def _all_public(found: Sequence[Address | None]) -> list[Address]:
    """One address that leads inside is enough to distrust the name: which one is asked would be chance."""
    public = [each for each in found if each is not None and is_public(each)]
    if len(public) < len(found):
        raise SourceUnread("its name leads to an address that is not public")
    return public


class Pinned(httpx.AsyncBaseTransport):
    """Sends each request to checked addresses of its destination; Host header, SNI and certificate stay the name's."""

    def __init__(self, there: Destination, addresses: Sequence[Address], inner: httpx.AsyncBaseTransport) -> None:
        self._there = there
        self._addresses = addresses
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failed: httpx.TransportError | None = None
        for address in self._addresses[:_TRIED]:
            try:
                return await self._inner.handle_async_request(self._sent_to(address, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
                failed = problem
        raise failed or httpx.ConnectError("there is no address", request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _sent_to(self, address: Address, request: httpx.Request) -> httpx.Request:
        there = self._there
        return httpx.Request(
            request.method,
            httpx.URL(scheme=there.scheme, host=str(address), port=there.port, raw_path=there.target.encode("ascii")),
            headers=request.headers,
            extensions={
                "sni_hostname": there.host,
                "timeout": httpx.Timeout(None, connect=_CONNECT_SECONDS).as_dict(),
            },
        )


def open_client(there: Destination, addresses: Sequence[Address], open_transport: OpenTransport) -> httpx.AsyncClient:
    """A client for one request to one destination; without cookies, credentials, proxies or redirects."""
    transport = Pinned(there, addresses, open_transport())
    return httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False, timeout=None)  # noqa: S113  each read has a limit in all
