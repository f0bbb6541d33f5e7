"""Socket Mode: the WebSockets an app opens, each payload to one of them, acks by envelope id."""

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from bot.playground.delivery import Ack, Kind, Retry
from bot.playground.people import APP_ID
from bot.playground.shapes import Json
from bot.playground.workspace import Workspace

CONNECTIONS = 10
RESPONDABLE = frozenset({Kind.COMMAND, Kind.INTERACTION})


@dataclass(kw_only=True)
class SocketMode:
    """Every open socket of the app, and the envelopes that wait for an ack."""

    workspace: Workspace
    ack_seconds: float = 3.0
    down: bool = False
    connected: Callable[[], None] = lambda: None
    greets: bool = True  # whether a new socket hears hello
    to_all: bool = False  # each envelope goes to every socket, not to one of them
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _requests: dict[web.WebSocketResponse, web.Request] = field(default_factory=dict)
    _silent: list[web.Request] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: int = 0

    @property
    def connections(self) -> int:
        return len(self._sockets)

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket, from hello to its end."""
        ticket = request.query.get("ticket", "")
        if self.down or ticket not in self.workspace.tickets:
            return web.Response(status=408 if self.down else 404)
        self.workspace.tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self._sockets) >= CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": _debug()})
            await socket.close()
            return socket
        try:
            await self._serve(socket, request)
        finally:
            self._forget(socket)
        return socket

    async def _serve(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        hello = {"type": "hello", "num_connections": len(self._sockets) + 1, "debug_info": _debug()}
        if self.greets:
            await socket.send_json(hello | {"connection_info": {"app_id": APP_ID}})
        self._sockets.append(socket)
        self._requests[socket] = request
        self._came.set()
        self.connected()
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                self._acked(frame.data)

    def _forget(self, socket: web.WebSocketResponse) -> None:
        if socket in self._sockets:
            self._sockets.remove(socket)
            del self._requests[socket]
            self.connected()
        if not self._sockets:
            self._came.clear()

    def _acked(self, text: str) -> None:
        try:
            answer = json.loads(text)
        except ValueError:
            return
        waiting = self._waiting.get(answer.get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer.get("payload") or {})

    async def attempt(self, kind: Kind, payload: Json, retry: Retry) -> Ack:
        """One envelope; its ack may come over any socket, within the time."""
        try:
            async with asyncio.timeout(self.ack_seconds):
                return await self._send_and_wait(kind, payload, retry)
        except TimeoutError:
            problem = "operation_timeout" if self._sockets else "dispatch_failed"
            return Ack(problem=problem, reason="timeout")

    async def _send_and_wait(self, kind: Kind, payload: Json, retry: Retry) -> Ack:
        envelope_id = str(uuid.uuid4())
        envelope: Json = {"envelope_id": envelope_id, "payload": payload, "type": kind.value}
        envelope["accepts_response_payload"] = kind in RESPONDABLE
        if kind is Kind.EVENT:
            envelope |= {"retry_attempt": retry.attempt, "retry_reason": retry.reason}
        self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            while not await self._sent(json.dumps(envelope)):
                pass
            return Ack(body=await self._waiting[envelope_id])
        finally:
            del self._waiting[envelope_id]

    async def _sent(self, text: str) -> bool:
        """Whether one of the sockets took the text; waits for one to come if there is none."""
        await self._came.wait()
        self._turn += 1
        chosen = list(self._sockets) if self.to_all else [self._sockets[self._turn % len(self._sockets)]]
        taken = [await self._took(socket, text) for socket in chosen]
        return any(taken)

    async def _took(self, socket: web.WebSocketResponse, text: str) -> bool:
        try:
            await socket.send_str(text)
        except (ConnectionError, RuntimeError):  # closed under our hands
            self._forget(socket)
            return False
        return True

    async def say(self, text: str) -> None:
        """These very words to every socket, whatever they are."""
        for socket in list(self._sockets):
            await self._took(socket, text)

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Slack asks every socket to come again, then closes it."""
        for socket in list(self._sockets):
            self._forget(socket)
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": _debug()})

    def drop(self) -> None:
        """Every socket breaks without a word."""
        for socket, request in list(self._requests.items()):
            self._forget(socket)
            if request.transport is not None:
                request.transport.abort()

    def break_inside(self, text: str) -> None:
        """Every socket breaks when half of a message has been sent."""
        said = text.encode()
        frame = bytes([0x81, 126]) + len(said).to_bytes(2, "big") + said[: len(said) // 2]
        for socket, request in list(self._requests.items()):
            self._forget(socket)
            if request.transport is not None:
                request.transport.write(frame)
                request.transport.close()

    def fall_silent(self) -> None:
        """Every socket stays open and is thought to be well, but nobody reads at this end, nor answers a ping."""
        for request in self._requests.values():
            if request.transport is not None:
                request.transport.pause_reading()
                self._silent.append(request)

    async def close(self) -> None:
        for request in self._silent:
            if request.transport is not None:
                request.transport.abort()
        for socket in list(self._sockets):
            self._forget(socket)
            await socket.close()


def _debug() -> Json:
    return {"host": "playground", "build_number": 1, "approximate_connection_time": 18060}
