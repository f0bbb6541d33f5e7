"""What Slack gave up telling us (pure): which letters are missing, given what it shows now and what we remember.

A reaction that is read back carries no time, so it takes the earliest it can have: just after the last we heard of it.
Whatever is told later, with Slack's own time, then comes after it; a removal always wins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers.case import Case
from handlers.incoming import Reaction, Reason, Request, Verb
from handlers.judge import OPEN, ReviewState

REACH = timedelta(hours=24)
"""How far back a mention is looked for; older ones are not answered any more."""
REVIEWS_KEPT = timedelta(days=28)
"""How long a review is looked at: as long as all letters about it are remembered, with a little to spare."""
_CLOSED_KEPT = timedelta(days=7)
_OVERLAP = timedelta(minutes=5)  # Slack's reads may lag behind its own times
_NEXT = timedelta(microseconds=1)

SEEN_BEFORE = "seen before"
TOLD_MEANWHILE = "told meanwhile"
OVERTAKEN = "overtaken by what was seen"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """Who stands with which emoji on one message; of `unsure` emoji Slack did not name everybody."""

    standing: frozenset[tuple[str, str]]
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A message whose reactions count, and what limits them.

    Attributes:
        posted: Slack's time of the message.
        expires_at: from then on an approval is late.
        meant: the emoji that have meant something since before the message was there.
    """

    team: str
    channel: str
    ts: str
    posted: datetime
    meant: Callable[[str], bool]
    expires_at: datetime | None = None

    @property
    def line(self) -> str:
        return f"reaction/{self.channel}/{self.ts}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A reaction's letter, and what became of it; None while it waits."""

    reaction: Reaction
    outcome: str | None = None


def is_worth_a_look(case: Case, state: ReviewState, now: datetime) -> bool:
    """Whether a reaction could still change something, or somebody is owed a word about it."""
    if state in OPEN or state is ReviewState.CHANGES_REQUESTED:
        return True
    last = max([case.review.opened_at, *(verdict.at for verdict in case.verdicts)])
    return now - last < _CLOSED_KEPT


def missing_reactions(spot: Spot, sight: Sight, known: Sequence[Told], now: datetime) -> list[Reaction]:
    """The letters that would make what we remember of a message what Slack shows of it."""
    last = last_known(known)
    came = [
        _seen(spot, person, emoji, last.get((person, emoji)), now, added=True)
        for person, emoji in sorted(sight.standing)
        if spot.meant(emoji) and not _stands(last.get((person, emoji)))
    ]
    went = [
        _seen(spot, person, emoji, before, now, added=False)
        for (person, emoji), before in sorted(last.items())
        if before.added and (person, emoji) not in sight.standing and emoji not in sight.unsure
    ]
    return [*went, *came]


def last_known(known: Sequence[Told]) -> dict[tuple[str, str], Reaction]:
    """The last we heard of each reaction, by who and which emoji."""
    return {(told.reaction.person, told.reaction.emoji): told.reaction for told in sorted(known, key=_order)}


def _stands(last: Reaction | None) -> bool:
    return last is not None and last.added


def _seen(spot: Spot, person: str, emoji: str, last: Reaction | None, now: datetime, *, added: bool) -> Reaction:
    """A letter of our own making. Two who look at once, knowing the same, make it with the same key."""
    at = (last.at if last else spot.posted) + _NEXT
    if added and spot.expires_at is not None and now >= spot.expires_at:
        at = max(at, spot.expires_at)  # it may have come too late, so it did
    what = "added" if added else "removed"
    key = f"reaction/seen/{spot.channel}/{spot.ts}/{person}/{what}/{at.timestamp():.6f}/{emoji}"
    return Reaction(
        key=key[:200],
        team=spot.team,
        channel=spot.channel,
        message_ts=spot.ts,
        person=person,
        emoji=emoji,
        added=added,
        at=at,
        seen=True,
    )


def _order(told: Told) -> tuple[datetime, bool]:
    """By Slack's time; where two have the same, the removal is the later one."""
    return told.reaction.at, not told.reaction.added


def told_already(new: Reaction, handled: Sequence[Told]) -> str | None:
    """Why a letter says nothing that a handled one did not say; None where it is news.

    The same reaction may be seen by looking and told by a late delivery, in either order.
    """
    ours = sorted((told for told in handled if _is_same(told.reaction, new)), key=_order)
    place = Told(reaction=new)
    before = next((told for told in reversed(ours) if _order(told) <= _order(place)), None)
    after = next((told for told in ours if _order(told) > _order(place)), None)
    if new.seen:
        return TOLD_MEANWHILE if after is not None and after.reaction.added is new.added else None
    if before is not None and before.reaction.seen and before.reaction.added is new.added:
        return SEEN_BEFORE
    if after is not None and after.outcome == SEEN_BEFORE and after.reaction.added is not new.added:
        return OVERTAKEN
    return None


def _is_same(one: Reaction, other: Reaction) -> bool:
    return (one.person, one.emoji, one.message_ts) == (other.person, other.emoji, other.message_ts)


def read_since(first: datetime, mark: datetime | None, now: datetime, *, reach: timedelta = REACH) -> datetime:
    """From when on a channel is read: where the last reading ended, but never before our own beginning."""
    ended = first if mark is None else mark - _OVERLAP
    return max(first, ended, now - reach)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A reason that somebody owes for sending a text back, since when it is known that they do."""

    team: str
    channel: str
    thread_ts: str
    person: str
    since: datetime


def is_missing(said: Request | Reason, *, wanted: Collection[Wanted], line: Sequence[Request]) -> bool:
    """Whether something said while we were away is still to be handled. `line` is what was asked in the same thread.

    Words count as a reason only if they came after the question; a late cancel must not undo what was asked after it.
    """
    if isinstance(said, Reason):
        place = (said.team, said.channel, said.thread_ts, said.person)
        return any((w.team, w.channel, w.thread_ts, w.person) == place and w.since < said.at for w in wanted)
    return said.verb is not Verb.CANCEL or all(other.at <= said.at for other in line)


def means(emoji: str, kind: str, since: Mapping[str, datetime], opened_at: datetime) -> bool:
    """Whether an emoji meant this already when a review was opened; `since` tells from when on, by `kind/emoji`."""
    known = since.get(f"{kind}/{emoji}")
    return known is not None and known <= opened_at
