"""Faults of Socket Mode: whatever becomes of the connection, each delivery is kept once, and acked only when kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.metrics import Metrics
from bot.playground.delivery import Ack, Kind, Retry
from bot.playground.server import Fault, Playground
from bot.playground.socket_mode import SocketMode as SlackSide
from bot.slack import transport
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.listeners import build_app
from bot.slack.transport import SocketMode
from storage.database import Database
from tests.bot.slack.payloads import click, command, delivery, mention, reaction
from tests.fakes import open_database

PATIENCE = 20.0
MOST = 50
BIG = 400_000
DEEDS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "mention": (Kind.EVENT, delivery(mention())),
    "reaction": (Kind.EVENT, delivery(reaction())),
    "command": (Kind.COMMAND, command()),
    "click": (Kind.INTERACTION, click()),
}
MENTION = DEEDS["mention"]


@dataclass(kw_only=True)
class Wire:
    """Slack at one end, our intake at the other, over as many sockets as were asked for."""

    slack: Playground
    storage: Database
    metrics: Metrics
    intakes: list[SocketMode]
    rejoined: list[int]
    logged: list[Any]
    log: pytest.LogCaptureFixture

    @property
    def sockets(self) -> SlackSide:
        return self.slack._sockets

    async def brings(self, deed: tuple[Kind, dict[str, Any]]) -> Ack:
        """Once; whether it is acked is to be seen."""
        return await self.slack.attempt(*deed, Retry())

    async def insists(self, deed: tuple[Kind, dict[str, Any]]) -> None:
        """As Slack does with an event: again and again until it is acked."""
        async with asyncio.timeout(PATIENCE):
            while not (await self.brings(deed)).ok:  # noqa: ASYNC110  as Slack waits
                await asyncio.sleep(0.01)

    async def kept(self) -> int:
        async with self.storage.reading() as saved:
            return int((await saved.connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one())

    async def until(self, holds: Callable[[], Any]) -> None:
        await self.slack.until(holds, timeout=PATIENCE)

    async def are_well(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not all([await one.is_connected() for one in self.intakes]):  # noqa: ASYNC110  nobody announces it
                await asyncio.sleep(0.01)

    def tracebacks(self) -> list[str]:
        ours = [str(entry) for entry in self.logged if entry.get("exc_info")]
        return ours + [record.getMessage() for record in self.log.records if record.exc_info]


@pytest.fixture
async def wires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Callable[..., Any]]:
    monkeypatch.setattr(transport, "_LOOK_EVERY", 0.3)
    monkeypatch.setattr(transport, "_PING_EVERY", 0.4)
    monkeypatch.setattr(transport, "_CONNECT_SECONDS", 1.0)
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as scene:

        async def strung(sockets: int = 1, *, greets: bool = True, ack_seconds: float = 1.0) -> Wire:
            logged = scene.enter_context(capture_logs())
            slack = await scene.enter_async_context(Playground(ack_seconds=ack_seconds))
            slack._sockets.greets = greets
            storage = await scene.enter_async_context(open_database(tmp_path, durable=False))
            metrics, rejoined = Metrics(), [0] * sockets
            now = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
            door = Door(bot_user="UBOT", prefix="", means_something=lambda _: True, now=lambda: now)

            def again(number: int) -> Callable[[], None]:
                def count() -> None:
                    rejoined[number] += 1

                return count

            intakes = []
            for number in range(sockets):
                app = build_app(
                    client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
                    signing_secret=None,
                    storage=storage,
                    chat=cast("Chat", None),
                    door=lambda: door,
                    metrics=metrics,
                )
                intake = SocketMode(app, slack.app_token, metrics=metrics, reconnected=again(number))
                intakes.append(intake)
                task = asyncio.create_task(intake.run())
                scene.push_async_callback(_ends, task)
            wire = Wire(
                slack=slack, storage=storage, metrics=metrics, intakes=intakes, rejoined=rejoined, logged=logged,
                log=caplog,
            )  # fmt: skip
            if greets:
                await wire.are_well()
                await wire.until(lambda: slack.connections == sockets)
            return wire

        yield strung


async def _ends(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


Wires = Callable[..., Any]


@pytest.mark.parametrize("what", DEEDS)
@pytest.mark.parametrize("sockets", [1, 2])
async def test_fifty_copies_at_one_moment_and_again_later_are_kept_once(wires: Wires, what: str, sockets: int) -> None:
    wire: Wire = await wires(sockets, ack_seconds=30.0)
    wire.sockets.to_all = sockets > 1
    acks = await asyncio.gather(*(wire.brings(DEEDS[what]) for _ in range(MOST)))
    assert all(ack.ok for ack in acks), acks
    assert await wire.kept() == 1
    wire.slack.drop_sockets()
    await wire.insists(DEEDS[what])
    assert await wire.kept() == 1
    assert wire.tracebacks() == []


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "too_many_websockets", "link_disabled"])
async def test_told_to_disconnect_it_comes_again_and_nothing_is_lost(wires: Wires, reason: str) -> None:
    wire: Wire = await wires()
    await wire.slack.refresh_sockets(reason)
    await wire.insists(MENTION)
    assert await wire.kept() == 1
    assert wire.slack.connections == 1
    await wire.until(lambda: wire.rejoined == [1])
    assert wire.tracebacks() == []


async def test_a_socket_that_breaks_in_the_middle_of_an_envelope_is_made_anew(wires: Wires) -> None:
    wire: Wire = await wires()
    half = {"envelope_id": "houba", "type": "events_api", "payload": MENTION[1]}
    wire.sockets.break_inside(json.dumps(half))
    await wire.until(lambda: wire.rejoined == [1])
    assert await wire.kept() == 0
    await wire.insists(MENTION)
    assert await wire.kept() == 1
    assert wire.tracebacks() == []


async def test_a_peer_that_says_nothing_any_more_is_noticed_and_left(wires: Wires) -> None:
    wire: Wire = await wires()
    wire.sockets.fall_silent()
    await wire.until(lambda: wire.rejoined == [1])
    await wire.are_well()
    await wire.insists(MENTION)
    assert await wire.kept() == 1
    assert wire.tracebacks() == []


async def test_without_a_hello_it_is_not_connected_and_tries_anew(wires: Wires) -> None:
    wire: Wire = await wires(greets=False)
    await wire.until(lambda: wire.slack.connections)
    assert not await wire.intakes[0].is_connected()
    await wire.until(lambda: len(wire.slack.calls_of("apps.connections.open")) > 1)
    wire.sockets.greets = True
    await wire.are_well()
    await wire.insists(MENTION)
    assert await wire.kept() == 1
    assert wire.tracebacks() == []


@pytest.mark.parametrize("drops", [True, False])
async def test_an_app_token_that_is_revoked_is_told_once_and_tried_again_slowly(
    wires: Wires,
    monkeypatch: pytest.MonkeyPatch,
    drops: bool,  # noqa: FBT001
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def wait(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0.05 if seconds == transport._REFUSED_EVERY else seconds)

    wire: Wire = await wires()
    (intake,) = wire.intakes
    assert await intake.trouble() == ""
    monkeypatch.setattr("bot.slack.transport.asyncio.sleep", wait)
    wire.slack.faults.add("apps.connections.open", Fault.ERROR("token_revoked"), times=1_000_000)
    if drops:
        wire.slack.drop_sockets()
    else:
        await wire.slack.refresh_sockets("link_disabled")
    await wire.until(lambda: pauses.count(transport._REFUSED_EVERY) > 3)
    assert (await intake.trouble()).startswith("Slack does not take SLACK_APP_TOKEN (token_revoked): set it to ")
    assert [entry["event"] for entry in wire.logged if entry["log_level"] == "error"] == [
        "slack refuses the app token; nothing comes in until that is mended"
    ]
    assert [record.getMessage() for record in wire.log.records] == []
    wire.slack.faults.clear()
    await wire.insists(MENTION)
    await wire.are_well()
    assert await intake.trouble() == ""
    assert wire.tracebacks() == []


async def test_while_slack_says_429_its_time_is_waited_for(wires: Wires) -> None:
    wire: Wire = await wires()
    wire.slack.faults.add("apps.connections.open", Fault.RATE_LIMITED(1), times=2)
    wire.slack.drop_sockets()
    await wire.until(lambda: wire.rejoined == [1])
    await wire.insists(MENTION)
    assert [entry["again_in"] for entry in wire.logged if entry.get("cause") == "ratelimited"] == [1, 1]
    assert wire.tracebacks() == []


async def test_an_address_that_leads_nowhere_is_given_up_for_a_new_one(wires: Wires) -> None:
    """Slack takes each address once: whoever tries it for ever never comes in again."""
    wire: Wire = await wires()
    wire.sockets.down = True
    wire.slack.drop_sockets()
    asked = len(wire.slack.calls_of("apps.connections.open"))
    ours = 2  # slack_sdk asks for the first address anew, and the watchdog for the second
    await wire.until(lambda: len(wire.slack.calls_of("apps.connections.open")) >= asked + ours)
    wire.slack.workspace.tickets.clear()
    wire.sockets.down = False
    await wire.insists(MENTION)
    await wire.are_well()
    assert await wire.kept() == 1


async def test_an_ack_that_is_lost_brings_the_envelope_again_and_changes_nothing(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire: Wire = await wires()
    with monkeypatch.context() as deaf:
        deaf.setattr(wire.sockets, "_acked", lambda _: None)
        assert not (await wire.brings(MENTION)).ok
    assert await wire.kept() == 1
    assert (await wire.brings(MENTION)).ok
    assert await wire.kept() == 1
    assert wire.tracebacks() == []


async def test_what_is_not_stored_is_not_acked(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    wire: Wire = await wires()
    with monkeypatch.context() as broken:
        broken.setattr(wire.storage, "transaction", lambda **_: 1 / 0)
        assert not (await wire.brings(MENTION)).ok
        assert not (await wire.brings(DEEDS["reaction"])).ok
    assert await wire.kept() == 0
    await wire.insists(MENTION)
    assert await wire.kept() == 1


async def test_a_payload_of_400_kb_comes_in(wires: Wires) -> None:
    wire: Wire = await wires()
    long = delivery(mention("<@UBOT> draft " + "Champignac " * (BIG // 11)))
    assert (await wire.brings((Kind.EVENT, long))).ok
    assert await wire.kept() == 1


ODD = {
    "an unknown envelope": {"envelope_id": "e1", "type": "zorglwave", "payload": {"type": "zorglwave"}},
    "an envelope without a payload": {"envelope_id": "e2", "type": "events_api"},
    "an envelope without an id": {"type": "events_api", "payload": MENTION[1]},
    "an unknown event": {"envelope_id": "e3", "type": "events_api", "payload": delivery({"type": "zorglwave"})},
    "an unknown interaction": {"envelope_id": "e4", "type": "interactive", "payload": {"type": "zorglwave"}},
    "an unknown message": {"type": "zorglwave"},
    "an empty object": {},
    "a payload that is a list": {"envelope_id": "e5", "type": "events_api", "payload": []},
    "a payload that is a word": {"envelope_id": "e6", "type": "events_api", "payload": "houba"},
    "a payload that is nothing": {"envelope_id": "e7", "type": "events_api", "payload": None},
    "an event that is a word": {
        "envelope_id": "e8",
        "type": "events_api",
        "payload": {"type": "event_callback", "event": "houba"},
    },
    "no JSON": "{houba",
    "no object": "[1, 2]",
    "nothing": "",
}


async def test_whatever_else_comes_over_the_socket_changes_nothing_and_stops_nothing(wires: Wires) -> None:
    wire: Wire = await wires()
    for what in ODD.values():
        await wire.sockets.say(what if isinstance(what, str) else json.dumps(what))
    assert (await wire.brings(MENTION)).ok
    await asyncio.sleep(0.1)
    assert await wire.kept() == 1
    assert wire.rejoined == [0]
    assert wire.tracebacks() == []
