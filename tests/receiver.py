"""A receiver of approvals on loopback: verifies each delivery with the library, and answers as a test says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

NAME = "ROME_SECRET"
SECRET = "whsec_" + base64.b64encode(b"Veni, vidi, I have signed it.").decode()


@dataclass(frozen=True, slots=True)
class Got:
    """One delivery whose signature was right."""

    id: str
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event["data"]
        return data


@dataclass
class Receiver:
    """What came, and what is answered: one status a delivery, the last for good.

    Attributes:
        elsewhere: what was asked of any other address than its own.
        holds: an answer waits until this is set.
        most: how many deliveries were under way at one moment, at most.
    """

    port: int = 0
    answers: list[int] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    holds: asyncio.Event | None = None
    under_way: int = 0
    most: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/approved?from=gaul"

    @property
    def review(self) -> str:
        """Lines of a stack's [review] table."""
        return f'webhook_url = "{self.url}"\nwebhook_secret_env = "{NAME}"'

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.got]

    def of(self, kind: str) -> list[Got]:
        return [one for one in self.got if one.type == kind]

    async def takes(self, request: web.Request) -> web.Response:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            body = await request.read()
            Webhook(SECRET).verify(body, dict(request.headers))
            assert request.query_string == "from=gaul"
            self.got.append(Got(request.headers["webhook-id"], body))
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if self.holds is not None:
                await self.holds.wait()
            return web.Response(status=status, headers={"location": "/elsewhere"}, text="Ave." * 10_000)
        finally:
            self.under_way -= 1

    async def is_elsewhere(self, request: web.Request) -> web.Response:
        self.elsewhere.append(request.path)
        return web.Response()


@asynccontextmanager
async def receiver(answers: Sequence[int] = (200,)) -> AsyncIterator[Receiver]:
    us = Receiver(answers=list(answers))
    app = web.Application()
    app.router.add_post("/approved", us.takes)
    app.router.add_route("*", "/{anywhere:.*}", us.is_elsewhere)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    us.port = runner.addresses[0][1]
    try:
        yield us
    finally:
        await runner.cleanup()
