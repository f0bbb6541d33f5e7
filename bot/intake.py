"""Reads the inbox: each letter is handled once, in order within its line, many lines side by side."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bot.fence import Displaced
from bot.logs import about
from bot.metrics import Handled, Metrics
from handlers import messages
from handlers.cancel import somebody_cancels
from handlers.crossing import somebody_hands_over
from handlers.deletion import somebody_deleted
from handlers.download import somebody_downloads
from handlers.errors import Refusal
from handlers.fresh import LinkTo, somebody_starts_fresh
from handlers.in_use import somebody_wants_stack
from handlers.incoming import Click, Deletion, Entrance, Reaction, Reason, Request, Verb
from handlers.offer import somebody_wants_questions
from handlers.ports import Clock, LookupFailed, NewId, Slack
from handlers.raising import somebody_raises
from handlers.request import forget_url, owed, somebody_asked
from handlers.result import Cut
from handlers.review import UNKNOWN_TEXT, NotYet, somebody_clicked, somebody_reacted, tell_who_waits
from handlers.send_back import somebody_said_why, somebody_sends_back
from handlers.stack import Stack
from handlers.status import help_for, somebody_wants_context, somebody_wants_status
from handlers.words import Body
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Kind, Letter, Run, Work
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

_SIDE_BY_SIDE = 32
_IDLE_SECONDS = 5.0
_NOT_YET_TRIES = 22
"""With the pauses between them a quarter of an hour: so long may Slack keep a post of ours unconfirmed."""
_BROKEN_TRIES = 8
"""So often may a letter break, half a minute in all: a fault of somebody else's often passes."""
_SLACK_MAY_BE_SILENT = timedelta(minutes=15)
"""What asks for a run and is kept by Slack from being judged is answered after this; a reaction or a click waits on."""
_SILENT_TRIES = 8
"""So often was Slack asked by then: a letter may be old because nobody was here."""
_A_WAIT_IS_TOLD = timedelta(seconds=60)
_LONGEST_WAIT = 60.0
_CLOCKS_DIFFER = timedelta(seconds=5)
_OUTSIDE = frozenset({Entrance.COMMAND, Entrance.FORM})
"""Where people ask beside their threads, and are answered there."""

Privately = Callable[..., Awaitable[None]]
Said = Request | Reaction | Click | Reason | Deletion


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What handling a letter takes."""

    storage: Database
    slack: Slack
    stack: Callable[[], Stack]
    now: Clock
    new_id: NewId
    answer_privately: Privately
    abort: Callable[[Run], Awaitable[None]]
    stack_since: Callable[[], datetime]
    newer_stack: Callable[[], str]
    cut: Cut
    link_to: LinkTo
    metrics: Metrics = field(default_factory=Metrics)
    broken: Counter[str] = field(default_factory=Counter)
    """How often each letter broke in this process; its waits for Slack or the database are not among them."""


class Intake:
    """Runs until cancelled; what it was doing then is simply done again."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._woken = asyncio.Event()
        self._lines: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        self._woken.set()

    async def attend(self, line: str, _: bool) -> None:  # noqa: FBT001  the courier's word with each errand
        """Handle the letters of one line that are due, in order. Nobody else may attend to this line meanwhile."""
        seen = None
        while True:
            async with self._tools.storage.reading() as saved:
                letter = await saved.inbox.head(line, self._tools.now() + _CLOCKS_DIFFER)
            if letter is None:
                return
            if letter.tries and letter.due_at is not None:  # whose errand came by the database's clock
                await asyncio.sleep(max(0.0, (letter.due_at - self._tools.now()).total_seconds()))
            if letter == seen:
                raise RuntimeError(f"letter {letter.key} is as it was although it was handled")
            seen = letter
            await handle(letter, self._tools)

    async def run(self) -> None:
        try:
            while True:
                self._woken.clear()
                pause = await self._start_what_is_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):  # wait_for may lose a cancellation before Python 3.12
                        await self._woken.wait()
        finally:
            for task in self._lines.values():
                task.cancel()
            await asyncio.gather(*self._lines.values(), return_exceptions=True)

    async def _start_what_is_due(self) -> float:
        """Start what can be started; return how many seconds to sleep at most."""
        room = _SIDE_BY_SIDE - len(self._lines)
        if room <= 0:
            return _IDLE_SECONDS
        try:
            async with self._tools.storage.reading() as saved:
                heads = await saved.inbox.heads(self._tools.now(), without=self._lines.keys(), limit=room)
                due = await saved.inbox.next_due(without=self._lines.keys() | {letter.line for letter in heads})
        except Exception:
            log.exception("inbox could not be read; trying again")
            return 1.0
        for letter in heads:
            self._lines[letter.line] = asyncio.create_task(self._take(letter))
        if due is None or heads:
            return _IDLE_SECONDS
        return min(_IDLE_SECONDS, max(0.05, (due - self._tools.now()).total_seconds()))

    async def _take(self, letter: Letter) -> None:
        try:
            await handle(letter, self._tools)
        except Exception:
            # The database failed twice over: the letter stays, and is handled when it can be written again.
            log.exception("letter left for later", letter=letter.key)
            await asyncio.sleep(1.0)
        finally:
            del self._lines[letter.line]
            self.wake()


async def handle(letter: Letter, tools: Tools) -> None:
    """Handle one letter to its end: done, refused in words, or put off."""
    with about(letter=letter.key):
        became = await _settle(letter, tools)
        tools.metrics.handled(letter.kind, became)
        if became is not Handled.PUT_OFF:
            tools.broken.pop(letter.key, None)


async def _settle(letter: Letter, tools: Tools) -> Handled:
    crashpoint("cp03")
    said = _read(letter)
    if said is None:
        await _done(letter, "unreadable", tools)
        return Handled.GIVEN_UP
    try:
        await _handle(said, tools)
    except Refusal as refusal:
        return await _refuse(said, refusal.sentence, tools)
    except NotYet:
        return await _not_yet(said, letter, tools)
    except LookupFailed as failed:
        return await _wait_for_slack(letter, said, failed, tools)
    except Displaced:
        raise  # no fault of the letter's: somebody else handles it
    except Exception as problem:
        if is_trouble(problem):  # no fault of the letter's, however often it happens
            return await _put_off(letter, "no database", None, tools)
        reference = secrets.token_hex(4)
        tools.broken[letter.key] += 1
        log.exception("a letter could not be handled", reference=reference, tries=tools.broken[letter.key])
        if tools.broken[letter.key] < _BROKEN_TRIES:
            return await _put_off(letter, "broke", None, tools)
        return await _refuse(said, messages.not_handled(reference), tools)
    return Handled.DONE


async def _not_yet(said: Said, letter: Letter, tools: Tools) -> Handled:
    """What a word is about may be shown a little later. In the end whoever pressed is answered."""
    if isinstance(said, Click) and letter.tries >= _NOT_YET_TRIES:
        return await _refuse(said, UNKNOWN_TEXT, tools)
    return await _put_off(letter, "not ours", _NOT_YET_TRIES, tools)


async def _wait_for_slack(letter: Letter, said: Said, failed: LookupFailed, tools: Tools) -> Handled:
    """Ask again later, for as long as it takes; whoever waits hears of it."""
    log.warning("slack does not say; trying again", cause=str(failed), tries=letter.tries)
    waited = tools.now() - letter.received_at
    if isinstance(said, Request | Reason) and waited > _SLACK_MAY_BE_SILENT and letter.tries + 1 >= _SILENT_TRIES:
        return await _refuse(said, messages.SLACK_SILENT, tools)
    if isinstance(said, Reaction | Click) and waited > _A_WAIT_IS_TOLD:
        await tell_who_waits(said, storage=tools.storage, now=tools.now)
    return await _put_off(letter, "slack never said", None, tools)


def _read(letter: Letter) -> Said | None:
    """What a letter says; None if it cannot be read, which no second look would change."""
    try:
        match letter.kind:
            case "request":
                return Request.from_json(letter.body)
            case "reaction":
                return Reaction.from_json(letter.body)
            case "click":
                return Click.from_json(letter.body)
            case "reason":
                return Reason.from_json(letter.body)
            case "deletion":
                return Deletion.from_json(letter.body)
            case unknown:
                log.error("letter of an unknown kind", kind=unknown)
    except (KeyError, TypeError, ValueError, AttributeError):
        log.exception("a letter that cannot be read")
    return None


async def _handle(said: Said, tools: Tools) -> None:
    stack = tools.stack()
    match said:
        case Request():
            await _request(said, tools)
        case Reaction():
            await somebody_reacted(said, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now)
        case Click():
            await somebody_clicked(said, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now)
        case Deletion():
            await somebody_deleted(said, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now)
        case Reason():
            await somebody_said_why(
                said, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now, new_id=tools.new_id
            )


async def _request(request: Request, tools: Tools) -> None:
    match request.verb:
        case Verb.STAGE | Verb.AGAIN | Verb.SECOND_OPINION | Verb.FRESH | Verb.TO_CONTENT:
            await _begins(request, tools)
        case Verb.STATUS | Verb.CONTEXT | Verb.DOWNLOAD:
            await _shows(request, tools)
        case Verb.RAISE:
            stack = tools.stack()
            await somebody_raises(request, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now)
        case Verb.SEND_BACK:
            slack, stack = tools.slack, tools.stack()
            await somebody_sends_back(request, storage=tools.storage, slack=slack, stack=stack, now=tools.now)
        case Verb.CANCEL:
            for run in await somebody_cancels(request, storage=tools.storage, now=tools.now):
                await tools.abort(run)
        case Verb.HELP | Verb.ROUTE | Verb.STACK:
            if (answer := await _answer(request, tools)) is not None:
                await _privately(request, answer, tools)  # before it counts as handled, as in _refuse
                async with tools.storage.transaction() as saved:
                    done, kept = request.verb.value, forget_url(request)
                    await saved.inbox.handled(request.key, at=tools.now(), outcome=done, body=kept)


async def _begins(request: Request, tools: Tools) -> None:
    """What puts something into a thread, or into a new one."""
    stack = tools.stack()
    match request.verb:
        case Verb.FRESH:
            await somebody_starts_fresh(
                request,
                storage=tools.storage,
                slack=tools.slack,
                stack=stack,
                cut=tools.cut,
                link_to=tools.link_to,
                now=tools.now,
                new_id=tools.new_id,
            )
        case Verb.TO_CONTENT:
            await somebody_hands_over(request, storage=tools.storage, cut=tools.cut, now=tools.now, new_id=tools.new_id)
        case _:
            await somebody_asked(
                request, storage=tools.storage, slack=tools.slack, stack=stack, now=tools.now, new_id=tools.new_id
            )


async def _shows(request: Request, tools: Tools) -> None:
    """What is said in the thread about what is there already."""
    stack = tools.stack()
    match request.verb:
        case Verb.STATUS:
            await somebody_wants_status(request, storage=tools.storage, stack=stack, now=tools.now)
        case Verb.CONTEXT:
            await somebody_wants_context(request, storage=tools.storage, now=tools.now)
        case _:
            await somebody_downloads(request, storage=tools.storage, stack=stack, now=tools.now)


async def _answer(request: Request, tools: Tools) -> Body | None:
    """What whoever asked is shown alone; None where it is said in the thread."""
    stack = tools.stack()
    match request.verb:
        case Verb.ROUTE:
            return await somebody_wants_questions(request, storage=tools.storage, now=tools.now)
        case Verb.STACK:
            return await somebody_wants_stack(
                request,
                storage=tools.storage,
                slack=tools.slack,
                stack=stack,
                loaded_at=tools.stack_since(),
                newer=tools.newer_stack(),
                now=tools.now,
            )
        case _:
            return help_for(request, stack)


async def _done(letter: Letter, outcome: str, tools: Tools) -> bool:
    async with tools.storage.transaction() as saved:
        return await saved.inbox.handled(letter.key, at=tools.now(), outcome=outcome)


async def _put_off(letter: Letter, outcome: str, tries: int | None, tools: Tools) -> Handled:
    """Look again after a while that doubles; give up after so many tries, if any."""
    if tries is not None and letter.tries >= tries:
        await _done(letter, outcome, tools)
        return Handled.GIVEN_UP
    wait = timedelta(seconds=min(_LONGEST_WAIT, 0.25 * 2 ** min(letter.tries, 10)))
    async with tools.storage.transaction() as saved:
        await saved.inbox.later(letter, due_at=tools.now() + wait)
    return Handled.PUT_OFF


async def _refuse(said: Said, sentence: str, tools: Tools) -> Handled:
    """Say why not, where the person asked: in the work's thread if there is one, else to them alone."""
    body = messages.plain(sentence, fallback=sentence[:280], state="refused")
    kept = forget_url(said) if isinstance(said, Request) else None
    async with tools.storage.reading() as saved:
        work = await _work_of(said, saved)
    if work is None and isinstance(said, Request | Click):
        await _privately(said, body, tools)  # before it counts as handled: twice is harmless, never is not
    async with tools.storage.transaction() as saved:
        is_ours = await saved.inbox.handled(said.key, at=tools.now(), outcome=f"refused: {sentence}", body=kept)
        if is_ours and work is not None:
            slot = f"refused/{said.key}"[:90]
            await saved.outbox.plan(owed(work, None, Kind.NOTICE, slot, body, now=tools.now))
    return Handled.REFUSED


async def _work_of(said: Said, saved: Saved) -> Work | None:
    """The work in whose thread somebody asked; None where they asked outside."""
    if isinstance(said, Reaction | Click | Deletion) or (isinstance(said, Request) and said.entrance in _OUTSIDE):
        return None
    return await saved.works.in_thread(said.team, said.channel, said.thread_ts) if said.thread_ts else None


async def _privately(said: Request | Click, body: Body, tools: Tools) -> None:
    # In a thread that nobody has answered, Slack shows a private word to nobody.
    is_outside = isinstance(said, Request) and (said.entrance in _OUTSIDE or said.begins_its_thread)
    await tools.answer_privately(
        reply_url=said.reply_url if isinstance(said, Request) else None,
        channel=said.channel,
        person=said.person,
        thread_ts=None if is_outside else said.thread_ts,
        body=body,
    )
