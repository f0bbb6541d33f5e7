"""Finds again what Slack gave up delivering while we were away: on start, after a reconnect, and every hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bot.metrics import Kept, Metrics
from bot.slack.backlog import Backlog, Withheld
from bot.slack.calls import CallFailed, Trouble
from bot.slack.door import Door, deletion_of, moment
from handlers.case import load_case
from handlers.incoming import Reaction, Reason, Request
from handlers.ports import Clock, Sleep
from handlers.repair import (
    REVIEWS_KEPT,
    Sight,
    Spot,
    Told,
    Wanted,
    is_missing,
    is_worth_a_look,
    last_known,
    means,
    missing_reactions,
    read_since,
)
from handlers.review import meaning
from handlers.stack import Stack
from storage.database import Database, Saved
from storage.records import Kind, Letter, Message, Review

log = structlog.get_logger(__name__)

_HOUR = timedelta(hours=1)
_RETRIES_ARE_OVER = timedelta(minutes=10)
"""After this Slack has given up on whatever it could not deliver before we came."""
_THREADS_BEGAN = timedelta(days=7)
"""Threads that began before this are read only where we spoke since."""
_LEASE = timedelta(seconds=15)
_RENEW_SECONDS = 5.0
_PAUSE, _LONGEST_PAUSE = _LEASE.total_seconds(), 600.0
_SETTLED = timedelta(seconds=5)
"""What Slack tells, it shows at once; until this has passed, we look twice."""
_MENTIONS_LOST = "mentions made while the bot is down are not found again (channels:history, groups:history)"
_SCOPES = {
    "conversations.history": _MENTIONS_LOST,
    "conversations.replies": _MENTIONS_LOST,
    "reactions.get": "reactions made while the bot is down are not found again (reactions:read)",
    "users.conversations": "mentions are found again only where there is work already (channels:read, groups:read)",
}
_FIRST, _DONE = "repair/first", "repair/done"
_AT_WORK, _AT_REST = "repair/at work", "repair/at rest"

Means = Mapping[str, datetime]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Round:
    """What one sweep starts from."""

    began: datetime
    first: datetime
    means: Means
    wanted: Sequence[Wanted]


class Repair:
    """Any number of processes may have one. A sweep that breaks off is begun anew; what it found is kept once."""

    def __init__(
        self,
        *,
        storage: Database,
        backlog: Backlog,
        stack: Callable[[], Stack],
        door: Callable[[], Door],
        now: Clock,
        sleep: Sleep = asyncio.sleep,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._storage, self._backlog, self._stack, self._door = storage, backlog, stack, door
        self._now, self._sleep = now, sleep
        self._woken = asyncio.Event()
        self._listening_since = now()
        self._said: set[str] = set()

    def reconnected(self) -> None:
        """Slack may have had something for us while nobody was there to take it."""
        self._listening_since = self._now()
        self._woken.set()

    async def run(self) -> None:
        """Sweep until cancelled."""
        pause, wanted, is_first_look = _PAUSE, self._now(), True
        while True:
            self._woken.clear()
            done = await self._done_since(wanted)
            if done is None:
                wait, pause = pause, min(_LONGEST_PAUSE, pause * 2)
            else:
                pause = _PAUSE
                wanted = done + (_RETRIES_ARE_OVER if is_first_look else _HOUR)
                is_first_look = False
                wait = min(max(0.0, (wanted - self._now()).total_seconds()), _HOUR.total_seconds())
            if await self._is_woken_within(wait):
                pause, wanted, is_first_look = _PAUSE, self._now(), True

    async def _is_woken_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        return self._woken.is_set()

    async def _done_since(self, wanted: datetime) -> datetime | None:
        """When the last whole sweep began, if that was after a moment; ours, where nobody else's was."""
        now = self._now()
        try:
            async with self._storage.reading() as saved:
                done = await saved.marks.get(_DONE)
            if done is not None and wanted <= done <= now + _HOUR:  # later than that, a clock was wrong
                return done
            async with self._turn() as is_ours:
                if not is_ours:
                    return None
                is_whole = await self.sweep()
                self._metrics.swept("repair", well=is_whole)
                return now if is_whole else None
        except Exception:
            self._metrics.swept("repair", well=False)
            log.exception("what was missed could not be looked for; trying again")
            return None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[bool]:
        """One process at a time, to spare Slack: a mark moves on while somebody is at it, another when they end."""
        if self._storage.is_sqlite:  # one process has it to itself
            yield True
            return
        async with self._storage.transaction() as saved:
            last, rest = await saved.marks.get(_AT_WORK), await saved.marks.get(_AT_REST)
            is_over = last is None or abs(self._now() - last) >= _LEASE  # far ahead: a clock was wrong
            is_ours = is_over or (rest is not None and last is not None and rest >= last)
            if is_ours:
                await saved.marks.set(_AT_WORK, self._now())
        renewing = asyncio.create_task(self._renew()) if is_ours else None
        try:
            yield is_ours
        finally:
            if renewing is not None:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
        if is_ours:
            async with self._storage.transaction() as saved:
                await saved.marks.set(_AT_REST, self._now())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            async with self._storage.transaction() as saved:
                await saved.marks.set(_AT_WORK, self._now())

    async def sweep(self) -> bool:
        """Look everywhere once. False where Slack did not answer: nothing of that counts as read."""
        this = await self._begin()
        try:
            is_whole = await self._look_at_reviews(this)
            is_whole = await self._read_channels(this) and is_whole
        except CallFailed as failed:
            log.warning("slack does not answer; what was missed is looked for later", cause=failed.code)
            return False
        if is_whole:
            async with self._storage.transaction() as saved:
                await saved.marks.set(_DONE, this.began)
        return is_whole

    async def _begin(self) -> _Round:
        """Where our memory begins, and since when each emoji has meant what it means."""
        began, rules = self._now(), self._stack().review
        async with self._storage.transaction() as saved:
            first = await saved.marks.get(_FIRST)
            heard = None if first else await saved.inbox.last_received()
            # Before there were marks, what the stack says now is all that is known.
            meant = began if first else datetime(1970, 1, 1, tzinfo=UTC)
            if first is None:
                first = heard or began
                await saved.marks.set(_FIRST, first)
            since = {}
            for name in [
                *(f"approve/{one}" for one in rules.approve),
                *(f"send_back/{one}" for one in rules.send_back),
            ]:
                known = await saved.marks.get(f"repair/means/{name}")
                if known is None:
                    known = meant
                    await saved.marks.set(f"repair/means/{name}", meant)
                since[name] = known
            wanted = [await _wanted(review, saved) for review in await saved.reviews.wanting_reasons()]
        return _Round(began=began, first=first, means=since, wanted=[one for one in wanted if one])

    # Reactions

    async def _look_at_reviews(self, this: _Round) -> bool:
        """Whether every message was seen whose reactions may count."""
        async with self._storage.reading() as saved:
            reviews = await saved.reviews.opened_since(this.began - REVIEWS_KEPT)
        is_whole = True
        for review in reviews:
            for spot in await self._spots(review, this):
                is_whole = await self._tolerantly(self._look_at(spot), where=spot.channel) and is_whole
        return is_whole

    async def _spots(self, review: Review, this: _Round) -> list[Spot]:
        """The messages of a review on which a reaction may count; none where nothing could change any more."""
        rules = self._stack().review
        async with self._storage.reading() as saved:
            case = await load_case(review.answer_id, saved)
            if case is None or not is_worth_a_look(case, case.state(rules, this.began), this.began):
                return []
            messages = await saved.outbox.of_answer(review.answer_id)

        def meant(emoji: str) -> bool:
            kind = meaning(emoji, rules)
            return kind is not None and means(emoji.partition("::")[0].strip(":"), kind, this.means, review.opened_at)

        def spot(message: Message, ts: str) -> Spot:
            return Spot(
                team=message.team,
                channel=message.channel,
                ts=ts,
                posted=moment(ts),
                expires_at=review.expires_at,
                meant=meant,
            )

        return [spot(one, one.ts) for one in messages if one.kind in {Kind.ANSWER, Kind.REVIEW} and one.ts]

    async def _look_at(self, spot: Spot) -> None:
        """Compare what Slack shows of a message with what we remember, and write the letters that are missing."""
        async with self._storage.reading() as saved:
            letters = await saved.inbox.in_line(spot.line)
        known = _told(letters)
        try:
            sight = await self._sight(spot)
        except Withheld as withheld:
            if withheld.code != "message_not_found":
                raise
            await self._keep_deletion(spot)
            return
        missing = missing_reactions(spot, sight, known, self._now())
        if any(not one.added for one in missing) and self._is_fresh(letters):
            await self._sleep(_SETTLED.total_seconds())
            missing = missing_reactions(spot, await self._sight(spot), known, self._now())
        if missing:
            await self._keep_reactions(spot, missing, known)

    async def _keep_deletion(self, spot: Spot) -> None:
        """It stood there when Slack took it, and is gone; whoever handles the letter looks for themselves."""
        letter = self._door().seen(deletion_of(spot.team, spot.channel, spot.ts, self._now()))
        async with self._storage.transaction() as saved:
            if await saved.inbox.put(letter):
                self._metrics.kept("deletion", Kept.MISSED)
                log.info("a deletion was missed", channel=spot.channel, ts=spot.ts)

    async def _sight(self, spot: Spot) -> Sight:
        sight = await self._backlog.reactions(spot.channel, spot.ts)
        if sight.unsure:
            log.warning("slack does not name everybody who reacted", channel=spot.channel, ts=spot.ts)
        ours = self._door().bot_user
        return replace(sight, standing=frozenset(one for one in sight.standing if one[0] != ours))

    def _is_fresh(self, letters: Sequence[Letter]) -> bool:
        return any(self._now() - letter.received_at < _SETTLED for letter in letters)

    async def _keep_reactions(self, spot: Spot, missing: Sequence[Reaction], known: Sequence[Told]) -> None:
        """Only where nothing was heard of that reaction since we began to look."""
        before = last_known(known)
        async with self._storage.transaction() as saved:
            now_known = last_known(_told(await saved.inbox.in_line(spot.line)))
            for one in missing:
                which = one.person, one.emoji
                if before.get(which) == now_known.get(which) and await saved.inbox.put(self._door().seen(one)):
                    self._metrics.kept("reaction", Kept.MISSED)
                    log.info("a reaction was missed", channel=spot.channel, ts=spot.ts, added=one.added, letter=one.key)

    # Mentions and reasons

    async def _read_channels(self, this: _Round) -> bool:
        """Whether every channel that we may read was read."""
        places = await self._places()
        is_whole = True
        for team, channel in places:
            is_whole = await self._tolerantly(self._read_channel(team, channel, this), where=channel) and is_whole
        return is_whole

    async def _places(self) -> list[tuple[str, str]]:
        """Where people may have spoken to us: where there is work, and wherever we are."""
        async with self._storage.reading() as saved:
            places = dict.fromkeys(await saved.works.channels())
        if team := self._door().team:
            try:
                places |= dict.fromkeys((team, channel) for channel in await self._backlog.channels())
            except Withheld as withheld:
                self._say(withheld)
        return list(places)

    async def _read_channel(self, team: str, channel: str, this: _Round) -> None:
        """Read a channel and its threads from where the last reading ended; only then is that moved on."""
        name = f"repair/channel/{team}/{channel}"
        async with self._storage.reading() as saved:
            mark = await saved.marks.get(name)
            spoken = await saved.works.threads_spoken_in(team, channel, since=this.began - _THREADS_BEGAN)
        since = read_since(this.first, mark, this.began)
        threads = dict.fromkeys(
            [*spoken, *(w.thread_ts for w in this.wanted if (w.team, w.channel) == (team, channel))]
        )
        newest: datetime | None = None
        found: dict[str, Letter] = {}
        async for shown in self._backlog.top_level(channel, since=_ts(min(since, this.began - _THREADS_BEGAN))):
            newest = newest or _moment(shown.get("ts"))  # all that is older stands there by now
            threads = _with(threads, shown, since)
            found |= self._letter(shown, team, channel, since)
        for thread_ts in threads:
            found |= await self._read_thread(team, channel, thread_ts, since)
        await self._keep(list(found.values()), this)
        if newest is not None:
            async with self._storage.transaction() as saved:
                await saved.marks.set(name, newest)

    async def _read_thread(self, team: str, channel: str, thread_ts: str, since: datetime) -> dict[str, Letter]:
        found: dict[str, Letter] = {}
        try:
            async for shown in self._backlog.replies(channel, thread_ts, since=_ts(since)):
                found |= self._letter(shown, team, channel, since)
        except Withheld as withheld:
            if withheld.code != "thread_not_found":  # deleted meanwhile
                raise
        return found

    def _letter(self, shown: dict[str, Any], team: str, channel: str, since: datetime) -> dict[str, Letter]:
        posted = _moment(shown.get("ts"))
        if posted < since:
            return {}
        edited_too = posted < self._listening_since
        letter = self._door().read_back(shown, team=team, channel=channel, edited_too=edited_too)
        return {letter.key: letter} if letter else {}

    async def _keep(self, letters: Sequence[Letter], this: _Round) -> None:
        """In Slack's own order; what is known already stays as it is."""
        for letter in sorted(letters, key=lambda one: str(one.body["at"])):
            said = Reason.from_json(letter.body) if letter.kind == "reason" else Request.from_json(letter.body)
            if isinstance(said, Reason) and not is_missing(said, wanted=this.wanted, line=()):
                continue
            async with self._storage.transaction() as saved:
                line = [
                    Request.from_json(one.body) for one in await saved.inbox.in_line(letter.line) if _is_request(one)
                ]
                if is_missing(said, wanted=this.wanted, line=line) and await saved.inbox.put(letter):
                    self._metrics.kept(letter.kind, Kept.MISSED)
                    log.info("a message was missed", channel=said.channel, letter=letter.key)

    # What Slack does not show

    async def _tolerantly(self, look: Any, *, where: str) -> bool:
        """Whether it was seen, or never will be. One place that fails in a way of its own keeps nobody else waiting."""
        try:
            await look
        except Withheld as withheld:
            self._say(withheld, where=where)
        except CallFailed as failed:
            if failed.trouble is not Trouble.ODD:
                raise
            log.warning("slack does not show a place", channel=where, cause=failed.code)
            return False
        return True

    def _say(self, withheld: Withheld, *, where: str = "") -> None:
        """Once each; the promise is smaller then, and somebody should know."""
        about = withheld.method if withheld.code == "missing_scope" else f"{where} {withheld.code}"
        if about in self._said:
            return
        self._said.add(about)
        if withheld.code == "missing_scope":
            log.warning("slack withholds a scope", means=_SCOPES.get(withheld.method, withheld.method))
        else:
            log.info("slack does not show us a place", channel=where, cause=withheld.code)


async def _wanted(review: Review, saved: Saved) -> Wanted | None:
    """Since when somebody's words count as the reason they owe."""
    work = await saved.works.get(review.work_id)
    given = [one for one in await saved.reviews.verdicts(review.answer_id) if one.person == review.reason_wanted_from]
    if work is None or work.thread_ts is None or not given:
        return None
    letter = await saved.inbox.get(given[-1].request_key)
    was_seen = letter is not None and letter.kind == "reaction" and Reaction.from_json(letter.body).seen
    return Wanted(
        team=work.team,
        channel=work.channel,
        thread_ts=work.thread_ts,
        person=given[-1].person,
        since=letter.received_at if letter and was_seen else given[-1].at,
    )


def _told(letters: Iterable[Letter]) -> list[Told]:
    return [
        Told(reaction=Reaction.from_json(one.body), outcome=one.outcome) for one in letters if one.kind == "reaction"
    ]


def _is_request(letter: Letter) -> bool:
    return letter.kind == "request"


def _with(threads: dict[str, None], shown: dict[str, Any], since: datetime) -> dict[str, None]:
    """The threads to read, after a root: its newest reply tells whether there is anything new in it."""
    root, last = shown["ts"], shown.get("latest_reply")
    if (shown.get("thread_ts") or root) != root:
        return threads  # a reply that was also sent to the channel
    if last is not None and _moment(last) >= since:
        return {**threads, root: None}
    return {ts: None for ts in threads if ts != root}


def _ts(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _moment(ts: object) -> datetime:
    """Slack's time of a message; a page that gives none is no page."""
    try:
        return moment(str(ts))
    except (ValueError, OverflowError) as problem:
        raise CallFailed(Trouble.LATER, "unreadable_reply") from problem
