"""What came of a run: the answer, its messages, its card and its review, remembered and owed in one transaction."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handlers import messages
from handlers.answers import CriticVerdict, Decision, Deliverable, number, read_answer, taken_up
from handlers.beside import beside
from handlers.budget import cost, counted, dollars, most_tokens, so_far
from handlers.changes import changes
from handlers.context import Context, digest, seen_digest, sentence
from handlers.errors import ModelFailed
from handlers.figures import count, short
from handlers.material import critiques_of, target_of, title
from handlers.opening import open_review, supersede_older
from handlers.ports import Clock, ModelAnswer, NewId, StopReason
from handlers.request import card_slot, owed
from handlers.routing import Route
from handlers.second_opinion import First
from handlers.sources import addresses_in
from handlers.stack import Gate, Model, Stack, StageName
from handlers.swamp import becomes_swampy, in_words
from handlers.walk import step_answered
from storage.canonical import canonical
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Answer, Entry, Kind, Message, Run, RunState, Work

if TYPE_CHECKING:
    from handlers.purse import Purse

Cut = Callable[[str, Collection[str]], Sequence[Sequence[dict[str, Any]]]]
"""Cut a model's Markdown into the blocks of one or more messages; the second argument names URLs that may be links."""


_AN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,79}")
_READABLE, _CHARACTERS_PER_TOKEN = 100_000, 20  # more than any model means by its output limit
_VERSIONS = frozenset({StageName.POLISH, StageName.FINAL})
_UNSEEN = frozenset("CZ")  # Unicode's controls, marks of direction, and blanks


class NotOurs(Exception):  # noqa: N818  reads as a fact
    """The run was cancelled, or another worker took it over; whatever this one made is dropped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A model's answer, which model gave it, and, if it was not the assigned one, instead of which and why."""

    answer: ModelAnswer
    key: str
    model: Model
    instead_of: str = ""
    because: str = ""


def whole(got: Answered, *, stage: StageName, allowed: int = 0) -> Deliverable:
    """What the answer says, once it is one. Raises ModelFailed for refusals, empty answers and floods.

    A long answer takes seconds to read: not for the event loop. `allowed` is the output limit in tokens.
    """
    way = f"Nothing was posted as an answer: change the brief, or pick another model for {stage} in the stack."
    match got.answer.stop:
        case StopReason.REFUSAL:
            raise ModelFailed(f"{got.key} refused to do this. {way}", code="refusal")
        case StopReason.CONTENT_FILTER:
            raise ModelFailed(f"the content filter of {got.key} stopped the answer. {way}", code="content_filter")
        case StopReason.FINISHED | StopReason.LENGTH:
            text = got.answer.text
    most = max(_READABLE, allowed * _CHARACTERS_PER_TOKEN)
    if len(text) > most:
        raise ModelFailed(
            f"{stage}: {got.key} answered with {len(text):,} characters, far beyond its output limit "
            f"(at most {most:,} are read). {way}",
            code="too_large",
        )
    if not any(unicodedata.category(char)[0] not in _UNSEEN for char in text):
        raise ModelFailed(f"{got.key} answered with nothing. `{messages.BOT} again` asks once more.", code="empty")
    return read_answer(stage, text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A run that gave an answer: what it was, what it saw, what it said.

    `of_sources` is what people are told of the sources it could not read, `allowed` the output limit in tokens; `first`
    what it is a second opinion on; `thread` and `runs` are all there was when it began, the answers it might not know
    included.
    """

    run: Run
    work: Work
    answers: Sequence[Answer]
    route: Route
    context: Context
    got: Answered
    said: Deliverable
    purse: Purse
    allowed: int
    of_sources: tuple[str, ...] = ()
    first: First | None = None
    thread: Sequence[Answer] = ()
    runs: Sequence[Run] = ()

    @property
    def target(self) -> Answer | None:
        return target_of(self.run, self.answers)

    @property
    def is_cut(self) -> bool:
        return self.got.answer.stop is StopReason.LENGTH


async def deliver(made: Made, *, storage: Database, stack: Stack, cut: Cut, now: Clock, new_id: NewId) -> None:
    """Remember the answer and owe its messages, its card and its review, all at once or not at all.

    Raises:
        NotOurs: the run is somebody else's by now, so nothing was remembered.
    """
    run, work, ended = made.run, made.work, now()
    text, notes = await _typeset(made, cut)
    outcome = await asyncio.to_thread(_outcome, made, stack, ended)  # it reads the notes, which nobody may wait for
    async with storage.transaction() as saved:
        if not await _leave(made, saved, ended):
            raise NotOurs
        number_ = await saved.answers.next_number(work.id, run.stage)
        answer = _answer(made, number_, new_id("a"), ended)
        await saved.answers.add(answer)
        told = replace(outcome, so_far=so_far(await made.purse.close(saved), outcome.usd))
        await saved.outbox.revise(card_slot(run), messages.answered(run, told).to_json())
        for message in say_answer(work, run, answer, text, notes, now=now):
            await saved.outbox.plan(message)
        await saved.ledger.append(_entry(made, answer, ended))
        await supersede_older(run, work, answer, saved=saved, stack=stack, now=now)
        if made.route.gate is Gate.REVIEW:
            await _gate(made, answer, saved, stack, now=now)
        await step_answered(run, work, answer, is_cut=made.is_cut, saved=saved, now=now, new_id=new_id)
        crashpoint("cp10")
    crashpoint("cp18")


async def _leave(made: Made, saved: Saved, ended: datetime) -> bool:
    spent, got = usage(made), made.got
    return await saved.runs.leave(
        made.run,
        RunState.ANSWERED,
        at=ended,
        model=got.key,
        served_id=got.answer.served_id,
        stop_reason=got.answer.stop,
        attempts=got.answer.attempts,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        estimated=spent.estimated,
        cost_usd=spent.usd,
    )


def _answer(made: Made, number_: int, answer_id: str, ended: datetime) -> Answer:
    target = made.target
    return Answer(
        id=answer_id,
        work_id=made.work.id,
        run_id=made.run.id,
        stage=made.run.stage,
        lane=made.run.lane,
        number=number_,
        text=made.said.text,
        sha256=digest(made.said.text),
        notes=made.said.notes,
        decision=made.said.decision,
        verdict=made.said.verdict,
        about_id=target.id if target else None,
        second_to=made.run.second_to,
        made_at=ended,
    )


async def _gate(made: Made, answer: Answer, saved: Saved, stack: Stack, *, now: Clock) -> None:
    """Open the review, unless the owner blocked the text or it was cut short: then say what to do instead."""
    run = made.run
    if made.said.decision is Decision.BLOCKED:
        told = f"The owner blocked this text, so no review opens. Revise it, then `{messages.BOT} final` again."
    elif made.is_cut:
        told = (
            "This text was cut at the output limit, so no review opens. "
            f"Raise `max_output_tokens` of {run.stage} or ask for something shorter, then `{messages.BOT} final` again."
        )
    else:
        await open_review(run, made.work, answer, saved=saved, stack=stack, now=now)
        return
    notice = messages.plain(told, fallback="No review opens", state="blocked")
    await saved.outbox.plan(owed(made.work, run, Kind.NOTICE, f"{run.id}/blocked", notice, now=now, answer=answer))


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Tokens and USD of one run; estimated where the endpoint did not count."""

    input_tokens: int
    output_tokens: int
    estimated: bool
    usd: float | None


def usage(made: Made) -> Spent:
    """What the endpoint counted, where that can be, or an estimate; approximate cost where the stack knows a price."""
    most = most_tokens(made.context.system, made.context.user, made.allowed)
    tokens = counted(made.got.answer, most, read=lambda: made.context.tokens)
    price = made.got.model.price
    usd = dollars(cost(price, tokens)) if price else None
    return Spent(input_tokens=tokens.read, output_tokens=tokens.written, estimated=tokens.estimated, usd=usd)


def _outcome(made: Made, stack: Stack, ended: datetime) -> messages.Outcome:
    run, got = made.run, made.got
    spent = usage(made)
    remarks = [_remark(made), *made.of_sources]
    if made.is_cut:
        remarks.append("The answer was cut at the output limit; it is not whole.")
    return messages.Outcome(
        model=_named(got),
        instead_of=got.instead_of,
        because=got.because,
        seconds=(ended - (run.started_at or ended)).total_seconds(),
        tokens=spent.input_tokens + spent.output_tokens,
        estimated=spent.estimated,
        usd=spent.usd,
        why=made.route.reason,
        read=sentence(made.context.manifest),
        remark=" ".join(remark for remark in remarks if remark),
        beside=_beside(made, stack),
        swamp=_swamp(made, ended),
        done=_done(made.said.decision),
        price_of=got.model.price.checked if got.model.price and got.model.price.is_stale(ended.date()) else None,
    )


def _swamp(made: Made, ended: datetime) -> str:
    """How much the thread holds, if this answer is the one with which that becomes too much."""
    new = _answer(made, 0, "", ended)
    if not becomes_swampy(made.run, made.thread, made.runs, new):
        return ""
    return in_words(made.thread, made.runs, new)


def _beside(made: Made, stack: Stack) -> str:
    """How a second opinion differs from the first, and what it takes to have it reviewed."""
    if made.first is None:
        return ""
    told = beside(made.first.answer, made.said).sentence
    is_gated = stack.gate(StageName(made.run.stage)) is Gate.REVIEW
    return f"{told} No review opens for it; `Final` under it would choose it." if is_gated else told


def _named(got: Answered) -> str:
    """The model's key, and the id it was served under where that is another one."""
    served = got.answer.served_id
    if not served or served == got.model.id:
        return got.key
    # The endpoint's words, so only what looks like an id is repeated on a card.
    return f"{got.key} (served by {served if _AN_ID.fullmatch(served) else 'another id'})"


def _done(decision: Decision) -> str:
    match decision:
        case Decision.READY:
            return "ready"
        case Decision.BLOCKED:
            return "blocked"
        case Decision.NONE:
            return "answered"


def _remark(made: Made) -> str:
    """What a person should know at a glance: the critic's verdict, or what the owner did with the findings."""
    said = made.said
    match StageName(made.run.stage):
        case StageName.CRITIQUE if made.first:
            return said.remarks  # both are counted beside each other
        case StageName.CRITIQUE:
            verdict = "nothing serious found" if said.verdict is CriticVerdict.NOTHING_SERIOUS else "revise"
            found = f"{count(len(said.findings), 'finding')} · " if said.findings else ""
            return f"{found}verdict: {verdict}" + (f", for {said.remarks}" if said.remarks else "")
        case StageName.FINAL:
            tally = taken_up(said.notes, _labels(made)).in_words
            return ". ".join(words for words in (tally, said.remarks) if words)
        case _:
            return said.remarks


def _labels(made: Made) -> list[str]:
    """The findings the owner had before them, by their numbers in the thread."""
    critiques = critiques_of(made.target, made.answers) if made.target else []
    return [
        label
        for critique in critiques
        for label in number(read_answer(StageName.CRITIQUE, critique.text).findings, critique.number)
    ]


Blocks = Sequence[dict[str, Any]]


async def _typeset(made: Made, cut: Cut) -> tuple[Sequence[Blocks], Sequence[Blocks]]:
    """The text and the notes as the blocks of messages. In a thread: a long answer must not hold up the acks."""
    linkable = addresses_in(made.work.brief, made.run.note)  # of what models write, only these may become links
    text = await asyncio.to_thread(cut, made.said.text, linkable) if made.said.text.strip() else []
    since = await asyncio.to_thread(_since, made)
    notes = "\n\n".join(words for words in (_blocked(made.said), made.said.notes, since) if words.strip())
    return text, await asyncio.to_thread(cut, notes, linkable) if notes else []


def say_answer(
    work: Work, run: Run, answer: Answer, text: Sequence[Blocks], notes: Sequence[Blocks], *, now: Clock
) -> list[Message]:
    """The messages of an answer: its parts, then the notes that stand beside it."""
    said = []
    for place, blocks in enumerate(text, 1):
        body = messages.part(answer, blocks, number=place, of=len(text), buttons=place == len(text))
        said.append(owed(work, run, Kind.ANSWER, f"{run.id}/answer/{place}", body, now=now, answer=answer))
    for place, blocks in enumerate(notes, 1):
        body = messages.notes(answer, blocks, number=place, of=len(notes))
        said.append(owed(work, run, Kind.NOTES, f"{run.id}/notes/{place}", body, now=now, answer=answer))
    return said


def _since(made: Made) -> str:
    """What became of the version before this one, for whoever sent it back or had it polished.

    Of a second opinion: how it differs from the first.
    """
    if made.first:
        return beside(made.first.answer, made.said).listing if made.said.text.strip() else ""
    older = [
        answer
        for answer in made.answers
        if (answer.lane, answer.stage) == (made.run.lane, made.run.stage)
        and (answer.second_to is None or answer == made.target)
    ]
    if made.run.stage not in _VERSIONS or not older or not made.said.text.strip():
        return ""
    before = max(older, key=lambda answer: answer.number)
    return f"**Compared with {title(before)}** ({short(before.sha256)}): {changes(before.text, made.said.text)}"


def _blocked(made: Deliverable) -> str:
    """The owner's reason is a model's words too, so it stands among the notes."""
    return f"**Blocked:** {made.blocked_because}" if made.blocked_because else ""


def _entry(made: Made, answer: Answer, at: datetime) -> Entry:
    return Entry(
        team=made.work.team,
        at=at,
        who=made.run.asked_by,
        what="answered",
        work_id=made.work.id,
        run_id=made.run.id,
        answer_id=answer.id,
        body={
            "stage": made.run.stage,
            "lane": answer.lane,
            "sha256": answer.sha256,
            "model": made.got.key,
            "served": made.got.answer.served_id,
            "stack": made.route.stack_digest,
            "route": digest(canonical(made.route.to_json())),
            "context": seen_digest(made.context.system, made.context.user, json.loads(made.context.manifest.to_json())),
            "notes": digest(answer.notes),
            **({"second_to": made.first.answer.sha256} if made.first else {}),
        },
    )
