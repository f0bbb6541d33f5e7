"""What people do in a world: they ask, add, change their minds, react, and take it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.faults.world.slack import BOT, CHANNELS, TEAM, Posted

if TYPE_CHECKING:
    from tests.faults.world.world import World

Payload = dict[str, Any]

CHECK, CROSS = "white_check_mark", "x"
REVIEWERS = ("U0RAE", "U0SAM")
_ASKERS = ("U0ANN", "U0BEN", "U0RAE")
_MENTIONS = (
    "draft shorter please",
    "critique be harsh",
    "final",
    "final",
    "polish",
    "scout https://example.com/palombia",
    "again",
    "cancel",
    "cancel",
    "status",
    "help",
    "make me a sandwich",
)
_BUTTONS = ("critique", "revise", "final", "context")
_OPENINGS = ("draft", "final", "final", "scout", "implement")
_PATIENCE = 30.0


class People:
    """Several stories at once, each around one piece of work."""

    def __init__(self, world: World) -> None:
        self._world, self._dice = world, world.dice

    async def live(self) -> None:
        """Until everybody has done what they do, and all of it was delivered."""
        stories = [self._story(number) for number in range(self._world.plan.works)]
        await asyncio.gather(*stories)

    async def _story(self, number: int) -> None:
        dice = self._dice
        await asyncio.sleep(dice.wait(1.0))
        channel = dice.pick(CHANNELS)
        thread = await self._opens(channel, f"Palombia {number} opens its cage")
        if thread is None:
            return
        for _ in range(self._world.plan.steps):
            await asyncio.sleep(dice.wait(4.0))
            await self._steps(channel, thread)

    async def _opens(self, channel: str, brief: str) -> str | None:
        """A slash command, or a mention that begins a thread; returns the thread once it is there."""
        dice = self._dice
        stage, person = dice.pick(_OPENINGS), dice.pick(_ASKERS)
        if dice.happens(0.4):
            return self._mentions(channel, None, f"{stage} {brief}", person).ts
        body = {
            "command": f"/{stage}",
            "text": brief,
            "trigger_id": dice.id(),
            "team_id": TEAM,
            "channel_id": channel,
            "user_id": person,
        }
        self._world.deliver("command", body)
        root = await self._sees(lambda one: one.kind == "root" and brief in one.visible)
        return root.ts if root else None

    def _mentions(self, channel: str, thread: str | None, words: str, person: str) -> Posted:
        said = self._world.slack.say(channel, {"user": person, "text": f"<@{BOT}> {words}"}, thread)
        event = {**said.shown, "type": "app_mention", "channel": channel}
        self._event("mention", event)
        return said

    def _event(self, what: str, event: Payload) -> None:
        body = {"type": "event_callback", "team_id": TEAM, "event_id": f"Ev{self._dice.id()}", "event": event}
        self._world.deliver(what, body)

    async def _steps(self, channel: str, thread: str) -> None:
        dice = self._dice
        what = dice.below(10)
        if what < 4:
            self._mentions(channel, thread, dice.pick(_MENTIONS), dice.pick(_ASKERS))
        elif what < 6:
            await self._clicks(channel, thread)
        else:
            await self._judges(channel, thread)

    async def _sees(self, wanted: Callable[[Posted], bool]) -> Posted | None:
        """The newest message of the bot's that somebody waits for; None when patience ends."""
        until = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < until:
            found = [one for one in self._world.slack.ours() if wanted(one)]
            if found:
                return found[-1]
            await asyncio.sleep(1.0)
        return None

    async def _clicks(self, channel: str, thread: str) -> None:
        text = await self._sees(lambda one: one.thread_ts == thread and one.kind == "answer")
        button = self._dice.pick(_BUTTONS)
        value = _value(text, button) if text else None
        if text is None or value is None:
            return
        body = {
            "type": "block_actions",
            "team": {"id": TEAM},
            "user": {"id": self._dice.pick(_ASKERS), "team_id": TEAM},
            "channel": {"id": channel},
            "container": {"message_ts": text.ts, "channel_id": channel, "thread_ts": thread},
            "message": {"ts": text.ts, "thread_ts": thread},
            "actions": [{"action_id": button, "value": value, "action_ts": self._world.slack.now_ts()}],
        }
        self._world.deliver("click", body)

    async def _judges(self, channel: str, thread: str) -> None:
        """Somebody reacts to a final, may take it back, may say why."""
        dice = self._dice
        there = {"review", "answer"}
        where = await self._sees(lambda one: one.thread_ts == thread and one.kind in there and _is_final(one))
        if where is None:
            return
        person = dice.pick((*REVIEWERS, *REVIEWERS, "U0STAN", "U0ANN"))
        emoji = dice.pick((CHECK, CHECK, CHECK, CROSS))
        self._reacts(where, person, emoji, added=True)
        if emoji == CROSS and dice.happens(0.7):
            await self._sees(lambda one: one.thread_ts == thread and one.state == "changes_requested")
            said = self._world.slack.say(channel, {"user": person, "text": "Say who opened it."}, thread)
            self._event("reason", {"channel": channel, **said.shown})
        elif dice.happens(0.5):
            await asyncio.sleep(dice.wait(0.5))
            self._reacts(where, person, emoji, added=False)
            if dice.happens(0.3):
                await asyncio.sleep(dice.wait(2.0))
                self._reacts(where, person, emoji, added=True)

    def _reacts(self, where: Posted, person: str, emoji: str, *, added: bool) -> None:
        standing = where.reactions.setdefault(emoji, [])
        if (person in standing) is added:
            return
        standing.append(person) if added else standing.remove(person)
        event = {
            "type": "reaction_added" if added else "reaction_removed",
            "user": person,
            "reaction": emoji,
            "item": {"type": "message", "channel": where.channel, "ts": where.ts},
            "event_ts": self._world.slack.now_ts(),
        }
        self._event("reaction" if added else "removal", event)


def _is_final(one: Posted) -> bool:
    return one.facts.get("stage") == "final"


def _value(text: Posted, button: str) -> str | None:
    for block in text.shown.get("blocks") or []:
        for element in block.get("elements") or []:
            if element.get("action_id") == button:
                return str(element["value"])
    return None
