"""The four questions: opened where they can be run, answered where they were asked, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from slack_bolt.async_app import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient
from structlog.testing import capture_logs

from bot.playground.blocks_check import check_view
from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.listeners import build_app
from bot.slack.lookup import Lookup
from bot.slack.route_desk import RouteDesk
from bot.slack.route_form import UNREADABLE, Opener
from handlers.advise import Eyes, Job, Matters, Stakes
from handlers.offer import LONGEST
from handlers.ports import Place
from handlers.stack import Stack
from handlers.words import Body
from storage.database import Database, Saved
from tests.bot.slack.payloads import GONE, WORDS, Payload, command, delivery, filled, four_answers, mention, run_it
from tests.fakes import FakeSlack, until
from tests.handlers.house import words_of
from tests.storage.records import answer, keep, run, work

NOW = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
THREAD = "1790000000.000100"
MODEL = {"wire": "openai", "base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


def a_stack(**tables: Any) -> Stack:
    models = {
        "quick": {**MODEL, "id": "quick-1", "trust": 2, "jurisdiction": "cn"},
        "careful": {**MODEL, "id": "careful-1", "trust": 5, "jurisdiction": "eu"},
    }
    return Stack.model_validate({"models": models, "review": {"reviewers": ["U0RAE"]}, **tables})


def a_door() -> Door:
    return Door(bot_user="UBOT", prefix="", means_something=lambda _: False, now=lambda: NOW, team="T0PLAY")


class Views:
    """The part of Chat that the desk needs; what Slack would refuse fails the test."""

    def __init__(self, *, opens: bool = True) -> None:
        self.opens = opens
        self.opened: list[Payload] = []
        self.told: list[tuple[str | None, str | None, Body]] = []

    async def open_view(self, trigger_id: str, view: Payload) -> bool:
        assert trigger_id == "1.2.abc"
        check_view(view)
        self.opened.append(view)
        return self.opens

    async def answer_privately(
        self, *, reply_url: str | None, channel: str, person: str, thread_ts: str | None, body: Body
    ) -> None:
        assert (channel, person) == ("C0LAUNCH", "U0ANN")
        self.told.append((reply_url, thread_ts, body))


def desk(storage: Any, views: Views | None = None, *, lookup: Any = None, stack: Stack | None = None) -> RouteDesk:
    rules = stack or a_stack()
    chat = cast("Chat", views or Views())
    return RouteDesk(storage=storage, chat=chat, lookup=cast("Lookup", lookup), stack=lambda: rules, door=a_door)


def opener(**more: Any) -> Opener:
    found = a_door().opener(command(command="/route"))
    assert found is not None
    return replace(found, **more)


def place_of(view: Payload) -> Payload:
    kept: Payload = json.loads(view["private_metadata"])
    return kept


def field(view: Payload, name: str) -> Payload:
    return next(block for block in view["blocks"] if block["block_id"] == name)


# opening


async def test_the_form_asks_four_questions_over_what_was_said(storage: Database) -> None:
    views = Views()
    await desk(storage, views).open(opener())
    [view] = views.opened
    assert [block["block_id"] for block in view["blocks"]] == ["job", "matters", "stakes", "eyes", "words"]
    assert [option["value"] for option in field(view, "job")["element"]["options"]] == list(Job)
    for name, kind in (("matters", Matters), ("stakes", Stakes), ("eyes", Eyes)):
        assert [option["value"] for option in field(view, name)["element"]["options"]] == list(kind)
    assert field(view, "words")["element"]["initial_value"] == WORDS
    assert not field(view, "words")["optional"]
    assert place_of(view) == {"channel": "C0LAUNCH", "thread_ts": None, "has_work": False, "has_text": False}
    await desk(storage, views).open(opener(words=""))
    assert "initial_value" not in field(views.opened[-1], "words")["element"], "Slack takes no empty one"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(id="C0LAUNCH", is_member=False), "I am not in this channel. Invite me with `/invite @Countersign`"),
        (Place(id="C0LAUNCH", is_archived=True), "This channel is archived"),
        (Place(id="C0LAUNCH", is_external=True), "This channel is shared with another organisation"),
    ],
)
async def test_where_nothing_could_be_posted_no_form_opens(storage: Database, place: Place, says: str) -> None:
    views, lookup = Views(), FakeSlack()
    lookup.places["C0LAUNCH"] = place
    await desk(storage, views, lookup=lookup).open(opener())
    assert views.opened == []
    [(reply_url, _, body)] = views.told
    assert reply_url == "https://hooks.slack.com/commands/T0PLAY/1/x"
    assert words_of(body).startswith(says)


async def test_as_long_as_slack_does_not_say_where_we_are_the_form_opens(storage: Database) -> None:
    views, lookup = Views(), FakeSlack()
    lookup.silent_about.add("C0LAUNCH")
    await desk(storage, views, lookup=lookup).open(opener())
    assert len(views.opened) == 1


async def test_a_form_that_does_not_open_is_said(storage: Database) -> None:
    views = Views(opens=False)
    await desk(storage, views).open(opener())
    [(_, _, body)] = views.told
    assert words_of(body) == ("Slack did not open the form in time, so nothing was started. Type `/route` once more.")


async def test_a_brief_that_the_form_cannot_hold_is_given_back_whole(storage: Database) -> None:
    views, brief = Views(), "Houba! " * 600
    await desk(storage, views).open(opener(words=brief))
    assert views.opened == []
    [(_, _, body)] = views.told
    sentence, _, given_back = words_of(body).partition("\n")
    assert sentence == "That is 4,200 characters; the form takes 3,000, so it was not opened. Shorten it."
    assert given_back == brief
    await desk(storage, views).open(opener(words=brief * 5))
    assert "\n" not in words_of(views.told[-1][2]), "no message of Slack's holds that much"
    await desk(storage, views).open(opener(words="x" * LONGEST))
    assert len(views.opened) == 1


async def test_in_a_works_thread_the_brief_is_known_and_the_words_are_a_note(storage: Database) -> None:
    await keep(storage, work(team="T0PLAY", channel="C0LAUNCH", thread_ts=THREAD))
    letter = a_door().letters(delivery(mention("<@UBOT> route be harsh")))[0]
    await keep(storage, letter)
    views = Views()
    pressed = opener(thread_ts=THREAD, words="", said_in=letter.key)
    await desk(storage, views).open(pressed)
    view = views.opened[-1]
    assert place_of(view) == {"channel": "C0LAUNCH", "thread_ts": THREAD, "has_work": True, "has_text": False}
    assert field(view, "words")["optional"]
    assert field(view, "words")["element"]["initial_value"] == "be harsh"
    await keep(storage, run(), answer(stage="scout"))
    await desk(storage, views).open(pressed)
    assert not place_of(views.opened[-1])["has_text"], "scout notes are no text"
    await keep(storage, run("r-2"), answer("a-2", "r-2"))
    await desk(storage, views).open(pressed)
    assert place_of(views.opened[-1])["has_text"]


async def test_in_a_thread_without_work_the_brief_is_asked_for(storage: Database) -> None:
    views = Views()
    await desk(storage, views).open(opener(thread_ts="1790000000.000999", words="", said_in="mention/forgotten"))
    [view] = views.opened
    assert place_of(view)["has_work"] is False
    assert not field(view, "words")["optional"]
    assert "initial_value" not in field(view, "words")["element"]


class Broken:
    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Saved]:
        raise OSError("disk I/O error")
        yield


async def test_a_thread_that_cannot_be_looked_into_is_said_and_a_command_needs_none() -> None:
    views = Views()
    await desk(Broken(), views).open(opener(thread_ts=THREAD, said_in="mention/x", again="Press the button once more."))
    assert views.opened == []
    assert words_of(views.told[0][2]).endswith("Wait a minute. Press the button once more.")
    await desk(Broken(), views).open(opener())
    assert len(views.opened) == 1


# advice


def answered(body: Payload, **more: Any) -> Payload:
    return desk(None, **more).advise(body)


def shown(found: Payload) -> Payload:
    assert found["response_action"] == "update"
    view: Payload = found["view"]
    check_view(view)
    return view


def text_of(view: Payload) -> str:
    return str(view["blocks"][0]["text"]["text"])


def test_the_answer_stands_in_the_same_modal_with_the_words_once_more() -> None:
    view = shown(answered(four_answers(state=filled("Announce <it>"))))
    assert (view["callback_id"], view["submit"]["text"]) == ("route_advice", "Run it")
    assert text_of(view).startswith("*draft* by *quick*\nThe job right now is a first pass:")
    assert field(view, "words")["element"]["initial_value"] == "Announce <it>"
    kept = place_of(view)
    assert (kept["stage"], kept["is_fresh"], kept["needs_text"]) == ("draft", False, False)
    [letter] = a_door().letters(
        {**run_it(), "view": {**run_it()["view"], "private_metadata": view["private_metadata"]}}
    )
    assert letter.key == "view/V0ROUTE"


def test_not_to_route_is_run_by_the_same_button() -> None:
    view = shown(answered(four_answers(state=filled(job="simple"))))
    assert "Do not route this: one clean pass and one human review" in text_of(view)
    assert place_of(view)["stage"] == "final"


def test_a_stage_that_cannot_run_here_is_said_above_the_questions() -> None:
    stack = a_stack(channels={"C0LAUNCH": {"jurisdictions": ["eu"]}})
    view = shown(answered(four_answers(), stack=stack))
    assert view["callback_id"] == "route_form"
    assert text_of(view) == (
        "draft cannot run here: quick is operated in cn and this channel allows eu. "
        "critique, polish and final still work here."
    )
    assert field(view, "words")["element"]["initial_value"] == WORDS


@pytest.mark.parametrize("question", ["job", "matters", "stakes", "eyes"])
@pytest.mark.parametrize("value", [GONE, None, "", "everything", 7, ["sources"], {"value": "sources"}])
def test_a_question_without_an_answer_that_was_offered_is_asked_again(question: str, value: Any) -> None:
    found = answered(four_answers(state=filled(**{question: value})))
    assert found == {"response_action": "errors", "errors": {question: "Choose one of these."}}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (None, "Say what is wanted: a line is enough."),
        (" \n\t", "Say what is wanted: a line is enough."),
        ("x" * 3_001, "That is 3,001 characters; this field takes 3,000. Shorten it."),
        ("https://play.slack.com/archives/C0DOCS/p1790000000000200 harsh", "That link leads to another channel."),
    ],
)
@pytest.mark.parametrize("of", [four_answers, run_it])
def test_words_that_cannot_be_taken_are_a_fault_of_their_field(of: Any, words: str | None, says: str) -> None:
    body = of(state=filled(words))
    found = answered(body) if of is four_answers else desk(None).taken(body)
    assert found["response_action"] == "errors"
    assert set(found["errors"]) == {"words"}
    assert found["errors"]["words"].startswith(says)


def test_all_faults_are_shown_at_once() -> None:
    found = answered(four_answers(state=GONE))
    assert set(found["errors"]) == {"job", "matters", "stakes", "eyes", "words"}


def test_a_note_may_be_left_out() -> None:
    kept = json.dumps({"channel": "C0LAUNCH", "thread_ts": THREAD, "has_work": True, "has_text": True})
    view = shown(answered(four_answers(state=filled(None), private_metadata=kept)))
    assert "Where:* the thread you asked in" in text_of(view)


@pytest.mark.parametrize("kept", [GONE, "", "{}", "[]", "C0LAUNCH", '{"channel": 7}', "[" * 100_000])
@pytest.mark.parametrize("of", [four_answers, run_it])
def test_a_form_that_does_not_say_where_it_belongs_is_answered(of: Any, kept: Any) -> None:
    body = of(private_metadata=kept)
    found = answered(body) if of is four_answers else desk(None).taken(body)
    assert found == {"response_action": "errors", "errors": {"words": UNREADABLE}}


def test_another_workspaces_form_starts_nothing_and_says_so() -> None:
    for found in (
        answered({**four_answers(), "team": {"id": "T9"}}),
        desk(None).taken({**run_it(), "team": {"id": "T9"}}),
    ):
        assert found["errors"]["words"].startswith("This app works for another workspace")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kept": {"stage": "approve"}}, UNREADABLE),
        ({"kept": {"thread_ts": "soon"}}, UNREADABLE),
        ({"kept": {"stage": "polish", "needs_text": True}}, "polish works on a text: begin with a link to one"),
    ],
)
def test_what_cannot_be_run_so_keeps_its_form(changes: Payload, says: str) -> None:
    found = desk(None).taken(run_it(**changes))
    assert found["errors"]["words"].startswith(says)


def test_what_is_kept_by_now_closes_its_form() -> None:
    assert desk(None).taken(run_it()) == {}


# through the app


async def test_the_app_opens_the_form_answers_it_and_keeps_what_is_run(storage: Database) -> None:
    views = Views()
    app = build_app(
        client=AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/"),
        signing_secret=None,
        storage=storage,
        chat=cast("Chat", views),
        door=a_door,
        stack=a_stack,
    )

    async def delivers(body: Payload) -> Any:
        answer = await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
        assert answer.status == 200
        return json.loads(answer.body) if answer.body else None

    assert await delivers(command(command="/route")) is None
    await until(lambda: len(views.opened) == 1)
    assert (await delivers(four_answers()))["view"]["callback_id"] == "route_advice"
    assert (await delivers(run_it(" ")))["errors"]["words"].startswith("Say what is wanted")

    async def kept() -> list[str]:
        async with storage.reading() as saved:
            return [letter.key for letter in await saved.inbox.heads(NOW)]

    assert await kept() == []
    for _ in range(2):
        assert not await delivers(run_it())
    assert await kept() == ["view/V0ROUTE"]
