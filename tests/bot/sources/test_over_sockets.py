"""The same over real sockets on loopback: what goes over the wire, whose certificate counts, and bad servers."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bot.sources.fetch import ReadingRoom
from bot.sources.pinned import direct_transport
from handlers.ports import SourceUnread
from tests.bot.sources.web import PUBLIC

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nants"


class Detour(httpx.AsyncBaseTransport):
    """Leads what was meant for a public address to loopback, and leaves all else of the request as it is."""

    def __init__(self, port: int, inner: httpx.AsyncBaseTransport) -> None:
        self._port = port
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == PUBLIC
        there = request.url.copy_with(host="127.0.0.1", port=self._port)
        again = httpx.Request(request.method, there, headers=request.headers, extensions=request.extensions)
        return await self._inner.handle_async_request(again)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Server:
    port: int = 0
    asked: list[str] = field(default_factory=list)


@asynccontextmanager
async def server(
    *answers: bytes | Callable[[asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Says its answers whatever it is asked, one a connection, the last for good."""
    us, left, under_way = Server(), list(answers), set[asyncio.Task[None]]()

    async def meets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            us.asked.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        under_way.discard(task)

    listening = await asyncio.start_server(meets, "127.0.0.1", 0, ssl=tls)
    us.port = listening.sockets[0].getsockname()[1]
    try:
        yield us
    finally:
        listening.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await listening.wait_closed()


def room(us: Server, *, seconds: float = 20.0, tls: ssl.SSLContext | None = None) -> ReadingRoom:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [PUBLIC]

    def open_transport() -> httpx.AsyncBaseTransport:
        own = httpx.AsyncHTTPTransport(verify=tls, trust_env=False) if tls else direct_transport()
        return Detour(us.port, own)

    return ReadingRoom(resolve=resolve, open_transport=open_transport, seconds=seconds)


async def test_what_goes_over_the_wire_is_the_name_and_nothing_about_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    moves = b"HTTP/1.1 302 Found\r\nLocation: http://b.example/y\r\nSet-Cookie: ant=queen\r\nContent-Length: 0\r\n\r\n"
    async with server(moves, PLAIN) as us:
        found = await room(us).read("http://a.example/x?y=1#z")
        assert (found.url, found.text, found.fetched_bytes) == ("http://b.example/y", "ants", 4)
    first, second = us.asked
    assert first.split("\r\n")[:2] == ["GET /x?y=1 HTTP/1.1", "Host: a.example"]
    assert second.split("\r\n")[:2] == ["GET /y HTTP/1.1", "Host: b.example"]
    for asked in us.asked:
        names = {line.partition(":")[0].lower() for line in asked.strip().split("\r\n")[1:]}
        assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for this name, and a client's that trusts it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await made.wait() == 0
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    return serving, ssl.create_default_context(cafile=str(certificate))


async def test_the_certificate_must_be_the_names_though_an_address_is_connected_to(tmp_path: Path) -> None:
    serving, trusting = await _certificate(tmp_path, "a.example")
    shown: list[str | None] = []
    serving.sni_callback = lambda _sslobj, name, _context: shown.append(name)
    async with server(PLAIN, tls=serving) as us:
        assert (await room(us, tls=trusting).read("https://a.example/")).text == "ants"
        with pytest.raises(SourceUnread, match="its certificate is not valid"):
            await room(us, tls=trusting).read("https://b.example/")
        with pytest.raises(SourceUnread, match="its certificate is not valid"):
            await room(us).read("https://a.example/")
    assert shown == ["a.example", "b.example", "a.example"]
    assert len(us.asked) == 1


async def _endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Ant: " + b"a" * 1_000 + b"\r\n")
        await writer.drain()


async def _endless_hints(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </ant.css>\r\n\r\n")
        await writer.drain()


async def _silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.01)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00" * 1_000,
        b"<html>ants, as in HTTP/0.9",
        b"HTTP/1.1 OK\r\n\r\nants",
        b"HTTP/9.9 200 OK\r\n\r\nants",
        b"HTTP/1.1 99999 OK\r\n\r\nants",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 2_000_000 + b"\r\n\r\nants",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300_000 + b"\r\nants",
        HEAD + b"Content-Length: 400\r\n\r\nants",
        HEAD + b"Content-Length: -4\r\n\r\nants",
        HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nants",
        HEAD + b"Content-Length: 9999999999999999999999\r\n\r\nants",
        HEAD + b"Content-Length: ants\r\n\r\nants",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nants",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nants",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nants",
        HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n4\r\nants\r\n0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: //127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: ants\r\n\r\n",
        HEAD + b"\r\n" + b"ants " * 500_000,
        _endless_headers,
        _endless_hints,
        _silence,
        _drip,
    ],
    ids=lambda answer: getattr(answer, "__name__", None) or ascii(answer.replace(HEAD, b"")[:60]),
)
async def test_a_server_that_misbehaves_is_a_source_unread(
    answer: bytes | Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async with server(answer) as us:
        with pytest.raises(SourceUnread):
            await room(us, seconds=0.5 if callable(answer) else 20.0).read("http://a.example/")
    assert len(us.asked) <= 6


async def test_nobody_there_is_said() -> None:
    async with server(PLAIN) as us:
        pass
    with pytest.raises(SourceUnread, match="nobody answers there"):
        await room(us).read("http://a.example/")
