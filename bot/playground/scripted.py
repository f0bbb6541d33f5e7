"""A model endpoint that says what it is told to, on both wires, over real HTTP: for the scripted demo and the tests."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any, Self

from aiohttp import web

from bot.playground.demo_answers import demo_answers
from bot.playground.scripted_faults import Player
from bot.playground.scripted_reply import Answers, Fault, Recorded, Reply, WireName
from bot.playground.scripted_wires import error

__all__ = ["Answers", "Fault", "Recorded", "Reply", "ScriptedModels", "demo_answers"]

_LARGEST_REQUEST = 32 * 1024 * 1024


class ScriptedModels:
    """Answers both wires under one address, records every request, and fails when told to.

    `requests` holds all, in order; `broken_off` those whose asker did not wait for the end.

    Args:
        port: where to listen on loopback; 0 takes a free port.
        answers: chooses the reply to a request; the demo's answers by default.
        pace: seconds a whole answer takes to arrive, unless its reply says otherwise.
    """

    def __init__(self, *, port: int = 0, answers: Answers | None = None, pace: float = 0.0) -> None:
        self.answers: Answers = answers or demo_answers()
        self.requests: list[Recorded] = []
        self.broken_off: list[Recorded] = []
        self.pace = pace
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def openai_url(self) -> str:
        """A `base_url` for the openai wire."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def anthropic_url(self) -> str:
        """A `base_url` for the anthropic wire."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1/messages", self._anthropic)
        # Hanging answers must not hold up the end.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request)
        messages = body.get("messages", [])
        system = "\n".join(_text(each["content"]) for each in messages if each["role"] in {"system", "developer"})
        return await self._answer(request, body, wire="openai", system=system)

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request)
        if "max_tokens" not in body:
            return web.json_response(error("anthropic", "invalid_request_error", "max_tokens: required"), status=400)
        return await self._answer(request, body, wire="anthropic", system=_text(body.get("system", "")))

    async def _answer(
        self, request: web.Request, body: Mapping[str, Any], *, wire: WireName, system: str
    ) -> web.StreamResponse:
        recorded = Recorded(
            wire=wire,
            path=request.path,
            model=body.get("model", ""),
            system=system,
            user="\n".join(_text(each["content"]) for each in body.get("messages", []) if each["role"] == "user"),
            headers=MappingProxyType({name.lower(): value for name, value in request.headers.items()}),
            body=MappingProxyType(dict(body)),
            at=datetime.now(UTC),
            peer=_peer(request),
        )
        self.requests.append(recorded)
        chosen = self.answers(recorded)
        answer = await chosen if inspect.isawaitable(chosen) else chosen
        reply = Reply(text=answer) if isinstance(answer, str) else answer
        try:
            return await Player(request, recorded, reply, pace=self.pace).play()
        except (asyncio.CancelledError, ConnectionError):
            self.broken_off.append(recorded)
            raise


async def _read(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="a request is a JSON object")
    return body


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _peer(request: web.Request) -> str:
    name = request.transport.get_extra_info("peername") if request.transport else None
    return f"{name[0]}:{name[1]}" if name else ""
