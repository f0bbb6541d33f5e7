"""A web of our own: names, addresses and pages as a test says; it records what would have been connected to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import httpx

from bot.sources.fetch import ReadingRoom

PUBLIC = "93.184.215.14"
Page = Callable[[httpx.Request], httpx.Response]


class Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces, as they are."""

    def __init__(self, pieces: AsyncIterator[bytes] | Sequence[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._pieces, AsyncIterator):
            async for piece in self._pieces:
                self.taken += len(piece)
                yield piece
        else:
            for piece in self._pieces:
                self.taken += len(piece)
                yield piece


def page(
    body: bytes | str | httpx.AsyncByteStream = "<p>ants",
    kind: str | None = "text/html; charset=utf-8",
    *,
    status: int = 200,
    **headers: str,
) -> httpx.Response:
    """A response; headers as keywords, with underscores."""
    stream = (
        body if isinstance(body, httpx.AsyncByteStream) else Pieces([body.encode() if isinstance(body, str) else body])
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()} | (
        {"content-type": kind} if kind else {}
    )
    return httpx.Response(status, headers=[(n.encode(), v.encode()) for n, v in named.items()], stream=stream)


def moved(to: str, status: int = 302) -> httpx.Response:
    return page("", status=status, location=to)


@dataclass
class SmallWeb(httpx.AsyncBaseTransport):
    """Who is where, and what they say. A host without an entry in `names` is at PUBLIC."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    pages: dict[str, Page | httpx.Response | Exception] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def at(self, host: str, *answers: list[str]) -> Self:
        """What the resolver says of a host: each time the next answer, the last one for good."""
        self.names[host] = list(answers)
        return self

    def holds(self, url: str, said: Page | httpx.Response | Exception) -> Self:
        self.pages[url] = said
        return self

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.lookups.append(host)
        answers = self.names.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def open_transport(self) -> httpx.AsyncBaseTransport:
        self.opened += 1
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        asked = f"{request.url.scheme}://{request.headers['host']}{request.url.raw_path.decode()}"
        said = self.pages.get(asked, page(status=404))
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, httpx.Response) else said(request)

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def connected_to(self) -> list[str]:
        """The hosts in the addresses that requests went to."""
        return [urlsplit(str(request.url)).hostname or "" for request in self.requests]

    def room(self, *, seconds: float = 20.0) -> ReadingRoom:
        return ReadingRoom(resolve=self.resolve, open_transport=self.open_transport, seconds=seconds)
