"""Where a model's client may open a connection: at its configured host and port, and nowhere else."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

import httpcore
import httpx

from bot.models.errors import AttemptFailed, Code

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Who is behind an address: the part that a request may never leave."""

    scheme: str
    host: str
    port: int


def origin_of(url: httpx.URL) -> Origin:
    return Origin(scheme=url.scheme, host=url.host, port=url.port or _DEFAULT_PORTS.get(url.scheme, 0))


def elsewhere() -> AttemptFailed:
    return AttemptFailed(Code.BAD_ADDRESS, "would have been asked at another address than its own")


class OnlyAt(httpcore.AsyncNetworkBackend):
    """Opens TCP connections to one host and port; any other ends before a name is looked up.

    This is where connections are made, so it holds whatever a redirect, a proxy, a header or a URL says further up.
    """

    def __init__(self, origin: Origin, network: httpcore.AsyncNetworkBackend) -> None:
        # As it goes over the wire: the name in ASCII, an IPv6 address without its brackets.
        self._host = httpx.URL(scheme=origin.scheme, host=origin.host).raw_host.decode("ascii")
        self._port = origin.port
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host, port) != (self._host, self._port):
            raise elsewhere()
        return await self._network.connect_tcp(host, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del path, timeout, socket_options
        raise elsewhere()

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class LockedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a pool whose connections lead to one origin only; no proxy, no retries."""

    def __init__(
        self, origin: Origin, tls: ssl.SSLContext, *, most: int, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        super().__init__(verify=tls, trust_env=False, retries=0)
        if not isinstance(self._pool, httpcore.AsyncConnectionPool):  # httpx offers no parameter for what follows
            raise TypeError("this httpx keeps its connections elsewhere, so they would not be locked")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=most,
            max_keepalive_connections=most,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            retries=0,
            network_backend=OnlyAt(origin, network or httpcore.AnyIOBackend()),
        )
