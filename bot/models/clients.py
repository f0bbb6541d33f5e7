"""HTTP clients that talk to one configured address each, and to nobody else."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import httpcore
import httpx

from bot.models.egress import LockedTransport, Origin, elsewhere, origin_of

CONNECTIONS = 32
"""Most connections of one client: a pool looks through all it has, so many small ones are faster than a large one."""
_CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 60.0
_POOL_SECONDS = 10.0


class OnlyTo(httpx.AsyncBaseTransport):
    """Refuses, before any connection, whatever is addressed to somebody else than the configured endpoint."""

    def __init__(self, origin: Origin, inner: httpx.AsyncBaseTransport) -> None:
        self._origin = origin
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if origin_of(request.url) != self._origin:
            raise elsewhere()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def open_client(
    origin: Origin, tls: ssl.SSLContext, *, network: httpcore.AsyncNetworkBackend | None = None
) -> httpx.AsyncClient:
    """A client for one origin: no redirects, no proxies, no retries of its own; `network` opens its connections."""
    inner = LockedTransport(origin, tls, most=CONNECTIONS, network=network)
    # How long an answer may take, and be silent, is the caller's to say; see exchange.py.
    patience = httpx.Timeout(None, connect=_CONNECT_SECONDS, write=_WRITE_SECONDS, pool=_POOL_SECONDS)
    return httpx.AsyncClient(transport=OnlyTo(origin, inner), follow_redirects=False, trust_env=False, timeout=patience)


@dataclass(kw_only=True, slots=True)
class _Shard:
    client: httpx.AsyncClient
    busy: int = 0


class Clients:
    """As many clients for each origin as its calls in flight need, each with a small pool."""

    def __init__(self, open_client: Callable[[Origin, ssl.SSLContext], httpx.AsyncClient] = open_client) -> None:
        self._open = open_client
        self._shards: dict[Origin, list[_Shard]] = {}

    @contextmanager
    def to(self, origin: Origin) -> Iterator[httpx.AsyncClient]:
        """A client with a free connection to the origin, for one call."""
        shards = self._shards.setdefault(origin, [])
        shard = min(shards, key=lambda each: each.busy, default=None)
        if shard is None or shard.busy >= CONNECTIONS:
            shard = _Shard(client=self._open(origin, trusted_authorities()))
            shards.append(shard)
        shard.busy += 1
        try:
            yield shard.client
        finally:
            shard.busy -= 1

    async def aclose(self) -> None:
        shards, self._shards = self._shards, {}
        for each in (shard for many in shards.values() for shard in many):
            await each.client.aclose()


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Whose certificates are accepted. Reading them takes a while, so all clients share them.

    SSL_CERT_FILE, where an operator sets it, names the authorities of endpoints inside the house; verification itself
    is never off.
    """
    return httpx.create_ssl_context()
