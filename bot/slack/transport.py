"""How deliveries reach us: Socket Mode under a watchdog, or signed HTTP behind Starlette."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.metrics import Delivered, Metrics
from bot.metrics_now import page
from bot.readiness import Health
from bot.slack.calls import CallFailed, Trouble, read_failure
from bot.slack.refused import Token, told
from handlers.errors import Refusal
from handlers.ports import Clock

log = structlog.get_logger(__name__)

_LOOK_EVERY = 10.0
_MISSES = 2
_PING_EVERY = 10.0
_CONNECT_SECONDS = 30.0
"""What connecting may take: slack_sdk tries one address for ever, and Slack takes each address only once."""
_REFUSED_EVERY = 60.0  # seconds between tries with a token that Slack does not take
_LARGEST_BODY = 2 * 1024 * 1024
_BACKLOG = 2_048

_HTTP_OK = 200
_KIND_OF_ENVELOPE = {"events_api": "event", "slash_commands": "command", "interactive": "interaction"}

NOT_CONNECTED = "There is no Socket Mode connection to Slack; a new one is being made."

Look = Callable[[], Awaitable[Health]]
"""How this process is, looked at anew."""
FindApp = Callable[[], AsyncApp | None]
"""The app that takes deliveries; None while it cannot be made, which Slack takes as a wish to be asked again."""


class TokenRefused(Exception):  # noqa: N818  reads as a fact
    """Slack opens no connection for this app token, and will not until somebody mends it; says what to mend."""


class _Handler(AsyncSocketModeHandler):
    """Bolt's, with each delivery timed to its acknowledgement. `greeted` is called at each new connection.

    `refused` is what Slack had against the app token when slack_sdk, which connects anew by itself, last asked.
    """

    def __init__(self, app: AsyncApp, app_token: str, metrics: Metrics) -> None:
        super().__init__(app, app_token, ping_interval=_PING_EVERY)
        self._metrics = metrics
        self.greeted: Callable[[], None] = lambda: None
        self._greeted_on: object | None = None
        self.client.message_listeners.append(self._heard)
        self._take = self.client.enqueue_message
        self.client.enqueue_message = self._take_what_can_be_read  # type: ignore[method-assign]
        self.refused: TokenRefused | None = None
        self._thrown_away = asyncio.Event()
        self.client.issue_new_wss_url = self._another_address  # type: ignore[method-assign]

    async def connect_async(self) -> None:
        """Raises TokenRefused, and whatever else keeps Slack from giving us an address."""
        self.client.wss_uri = await self._address()
        async with asyncio.timeout(_CONNECT_SECONDS):
            await self.client.connect()  # type: ignore[no-untyped-call]  # slack_sdk gives it no types

    async def close_async(self) -> None:
        self._thrown_away.set()
        await self.client.close()  # type: ignore[no-untyped-call]  # as above

    async def _address(self) -> str:
        """Where to connect. A 429 is waited for."""
        while True:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    said = await self.client.web_client.apps_connections_open(app_token=self.app_token)
                return str(said["url"])
            except Exception as problem:  # noqa: BLE001  the SDK lets through whatever it stumbles over
                failed, retry_after = read_failure(problem)
                if failed.trouble is Trouble.OPERATOR:
                    raise TokenRefused(told(Token.APP, failed.code, problem)) from None
                if failed.trouble is not Trouble.LIMITED:
                    raise failed from None
            log.warning("slack gives out no address yet; asking again", cause=failed.code, again_in=retry_after)
            await asyncio.sleep(retry_after)

    async def _another_address(self) -> str:
        """For slack_sdk, which would ask again at once, and log, as often as it is refused: it waits for its end."""
        try:
            return await self._address()
        except TokenRefused as refused:
            self.refused = refused
            await self._thrown_away.wait()
            raise asyncio.CancelledError from None

    async def _take_what_can_be_read(self, message: str) -> None:
        """Keep what is no message from slack_sdk, which stumbles over it. It is not acked: Slack brings it again."""
        if _is_message(message):
            await self._take(message)
        else:
            log.warning("slack sent what is no message; it is not acknowledged", characters=len(message))

    @property
    def is_greeted(self) -> bool:
        """Whether Slack has said hello on the connection as it is now; before that it delivers nothing."""
        session = self.client.current_session
        return session is not None and session is self._greeted_on

    async def _heard(self, _: AsyncBaseSocketModeClient, message: dict[str, Any], __: str | None = None) -> None:
        """Slack begins every connection with a hello, those that slack_sdk makes by itself too."""
        if message.get("type") == "hello":
            self._greeted_on = self.client.current_session
            self.greeted()

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        began, outcome = time.perf_counter(), Delivered.BROKEN
        try:
            said = await run_async_bolt_app(self.app, req)
            await send_async_response(client, req, said, time.time())
            outcome = Delivered.ACKNOWLEDGED if said.status == _HTTP_OK else Delivered.NOT_ACKNOWLEDGED
        except ConnectionError as problem:
            log.warning("the connection broke before an ack; Slack delivers again", cause=type(problem).__name__)
        finally:
            kind = _KIND_OF_ENVELOPE.get(req.type, "other")
            self._metrics.delivered(kind, outcome, time.perf_counter() - began)


def _is_message(text: str) -> bool:
    """Whether this is an object, and its payload, if it has one, too."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return False
    payload = message.get("payload", {}) if isinstance(message, dict) else None
    return isinstance(payload, dict) and isinstance(payload.get("event", {}), dict)


class SocketMode:
    """A connection to Slack that is made anew when it has silently died."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        *,
        metrics: Metrics | None = None,
        reconnected: Callable[[], None] = lambda: None,
    ) -> None:
        """`reconnected` is called at each connection but the first: something may have been missed before it."""
        self._app, self._app_token = app, app_token
        self._metrics = metrics or Metrics()
        self._reconnected = reconnected
        self._has_been_connected = False
        self._was_taken = False
        self._refused: TokenRefused | None = None
        self._handler: _Handler | None = None

    async def trouble(self) -> str:
        """What keeps deliveries from coming, in a sentence; empty if nothing does."""
        refused = self._refused or (self._handler and self._handler.refused)
        if refused is not None:
            return f"{refused} It is tried again every minute; a new value needs a restart."
        return "" if await self.is_connected() else NOT_CONNECTED

    async def is_connected(self) -> bool:
        handler = self._handler
        if handler is None or handler.refused or not handler.is_greeted:
            return False
        try:
            return bool(await handler.client.is_connected())
        except Exception as problem:  # noqa: BLE001  a client that cannot tell is none
            log.info("the connection to slack does not say how it is", cause=type(problem).__name__)
            return False

    async def run(self) -> None:
        """Stay connected until cancelled. slack_sdk reconnects by itself; what it misses is found here.

        Raises:
            Refusal: Slack never took the app token. Once it did, a refusal is waited out.
        """
        misses, pause = 0, 1.0
        try:
            while True:
                if self._handler is None:
                    try:
                        await self._connect()
                        misses, pause = 0, 1.0
                    except TokenRefused as refused:
                        await self._wait_out(refused)
                        continue
                    except Exception as problem:  # noqa: BLE001  whatever keeps us out, we knock again
                        cause = problem.code if isinstance(problem, CallFailed) else type(problem).__name__
                        log.warning("no connection to slack yet", cause=cause, again_in=pause)
                        await self._close()
                        await asyncio.sleep(pause)
                        pause = min(30.0, pause * 2)
                        continue
                await asyncio.sleep(_LOOK_EVERY)
                misses = 0 if await self.is_connected() else misses + 1
                if self._handler is not None and self._handler.refused is not None:
                    await self._wait_out(self._handler.refused)
                elif misses >= _MISSES:
                    log.warning("the connection to slack is dead; making a new one")
                    await self._close()
        finally:
            await self._close()

    async def _wait_out(self, refused: TokenRefused) -> None:
        """Told once, tried again slowly: the token may be taken again, but somebody has to see to it."""
        if not self._was_taken:
            raise Refusal(str(refused))
        if self._refused is None:
            log.error("slack refuses the app token; nothing comes in until that is mended", why=str(refused))
        self._refused = refused
        await self._close()
        await asyncio.sleep(_REFUSED_EVERY)

    async def _connect(self) -> None:
        self._handler = _Handler(self._app, self._app_token, self._metrics)
        self._handler.greeted = self._greeted
        await self._handler.connect_async()
        self._was_taken, self._refused = True, None
        log.info("connected to slack", mode="socket")

    def _greeted(self) -> None:
        if self._has_been_connected:
            self._reconnected()
        self._has_been_connected = True

    async def _close(self) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            return
        try:
            await asyncio.wait_for(handler.close_async(), timeout=5)
        except Exception as problem:  # noqa: BLE001  it is being thrown away
            log.info("the old connection did not close well", cause=type(problem).__name__)


def http_app(
    bolt: FindApp | None, *, signing_secret: str | None, look: Look, metrics: Metrics, now: Clock
) -> Starlette:
    """What a balancer and Prometheus ask, and with `bolt` `POST /slack/events` for all that Slack sends."""
    routes = [
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/readyz", _readiness(look), methods=["GET"]),
        Route("/metrics", _metrics(look, metrics, now), methods=["GET"]),
    ]
    if bolt is not None and signing_secret:
        routes.append(Route("/slack/events", _events(bolt, signing_secret, metrics), methods=["POST"]))
    return Starlette(routes=routes)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


def _readiness(look: Look) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        health = await look()
        said = {"ready": health.is_ready, "missing": health.missing, "warnings": health.warnings}
        return JSONResponse(said, status_code=200 if health.is_ready else 503)

    return answer


def _metrics(look: Look, metrics: Metrics, now: Clock) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(page(metrics, await look(), now=now()), media_type=CONTENT_TYPE_LATEST)

    return answer


def _events(bolt: FindApp, signing_secret: str, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    verifier = SignatureVerifier(signing_secret)

    async def receive(request: Request) -> tuple[str, Delivered, Response]:
        body = await _body_of(request)
        if body is None:
            return "other", Delivered.TOO_LARGE, PlainTextResponse("too large", status_code=413)
        if not _is_signed(verifier, body, request):
            return "other", Delivered.NOT_SIGNED, PlainTextResponse("not signed by Slack", status_code=401)
        kind, read, app = _kind_of(request, body), _read(request, body), bolt()
        if app is None:
            return kind, Delivered.NOT_ACKNOWLEDGED, PlainTextResponse("not started yet", status_code=503)
        if read is None:
            log.warning("slack sent what is no delivery; it is not acknowledged", kind=kind, bytes=len(body))
            return kind, Delivered.NOT_ACKNOWLEDGED, PlainTextResponse("not a delivery", status_code=400)
        said = to_starlette_response(await app.async_dispatch(read))
        outcome = Delivered.ACKNOWLEDGED if said.status_code == _HTTP_OK else Delivered.NOT_ACKNOWLEDGED
        return kind, outcome, said

    async def timed(request: Request) -> Response:
        began, kind, outcome = time.perf_counter(), "other", Delivered.BROKEN
        try:
            kind, outcome, said = await receive(request)
            return said
        finally:
            metrics.delivered(kind, outcome, time.perf_counter() - began)

    return timed


def _read(request: Request, body: bytes) -> AsyncBoltRequest | None:
    """What Bolt makes of a body; None where it would stumble, for it takes for granted what Slack documents."""
    try:
        read = to_async_bolt_request(request, body)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError):
        return None
    return read if isinstance(read.body.get("event", {}), dict) else None


def _kind_of(request: Request, body: bytes) -> str:
    """What Slack sent: events are JSON, all else is a form, whose payload says what was done with the mouse."""
    if request.headers.get("content-type", "").startswith("application/json"):
        return "event"
    return "interaction" if body.startswith(b"payload=") else "command"


async def _body_of(request: Request) -> bytes | None:
    """The raw body, unless it is larger than anything Slack sends."""
    size = 0
    chunks = []
    async for chunk in request.stream():
        size += len(chunk)
        if size > _LARGEST_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _is_signed(verifier: SignatureVerifier, body: bytes, request: Request) -> bool:
    """Whether Slack signed this. The SDK raises on headers that are no numbers or no ASCII; here they are wrong."""
    headers: dict[str, Any] = {name.lower(): value for name, value in request.headers.items()}
    try:
        return bool(verifier.is_valid_request(body, headers))
    except (ValueError, TypeError, OverflowError):
        return False


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: signals are the whole program's business."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a plain manager will do
        return nullcontext()


def listen(port: int) -> socket.socket:
    """Take a port, of all addresses, for a balancer stands before it. Raises Refusal if it cannot be had."""
    try:
        return socket.create_server(("0.0.0.0", port), backlog=_BACKLOG)  # noqa: S104  see above
    except OSError as problem:
        why = os.strerror(problem.errno or 0)
        raise Refusal(
            f"PORT {port} cannot be listened on ({why}): set PORT to a free one, or stop the program that has it."
        ) from None


async def serve(web: Starlette, at: socket.socket) -> None:
    """Serve HTTP until cancelled; requests under way are answered first."""
    config = uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[at]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
