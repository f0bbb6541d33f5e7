"""How deliveries reach us: only what Slack signed comes in by HTTP, and a dead socket is replaced."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from structlog.testing import capture_logs

from bot.metrics import Metrics
from bot.readiness import Health
from bot.slack import transport
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.listeners import build_app
from bot.slack.transport import FindApp, SocketMode, http_app, listen, serve
from handlers.errors import Refusal
from storage.database import Database
from storage.gauges import Gauges
from tests.bot.slack.payloads import click, command, delivery, mention, reaction
from tests.fakes import open_database, until

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)


class Look:
    """How the process is, as a test says."""

    def __init__(self) -> None:
        self.health = Health(gauges=Gauges())

    async def __call__(self) -> Health:
        return self.health


class House:
    """The HTTP door, its inbox, and a client that may sign as Slack does."""

    def __init__(self, web: Starlette, storage: Database, look: Look, metrics: Metrics) -> None:
        self.storage, self.look, self.metrics = storage, look, metrics
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=web), base_url="http://countersign.test")

    async def posts(self, body: bytes, **headers: str | bytes) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/slack/events", content=body, headers=cast("dict[str, str]", sent))

    async def signed(self, body: bytes, kind: str = "application/json") -> httpx.Response:
        return await self.posts(body, content_type=kind, **signature(body))

    def counted(self, kind: str, outcome: str) -> float | None:
        """Deliveries of a kind that met this outcome."""
        return self.metrics.registry.get_sample_value(
            "countersign_deliveries_total", {"kind": kind, "outcome": outcome}
        )

    async def kept(self) -> int:
        async with self.storage.reading() as saved:
            return int((await saved.connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one())


def signature(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    stamp = str(int(at if at is not None else time.time()))
    made = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"x_slack_request_timestamp": stamp, "x_slack_signature": f"v0={made}"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_database(tmp_path, durable=False) as storage:
        door = Door(bot_user="UBOT", prefix="", means_something=lambda _: True, now=lambda: NOW)

        nowhere = AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/")  # nobody answers auth.test there
        look, metrics = Look(), Metrics()
        app = build_app(
            client=nowhere,
            signing_secret=SECRET,
            storage=storage,
            chat=cast("Chat", None),
            door=lambda: door,
            metrics=metrics,
        )
        web = http_app(lambda: app, signing_secret=SECRET, look=look, metrics=metrics, now=lambda: NOW)
        opened = House(web, storage, look, metrics)
        async with opened.client:
            yield opened


BODY = json.dumps(delivery(mention())).encode()


async def test_what_slack_signed_comes_in(house: House) -> None:
    reply = await house.signed(BODY)
    assert reply.status_code == 200
    assert await house.kept() == 1
    form = urlencode(command()).encode()
    reply = await house.signed(form, "application/x-www-form-urlencoded")
    assert reply.status_code == 200
    assert await house.kept() == 2


async def test_the_first_delivery_is_kept_though_slacks_web_api_does_not_answer(house: House) -> None:
    reply = await house.signed(json.dumps(delivery(reaction())).encode())
    assert reply.status_code == 200
    assert await house.kept() == 1


async def test_a_replay_within_the_window_is_acknowledged_and_changes_nothing(house: House) -> None:
    headers = signature(BODY)
    for _ in range(5):
        reply = await house.posts(BODY, content_type="application/json", **headers)
        assert reply.status_code == 200
    assert await house.kept() == 1


GOOD = signature(BODY)
STAMP = GOOD["x_slack_request_timestamp"]
MARK = GOOD["x_slack_signature"]
BAD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "no headers": (BODY, {}),
    "no signature": (BODY, {"x_slack_request_timestamp": STAMP}),
    "no time": (BODY, {"x_slack_signature": MARK}),
    "an empty signature": (BODY, {**GOOD, "x_slack_signature": ""}),
    "an empty time": (BODY, {**GOOD, "x_slack_request_timestamp": ""}),
    "another secret": (BODY, signature(BODY, secret="0" * 32)),
    "an empty secret": (BODY, signature(BODY, secret="")),
    "another body": (BODY.replace(b"harsh", b"quiet"), GOOD),
    "one byte more": (BODY + b" ", GOOD),
    "an empty body": (b"", GOOD),
    "upper-case hex": (BODY, {**GOOD, "x_slack_signature": MARK.upper()}),
    "without its version": (BODY, {**GOOD, "x_slack_signature": MARK.removeprefix("v0=")}),
    "another version": (BODY, {**GOOD, "x_slack_signature": MARK.replace("v0=", "v1=")}),
    "a cut signature": (BODY, {**GOOD, "x_slack_signature": MARK[:-1]}),
    "a blank before it": (BODY, {**GOOD, "x_slack_signature": f"v0= {MARK[3:]}"}),
    "an old time": (BODY, signature(BODY, at=time.time() - 301)),
    "a time to come": (BODY, signature(BODY, at=time.time() + 3_600)),
    "a time that is no number": (BODY, {**GOOD, "x_slack_request_timestamp": "yesterday"}),
    "a time that is not finite": (BODY, {**GOOD, "x_slack_request_timestamp": "inf"}),
    "a fraction of a time": (BODY, {**GOOD, "x_slack_request_timestamp": f"{STAMP}.5"}),
    "a time of five thousand digits": (BODY, {**GOOD, "x_slack_request_timestamp": "9" * 5_000}),
    "a negative time": (BODY, {**GOOD, "x_slack_request_timestamp": f"-{STAMP}"}),
    "a time in other digits": (BODY, {**GOOD, "x_slack_request_timestamp": "१७९०००००००".encode()}),
    "a signature that is not ASCII": (BODY, {**GOOD, "x_slack_signature": "v0=ünïcödé".encode()}),
    "a body that is no UTF-8": (b"\xff\xfe" + BODY, GOOD),
    "an unsigned ssl_check": (b"ssl_check=1&token=verification", {"content_type": "application/x-www-form-urlencoded"}),
    "an unsigned url_verification": (b'{"type": "url_verification", "challenge": "c"}', {}),
}


@pytest.mark.parametrize("what", BAD)
async def test_what_slack_did_not_sign_is_refused_and_leaves_nothing(house: House, what: str) -> None:
    body, headers = BAD[what]
    reply = await house.posts(body, **{"content_type": "application/json", **headers})
    assert reply.status_code == 401
    assert reply.text == "not signed by Slack"
    assert await house.kept() == 0


async def test_a_signed_url_verification_is_answered_and_never_kept(house: House) -> None:
    reply = await house.signed(b'{"type": "url_verification", "challenge": "houba"}')
    assert (reply.status_code, reply.json()) == (200, {"challenge": "houba"})
    assert await house.kept() == 0


async def test_a_signed_ssl_check_is_answered_and_never_kept(house: House) -> None:
    reply = await house.signed(b"ssl_check=1&token=x", "application/x-www-form-urlencoded")
    assert reply.status_code == 200
    assert await house.kept() == 0


async def test_a_body_larger_than_anything_slack_sends_is_refused_unread(house: House) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 65_536

    reply = await house.client.post("/slack/events", content=endless())
    assert reply.status_code == 413
    assert sent < 64
    assert await house.kept() == 0


async def test_an_event_the_inbox_did_not_take_is_left_for_slack_to_bring_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(house.storage, "transaction", full)
    reply = await house.signed(json.dumps(delivery(reaction())).encode())
    assert reply.status_code == 503
    told = await house.signed(urlencode(command()).encode(), "application/x-www-form-urlencoded")
    assert told.status_code == 200
    assert "nothing was started" in told.json()["text"]
    assert await house.kept() == 0


async def test_other_ways_and_other_paths_are_not_there(house: House) -> None:
    assert (await house.client.get("/slack/events")).status_code == 405
    assert (await house.client.post("/slack/other", content=b"")).status_code == 404


async def test_a_balancer_hears_whether_we_live_and_what_keeps_us_from_working(house: House) -> None:
    assert (await house.client.get("/healthz")).text == "ok"
    reply = await house.client.get("/readyz")
    assert (reply.status_code, reply.json()) == (200, {"ready": True, "missing": {}, "warnings": {}})
    house.look.health = Health(missing={"slack": "There is no Socket Mode connection to Slack."})
    assert (await house.client.get("/healthz")).status_code == 200
    reply = await house.client.get("/readyz")
    assert reply.status_code == 503
    assert reply.json() == {"ready": False, "missing": house.look.health.missing, "warnings": {}}


async def test_what_is_wrong_elsewhere_is_told_without_sending_deliveries_away(house: House) -> None:
    house.look.health = Health(warnings={"outbox": "A message to Slack has waited for 7 min."})
    reply = await house.client.get("/readyz")
    assert (reply.status_code, reply.json()["ready"]) == (200, True)
    assert reply.json()["warnings"] == house.look.health.warnings


async def test_each_delivery_is_counted_by_what_it_was_and_what_became_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = "application/x-www-form-urlencoded"
    await house.signed(BODY)
    await house.signed(urlencode(command()).encode(), form)
    await house.signed(urlencode({"payload": json.dumps(click())}).encode(), form)
    await house.posts(BODY)
    await house.client.post("/slack/events", content=b"x" * (2 * 1024 * 1024 + 1))
    for kind in ("event", "command", "interaction"):
        assert house.counted(kind, "acknowledged") == 1
        assert house.metrics.registry.get_sample_value("countersign_ack_seconds_count", {"kind": kind}) == 1
    assert house.counted("other", "not_signed") == house.counted("other", "too_large") == 1

    monkeypatch.setattr(house.storage, "transaction", lambda **_: 1 / 0)
    await house.signed(json.dumps(delivery(reaction())).encode())
    assert house.counted("event", "not_acknowledged") == 1
    assert house.metrics.registry.get_sample_value("countersign_ack_seconds_count", {"kind": "event"}) == 1


async def test_what_comes_again_or_is_not_stored_is_told_from_what_is_new(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await house.signed(BODY)
    monkeypatch.setattr(house.storage, "transaction", lambda **_: 1 / 0)
    reply = await house.signed(urlencode(command()).encode(), "application/x-www-form-urlencoded")
    assert "nothing was started" in reply.json()["text"]
    letters = {
        outcome: house.metrics.registry.get_sample_value(
            "countersign_letters_kept_total", {"kind": "request", "outcome": outcome}
        )
        for outcome in ("new", "known", "failed")
    }
    assert letters == {"new": 1, "known": 2, "failed": 1}


async def test_prometheus_reads_what_was_counted_and_what_is_open(house: House) -> None:
    await house.signed(BODY)
    reply = await house.client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == CONTENT_TYPE_LATEST
    assert 'countersign_deliveries_total{kind="event",outcome="acknowledged"} 1.0' in reply.text
    assert "countersign_database_up 1.0" in reply.text
    house.look.health = Health(missing={"database": "It does not answer."})
    reply = await house.client.get("/metrics")
    assert reply.status_code == 200
    assert "countersign_database_up 0.0" in reply.text
    assert 'countersign_deliveries_total{kind="event",outcome="acknowledged"} 1.0' in reply.text


def _app(app: FindApp | None, secret: str | None) -> Starlette:
    return http_app(app, signing_secret=secret, look=Look(), metrics=Metrics(), now=lambda: NOW)


@pytest.mark.parametrize("secret", [None, ""])
async def test_without_a_secret_there_is_no_door(secret: str | None) -> None:
    web = _app(lambda: cast("AsyncApp", object()), secret)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=web), base_url="http://countersign.test") as client:
        assert (await client.post("/slack/events", content=BODY)).status_code == 404


async def test_serving_ends_when_told_and_frees_its_port(unused_tcp_port: int) -> None:
    for _ in range(2):
        serving = asyncio.create_task(serve(_app(None, None), listen(unused_tcp_port)))
        async with httpx.AsyncClient() as client:
            reply = None
            while reply is None:
                try:
                    reply = await client.get(f"http://127.0.0.1:{unused_tcp_port}/healthz")
                except httpx.ConnectError:
                    await asyncio.sleep(0.01)
        assert reply.text == "ok"
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


def test_a_port_that_is_taken_is_a_sentence(unused_tcp_port: int) -> None:
    with listen(unused_tcp_port), pytest.raises(Refusal, match=f"PORT {unused_tcp_port} cannot be listened on"):
        listen(unused_tcp_port)


# Socket Mode


class Client:
    def __init__(self, *, raises: bool = False) -> None:
        self.current_session: object | None = object()
        self.alive, self.raises = True, raises

    async def is_connected(self) -> bool:
        if self.raises:
            raise ConnectionResetError
        return self.alive


class Handlers:
    """Stands in for Bolt's handler; each connection made is one of these."""

    def __init__(self, *connects: Exception | None) -> None:
        self.made: list[Any] = []
        self._connects = list(connects)

    def __call__(self, _app: AsyncApp, _token: str, _metrics: Metrics) -> Any:
        outer, outcome = self, self._connects.pop(0) if self._connects else None

        class Handler:
            def __init__(self) -> None:
                self.client, self.closed, self.refused = Client(), 0, None
                outer.made.append(self)

            @property
            def is_greeted(self) -> bool:
                return self.client.current_session is not None

            async def connect_async(self) -> None:
                if outcome is not None:
                    raise outcome

            async def close_async(self) -> None:
                self.closed += 1
                if outcome is not None:
                    raise ConnectionResetError("already gone")

        return Handler()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LOOK_EVERY", 0.005)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("hasty")
async def test_a_connection_that_silently_died_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = Handlers()
    monkeypatch.setattr(transport, "_Handler", handlers)
    socket = SocketMode(cast("AsyncApp", None), "xapp")
    assert not await socket.is_connected()
    task = asyncio.create_task(socket.run())
    await until(lambda: bool(handlers.made))
    assert await socket.is_connected()
    handlers.made[0].client.alive = False
    await until(lambda: len(handlers.made) == 2)
    assert handlers.made[0].closed == 1
    assert await socket.is_connected()
    await stop(task)
    assert handlers.made[1].closed == 1
    assert not await socket.is_connected()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("fault", ["raises", "no session"])
async def test_a_client_that_cannot_tell_counts_as_dead(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    handlers = Handlers()
    monkeypatch.setattr(transport, "_Handler", handlers)
    socket = SocketMode(cast("AsyncApp", None), "xapp")
    task = asyncio.create_task(socket.run())
    await until(lambda: bool(handlers.made))
    if fault == "raises":
        handlers.made[0].client.raises = True
    else:
        handlers.made[0].client.current_session = None
    assert not await socket.is_connected()
    await until(lambda: len(handlers.made) == 2)
    await stop(task)


@pytest.mark.usefixtures("hasty")
async def test_one_bad_look_alone_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = Handlers()
    monkeypatch.setattr(transport, "_Handler", handlers)
    looks: list[bool] = []

    async def wavers(_: SocketMode) -> bool:
        looks.append(len(looks) % 2 == 1)
        return looks[-1]

    monkeypatch.setattr(SocketMode, "is_connected", wavers)
    task = asyncio.create_task(SocketMode(cast("AsyncApp", None), "xapp").run())
    await until(lambda: len(looks) > 20)
    assert len(handlers.made) == 1
    await stop(task)


async def test_a_refused_connection_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = Handlers(ConnectionRefusedError(), TimeoutError(), None)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def skip(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0.001)

    monkeypatch.setattr(transport, "_Handler", handlers)
    monkeypatch.setattr("bot.slack.transport.asyncio.sleep", skip)
    socket = SocketMode(cast("AsyncApp", None), "xapp")
    task = asyncio.create_task(socket.run())
    while len(handlers.made) < 3:
        await sleep(0.001)
    assert [one.closed for one in handlers.made] == [1, 1, 0]
    assert pauses[:2] == [1.0, 2.0]
    await stop(task)
