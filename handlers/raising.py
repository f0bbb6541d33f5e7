"""A limit on spending is raised: once for a thread, by a named person, in the thread and on the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from handlers import messages
from handlers.budget import RAISED, Exceeds, Limit, amount_of, billionths, dollars, too_low, who_may_raise, would_do
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.ports import Clock, Person, Slack
from handlers.request import card_slot, forget_url, look_around, owed
from handlers.soundness import is_group
from handlers.stack import Stack
from handlers.words import Body, Span, line, people
from storage.database import Database, Saved
from storage.records import Entry, Kind, Letter, Message, Raised, Run, Work

_LINE_LIMIT = 200  # the inbox's
_OF_A_REQUEST = ("stage", "lane", "target_id", "note", "revises", "second_to")
_OFFERED_BEFORE = (
    "The limits have changed since this was offered, so nothing was raised. "
    f"`{messages.BOT} again` asks for the run once more, within what they allow now."
)


class MayRaise(StrEnum):
    """Whether somebody may raise a limit, or why not."""

    YES = "yes"
    NOBODY = "nobody"
    NOT_NAMED = "not_named"
    OUTSIDER = "outsider"
    OWN_RUN = "own_run"


def may_raise(person: Person, *, named: bool, in_group: bool, asked_for_it: bool) -> MayRaise:
    """Who asked for the run may raise its limit only if their own id is among those who may."""
    if person.is_bot or person.is_deactivated:
        return MayRaise.NOBODY
    if named:
        return MayRaise.YES
    if not in_group:
        return MayRaise.NOT_NAMED
    if person.is_guest or person.is_external:
        return MayRaise.OUTSIDER
    return MayRaise.OWN_RUN if asked_for_it else MayRaise.YES


def offer(run: Run, work: Work, exceeds: Exceeds, stack: Stack, *, now: Clock) -> Message | None:
    """The notice with the button; None where raising would not do, or nobody may."""
    who = who_may_raise(stack)
    if exceeds.amount is None:
        return None
    what = would_do(exceeds.which, exceeds.allowed, exceeds.amount)
    facts = {
        "state": "limit",
        "stage": run.stage,
        "limit": exceeds.which.value,
        "of_usd": dollars(exceeds.allowed),
        "usd": dollars(exceeds.amount),
    }
    return owed(work, run, Kind.NOTICE, _slot(run), messages.limit_hit(run, what, _listed(who), facts), now=now)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Offer:
    """What can be raised in a thread, as its notice says it."""

    work: Work
    run: Run
    slot: str
    which: Limit
    allowed: float
    amount: float
    is_asked_since: bool


async def somebody_raises(request: Request, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> None:
    """Let the thread spend more, once, and ask for the run again; or tell the person alone why they may not.

    Raises:
        Refusal: there is nothing to raise here, it was raised already, or less may be raised by now.
        LookupFailed: Slack does not say who they are; to be tried again.
    """
    async with storage.reading() as saved:
        seen = await _offered(request, saved)
    if amount_of(seen.which, stack.budgets) < billionths(seen.amount):
        raise Refusal(_OFFERED_BEFORE)
    who = who_may_raise(stack)
    named = request.person in who
    groups = [] if named else [one for one in who if is_group(one)]
    may = may_raise(
        await slack.person(request.person),
        named=named,
        in_group=any([request.person in await slack.members_of(group) for group in groups]),
        asked_for_it=request.person == seen.run.asked_by,
    )
    async with storage.transaction() as saved:
        found = await _offered(replace(request, target_id=seen.run.id), saved)  # nobody else has raised it meanwhile
        if not await saved.inbox.handled(request.key, at=now(), outcome=f"raise: {may}", body=forget_url(request)):
            return
        if may is MayRaise.YES:
            await _raise(found, request, named=named, saved=saved, now=now)
        elif (why := _why_not(may, who)) is not None:
            slot = f"raise/{request.key}"[:90]
            await saved.outbox.plan(owed(found.work, None, Kind.NOTICE, slot, why, now=now, person=request.person))


async def _offered(request: Request, saved: Saved) -> _Offer:
    around = await look_around(saved, replace(request, target_id=None))
    if around.work is None:
        raise Refusal(f"There is no work of mine in this thread. Try `{messages.BOT} help`.")
    if await saved.spendings.raised(around.work.id) is not None:
        raise Refusal(
            "A limit was raised in this thread already, and that is done once for each. Ask for something shorter, or "
            "have the operator look at `[budgets]` in the stack."
        )
    for run in reversed(around.runs):
        notice = await saved.outbox.get(f"{around.work.id}/{_slot(run)}")
        if notice is not None and request.target_id in {None, run.id}:
            said = notice.body["facts"]
            later = [one for one in around.runs if one.seq > run.seq]
            return _Offer(
                work=around.work,
                run=run,
                slot=notice.slot,
                which=Limit(said["limit"]),
                allowed=said["of_usd"],
                amount=said["usd"],
                is_asked_since=any([await _met_no_limit(one, saved) for one in later if _same(one, run)]),
            )
    if (sentence := await _too_low(around.runs, saved)) is not None:
        raise Refusal(sentence)
    raise Refusal(f"No limit was hit in this thread that could be raised. `{messages.BOT} status` says what is left.")


def _same(one: Run, other: Run) -> bool:
    """Whether a run is of the same request as another."""
    return all(getattr(one, name) == getattr(other, name) for name in _OF_A_REQUEST)


async def _too_low(runs: Sequence[Run], saved: Saved) -> str | None:
    """Why the limit that was met last is not to be raised; None if none was, or the run was asked for again since."""
    for place, run in reversed([*enumerate(runs)]):
        card = await saved.outbox.get(card_slot(run))
        said = card.body["facts"] if card is not None else {}
        if "limit" in said and not any(_same(later, run) for later in runs[place + 1 :]):
            return too_low(Limit(said["limit"]), billionths(said["of_usd"]), bot=messages.BOT)
    return None


async def _met_no_limit(run: Run, saved: Saved) -> bool:
    """Whichever of its models it ended with."""
    return run.error_code != "budget" and await saved.outbox.get(f"{run.work_id}/{_slot(run)}") is None


async def _raise(found: _Offer, request: Request, *, named: bool, saved: Saved, now: Clock) -> None:
    """The raise, its entry in the ledger, what the notice says from now on, and the run's request again."""
    at, run, work = now(), found.run, found.work
    facts = {"limit": found.which.value, "of_usd": found.allowed, "usd": found.amount}
    entry = await saved.ledger.append(
        Entry(
            team=work.team,
            at=at,
            who=request.person,
            what=RAISED,
            work_id=work.id,
            run_id=run.id,
            body={**facts, "via": request.entrance.value, "named": named, "asked_by": run.asked_by},
        )
    )
    amount = billionths(found.amount)
    raised = Raised(
        work_id=work.id,
        run_id=run.id,
        which=found.which.value,
        amount=amount,
        who=request.person,
        at=at,
        ledger_seq=entry.seq,
    )
    await saved.spendings.let_more(raised)
    what = would_do(found.which, billionths(found.allowed), amount)
    again = None if found.is_asked_since else run
    body = messages.limit_raised(request.person, what, at, entry.hash, again, {"state": "raised", **facts})
    await saved.outbox.revise(found.slot, body.to_json())
    if again is not None:
        await saved.inbox.put(_once_more(again, work, now=now))


def _once_more(run: Run, work: Work, *, now: Clock) -> Letter:
    """The request of a run that was refused, in the name of whoever asked for it; a walk goes on where it is stuck."""
    request = Request(
        key=f"raised/{work.id}",
        entrance=Entrance.MENTION if run.walk else Entrance(run.entrance),
        verb=Verb.AGAIN,
        run_id=run.id,
        team=work.team,
        channel=work.channel,
        person=run.asked_by,
        at=now(),
        thread_ts=work.thread_ts,
    )
    line_ = f"{work.team}/{work.channel}/{work.thread_ts}"[:_LINE_LIMIT]
    return Letter(key=request.key, kind="request", line=line_, body=request.to_json(), received_at=now())


def _why_not(may: MayRaise, who: tuple[str, ...]) -> Body | None:
    """What somebody reads who may not; None where silence is right."""
    match may:
        case MayRaise.NOT_NAMED:
            told: list[str | Span] = ["Only somebody else may raise this limit. Ask ", *_listed(who), "."]
        case MayRaise.OUTSIDER:
            told = ["Guests and people from other organisations raise a limit only when the stack names them. Ask "]
            told += [*_listed(who), "."]
        case MayRaise.OWN_RUN:
            told = ["You asked for this run, so somebody else raises its limit. Ask ", *_listed(who), "."]
        case MayRaise.NOBODY | MayRaise.YES:
            return None
    return Body(lines=(line(*told),), fallback="About the limit")


def _listed(who: tuple[str, ...]) -> list[str | Span]:
    persons, groups = [one for one in who if not is_group(one)], [one for one in who if is_group(one)]
    spoken = people(persons, between=" or ")
    if groups:
        teams = f"a member of the user group{'s' * (len(groups) > 1)} {', '.join(groups)}"
        spoken += [" or " if persons else "", teams]
    return spoken


def _slot(run: Run) -> str:
    return f"{run.id}/raise"
