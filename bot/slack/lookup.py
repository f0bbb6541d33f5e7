"""What we ask Slack about people, places and messages; whatever it does not say plainly is LookupFailed."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.metrics import Metrics
from bot.slack.calls import CallFailed, Calls
from bot.slack.pace import Pace
from bot.slack.seen import digest_of, words_of
from handlers.ports import LookupFailed, Person, Place, SeenMessage
from storage.database import Database

_GROUP_SECONDS = 300.0
_PLACE_SECONDS = 30.0
_PLACE_NOW_SECONDS = 5.0  # many runs of a channel begin at once, and Slack answers 50 such questions a minute
_PATIENCE = 20.0
_PAGE = 200
_SHARED = ("is_ext_shared", "is_shared", "is_pending_ext_shared")
_KINDS = ("is_channel", "is_group", "is_im", "is_mpim")
_GONE = frozenset({"message_not_found", "thread_not_found"})
_NOT_SHOWN = frozenset({"user_not_found", "user_not_visible"})
_NEXT = timedelta(microseconds=1)

_Changes = tuple[int, datetime | None]


class Lookup:
    """The port `Slack`. Answers come from Slack each time, but for the members of a group and ordinary places."""

    def __init__(
        self,
        *,
        client: AsyncWebClient,
        pace: Pace | None = None,
        tick: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE,
        metrics: Metrics | None = None,
        storage: Database | None = None,
    ) -> None:
        """With a storage, a group that another process heard to have changed is asked for again here, too."""
        self._storage = storage
        self._changes: Counter[str] = Counter()  # of each group, as far as this process heard
        self._calls = Calls(client, pace or Pace(), metrics=metrics)
        self._tick = tick
        self._patience = patience
        self._groups: dict[str, tuple[float, _Changes, frozenset[str]]] = {}
        self._places: dict[str, tuple[float, Place]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by channel: many ask at once
        self._team: str | None = None

    async def person(self, person: str) -> Person:
        """Somebody as Slack knows them now; each trait has to be said, or nothing is known.

        Whom Slack does not show us counts as gone: no later question would be answered otherwise.
        """
        ours = await self._own_team()
        try:
            answer = await self._ask("users.info", user=person)
        except LookupFailed as failed:
            if _code(failed) in _NOT_SHOWN:
                return Person(id=person, is_deactivated=True)
            raise
        user = _part(answer, "user")
        if user.get("id") != person:
            raise LookupFailed(f"Slack told of somebody else than {person}")
        if user.get("deleted") is True:
            return Person(id=person, is_deactivated=True, is_bot=user.get("is_bot") is True)
        return Person(
            id=person,
            is_bot=_flag(user, "is_bot") or person == "USLACKBOT",
            is_guest=_flag(user, "is_restricted") or _flag(user, "is_ultra_restricted"),
            is_deactivated=_flag(user, "deleted"),
            is_external=_is_of_another_team(user, ours),
        )

    async def members_of(self, group: str) -> frozenset[str]:
        """The members of a user group, at most five minutes old."""
        kept, changes = self._groups.get(group), await self._changes_of(group)
        if kept and kept[1] == changes and self._tick() - kept[0] < _GROUP_SECONDS:
            return kept[2]
        asked_at = self._tick()
        users = (await self._ask("usergroups.users.list", usergroup=group)).get("users")
        if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
            raise LookupFailed(f"Slack did not list the members of {group}")
        self._groups[group] = (asked_at, changes, frozenset(users))
        return self._groups[group][2]

    async def forget_group(self, group: str) -> None:
        """A group has changed; the next question goes to Slack, in every process, and so does one under way."""
        self._changes[group] += 1
        if self._storage is not None:
            async with self._storage.transaction() as saved:
                last = await saved.marks.get(_changed(group))
                at = datetime.now(UTC)
                await saved.marks.set(_changed(group), max(at, last + _NEXT) if last else at)

    async def _changes_of(self, group: str) -> _Changes:
        """What must be the same for what is kept to be still true."""
        if self._storage is None:
            return self._changes[group], None
        async with self._storage.reading() as saved:
            return self._changes[group], await saved.marks.get(_changed(group))

    async def place(self, channel: str, *, now: bool = False) -> Place:
        """A conversation, at most half a minute old; `now`: at most five seconds.

        Slack answers 50 such questions a minute and a request waits for each. Only an ordinary place is kept: one that
        is archived, shared with outsiders or without us is looked at anew every time.
        """
        try:
            async with asyncio.timeout(self._patience), self._asking[channel]:
                at, kept = self._places.pop(channel, (-math.inf, None))
                if kept is None or self._tick() - at >= (_PLACE_NOW_SECONDS if now else _PLACE_SECONDS):
                    at, kept = self._tick(), await self._place_now(channel)
                if kept == Place(id=channel):
                    self._places[channel] = (at, kept)
                return kept
        except TimeoutError as late:
            raise LookupFailed(f"conversations.info: no answer in {self._patience:g} s") from late

    async def _place_now(self, channel: str) -> Place:
        """A conversation as it is now. A direct message has the two who write it for members.

        Slack does not show private channels to whoever is not in them; that somebody spoke there says that they exist.
        """
        try:
            answer = await self._ask("conversations.info", channel=channel)
        except LookupFailed as failed:
            if _code(failed) == "channel_not_found":
                return Place(id=channel, is_member=False)
            raise
        shown = _part(answer, "channel")
        if shown.get("id") != channel:
            raise LookupFailed(f"Slack told of another conversation than {channel}")
        is_direct = shown.get("is_im") is True
        return Place(
            id=channel,
            is_member=is_direct or _flag(shown, "is_member"),
            is_archived=_flag(shown, "is_archived"),
            is_external=any(bool(shown.get(name)) for name in _SHARED),
            is_strange=not any(shown.get(name) is True for name in _KINDS),
        )

    async def message(self, channel: str, ts: str, *, thread_ts: str | None = None) -> SeenMessage | None:
        """One message as it stands now; None if there is none."""
        if thread_ts is None or thread_ts == ts:
            look = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": True, "limit": 1}
            found = await self._found("conversations.history", ts, look)
            if found is not None or thread_ts == ts:
                return _seen(channel, found)
        # A reply, known as one or not: asked by its own ts, Slack gives just the reply.
        look = {"channel": channel, "ts": thread_ts or ts, "oldest": ts, "latest": ts, "inclusive": True, "limit": 2}
        return _seen(channel, await self._found("conversations.replies", ts, look))

    async def messages(self, channel: str, thread_ts: str, wanted: Sequence[str]) -> dict[str, SeenMessage]:
        """Those messages of a thread that stand there now, by ts."""
        left = set(wanted)
        if not left:
            return {}
        look: dict[str, Any] = {"channel": channel, "ts": thread_ts, "oldest": min(left, key=_order)}
        look |= {"latest": max(left, key=_order), "inclusive": True, "limit": _PAGE}
        found: dict[str, SeenMessage] = {}
        while left:
            page = await self._page("conversations.replies", look)
            for shown in page["messages"]:
                seen = _seen(channel, shown)
                if seen is not None and seen.ts in left:
                    found[seen.ts] = seen
                    left.discard(seen.ts)
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            look["cursor"] = cursor
        return found

    async def _found(self, method: str, ts: str, look: dict[str, Any]) -> dict[str, Any] | None:
        page = await self._page(method, look)
        return next((shown for shown in page["messages"] if shown.get("ts") == ts), None)

    async def _page(self, method: str, look: dict[str, Any]) -> dict[str, Any]:
        """A page of messages; an empty one where Slack says that there is no such thread."""
        try:
            page = await self._ask(method, **look)
        except LookupFailed as failed:
            if _code(failed) in _GONE:
                return {"messages": []}
            raise
        messages = page.get("messages")
        if not isinstance(messages, list) or not all(isinstance(shown, dict) for shown in messages):
            raise LookupFailed("Slack did not list any messages")
        return page

    async def _own_team(self) -> str:
        if self._team is None:
            team = (await self._ask("auth.test")).get("team_id")
            if not isinstance(team, str) or not team:
                raise LookupFailed("Slack did not say which workspace this is")
            self._team = team
        return self._team

    async def _ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A question with a bounded wait, for our pace and Slack's 429 alike."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._calls.ask(method, **arguments)
        except CallFailed as failed:
            raise LookupFailed(f"{method}: {failed.code}") from failed
        except TimeoutError as late:
            raise LookupFailed(f"{method}: no answer in {self._patience:g} s") from late


def _changed(group: str) -> str:
    return f"group changed/{group}"[:200]


def _code(failed: LookupFailed) -> str | None:
    """Slack's word for why it did not say; None if it said nothing at all."""
    return failed.__cause__.code if isinstance(failed.__cause__, CallFailed) else None


def _part(reply: dict[str, Any], name: str) -> dict[str, Any]:
    part = reply.get(name)
    if not isinstance(part, dict):
        raise LookupFailed(f"Slack's answer has no {name}")
    return part


def _flag(node: dict[str, Any], name: str) -> bool:
    value = node.get(name)
    if not isinstance(value, bool):
        raise LookupFailed(f"Slack did not say {name} of {node.get('id')}")
    return value


def _is_of_another_team(user: dict[str, Any], ours: str) -> bool:
    """Somebody met through a shared channel. On an Enterprise Grid a person has several teams of one organisation."""
    if user.get("is_stranger"):
        return True
    team = user.get("team_id")
    if not isinstance(team, str) or not team:
        raise LookupFailed(f"Slack did not say the workspace of {user.get('id')}")
    teams = (user.get("enterprise_user") or {}).get("teams") or []
    return team != ours and ours not in teams


def _seen(channel: str, shown: dict[str, Any] | None) -> SeenMessage | None:
    """A message at the door; what remains of a deleted one is none."""
    if shown is None or shown.get("subtype") == "tombstone":
        return None
    ts, thread_ts, author = shown.get("ts"), shown.get("thread_ts"), shown.get("user")
    if not isinstance(ts, str):
        raise LookupFailed("Slack showed a message without its place")
    return SeenMessage(
        channel=channel,
        ts=ts,
        thread_ts=thread_ts if isinstance(thread_ts, str) else None,
        author=author if isinstance(author, str) else None,
        text=words_of(shown),
        digest=digest_of(shown),
        edited=bool(shown.get("edited")),
    )


def _order(ts: str) -> tuple[int, str]:
    seconds, _, fraction = ts.partition(".")
    return int(seconds or 0), fraction
