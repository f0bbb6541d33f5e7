"""A house without Slack: the real handlers and the real database, with fakes at the ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from handlers.case import load_case
from handlers.context import digest
from handlers.crossing import somebody_hands_over
from handlers.fresh import somebody_starts_fresh
from handlers.incoming import Click, Entrance, Reaction, Reason, Request, Verb, Wish
from handlers.ports import Place, SeenMessage
from handlers.request import somebody_asked
from handlers.review import somebody_clicked, somebody_reacted
from handlers.run import run_stage
from handlers.send_back import somebody_said_why, somebody_sends_back
from handlers.stack import Stack, StageName
from handlers.words import Body, Link, Span, Text, Who
from storage.database import Database
from storage.records import Answer, Chained, Kind, Letter, Message, Run, Verdict, Work
from tests.fakes import (
    FakeClock,
    FakeHeartbeats,
    FakeIds,
    FakeModels,
    FakeSlack,
    FakeSources,
    a_stack,
    fake_cut,
    open_database,
    ticker,
)

TEAM, LAUNCH = "T0PLAY", "C0LAUNCH"
ANN, RAE, SAM, STAN, TAO = "U0ANN", "U0RAE", "U0SAM", "U0STAN", "U0TAO"
READY = "## Decision\nready\n\n## Final text\nThe cage is open.\n\n## Owner's notes\nnone"


def words_of(body: Body | Message) -> str:
    """Everything a message says in the bot's own words, people by their ids."""
    shown = Body.from_json(body.body) if isinstance(body, Message) else body
    return "\n".join("".join(_words(span) for span in line.spans) for line in shown.lines)


def _words(span: Span) -> str:
    match span:
        case Who(person=person):
            return f"@{person}"
        case Text(text=text, style="code"):
            return f"`{text}`"
        case Link(url=url, label=label):
            return f"[{label}]({url})"
        case Text(text=text):
            return text


@dataclass
class House:
    """People ask, runs run, messages are posted, reactions fall."""

    storage: Database
    stack: Stack
    slack: FakeSlack
    models: FakeModels
    now: FakeClock = field(default_factory=FakeClock)
    new_id: FakeIds = field(default_factory=FakeIds)
    sources: FakeSources = field(default_factory=FakeSources)
    heartbeats: FakeHeartbeats = field(default_factory=FakeHeartbeats)
    keys: int = 0

    def __post_init__(self) -> None:
        self.next_ts = ticker(self.now)

    # what happens

    def request(self, stage: str | None = "draft", words: str = "", **more: Any) -> Request:
        self.keys += 1
        said: dict[str, Any] = {
            "key": f"command/{self.keys}",
            "entrance": Entrance.COMMAND,
            "verb": Verb.STAGE,
            "stage": StageName(stage) if stage else None,
            "team": TEAM,
            "channel": LAUNCH,
            "person": ANN,
            "at": self.now(),
            "words": words,
        }
        return Request(**(said | more))

    async def takes(self, request: Request) -> None:
        """The request is in the inbox and handled."""
        await self.keeps(
            Letter(key=request.key, kind="request", line=request.key, body=request.to_json(), received_at=self.now())
        )
        tools: dict[str, Any] = {"storage": self.storage, "now": self.now, "new_id": self.new_id}
        match request.verb:
            case Verb.FRESH:
                at: dict[str, Any] = {
                    "slack": self.slack,
                    "stack": self.stack,
                    "cut": fake_cut,
                    "link_to": lambda _, ts: f"at {ts}",
                }
                await somebody_starts_fresh(request, **at, **tools)
            case Verb.TO_CONTENT:
                await somebody_hands_over(request, cut=fake_cut, **tools)
            case _:
                await somebody_asked(request, slack=self.slack, stack=self.stack, **tools)

    async def keeps(self, letter: Letter) -> None:
        async with self.storage.transaction() as saved:
            await saved.inbox.put(letter)

    async def asks(self, stage: str, words: str = "", *, work: Work | None = None, **more: Any) -> Run:
        """Somebody asks; in a work's thread by a mention. Returns the run that came of it."""
        if work is not None:
            more = {"entrance": Entrance.MENTION, "thread_ts": work.thread_ts, **more}
        request = self.request(stage, words, **more)
        await self.takes(request)
        return next(run for run in await self.runs() if run.request_key == request.key)

    async def runs_all(self) -> None:
        """Every run in line comes to its end, and all that is owed is posted."""
        while True:
            async with self.storage.transaction() as saved:
                ready = await saved.runs.next_in_line()
                begun = await saved.runs.begin(ready[0].id, at=self.now()) if ready else None
            if begun is None:
                break
            self.now.goes_on(seconds=6)
            await self.runs_one(begun)
        await self.posts()

    async def runs_one(self, run: Run) -> None:
        await run_stage(
            run,
            storage=self.storage,
            slack=self.slack,
            models=self.models,
            sources=self.sources,
            heartbeats=self.heartbeats,
            stack=self.stack,
            cut=fake_cut,
            now=self.now,
            new_id=self.new_id,
        )

    async def posts(self) -> None:
        """Everything owed stands in Slack now, as if the gateway had delivered it."""
        async with self.storage.transaction() as saved:
            for message in await saved.outbox.owed(limit=10_000):
                work = await saved.works.get(message.work_id)
                assert work is not None
                ts = message.ts or self.next_ts()
                if message.kind is Kind.ROOT:
                    await saved.works.rooted(work.id, ts)
                text = digest(str(message.body))
                self.slack.shows(
                    SeenMessage(
                        channel=work.channel, ts=ts, thread_ts=work.thread_ts, author="UBOT", text="", digest=text
                    )
                )
                where = None if message.person else ts
                await saved.outbox.sent(message.slot, shown=message.revision, ts=where, digest=text, at=self.now())

    async def final(self, *, by: str = ANN, brief: str = "Announce the open cage", channel: str = LAUNCH) -> Answer:
        """A final text that waits for its reviewers, straight from a brief."""
        run = await self.asks("final", brief, person=by, channel=channel)
        await self.runs_all()
        return await self.answer_of(run)

    async def another_final(self, text: Answer, *, by: str = ANN, note: str = "") -> Answer:
        run = await self.asks("final", note, work=await self.work(text.work_id), person=by)
        await self.runs_all()
        return await self.answer_of(run)

    def reaction(
        self,
        person: str,
        emoji: str,
        message: Message,
        *,
        added: bool = True,
        at: datetime | None = None,
        key: str | None = None,
    ) -> Reaction:
        self.keys += 1
        assert message.ts is not None
        return Reaction(
            key=key or f"reaction/Ev{self.keys}",
            team=TEAM,
            channel=message.channel,
            message_ts=message.ts,
            person=person,
            emoji=emoji,
            added=added,
            at=at or self.now.goes_on(seconds=1),
        )

    def click(
        self, person: str, wish: Wish, text: Answer, card: Message, *, at: datetime | None = None, **more: Any
    ) -> Click:
        self.keys += 1
        assert card.ts is not None
        at = at or self.now.goes_on(seconds=1)
        said: dict[str, Any] = {
            "key": f"click/{self.keys}",
            "team": TEAM,
            "channel": card.channel,
            "message_ts": card.ts,
            "thread_ts": card.ts,
            "person": person,
            "wish": wish,
            "answer_id": text.id,
            "sha256": text.sha256,
            "action_ts": f"{at.timestamp():.6f}",
            "at": at,
        }
        return Click(**(said | more))

    async def delivers(self, word: Reaction | Click) -> None:
        kind = "click" if isinstance(word, Click) else "reaction"
        await self.keeps(Letter(key=word.key, kind=kind, line=word.line, body=word.to_json(), received_at=self.now()))
        tools: dict[str, Any] = {"storage": self.storage, "slack": self.slack, "stack": self.stack, "now": self.now}
        if isinstance(word, Click):
            await somebody_clicked(word, **tools)
        else:
            await somebody_reacted(word, **tools)

    def words(self, person: str, words: str, work: Work, *, at: datetime | None = None) -> Request:
        """A mention in the thread that sends back."""
        at = at or self.now.goes_on(seconds=1)
        said = {"entrance": Entrance.MENTION, "thread_ts": work.thread_ts, "channel": work.channel, "person": person}
        return self.request(None, words, verb=Verb.SEND_BACK, at=at, **said)

    async def hears(self, request: Request) -> None:
        """The mention is in the inbox and handled."""
        line = f"{request.team}/{request.channel}/{request.thread_ts}"
        await self.keeps(
            Letter(key=request.key, kind="request", line=line, body=request.to_json(), received_at=self.now())
        )
        await somebody_sends_back(request, storage=self.storage, slack=self.slack, stack=self.stack, now=self.now)

    async def clicks(self, person: str, text: Answer, wish: Wish, **more: Any) -> Click:
        """A button of the text's review card is pressed, as it was made for this text."""
        click = self.click(person, wish, text, await self.message_of(text, Kind.REVIEW), **more)
        await self.delivers(click)
        return click

    async def reacts(
        self, person: str, text: Answer, emoji: str = "white_check_mark", *, to: Kind = Kind.ANSWER
    ) -> None:
        await self.delivers(self.reaction(person, emoji, await self.message_of(text, to)))

    async def unreacts(
        self, person: str, text: Answer, emoji: str = "white_check_mark", *, to: Kind = Kind.ANSWER
    ) -> None:
        await self.delivers(self.reaction(person, emoji, await self.message_of(text, to), added=False))

    async def says_why(self, person: str, text: Answer, words: str) -> None:
        work = await self.work(text.work_id)
        assert work.thread_ts is not None
        self.keys += 1
        reason = Reason(
            key=f"reply/{self.keys}",
            team=TEAM,
            channel=work.channel,
            thread_ts=work.thread_ts,
            person=person,
            words=words,
            at=self.now(),
        )
        await self.keeps(
            Letter(key=reason.key, kind="reason", line="thread", body=reason.to_json(), received_at=self.now())
        )
        await somebody_said_why(
            reason, storage=self.storage, slack=self.slack, stack=self.stack, now=self.now, new_id=self.new_id
        )

    # what is there

    async def runs(self, work_id: str | None = None) -> list[Run]:
        async with self.storage.reading() as saved:
            works = (
                [work_id] if work_id else sorted({m.work_id for m in await saved.outbox.owed()} | await self._works())
            )
            return [run for one in works for run in await saved.runs.of_work(one)]

    async def _works(self) -> set[str]:
        return {f"w{number:012d}" for number in range(1, self.new_id.given + 1)}

    async def work(self, work_id: str) -> Work:
        async with self.storage.reading() as saved:
            found = await saved.works.get(work_id)
        assert found is not None
        return found

    async def run(self, run: Run) -> Run:
        async with self.storage.reading() as saved:
            found = await saved.runs.get(run.id)
        assert found is not None
        return found

    async def answers(self, work_id: str) -> list[Answer]:
        async with self.storage.reading() as saved:
            return await saved.answers.of_work(work_id)

    async def run_of(self, text: Answer) -> Run:
        return next(run for run in await self.runs(text.work_id) if run.id == text.run_id)

    async def answer_of(self, run: Run) -> Answer:
        return next(answer for answer in await self.answers(run.work_id) if answer.run_id == run.id)

    async def said(self, work_id: str, kind: Kind | None = None) -> list[Message]:
        async with self.storage.reading() as saved:
            return [one for one in await saved.outbox.of_work(work_id) if kind is None or one.kind is kind]

    async def message_of(self, text: Answer, kind: Kind = Kind.ANSWER) -> Message:
        async with self.storage.reading() as saved:
            return next(one for one in await saved.outbox.of_answer(text.id) if one.kind is kind)

    async def card_of(self, run: Run) -> str:
        async with self.storage.reading() as saved:
            found = await saved.outbox.get(f"{run.work_id}/{run.id}/card")
        assert found is not None
        return words_of(found)

    async def told(self, person: str, work_id: str) -> list[str]:
        return [words_of(one) for one in await self.said(work_id) if one.person == person]

    async def verdicts_said(self, work_id: str) -> list[tuple[str, str]]:
        """The states announced in the thread, each with its words."""
        return [(one.body["facts"]["state"], words_of(one)) for one in await self.said(work_id, Kind.VERDICT)]

    async def state(self, text: Answer) -> str:
        async with self.storage.reading() as saved:
            case = await load_case(text.id, saved)
        assert case is not None
        return case.state(self.stack.review, self.now()).value

    async def verdicts(self, text: Answer) -> list[Verdict]:
        async with self.storage.reading() as saved:
            return await saved.reviews.verdicts(text.id)

    async def ledger(self) -> list[Chained]:
        async with self.storage.reading() as saved:
            return [entry async for entry in saved.ledger.chain(TEAM)]

    async def outcome(self, key: str) -> str | None:
        async with self.storage.reading() as saved:
            row = await saved.connection.exec_driver_sql("SELECT outcome FROM inbox WHERE key = ?", (key,))
            found: str | None = row.scalar()
        return found

    def rules(self, **review: Any) -> None:
        """The operator changes the review rules."""
        self.stack = self.stack.model_copy(update={"review": self.stack.review.model_copy(update=review)})
        self.stack.__dict__.pop("digest", None)  # of what it was copied from

    def later(self, **for_: float) -> datetime:
        return self.now() + timedelta(**for_)


@asynccontextmanager
async def open_house(folder: Path, stack: Stack | None = None) -> AsyncIterator[House]:
    async with open_database(folder, durable=False) as storage:
        slack = FakeSlack(ANN, RAE, SAM, STAN, TAO)
        slack.places = {LAUNCH: Place(id=LAUNCH), "C0DOCS": Place(id="C0DOCS")}
        models = FakeModels(careful=READY)
        yield House(storage=storage, stack=stack or a_stack(), slack=slack, models=models)
