"""Reads what an endpoint sends without trusting its size: bounded bytes, bounded lines, events or one JSON body."""

from __future__ import annotations

import asyncio
import codecs
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import cast

import httpx
from httpx_sse import EventSource

from bot.models.errors import AttemptFailed, Code
from bot.models.wire import malformed

MOST_KEPT = 8 * 1024 * 1024
"""Bytes of a body that is held at once: one JSON object."""
MOST_STREAMED = 32 * 1024 * 1024
"""Bytes of a stream, of which only the words are kept: a token arrives wrapped in about 250 bytes."""
LONGEST_LINE = 1024 * 1024
_PIECE = 64 * 1024
_ZLIB_OR_GZIP = 47  # zlib's "either header" with the largest window


class BoundedBody(httpx.AsyncByteStream):
    """The decoded bytes of a response, as valid UTF-8 without a byte order mark, within limits.

    Args:
        response: an open response whose body nobody has read.
        most: bytes it may have after decoding.
        silence: how long the next bytes may take at this moment; None is no limit of its own.
    """

    def __init__(
        self, response: httpx.Response, *, most: int, silence: Callable[[], float | None] = lambda: None
    ) -> None:
        self._response = response
        self._left = most
        self._silence = silence
        self._line = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("strict")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = _decoder(self._response.headers.get("content-encoding", ""))
        raw = cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())  # httpx declares less than it gives
        async with aclosing(raw):
            while (data := await self._next(raw)) is not None:
                for piece in pieces(data):
                    self._measure(piece)
                    if text := self._decode(piece):
                        yield text
        self._decode(b"", final=True)

    async def whole(self) -> bytes:
        """Everything, in one piece."""
        return b"".join([piece async for piece in self])

    async def _next(self, raw: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self._silence()):
                return await anext(raw, None)
        except TimeoutError:
            raise AttemptFailed(Code.STALLED, "fell silent in the middle of its answer", retryable=True) from None

    def _decode(self, piece: bytes, *, final: bool = False) -> bytes:
        try:
            return self._utf8.decode(piece, final).encode()
        except UnicodeDecodeError:
            raise malformed("sent bytes that are no text") from None

    def _measure(self, piece: bytes) -> None:
        self._left -= len(piece)
        first, last = _first_break(piece), max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        longest = self._line + (len(piece) if first < 0 else first)
        self._line = longest if first < 0 else len(piece) - last - 1
        if self._left < 0 or longest > LONGEST_LINE:
            raise AttemptFailed(Code.TOO_LARGE, "sent more than an answer may hold")


async def events(body: BoundedBody) -> AsyncGenerator[str, None]:
    """The data of each server-sent event. One that its blank line has not ended never came."""
    # A response of our own around the bounded bytes lets httpx-sse read them without knowing of the bounds.
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, stream=body)
    async with aclosing(EventSource(response).aiter_sse()) as source:
        async for event in source:
            if event.data:
                yield event.data


def _first_break(piece: bytes) -> int:
    found = [at for at in (piece.find(b"\n"), piece.find(b"\r")) if at >= 0]
    return min(found, default=-1)


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """Undo a Content-Encoding in small pieces. None is asked for, but some proxies compress all the same."""
    match encoding.strip().lower():
        case "" | "identity":
            return _as_it_is
        case "gzip" | "x-gzip" | "deflate":
            return _Inflate()
        case _:
            raise malformed("sent its answer in an encoding it was not asked for")


def _as_it_is(data: bytes) -> Iterator[bytes]:
    yield data


class _Inflate:
    """Inflates at most a piece at a time, so that a bomb is met by the limit before it goes off."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)  # a gzip may have several members
            try:
                piece = self._inflater.decompress(data, _PIECE)
            except zlib.error:
                raise malformed("sent a body that cannot be unpacked") from None
            data = self._inflater.unconsumed_tail or self._inflater.unused_data
            if piece:
                yield piece
