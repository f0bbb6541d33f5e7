"""The inbox is read line by line: each letter handled once, in order, side by side with other lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot import intake
from bot.intake import Intake, Tools, handle
from handlers.errors import Refusal
from handlers.incoming import Click, Entrance, Reaction, Reason, Request, Verb, Wish
from handlers.ports import LookupFailed, Place
from handlers.request import somebody_asked
from handlers.review import UNKNOWN_TEXT, NotYet
from storage.errands import Subject
from storage.records import Kind, Letter, Run
from tests.fakes import fake_cut, until
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, TEAM, House, open_house, words_of


@dataclass
class Desk:
    """An intake over a house, with its time in our hands."""

    house: House
    told: list[tuple[str, str, str | None]] = field(default_factory=list)
    told_in: list[str | None] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tools = Tools(
            storage=self.house.storage,
            slack=self.house.slack,
            stack=lambda: self.house.stack,
            now=self.house.now,
            new_id=self.house.new_id,
            answer_privately=self.answer_privately,
            abort=self.aborts,
            stack_since=self.house.now,
            newer_stack=str,
            cut=fake_cut,
            link_to=lambda _, __: None,
        )

    async def aborts(self, run: Run) -> None:
        self.aborted.append(run.id)

    async def answer_privately(
        self, *, person: str, body: Any, reply_url: str | None, thread_ts: str | None, **_: Any
    ) -> None:
        self.told.append((person, words_of(body), reply_url))
        self.told_in.append(thread_ts)

    async def get(self, key: str) -> Letter:
        async with self.house.storage.reading() as saved:
            found = await saved.inbox.get(key)
        assert found is not None
        return found

    async def handles(self, letter: Letter) -> str | None:
        """One try; returns the outcome."""
        await handle(await self.get(letter.key), self.tools)
        return await self.house.outcome(letter.key)

    async def has_handled(self, letter: Letter) -> None:
        async with asyncio.timeout(20):
            while await self.house.outcome(letter.key) is None:  # noqa: ASYNC110  the database tells nobody
                await asyncio.sleep(0.005)

    async def keeps(self, said: Request | Reaction | Click | Reason, line: str | None = None) -> Letter:
        kind = type(said).__name__.lower()
        letter = Letter(
            key=said.key, kind=kind, line=line or said.key, body=said.to_json(), received_at=self.house.now()
        )
        await self.house.keeps(letter)
        return letter

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Intake]:
        made = Intake(self.tools)
        self.house.storage.on_errand(Subject.LINE, made.wake)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_house(tmp_path) as house:
        yield Desk(house)


def breaks(problem: Exception, times: int = 1_000) -> Any:
    """A handler that raises so many times, and then does nothing."""
    left = [times]

    async def handler(*_: Any, **__: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise problem

    return handler


def mention(house: House, words: str = "", *, stage: str | None = "draft", ts: str = "50.1", **more: Any) -> Request:
    return house.request(stage, words, entrance=Entrance.MENTION, thread_ts=ts, **more)


def reaction(house: House, ts: str = "60.6") -> Reaction:
    house.keys += 1
    return Reaction(
        key=f"reaction/{house.keys}",
        team=TEAM,
        channel=LAUNCH,
        message_ts=ts,
        person=RAE,
        emoji="white_check_mark",
        added=True,
        at=house.now(),
    )


# one letter


async def test_a_request_becomes_a_run(desk: Desk) -> None:
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    outcome = await desk.handles(letter)
    [run] = await desk.house.runs()
    assert outcome == f"run {run.id}"
    assert desk.told == []


async def test_a_refused_command_is_answered_to_the_person_alone(desk: Desk) -> None:
    letter = await desk.keeps(desk.house.request("critique", "Announce", reply_url="https://hooks.slack.com/x"))
    outcome = await desk.handles(letter)
    assert (outcome or "").startswith("refused: `critique`")
    [(who, words, where)] = desk.told
    assert (who, where) == (ANN, "https://hooks.slack.com/x")
    assert "start one with `/draft …`" in words
    assert (await desk.get(letter.key)).body["reply_url"] is None


async def test_a_refusal_in_a_works_thread_is_said_there(desk: Desk) -> None:
    text = await desk.house.final()
    work = await desk.house.work(text.work_id)
    letter = await desk.keeps(mention(desk.house, "", stage=None, verb=Verb.CANCEL, ts=work.thread_ts or ""))
    await desk.handles(letter)
    [notice] = await desk.house.said(work.id, Kind.NOTICE)
    assert words_of(notice) == "Nothing is running or waiting in this thread."
    assert desk.told == []


async def test_a_refusal_in_a_thread_without_work_is_said_to_the_person_alone(desk: Desk) -> None:
    letter = await desk.keeps(mention(desk.house, stage="critique"))
    await desk.handles(letter)
    assert [who for who, _, _ in desk.told] == [ANN]


async def test_a_refused_reason_is_answered_in_its_thread(desk: Desk) -> None:
    text = await desk.house.final()
    await desk.house.reacts(SAM, text, "x")
    work = await desk.house.work(text.work_id)
    assert work.thread_ts is not None
    reason = Reason(
        key="reply/1", team=TEAM, channel=LAUNCH, thread_ts=work.thread_ts, person=SAM, words=" ", at=desk.house.now()
    )
    await desk.handles(await desk.keeps(reason))
    assert "Say in words what should change" in words_of((await desk.house.said(work.id, Kind.NOTICE))[-1])


async def test_a_button_of_another_channel_is_refused_and_done_with(desk: Desk) -> None:
    text = await desk.house.final()
    asked = desk.house.request(
        "critique", entrance=Entrance.BUTTON, channel="C0DOCS", target_id=text.id, thread_ts="1.1"
    )
    assert (await desk.handles(await desk.keeps(asked)) or "").startswith("refused: That message belongs to another")
    assert len(desk.told) == 1


@pytest.mark.parametrize(
    ("verb", "says"), [(Verb.ROUTE, "Which stage should own this?"), (Verb.STACK, "Who does what in this channel")]
)
async def test_the_questions_and_the_stack_are_for_whoever_asked_alone(desk: Desk, verb: Verb, says: str) -> None:
    letter = await desk.keeps(mention(desk.house, stage=None, verb=verb))
    assert await desk.handles(letter) == verb
    [(person, words, _)] = desk.told
    assert person == ANN
    assert words.startswith(says)


async def test_help_is_answered_to_the_person_alone(desk: Desk) -> None:
    letter = await desk.keeps(mention(desk.house, stage=None, verb=Verb.HELP))
    assert await desk.handles(letter) == "help"
    assert "Start work in a channel" in desk.told[0][1]


@pytest.mark.parametrize("begins", [True, False])
async def test_whose_mention_begins_a_thread_is_answered_in_the_channel_where_they_see_it(
    desk: Desk, *, begins: bool
) -> None:
    ts = f"{desk.house.now().timestamp() - (0 if begins else 60):.6f}"
    letter = await desk.keeps(mention(desk.house, stage=None, verb=Verb.HELP, ts=ts))
    assert await desk.handles(letter) == "help"
    assert desk.told_in == [None if begins else ts]


async def test_cancelling_aborts_the_calls_under_way(desk: Desk) -> None:
    run = await desk.house.asks("draft", "Announce")
    await desk.house.posts()
    work = await desk.house.work(run.work_id)
    letter = await desk.keeps(mention(desk.house, stage=None, verb=Verb.CANCEL, ts=work.thread_ts or ""))
    assert await desk.handles(letter) == "cancel"
    assert desk.aborted == [run.id]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("request", {}),
        ("request", {"verb": "stage"}),
        ("reaction", {"at": "yesterday"}),
        ("reason", {"at": None}),
        ("telegram", {"words": "stop"}),
    ],
)
async def test_a_letter_that_cannot_be_read_holds_nobody_up(desk: Desk, kind: str, body: dict[str, Any]) -> None:
    letter = Letter(key="odd", kind=kind, line="l", body=body, received_at=desk.house.now())
    await desk.house.keeps(letter)
    assert await desk.handles(letter) == "unreadable"


async def test_a_request_of_another_version_with_a_field_more_is_unreadable_and_not_a_loop(desk: Desk) -> None:
    request = desk.house.request("draft", "Announce")
    body = {**request.to_json(), "mood": "merry"}
    letter = Letter(key="odd", kind="request", line="l", body=body, received_at=desk.house.now())
    await desk.house.keeps(letter)
    assert await desk.handles(letter) == "unreadable"


# put off


async def test_a_reaction_on_an_unknown_message_is_put_off_for_a_quarter_of_an_hour_and_let_go(desk: Desk) -> None:
    letter = await desk.keeps(reaction(desk.house))
    waits = []
    for _ in range(22):
        assert await desk.handles(letter) is None
        due = (await desk.get(letter.key)).due_at
        assert due is not None
        waits.append((due - desk.house.now()).total_seconds())
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 32, *[60] * 14]
    assert await desk.handles(letter) == "not ours"


async def test_whoever_clicks_on_a_card_nobody_knows_is_answered_in_the_end(desk: Desk) -> None:
    text = await desk.house.final()
    card = await desk.house.message_of(text, Kind.REVIEW)
    letter = await desk.keeps(desk.house.click(RAE, Wish.APPROVE, text, replace(card, ts="60.6")))
    for _ in range(22):
        assert await desk.handles(letter) is None
    assert await desk.handles(letter) == f"refused: {UNKNOWN_TEXT}"
    assert desk.told == [(RAE, UNKNOWN_TEXT, None)]


async def test_what_slack_does_not_say_is_asked_again_for_as_long_as_it_takes(desk: Desk) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    for tries in (0, 5, 50, 1_000, 100_000):
        async with desk.house.storage.transaction() as saved:
            await saved.connection.exec_driver_sql("UPDATE inbox SET tries = ?", (tries,))
        assert await desk.handles(letter) is None
        due = (await desk.get(letter.key)).due_at
        assert due is not None
        assert due - desk.house.now() == timedelta(seconds=min(60, 0.25 * 2 ** min(tries, 10)))
    desk.house.slack.silent_about = set()
    assert (await desk.handles(letter) or "").startswith("run ")


@pytest.mark.parametrize("about", ["person", "messages"])
async def test_a_reaction_that_slack_keeps_waiting_is_told_so_once_after_a_minute(desk: Desk, about: str) -> None:
    house = desk.house
    text = await house.final()
    house.slack.silent_about = {about}
    letter = await desk.keeps(house.reaction(RAE, "white_check_mark", await house.message_of(text)))
    house.now.goes_on(seconds=59)
    assert await desk.handles(letter) is None
    assert await house.told(RAE, text.work_id) == []
    for _ in range(3):
        house.now.goes_on(seconds=2)
        assert await desk.handles(letter) is None
    (told,) = await house.told(RAE, text.work_id)
    assert told.startswith("Slack does not tell me at present who may decide about text")
    assert await house.state(text) == "awaiting"
    house.slack.silent_about = set()
    assert await desk.handles(letter) == "counts"
    assert await house.state(text) == "approved"


@pytest.mark.parametrize("way", ["reaction", "button"])
async def test_an_approval_of_a_text_that_slack_has_not_all_of_waits_for_it_however_long_that_takes(
    desk: Desk, way: str
) -> None:
    house = desk.house
    text = await house.final()
    part, card = await house.message_of(text), await house.message_of(text, Kind.REVIEW)
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(part.slot, shown=0, ts=None, digest=None, at=house.now())
    is_click = way == "button"
    word = house.click(RAE, Wish.APPROVE, text, card) if is_click else house.reaction(RAE, "white_check_mark", card)
    letter = await desk.keeps(word)
    for _ in range(30):
        house.now.goes_on(minutes=1)
        assert await desk.handles(letter) is None
    (told,) = await house.told(RAE, text.work_id)
    assert told.startswith("Slack does not tell me at present who may decide about text")
    async with house.storage.transaction() as saved:
        await saved.outbox.sent(part.slot, shown=1, ts=part.ts, digest=part.digest, at=house.now())
    there = house.slack.posted.pop((part.channel, str(part.ts)))
    assert await desk.handles(letter) is None  # posted just now, it may not be shown yet
    house.slack.shows(there)
    assert await desk.handles(letter) == "counts"
    assert await house.state(text) == "approved"


async def test_what_breaks_is_tried_eight_times_and_then_told_with_a_reference(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    monkeypatch.setattr(intake, "somebody_asked", breaks(ZeroDivisionError("tail")))
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    assert [await desk.handles(letter) for _ in range(7)] == [None] * 7
    outcome = await desk.handles(letter)
    assert (outcome or "").startswith("refused: Something broke on our side, so nothing was started (reference ")
    [(who, words, _)] = desk.told
    assert who == ANN
    reference = words.partition("(reference ")[2][:8]
    assert [line["reference"] for line in logged if line.get("reference")][-1] == reference
    assert await desk.house.runs() == []


async def test_a_reaction_that_breaks_each_time_is_let_go_silently(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "somebody_reacted", breaks(ZeroDivisionError()))
    letter = await desk.keeps(reaction(desk.house))
    outcomes = [await desk.handles(letter) for _ in range(8)]
    assert outcomes[:7] == [None] * 7
    assert (outcomes[7] or "").startswith("refused: ")
    assert desk.told == []


async def test_what_breaks_once_is_simply_done_the_second_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = somebody_asked
    once = breaks(ZeroDivisionError(), times=1)

    async def sometimes(*given: Any, **named: Any) -> None:
        await once()
        await real(*given, **named)

    monkeypatch.setattr(intake, "somebody_asked", sometimes)
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    assert await desk.handles(letter) is None
    assert (await desk.handles(letter) or "").startswith("run ")
    assert desk.told == []


async def test_what_waited_long_for_slack_may_break_as_often_as_anything_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    for _ in range(20):
        assert await desk.handles(letter) is None
    desk.house.slack.silent_about = set()
    with monkeypatch.context() as patch:
        patch.setattr(intake, "somebody_asked", breaks(ZeroDivisionError()))
        assert [await desk.handles(letter) for _ in range(7)] == [None] * 7
    assert (await desk.handles(letter) or "").startswith("run ")
    assert desk.told == []
    assert not desk.tools.broken


# the whole intake


async def test_a_wake_up_is_enough_to_have_a_letter_handled(desk: Desk) -> None:
    async with desk.running():
        letter = await desk.keeps(desk.house.request("draft", "Announce"))
        await desk.has_handled(letter)
    assert len(await desk.house.runs()) == 1


async def test_what_was_left_by_a_dead_process_is_handled_by_the_next(desk: Desk) -> None:
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    async with desk.running():
        await desk.has_handled(letter)
    assert len(await desk.house.runs()) == 1


@dataclass
class Stalled:
    """Stands in for handling: it notes who came, and holds those of one line until they are let go."""

    line: str
    came: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, letter: Letter, tools: Tools) -> None:
        self.came.append(letter.key)
        if letter.line == self.line:
            await self.go_on.wait()
        async with tools.storage.transaction() as saved:
            await saved.inbox.handled(letter.key, at=tools.now(), outcome="done")


@pytest.mark.parametrize("put_off", [0, 5])
async def test_what_came_in_before_the_clock_was_set_back_does_not_wait_for_it(desk: Desk, put_off: int) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    for _ in range(put_off):
        assert await desk.handles(letter) is None
    desk.house.slack.silent_about = set()
    desk.house.now.goes_on(hours=-1)
    async with desk.running():
        await desk.has_handled(letter)
    assert len(await desk.house.runs()) == 1


async def test_what_is_put_off_after_the_clock_was_set_back_has_its_pauses(desk: Desk) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    desk.house.now.goes_on(hours=-1)
    for _ in range(10):
        assert await desk.handles(letter) is None
        async with desk.house.storage.reading() as saved:
            assert await saved.inbox.heads(desk.house.now()) == []


async def test_a_line_keeps_its_order_and_holds_no_other_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = Stalled("slow")
    monkeypatch.setattr(intake, "handle", stalled)
    for number in range(3):
        for line in ("slow", "quick"):
            letter = Letter(key=f"{line} {number}", kind="x", line=line, body={}, received_at=desk.house.now())
            await desk.house.keeps(letter)
    async with desk.running():
        await until(lambda: len(stalled.came) == 4)
        assert [key for key in stalled.came if "quick" in key] == ["quick 0", "quick 1", "quick 2"]
        assert [key for key in stalled.came if "slow" in key] == ["slow 0"]
        stalled.go_on.set()
        await until(lambda: len(stalled.came) == 6)
    assert [key for key in stalled.came if "slow" in key] == ["slow 0", "slow 1", "slow 2"]


async def test_a_letter_put_off_holds_its_line_until_its_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[str] = []

    async def puts_off(letter: Letter, tools: Tools) -> None:
        came.append(letter.key)
        async with tools.storage.transaction() as saved:
            if letter.key == "first" and letter.tries == 0:
                await saved.inbox.later(letter, due_at=tools.now() + timedelta(seconds=30))
            else:
                await saved.inbox.handled(letter.key, at=tools.now(), outcome="done")

    monkeypatch.setattr(intake, "handle", puts_off)
    for key in ("first", "second"):
        await desk.house.keeps(Letter(key=key, kind="x", line="l", body={}, received_at=desk.house.now()))
    async with desk.running() as running:
        await until(lambda: bool(came))
        await asyncio.sleep(0.02)
        assert came == ["first"]
        desk.house.now.goes_on(seconds=30)
        running.wake()
        await until(lambda: len(came) == 3)
    assert came == ["first", "first", "second"]


async def test_no_more_letters_are_handled_at_once_than_there_is_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most, go_on = 0, 0, asyncio.Event()

    async def waits(letter: Letter, tools: Tools) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go_on.wait()
        at_once -= 1
        async with tools.storage.transaction() as saved:
            await saved.inbox.handled(letter.key, at=tools.now(), outcome="done")

    monkeypatch.setattr(intake, "handle", waits)
    async with desk.house.storage.transaction() as saved:
        for number in range(80):
            await saved.inbox.put(
                Letter(key=f"k{number}", kind="x", line=f"l{number}", body={}, received_at=desk.house.now())
            )
    async with desk.running():
        await until(lambda: at_once == 32)
        await asyncio.sleep(0.02)
        go_on.set()
        await desk.has_handled(Letter(key="k79", kind="x", line="", body={}, received_at=desk.house.now()))
    assert most == 32


async def test_a_task_that_dies_after_the_commit_handles_nothing_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = intake.handle, [0]

    async def dies(letter: Letter, tools: Tools) -> None:
        tries[0] += 1
        await real(letter, tools)
        raise MemoryError

    monkeypatch.setattr(intake, "handle", dies)
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    async with desk.running():
        await until(lambda: tries[0] == 1)
        await desk.has_handled(letter)
    async with desk.running():
        await asyncio.sleep(0.05)
    assert tries == [1]
    assert len(await desk.house.runs()) == 1


async def test_stopping_in_the_middle_leaves_the_letter_for_the_next_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = asyncio.Event()
    place = desk.house.slack.place

    async def never(channel: str) -> Place:
        stuck.set()
        await asyncio.Event().wait()
        return await place(channel)

    monkeypatch.setattr(desk.house.slack, "place", never)
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    async with desk.running():
        await stuck.wait()
    assert await desk.house.outcome(letter.key) is None
    monkeypatch.undo()
    assert (await desk.handles(letter) or "").startswith("run ")


async def test_an_inbox_that_cannot_be_read_is_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, failures = desk.house.storage.reading, [2]

    def fails() -> Any:
        if failures[0]:
            failures[0] -= 1
            raise OSError("disk gone")
        return reading()

    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    monkeypatch.setattr(desk.house.storage, "reading", fails)
    async with desk.running() as running:
        while failures[0]:
            running.wake()
            await asyncio.sleep(0.005)
        running.wake()
        await desk.has_handled(letter)


def test_every_way_a_handler_may_end_is_known() -> None:
    assert not issubclass(NotYet, LookupFailed)
    assert not issubclass(Refusal, NotYet)


async def test_a_request_slack_keeps_us_from_judging_is_answered_in_the_end(desk: Desk) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    desk.house.now.goes_on(seconds=14 * 60)
    for _ in range(8):
        assert await desk.handles(letter) is None
    desk.house.now.goes_on(seconds=2 * 60)
    assert (await desk.handles(letter) or "").startswith("refused: Slack has not told me about this channel")
    assert [person for person, _, _ in desk.told] == [ANN]


async def test_a_request_that_is_old_because_nobody_was_here_is_not_refused_at_slacks_first_silence(desk: Desk) -> None:
    desk.house.slack.silent_about = {"place"}
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    desk.house.now.goes_on(hours=10)
    for _ in range(7):
        assert await desk.handles(letter) is None
    desk.house.slack.silent_about = set()
    assert (await desk.handles(letter) or "").startswith("run ")


async def test_a_reason_slack_keeps_us_from_judging_is_answered_in_the_end_and_may_be_said_again(desk: Desk) -> None:
    house = desk.house
    text = await house.final()
    await house.reacts(RAE, text, "x")
    work = await house.work(text.work_id)
    assert work.thread_ts is not None
    reason = Reason(
        key="m/7", team=TEAM, channel=work.channel, thread_ts=work.thread_ts, person=RAE, words="Why?", at=house.now()
    )
    house.slack.silent_about = {"place"}
    letter = await desk.keeps(reason)
    house.now.goes_on(minutes=16)
    for _ in range(7):
        assert await desk.handles(letter) is None
    assert (await desk.handles(letter) or "").startswith("refused: Slack has not told me about this channel")
    await house.posts()
    told = [words_of(message) for message in await house.said(work.id, Kind.NOTICE)]
    assert [words for words in told if words.startswith("Slack has not told me about this channel")]
    house.slack.silent_about = set()
    assert (await desk.handles(await desk.keeps(replace(reason, key="m/8"))) or "").startswith("run ")


async def test_a_private_refusal_cut_off_before_it_was_said_is_said_at_the_next_try(desk: Desk) -> None:
    letter = await desk.keeps(desk.house.request("polish", "nothing to polish"))

    async def dies(**_: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await handle(await desk.get(letter.key), replace(desk.tools, answer_privately=dies))
    assert await desk.house.outcome(letter.key) is None
    assert (await desk.handles(letter) or "").startswith("refused: ")
    assert len(desk.told) == 1


async def test_help_cut_off_before_it_was_said_is_said_at_the_next_try(desk: Desk) -> None:
    letter = await desk.keeps(desk.house.request(None, verb=Verb.HELP))

    async def dies(**_: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await handle(await desk.get(letter.key), replace(desk.tools, answer_privately=dies))
    assert await desk.house.outcome(letter.key) is None
    assert await desk.handles(letter) == "help"
    assert len(desk.told) == 1
