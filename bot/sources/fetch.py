"""One page from the public web, or a sentence why not: few bytes, little time, and never a place inside a network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx
import structlog

from bot.sources.body import whole_body, words_of
from bot.sources.destinations import Destination, destination_of, led_to
from bot.sources.extract import Page, page_of_html, page_of_text
from bot.sources.pinned import OpenTransport, Resolve, checked_addresses, direct_transport, open_client, system_resolver
from handlers.ports import Source, SourceUnread

log = structlog.get_logger(__name__)
T = TypeVar("T")

SECONDS: Final = 20.0
"""From the first look-up to the last byte, redirects included."""
MOST_HOPS: Final = 5
_THREADS: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_READABLE: Final = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "text/markdown": "markdown",
    "application/json": "json",
}
_HEADERS: Final = {
    "User-Agent": "Countersign/0.1 (a Slack bot; reads pages that people name)",
    "Accept": "text/html, application/xhtml+xml, text/plain, text/markdown, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fetched:
    """A body, where it was found, and what its headers say it is."""

    where: Destination
    kind: str
    charset: str | None
    body: bytes
    came: int


class ReadingRoom:
    """The port Sources on the real web.

    Args:
        resolve: looks names up; tests bring their own.
        open_transport: opens the way to one checked address; tests bring their own.
        seconds: how long one page may take in all.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        open_transport: OpenTransport = direct_transport,
        seconds: float = SECONDS,
    ) -> None:
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="sources")
        self._resolve = resolve or system_resolver(self._threads)
        self._open_transport = open_transport
        self._seconds = seconds

    async def aclose(self) -> None:
        """Let go of the threads; a look-up that hangs in one is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def read(self, url: str) -> Source:
        """The page at this URL as text. Raises SourceUnread, and nothing else."""
        try:
            async with asyncio.timeout(self._seconds):
                fetched = await self._fetch(destination_of(url))
            page = await self._beside(lambda: _page(fetched))
        except SourceUnread as unread:
            log.info("a source was not read", why=unread.sentence)
            raise
        except TimeoutError:
            raise SourceUnread(f"it took longer than {self._seconds:.0f} s") from None
        except (httpx.HTTPError, OSError) as problem:
            raise SourceUnread(_why(problem)) from None
        except Exception as problem:
            log.exception("a source could not be read")
            raise SourceUnread("it could not be read") from problem
        if not page.text:
            raise SourceUnread("it holds no text")
        return Source(
            url=fetched.where.url, title=page.title, text=page.text, kind=fetched.kind, fetched_bytes=fetched.came
        )

    async def _fetch(self, where: Destination) -> _Fetched:
        for _ in range(MOST_HOPS + 1):
            came_to = await self._ask(where)
            if isinstance(came_to, _Fetched):
                return came_to
            where = came_to
        raise SourceUnread(f"it leads on more than {MOST_HOPS} times")

    async def _ask(self, where: Destination) -> _Fetched | Destination:
        """One request: the body, or where it leads on to."""
        addresses = await checked_addresses(where, self._resolve)
        headers = {"Host": where.host_header, **_HEADERS}
        async with (
            open_client(where, addresses, self._open_transport) as client,
            client.stream("GET", where.url, headers=headers) as response,
        ):
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return led_to(where, response.headers["location"])
            if response.status_code != httpx.codes.OK:
                raise SourceUnread(f"it answered HTTP {response.status_code}")
            kind, charset = _kind(response.headers)
            async with aclosing(response.aiter_raw()) as raw:  # type: ignore[type-var]  # httpx declares less than it gives
                body, came = await whole_body(
                    raw,
                    encoding=response.headers.get("content-encoding", ""),
                    announced=response.headers.get("content-length"),
                )
        return _Fetched(where=where, kind=kind, charset=charset, body=body, came=came)

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _kind(headers: httpx.Headers) -> tuple[str, str | None]:
    """What a page says it is; only text is read."""
    named, _, more = headers.get("content-type", "").partition(";")
    named = named.strip().lower()
    if named == "application/pdf":
        raise SourceUnread("PDFs are not read yet")
    if not named:
        raise SourceUnread("it does not say what it is")
    if named not in _READABLE:
        raise SourceUnread("it is no page of text")
    parameters = (part.partition("=") for part in more.split(";"))
    return _READABLE[named], next((value for name, _, value in parameters if name.strip().lower() == "charset"), None)


def _page(fetched: _Fetched) -> Page:
    is_markup = fetched.kind == "html"
    words = words_of(fetched.body, fetched.charset, is_markup=is_markup)
    return page_of_html(words) if is_markup else page_of_text(words)


def _why(problem: httpx.HTTPError | OSError) -> str:
    """A fault of the line in words; what the other side wrote is never repeated."""
    match problem:
        case httpx.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in str(problem):
            return "its certificate is not valid"
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return "nobody answers there"
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return "what answers there does not speak HTTP as it should"
        case _:
            return "the connection broke"
