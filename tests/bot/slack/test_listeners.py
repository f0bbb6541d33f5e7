"""What Slack delivers is in the inbox before it is acknowledged; what could not be stored is not acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.metrics import Metrics
from bot.slack import listeners
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.listeners import ask_about, build_app, keep_then
from bot.slack.lookup import Lookup
from handlers.incoming import Reason
from handlers.ports import Place
from handlers.words import Body
from storage.database import Database, Saved
from tests.bot.slack.payloads import (
    GONE,
    Payload,
    click,
    command,
    delivery,
    mention,
    reaction,
    reply,
    run_it,
    submission,
)
from tests.fakes import FakeSlack, until
from tests.storage.records import answer, keep, review, run, work

NOW = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


def door() -> Door:
    return Door(bot_user="UBOT", prefix="", means_something=lambda e: e == "white_check_mark", now=lambda: NOW)


@dataclass
class Ack:
    """The rest of Bolt: it counts what was let through, and looks at the inbox in that moment."""

    storage: Database
    acked: int = 0
    kept_by_then: list[str] = field(default_factory=list)

    async def __call__(self) -> None:
        self.acked += 1
        self.kept_by_then = await keys(self.storage)


async def keys(storage: Database) -> list[str]:
    async with storage.reading() as saved:
        return [one.key for one in await saved.inbox.heads(NOW)]


async def takes(body: Payload, storage: Database, kept_in: Database | None = None) -> tuple[Ack, BoltResponse | None]:
    ack = Ack(kept_in or storage)
    return ack, await keep_then(ack, body, storage=storage, door=door(), metrics=Metrics())


class Blocking:
    """A storage whose transactions do not end, or do not begin, until told."""

    def __init__(self, storage: Database, *, before: bool) -> None:
        self._storage, self._before = storage, before
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def transaction(self, **_: bool) -> AsyncIterator[Saved]:
        if self._before:
            await self._wait()
        async with self._storage.transaction() as saved:
            yield saved
        if not self._before:
            await self._wait()

    def order(self, name: str) -> AbstractAsyncContextManager[None]:
        return self._storage.order(name)

    async def _wait(self) -> None:
        self.reached.set()
        await self.go_on.wait()


class Broken:
    """A storage on a full disk."""

    def order(self, _: str) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def transaction(self, **_: bool) -> AsyncIterator[Saved]:
        raise OSError("database or disk is full")
        yield

    reading = transaction


WHOLE = {
    "command": command(),
    "mention": delivery(mention()),
    "reaction": delivery(reaction()),
    "click": click(),
    "modal": submission(),
    "advice": run_it(),
}
EVENTS = {name: body for name, body in WHOLE.items() if name != "command"}


@pytest.mark.parametrize("what", WHOLE)
async def test_what_is_acknowledged_is_in_the_inbox_by_then(storage: Database, what: str) -> None:
    ack, response = await takes(WHOLE[what], storage)
    assert response is None
    assert ack.acked == 1
    assert len(ack.kept_by_then) == 1


@pytest.mark.parametrize("what", WHOLE)
async def test_a_repeat_is_acknowledged_and_changes_nothing(storage: Database, what: str) -> None:
    for _ in range(3):
        ack, _ = await takes(WHOLE[what], storage)
        assert ack.acked == 1
    assert len(await keys(storage)) == 1


@pytest.mark.parametrize("what", WHOLE)
async def test_nothing_is_acknowledged_before_the_commit(storage: Database, what: str) -> None:
    blocking = Blocking(storage, before=False)
    ack = Ack(storage)
    keeping = asyncio.create_task(
        keep_then(ack, WHOLE[what], storage=cast("Database", blocking), door=door(), metrics=Metrics()),
    )
    await blocking.reached.wait()
    await asyncio.sleep(0.01)
    assert ack.acked == 0
    assert not keeping.done()
    blocking.go_on.set()
    await keeping
    assert ack.acked == 1


async def test_a_command_that_could_not_be_stored_is_told_that_nothing_was_started(storage: Database) -> None:
    ack, response = await takes(command(), cast("Database", Broken()), storage)
    assert ack.acked == 0
    assert response is not None
    assert response.status == 200
    assert json.loads(response.body) == {
        "response_type": "ephemeral",
        "text": "Your request could not be stored, so nothing was started. Try again in a minute.",
    }


@pytest.mark.parametrize("what", EVENTS)
async def test_an_event_that_could_not_be_stored_is_not_acknowledged(storage: Database, what: str) -> None:
    ack, response = await takes(EVENTS[what], cast("Database", Broken()), storage)
    assert ack.acked == 0
    assert response is not None
    assert response.status == 503


@pytest.mark.parametrize("what", WHOLE)
async def test_an_inbox_too_slow_for_slack_takes_nothing(
    storage: Database, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_IN_TIME", 0.05)
    blocking = Blocking(storage, before=True)
    ack, response = await takes(WHOLE[what], cast("Database", blocking), storage)
    assert ack.acked == 0
    assert response is not None
    assert response.status == (200 if what == "command" else 503)
    blocking.go_on.set()
    await asyncio.sleep(0.01)
    assert await keys(storage) == []  # what was told to be lost does not turn up later


async def test_once_the_commit_has_begun_its_outcome_is_waited_for(
    storage: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_IN_TIME", 1.5)
    blocking = Blocking(storage, before=False)
    ack = Ack(storage)
    keeping = asyncio.create_task(
        keep_then(ack, command(), storage=cast("Database", blocking), door=door(), metrics=Metrics())
    )
    await blocking.reached.wait()
    await asyncio.sleep(2)
    assert not keeping.done()  # nobody is told that nothing was started: it is stored
    blocking.go_on.set()
    assert await keeping is None
    assert ack.acked == 1


async def test_a_command_that_cannot_be_understood_is_answered_and_not_kept(storage: Database) -> None:
    for body in (command(text=""), command(trigger_id=GONE)):
        ack, response = await takes(body, storage)
        assert ack.acked == 0
        assert response is not None
        assert json.loads(response.body)["response_type"] == "ephemeral"
    assert await keys(storage) == []


@pytest.mark.parametrize(
    "body", [{}, {"type": "event_callback"}, delivery(mention(ts="soon")), {"type": "view_closed"}]
)
async def test_what_asks_nothing_of_us_is_acknowledged_even_when_the_inbox_is_full(
    storage: Database, body: Payload
) -> None:
    ack, response = await takes(body, cast("Database", Broken()), storage)
    assert (ack.acked, response) == (1, None)


# reasons


async def owing(storage: Database, who: str) -> None:
    placed = work(team="T0PLAY", channel="C0LAUNCH", thread_ts="1790000000.000100")
    await keep(storage, placed, run(), answer(), review())
    async with storage.transaction() as saved:
        await saved.reviews.want_reason("a-nest", who)


async def test_a_reply_is_kept_only_from_whoever_owes_a_reason_there(storage: Database) -> None:
    await owing(storage, "U0SAM")
    others = [reply(user="U0RAE"), reply(thread_ts="1790000000.000999"), reply(channel="C0DOCS")]
    for event in others:
        ack, _ = await takes(delivery(event), storage)
        assert ack.acked == 1
    assert await keys(storage) == []
    await takes(delivery(reply()), storage)
    async with storage.reading() as saved:
        [kept] = await saved.inbox.heads(NOW)
    assert Reason.from_json(kept.body).words == "Name the date."


async def test_nobodys_words_are_kept_when_no_reason_is_wanted(storage: Database) -> None:
    await takes(delivery(reply(text="a secret")), storage)
    async with storage.reading() as saved:
        found = await saved.connection.exec_driver_sql("SELECT count(*) FROM inbox")
        assert found.scalar() == 0


# the shortcut


class Views:
    """The part of Chat that a shortcut needs; Slack opens forms, or does not."""

    def __init__(self, *, opens: bool = True) -> None:
        self.opens = opens
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.told: list[tuple[str | None, str, str]] = []

    async def open_view(self, trigger_id: str, view: dict[str, Any]) -> bool:
        self.opened.append((trigger_id, view))
        return self.opens

    async def answer_privately(
        self, *, reply_url: str | None, channel: str, person: str, thread_ts: str | None, body: Body
    ) -> None:
        assert channel == "C0LAUNCH"
        assert thread_ts is None
        self.told.append((reply_url, person, body.fallback))


SHORTCUT = {
    "team": {"id": "T0PLAY"},
    "channel": {"id": "C0LAUNCH"},
    "user": {"id": "U0ANN"},
    "message": {"ts": "1790000000.000200"},
    "trigger_id": "1.2.3",
    "response_url": "https://hooks.slack.com/app/x",
}


async def uses_shortcut(storage: Database, views: Views, lookup: object | None = None) -> None:
    await ask_about(SHORTCUT, storage=storage, chat=cast("Chat", views), lookup=cast("Lookup | None", lookup))


async def test_where_we_are_not_the_shortcut_is_answered_and_no_form_opens(storage: Database) -> None:
    views, lookup = Views(), FakeSlack()
    lookup.places["C0LAUNCH"] = Place(id="C0LAUNCH", is_member=False)
    await uses_shortcut(storage, views, lookup)
    assert views.opened == []
    sentence = "I am not in this channel. Invite me with `/invite @Countersign`, then ask again."
    assert views.told == [("https://hooks.slack.com/app/x", "U0ANN", sentence)]


async def test_a_form_that_does_not_open_is_said(storage: Database) -> None:
    views, lookup = Views(opens=False), FakeSlack()
    lookup.places["C0LAUNCH"] = Place(id="C0LAUNCH")
    await uses_shortcut(storage, views, lookup)
    assert len(views.opened) == 1
    [(address, person, sentence)] = views.told
    assert (address, person) == ("https://hooks.slack.com/app/x", "U0ANN")
    assert sentence.startswith("Slack did not open the form in time, so nothing was started.")


class Mute(FakeSlack):
    """A Slack that does not answer."""

    async def place(self, channel: str, *, now: bool = False) -> Place:  # noqa: ARG002  whichever
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("silence", ["an error", "no answer"])
async def test_as_long_as_slack_does_not_say_where_we_are_the_form_opens(
    storage: Database, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_PLACE_SECONDS", 0.05)
    views, lookup = Views(), FakeSlack() if silence == "an error" else Mute()
    lookup.silent_about.add("C0LAUNCH")
    await uses_shortcut(storage, views, lookup)
    assert len(views.opened) == 1
    assert views.told == []


@pytest.mark.parametrize(
    ("message", "asks"),
    [
        ({"ts": "1790000000.000200", "thread_ts": "1790000000.000100"}, False),
        ({"ts": "1790000000.000100"}, False),
        ({"ts": "1790000000.000200"}, True),
        ({"ts": "1790000000.000200", "thread_ts": "1790000000.000150"}, True),
    ],
)
async def test_the_brief_is_asked_for_outside_a_work(storage: Database, message: Payload, *, asks: bool) -> None:
    await keep(storage, work(team="T0PLAY", channel="C0LAUNCH", thread_ts="1790000000.000100"))
    views = Views()
    body = {"team": {"id": "T0PLAY"}, "channel": {"id": "C0LAUNCH"}, "message": message, "trigger_id": "1.2.3"}
    await ask_about(body, storage=storage, chat=cast("Chat", views))
    [(trigger, view)] = views.opened
    assert trigger == "1.2.3"
    assert [block["block_id"] for block in view["blocks"]] == (["brief", "note"] if asks else ["note"])
    place = json.loads(view["private_metadata"])
    assert place == {
        "channel": "C0LAUNCH",
        "ts": message["ts"],
        "thread_ts": message.get("thread_ts", message["ts"]),
    }


# user groups


class Groups:
    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def forget_group(self, group: str) -> None:
        self.forgotten.append(group)


async def test_a_group_that_changed_is_forgotten_and_the_event_acknowledged(storage: Database) -> None:
    groups = Groups()
    app = build_app(
        client=AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/"),
        signing_secret=None,
        storage=storage,
        chat=cast("Chat", None),
        door=door,
        lookup=cast("Lookup", groups),
    )
    event = {"type": "subteam_members_changed", "subteam_id": "S0REVIEW", "added_users": ["U0ANN"]}
    response = await app.async_dispatch(AsyncBoltRequest(body=delivery(event), mode="socket_mode"))
    assert response.status == 200
    await until(lambda: groups.forgotten == ["S0REVIEW"])
    await app.async_dispatch(AsyncBoltRequest(body=delivery(mention()), mode="socket_mode"))
    assert groups.forgotten == ["S0REVIEW"]
