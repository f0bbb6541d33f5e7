"""The network under the real client, in this process: it notes every connection and byte, and plays what it is told."""

# ruff: noqa: ASYNC109, ARG002  the signatures are httpcore's
from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any

import httpcore

Played = bytes | Exception
"""What comes back: the bytes of a whole HTTP response, or what goes wrong in place of them."""


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Played", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(text: str) -> bytes:
    """A whole answer on the openai wire, without a stream."""
    said: dict[str, Any] = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return response(200, json.dumps(said).encode(), content_type="application/json")


class Recorder(httpcore.AsyncNetworkBackend):
    """Whoever is connected to hears, by host and port.

    Attributes:
        played: what every host answers; an httpcore.ConnectError keeps it from being reached at all.
        reached: each connection, in order.
        heard: what each host was sent in all.
        on_event: called with every connection and every byte as it happens, before anything else.
        on_answer: called before a response is read.
    """

    def __init__(self, played: Played = b"") -> None:
        self.played: Played = played
        self.reached: list[tuple[str, int]] = []
        self.heard: dict[str, bytearray] = {}
        self.on_event: Callable[[str, int], None] = lambda _host, _port: None
        self.on_answer: Callable[[], None] = lambda: None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.on_event(host, port)
        self.reached.append((host, port))
        if isinstance(self.played, httpcore.ConnectError):
            self.on_answer()
            raise self.played
        return _Line(self, host, port)

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise AssertionError(path)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class _Line(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, network: Recorder, host: str, port: int) -> None:
        self._network, self._host, self._port = network, host, port
        self._waiting = b""
        self._is_asked = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._network.on_event(self._host, self._port)
        self._network.heard.setdefault(self._host, bytearray()).extend(buffer)
        self._is_asked = True

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._is_asked:
            self._is_asked = False
            self._network.on_answer()
            if isinstance(self._network.played, Exception):
                raise self._network.played
            self._waiting = self._network.played
        piece, self._waiting = self._waiting[:max_bytes], self._waiting[max_bytes:]
        return piece

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        assert server_hostname == self._host
        return self

    async def aclose(self) -> None:
        self._is_asked = False

    def get_extra_info(self, _: str) -> Any:
        return None
