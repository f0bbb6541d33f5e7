"""Faults of signed HTTP, over a real port: copies, odd bodies, peers that are slow or leave; one row each, or none."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.metrics import Metrics
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.listeners import build_app
from bot.slack.transport import http_app, listen, serve
from storage.database import Database
from tests.bot.slack.payloads import click, command, delivery, mention, reaction
from tests.bot.slack.test_transport import SECRET, Look, signature
from tests.fakes import open_database

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
BIG = 400_000
DAY = 86_400.0


def form(payload: dict[str, Any]) -> bytes:
    return urlencode(payload).encode()


def clicked(**changes: Any) -> bytes:
    return form({"payload": json.dumps(click(**changes))})


DEEDS: dict[str, tuple[bytes, str]] = {
    "mention": (json.dumps(delivery(mention())).encode(), JSON),
    "reaction": (json.dumps(delivery(reaction())).encode(), JSON),
    "command": (form(command()), FORM),
    "click": (clicked(), FORM),
}
MENTION = DEEDS["mention"][0]


class Port:
    """The bot's HTTP door on a port of this machine, on a database that outlives it."""

    def __init__(self, storage: Database, number: int, log: pytest.LogCaptureFixture, logged: list[Any]) -> None:
        self.storage, self.number, self.log, self.logged = storage, number, log, logged
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{number}", trust_env=False, timeout=20)
        self._serving: asyncio.Task[None] | None = None

    async def opens(self) -> None:
        now = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
        door = Door(bot_user="UBOT", prefix="", means_something=lambda _: True, now=lambda: now)
        metrics = Metrics()
        app = build_app(
            client=AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/"),
            signing_secret=SECRET,
            storage=self.storage,
            chat=cast("Chat", None),
            door=lambda: door,
            metrics=metrics,
        )
        web = http_app(lambda: app, signing_secret=SECRET, look=Look(), metrics=metrics, now=lambda: now)
        self._serving = asyncio.create_task(serve(web, listen(self.number)))
        await self._is_open()

    async def _is_open(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    await self.client.get("/healthz")
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
                else:
                    return

    async def closes(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    async def gets(self, body: bytes, kind: str = JSON, **headers: str) -> httpx.Response:
        """A delivery that Slack signed, now unless the headers say otherwise."""
        sent = {"content_type": kind, **signature(body), **headers}
        named = {name.replace("_", "-"): value for name, value in sent.items() if value}
        return await self.client.post("/slack/events", content=body, headers=named)

    async def half(self, body: bytes, *, announced: int, headers: dict[str, str]) -> asyncio.StreamWriter:
        """The beginning of a delivery by a peer that has not sent all of it yet."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.number)
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = ["POST /slack/events HTTP/1.1", "Host: x", f"Content-Type: {JSON}", f"Content-Length: {announced}"]
        writer.write("\r\n".join([*head, *lines, "", ""]).encode() + body)
        await writer.drain()
        return writer

    async def kept(self) -> int:
        async with self.storage.reading() as saved:
            return int((await saved.connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one())

    def tracebacks(self) -> list[str]:
        ours = [str(entry) for entry in self.logged if entry.get("exc_info")]
        return ours + [record.getMessage() for record in self.log.records if record.exc_info]


@pytest.fixture
async def port(tmp_path: Path, caplog: pytest.LogCaptureFixture, unused_tcp_port: int) -> AsyncIterator[Port]:
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as scene:
        logged = scene.enter_context(capture_logs())
        storage = await scene.enter_async_context(open_database(tmp_path, durable=False))
        opened = Port(storage, unused_tcp_port, caplog, logged)
        await scene.enter_async_context(opened.client)
        scene.push_async_callback(opened.closes)
        await opened.opens()
        yield opened
        assert opened.tracebacks() == []


@pytest.mark.parametrize("what", DEEDS)
@pytest.mark.parametrize("copies", [1, 7, 50])
async def test_copies_at_one_moment_and_after_a_restart_are_kept_once(port: Port, what: str, copies: int) -> None:
    body, kind = DEEDS[what]
    replies = await asyncio.gather(*(port.gets(body, kind) for _ in range(copies)))
    assert [reply.status_code for reply in replies] == [200] * copies
    assert await port.kept() == 1
    await port.closes()
    await port.opens()
    again = await port.gets(body, kind, x_slack_retry_num="3", x_slack_retry_reason="http_timeout")
    assert again.status_code == 200
    assert await port.kept() == 1


async def test_days_later_a_copy_is_still_known(port: Port) -> None:
    """Signed anew, as Slack's repeated deliveries are, with another envelope around it."""
    await port.gets(MENTION)
    late = delivery(mention(), event_id="Ev0LATE", event_time=1_790_000_000 + int(3 * DAY), is_ext_shared_channel=True)
    assert (await port.gets(json.dumps(late).encode())).status_code == 200
    assert await port.kept() == 1


async def test_a_shuffled_crowd_of_copies_is_one_row_for_each_deed(port: Port) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    deeds = list(DEEDS.values())
    for number in range(1, 11):
        said = mention(ts=f"1790000{number:03}.000300", event_ts=f"1790000{number:03}.000300")
        deeds.append((json.dumps(delivery(said, event_id=f"Ev{number}")).encode(), JSON))
        deeds.append((form(command(trigger_id=f"9.{number}.zorglub")), FORM))
    dice = random.Random(seed)
    crowd = [deed for deed in deeds for _ in range(dice.randint(1, 6))]
    dice.shuffle(crowd)
    replies = await asyncio.gather(*(port.gets(*deed) for deed in crowd))
    assert {reply.status_code for reply in replies} == {200}
    assert await port.kept() == len(deeds)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json; charset=utf-8", "application/octet-stream"])
async def test_another_content_type_breaks_nothing_and_an_ack_means_a_row(port: Port, kind: str) -> None:
    reply = await port.gets(MENTION, kind)
    assert reply.status_code in {200, 404}
    assert await port.kept() == (1 if reply.status_code == 200 else 0)
    assert (await port.gets(MENTION)).status_code == 200
    assert await port.kept() == 1


async def test_400_kb_come_in(port: Port) -> None:
    long = delivery(mention("<@UBOT> draft " + "Champignac " * (BIG // 11)))
    assert (await port.gets(json.dumps(long).encode())).status_code == 200
    assert await port.kept() == 1


@pytest.mark.parametrize("seconds", [-DAY, -301.0, 301.0, DAY])
async def test_signed_at_another_time_it_does_not_come_in(port: Port, seconds: float) -> None:
    late = signature(MENTION, at=time.time() + seconds)
    assert (await port.gets(MENTION, JSON, **late)).status_code == 401
    assert await port.kept() == 0


ODD: dict[str, tuple[bytes, str]] = {
    "half of the JSON": (MENTION[: len(MENTION) // 2], JSON),
    "compressed": (gzip.compress(MENTION), JSON),
    "no UTF-8": (b"\xff\xfe" + MENTION, JSON),
    "nothing": (b"", JSON),
    "a list": (b"[]", JSON),
    "a word": (b'"houba"', JSON),
    "null": (b"null", JSON),
    "nested ten thousand deep": (b"[" * 10_000 + b"]" * 10_000, JSON),
    "an unknown type": (b'{"type": "zorglwave"}', JSON),
    "an event without an event": (b'{"type": "event_callback", "team_id": "T0PLAY"}', JSON),
    "an event that is a word": (b'{"type": "event_callback", "event": "houba"}', JSON),
    "a click that is half": (form({"payload": json.dumps(click())[:40]}), FORM),
    "a click that is a list": (form({"payload": "[]"}), FORM),
    "a form that says nothing": (b"houba", FORM),
}


@pytest.mark.parametrize("what", ODD)
async def test_a_signed_body_that_is_no_delivery_leaves_no_row_and_no_traceback(port: Port, what: str) -> None:
    body, kind = ODD[what]
    reply = await port.gets(body, kind)
    assert reply.status_code < 500
    assert "Traceback" not in reply.text
    assert await port.kept() == 0
    assert (await port.gets(MENTION)).status_code == 200


async def test_an_unknown_event_is_acknowledged_and_not_kept(port: Port) -> None:
    odd = json.dumps(delivery({"type": "zorglwave", "ts": "1790000000.000300"})).encode()
    assert (await port.gets(odd)).status_code == 200
    assert await port.kept() == 0


async def test_whoever_leaves_in_the_middle_of_a_body_leaves_nothing(port: Port) -> None:
    for cut in (0, 1, len(MENTION) // 2, len(MENTION) - 1):
        writer = await port.half(MENTION[:cut], announced=len(MENTION), headers=signature(MENTION))
        writer.transport.abort()
    assert (await port.gets(*DEEDS["command"])).status_code == 200
    assert await port.kept() == 1


async def test_slow_bodies_keep_nobody_waiting(port: Port) -> None:
    slow = [await port.half(MENTION[:9], announced=len(MENTION), headers=signature(MENTION)) for _ in range(100)]
    async with asyncio.timeout(5):
        assert (await port.gets(*DEEDS["command"])).status_code == 200
    slow[0].write(MENTION[9:])

    async with asyncio.timeout(20):
        while await port.kept() < 2:  # noqa: ASYNC110  nobody announces it
            await asyncio.sleep(0.01)
    for writer in slow:
        writer.transport.abort()
    assert await port.kept() == 2
