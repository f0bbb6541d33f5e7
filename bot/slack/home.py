"""App Home: drawn for those who opened it lately, published when what they would see has changed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from bot.slack.blocks import blocks_of
from bot.slack.chat import Chat
from bot.slack.rich_text_safety import one_line
from handlers import messages
from handlers.home import Everything, Section, groups_of, home_of, look_at_everything, more, who_is
from handlers.ports import Clock, Slack
from handlers.stack import Stack
from handlers.words import Body, Line, bold, line
from storage.database import Database
from storage.homes import Homes, Spot

log = structlog.get_logger(__name__)

_MOST_PEOPLE = 500
_REMEMBERED = 24 * 3_600.0
_TICK = 15.0
_APART = 5.0
"""Seconds between two looks of one person's Home."""
_ANEW = 300.0
"""Seconds after which all is looked at again: reviews expire and user groups change without a word."""
_MOST_BRIEF = 150
_SITE = re.compile(r"https?://[A-Za-z0-9.:-]+/?")
_ID, _TS = re.compile(r"[A-Z0-9]+"), re.compile(r"\d+\.\d+")


@dataclass(slots=True)
class _Visitor:
    """Somebody who opened their Home; `mark` is what storage said when it was last looked at."""

    opened_at: float
    looked_at: float = float("-inf")
    mark: Any = None
    digest: str = ""


class Home:
    """Whose Home is kept up to date, in memory: whoever is forgotten opens it again."""

    def __init__(
        self,
        *,
        storage: Database,
        chat: Chat,
        slack: Slack,
        stack: Callable[[], Stack],
        now: Clock,
        site: str,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        """`site` is the workspace's address, as auth.test tells it; links are made of it."""
        self._storage, self._chat, self._slack = storage, chat, slack
        self._stack, self._now, self._site, self._tick = stack, now, site, tick
        self._visitors: OrderedDict[tuple[str, str], _Visitor] = OrderedDict()
        self._news = asyncio.Event()

    def opened(self, team: str, person: str) -> None:
        """Somebody looks at their Home now."""
        visitor = self._visitors.setdefault((team, person), _Visitor(opened_at=self._tick()))
        visitor.opened_at, visitor.mark, visitor.digest = self._tick(), None, ""
        self._visitors.move_to_end((team, person))
        while len(self._visitors) > _MOST_PEOPLE:
            self._visitors.popitem(last=False)
        self._news.set()

    def wake(self) -> None:
        """Something may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Keep the Homes of lately up to date until cancelled."""
        while True:
            try:
                async with asyncio.timeout(await self._look_safely()):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look_safely(self) -> float:
        self._news.clear()
        try:
            return await self.look()
        except Exception as problem:  # noqa: BLE001  a Home is a view: the next tick draws it
            log.warning("no Home could be drawn; the next tick tries again", cause=type(problem).__name__)
            return _TICK

    async def look(self) -> float:
        """Publish what changed; returns the seconds until there may be more to do."""
        at, rest = self._tick(), _TICK
        for key in [key for key, one in self._visitors.items() if at - one.opened_at > _REMEMBERED]:
            del self._visitors[key]
        if not self._visitors:
            return rest
        async with self._storage.reading() as saved:
            mark = (*await Homes(saved.connection).mark(), int(at // _ANEW), id(self._stack()))
            stale = {key: one for key, one in self._visitors.items() if one.mark != mark}
            due = {key: one for key, one in stale.items() if at - one.looked_at >= _APART}
            seen = await look_at_everything(saved, self._now()) if due else None
        if len(due) < len(stale):
            rest = min(_APART, *(_APART - (at - one.looked_at) for key, one in stale.items() if key not in due), _TICK)
        for (team, person), visitor in due.items():
            assert seen is not None
            visitor.looked_at = at
            if await self._show(team, person, visitor, seen):
                visitor.mark = mark
        return max(0.05, rest)

    async def _show(self, team: str, person: str, visitor: _Visitor, seen: Everything) -> bool:
        """Draw one Home; False if it should be tried again though nothing changed."""
        stack = self._stack()
        one = await who_is(person, groups_of(stack), self._slack)
        view = home_view(home_of(one, team, seen, stack), site=self._site, prefix=stack.commands.prefix)
        digest = sha256(json.dumps(view).encode()).hexdigest()
        if digest != visitor.digest:
            if not await self._chat.publish_home(person, view):
                return False
            visitor.digest = digest
        return not one.unsure


def home_view(sections: list[Section], *, site: str, prefix: str) -> dict[str, Any]:
    """The view as Slack takes it: at most 40 of its 100 blocks."""
    blocks: list[dict[str, Any]] = []
    for section in sections:
        blocks.append(_section(line(bold(section.title))))
        blocks += [_section(line(section.remark))] if section.remark else []
        for item in section.items:
            brief = one_line(item.spot.brief, _MOST_BRIEF)
            block = _section(*([line(bold(brief))] if brief else []), item.about)
            if not brief and _ID.fullmatch(item.spot.channel):
                block["text"]["text"] += f" · <#{item.spot.channel}>"
            if address := link_to(item.spot, site):
                block["text"]["text"] += f" · <{address}|Open>"
            blocks.append(block)
        blocks += [_section(line(more(section)))] if section.more else []
    if not blocks:
        begin = f"Nothing waits for you. To begin, write `/{prefix}draft <brief>` in a channel I am in, "
        blocks.append(_section(line(f"{begin}or mention `{messages.BOT}` in a thread.")))
    return {"type": "home", "blocks": blocks}


def _section(*lines: Line) -> dict[str, Any]:
    (block,) = blocks_of(Body(lines=lines), "home")
    return {"type": "section", "text": block["text"]}


def address_of(site: str, channel: str, ts: str) -> str | None:
    """The address of a message that stands in a channel, as Slack's menu copies it; None where it has none."""
    if not _SITE.fullmatch(site) or not _ID.fullmatch(channel) or not _TS.fullmatch(ts):
        return None
    return f"{site.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"


def link_to(spot: Spot, site: str) -> str | None:
    """The address of a message, as Slack's menu copies it; None until Slack has the message."""
    address = address_of(site, spot.channel, spot.ts or "")
    if address is None:
        return None
    if spot.thread_ts in {None, spot.ts} or not _TS.fullmatch(spot.thread_ts or ""):
        return address
    return f"{address}?thread_ts={spot.thread_ts}&amp;cid={spot.channel}"
