"""A small Slack behind a client of the SDK's shape: threads, people, reactions, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
from slack_sdk.errors import SlackApiError

from tests.faults.world.dice import Dice
from tests.faults.world.seed import Rates
from tests.faults.world.trace import Trace

TEAM, BOT, BOT_ID = "T0PLAY", "UBOT", "B0BOT"
PEOPLE = ("U0ANN", "U0BEN", "U0RAE", "U0SAM", "U0STAN")
CHANNELS = ("C0LAUNCH", "C0DOCS")
_TIMEOUT = 30.0
_SETTLES = 4.0  # seconds after which a message Slack took is there to be read; the program counts on five
_READS = ("auth.test", "conversations.history", "conversations.info", "conversations.replies", "users.info")
_REFUSALS = ("internal_error", "fatal_error", "service_unavailable", "token_revoked", "some_new_error")


class Reply(NamedTuple):
    """What the SDK hands on of an answer."""

    data: Any
    status_code: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012  never written to


@dataclass(slots=True)
class Posted:
    """A message as it stands, and since when it can be read."""

    channel: str
    ts: str
    shown: dict[str, Any]
    thread_ts: str | None
    readable_at: float
    number: int
    reactions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        return self.shown.get("user") == BOT

    @property
    def facts(self) -> dict[str, Any]:
        payload: dict[str, Any] = (self.shown.get("metadata") or {}).get("event_payload") or {}
        return payload

    @property
    def slot(self) -> str | None:
        return self.facts.get("slot")

    @property
    def kind(self) -> str | None:
        return self.facts.get("kind")

    @property
    def state(self) -> str | None:
        return self.facts.get("state")

    @property
    def visible(self) -> str:
        return "\n".join(_texts(self.shown.get("blocks") or [])) or str(self.shown.get("text"))


def _texts(node: Any) -> list[str]:
    match node:
        case {"text": str() as text}:
            return [text]
        case dict():
            return [text for key in ("text", "elements", "fields") for text in _texts(node.get(key))]
        case list():
            return [text for one in node for text in _texts(one)]
        case _:
            return []


@dataclass(slots=True)
class Whisper:
    """What one person alone was told, or was about to be told."""

    channel: str
    person: str
    text: str
    arrived: bool = False


class Slack:
    """One workspace. Its own steps belong to no process of ours: what it was sent happens, whoever dies meanwhile."""

    def __init__(self, dice: Dice, rates: Rates, trace: Trace, *, wall: Callable[[], float]) -> None:
        self._dice, self._rates, self._trace, self._wall = dice, rates, trace, wall
        self.posted: list[Posted] = []
        self.by_place: dict[tuple[str, str], Posted] = {}
        self.whispers: list[Whisper] = []
        self.out_until = 0.0
        self._stays_up = False
        self._last_ts = 0

    # What people do and see

    def now_ts(self) -> str:
        """Slack's time as the place of the next message; no two are the same."""
        self._last_ts = max(self._last_ts + 1, int(self._wall() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def say(self, channel: str, shown: dict[str, Any], thread_ts: str | None, *, settles: float = 0.0) -> Posted:
        ts = self.now_ts()
        shown = {**shown, "type": "message", "ts": ts, **({"thread_ts": thread_ts} if thread_ts else {})}
        at = asyncio.get_running_loop().time() + settles
        made = Posted(channel, ts, shown, thread_ts, at, len(self.posted))
        self.posted.append(made)
        self.by_place[channel, ts] = made
        return made

    def ours(self, *kinds: str) -> list[Posted]:
        return [one for one in self.posted if one.is_ours and (not kinds or one.kind in kinds)]

    def thread(self, channel: str, ts: str) -> list[Posted]:
        return [one for one in self.posted if one.channel == channel and ts in (one.ts, one.thread_ts)]

    def goes_up(self) -> None:
        """No outage begins any more; one that lasts goes on to its end."""
        self._stays_up = True

    def goes_down(self, seconds: float) -> None:
        if self._stays_up:
            return
        self._trace.count("slack: outages")
        self.out_until = asyncio.get_running_loop().time() + seconds
        self._trace.note("slack", "is out", f"{seconds:.0f} s")

    # The Web API

    async def call(self, method: str, arguments: dict[str, Any]) -> Reply:
        try:
            return await self._call(method, arguments)
        except (SlackApiError, aiohttp.ClientError, TimeoutError):
            if method == "chat.postEphemeral":
                self._trace.count("slack: whispers failed")
            raise

    async def _call(self, method: str, arguments: dict[str, Any]) -> Reply:
        """One call over a network that may lose its way there or its way back."""
        loop, dice, rates = asyncio.get_running_loop(), self._dice, self._rates
        self._trace.note("call", method, str(arguments.get("ts") or arguments.get("thread_ts") or ""))
        if loop.time() < self.out_until:
            await self._outage()
        if dice.happens(rates.not_reached):
            await asyncio.sleep(dice.between(0.01, 2.0))
            self._fault("not reached")
            raise _not_connected()
        answer: asyncio.Future[Reply | Exception] = loop.create_future()
        is_read = method in _READS
        fate = self._fate(method, is_read=is_read)
        way = dice.between(0.005, 0.3)
        # The request is on its way: what happens to it does not depend on who waits for it.
        loop.call_later(way, self._arrives, method, arguments, fate, answer, context=self._trace.nobody)
        if fate == "in flight":  # broken off on our side while Slack still has it
            await asyncio.sleep(dice.between(0.0, way))
            self._fault(fate)
            raise aiohttp.ServerDisconnectedError
        if fate == "timeout":
            await asyncio.sleep(_TIMEOUT)
            self._fault(fate)
            raise TimeoutError
        said = await answer
        await asyncio.sleep(dice.between(0.001, 0.1))
        if isinstance(said, Exception):
            raise said
        return said

    def _fate(self, method: str, *, is_read: bool) -> str:
        dice, rates = self._dice, self._rates
        if dice.happens(rates.limited):
            return "429"
        if dice.happens(rates.refused):
            return "refused"
        if dice.happens(rates.lost):
            lost = ["reset after", "500 after", "timeout", "reset before", "503 before"]
            if not is_read and method != "chat.update":
                lost.append("in flight")
            return dice.pick(lost)
        return "answered"

    async def _outage(self) -> None:
        self._fault("outage")
        how = self._dice.below(3)
        await asyncio.sleep(self._dice.between(0.05, 3.0))
        if how == 0:
            raise _not_connected()
        if how == 1:
            raise aiohttp.ServerDisconnectedError
        raise _said_no("out", Reply({}, 503))

    def _fault(self, name: str) -> None:
        self._trace.count(f"slack: {name}")
        self._trace.note("slack", "fault", name)

    def _arrives(
        self, method: str, arguments: dict[str, Any], fate: str, answer: asyncio.Future[Reply | Exception]
    ) -> None:
        said: Reply | Exception
        match fate:
            case "429":
                said = _said_no("429", Reply({"ok": False, "error": "ratelimited"}, 429, self._retry_after()))
            case "refused":
                code = self._dice.pick(_REFUSALS)
                said = _said_no(code, Reply({"ok": False, "error": code}))
            case "reset before":
                said = aiohttp.ServerDisconnectedError()
            case "503 before":
                said = _said_no("503", Reply("<html>", 503))
            case _:
                said = self._done(method, arguments)
                if isinstance(said, Reply) and fate == "reset after":
                    said = aiohttp.ClientOSError("reset by peer")
                elif isinstance(said, Reply) and fate == "500 after":
                    said = _said_no("500", Reply({}, 500))
        if fate in {"429", "refused", "reset before", "503 before", "reset after", "500 after"}:
            self._fault(fate)
        if not answer.done():
            answer.set_result(said)

    def _retry_after(self) -> dict[str, str]:
        return {"Retry-After": str(self._dice.pick((1, 2, 5, 30)))}

    def _done(self, method: str, asked: dict[str, Any]) -> Reply | Exception:
        try:
            return Reply({"ok": True, **self._METHODS[method](self, asked)})
        except KeyError as lacks:
            code = str(lacks.args[0])
            return _said_no(code, Reply({"ok": False, "error": code}))

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"team_id": TEAM, "user_id": BOT, "bot_id": BOT_ID}

    def _user(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["user"] not in PEOPLE:
            raise KeyError("user_not_found")
        no = dict.fromkeys(("is_bot", "is_restricted", "is_ultra_restricted", "deleted"), False)
        return {"user": {"id": asked["user"], "team_id": TEAM, **no}}

    def _channel(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["channel"] not in CHANNELS:
            raise KeyError("channel_not_found")
        return {"channel": {"id": asked["channel"], "is_channel": True, "is_member": True, "is_archived": False}}

    def _history(self, asked: dict[str, Any]) -> dict[str, Any]:
        there = [one for one in self._readable(asked) if one.thread_ts is None]
        return self._page(asked, [one for one in reversed(there) if _in_time(one, asked)])

    def _replies(self, asked: dict[str, Any]) -> dict[str, Any]:
        there = self._readable(asked)
        at = next((one for one in there if one.ts == asked["ts"]), None)
        if at is None:
            raise KeyError("thread_not_found")
        if at.thread_ts is not None:
            return self._page(asked, [at])
        replies = [one for one in there if one.thread_ts == at.ts and _in_time(one, asked)]
        return self._page(asked, [at, *replies])

    def _readable(self, asked: dict[str, Any]) -> list[Posted]:
        now = asyncio.get_running_loop().time()
        return [one for one in self.posted if one.channel == asked["channel"] and one.readable_at <= now]

    def _page(self, asked: dict[str, Any], found: list[Posted]) -> dict[str, Any]:
        start, size = int(asked.get("cursor") or 0), min(int(asked.get("limit") or 100), self._rates.page)
        shown = [_shown(one, with_metadata=bool(asked.get("include_all_metadata"))) for one in found]
        cursor = str(start + size) if start + size < len(shown) else ""
        return {"messages": shown[start : start + size], "response_metadata": {"next_cursor": cursor}}

    def _post(self, asked: dict[str, Any]) -> dict[str, Any]:
        thread_ts = asked.get("thread_ts")
        if thread_ts is not None and (asked["channel"], thread_ts) not in self.by_place:
            raise KeyError("thread_not_found")
        said = {key: asked[key] for key in ("text", "blocks", "metadata") if asked.get(key) is not None}
        settles = self._dice.between(0.0, _SETTLES) if self._dice.happens(self._rates.settles_late) else 0.0
        made = self.say(asked["channel"], {**said, "user": BOT, "bot_id": BOT_ID}, thread_ts, settles=settles)
        self._trace.note("slack", "post", f"{made.ts} {made.slot}")
        return {"channel": made.channel, "ts": made.ts, "message": _shown(made, with_metadata=True)}

    def _update(self, asked: dict[str, Any]) -> dict[str, Any]:
        there = self.by_place.get((asked["channel"], asked["ts"]))
        if there is None:
            raise KeyError("message_not_found")
        said = {key: asked[key] for key in ("text", "blocks", "metadata") if asked.get(key) is not None}
        there.shown = {**there.shown, **said, "edited": {"user": BOT, "ts": self.now_ts()}}
        self._trace.note("slack", "edit", f"{there.ts} {there.slot} {there.state}")
        return {"channel": there.channel, "ts": there.ts, "message": _shown(there, with_metadata=True)}

    def _whisper(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.whispers.append(Whisper(asked["channel"], asked["user"], str(asked.get("text")), arrived=True))
        return {"message_ts": self.now_ts()}

    def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        return {}

    _METHODS: dict[str, Callable[[Slack, dict[str, Any]], dict[str, Any]]] = {  # noqa: RUF012  never written to
        "auth.test": _auth_test,
        "users.info": _user,
        "conversations.info": _channel,
        "conversations.history": _history,
        "conversations.replies": _replies,
        "chat.postMessage": _post,
        "chat.update": _update,
        "chat.postEphemeral": _whisper,
        "assistant.threads.setStatus": _status,
    }


def _shown(one: Posted, *, with_metadata: bool) -> dict[str, Any]:
    return dict(one.shown) if with_metadata else {key: value for key, value in one.shown.items() if key != "metadata"}


def _in_time(one: Posted, asked: dict[str, Any]) -> bool:
    oldest, latest = float(asked.get("oldest") or 0), float(asked.get("latest") or 9_999_999_999)
    return oldest <= float(one.ts) <= latest if asked.get("inclusive") else oldest < float(one.ts) < latest


def _said_no(why: str, reply: Reply) -> SlackApiError:
    return SlackApiError(why, reply)  # type: ignore[no-untyped-call]  # the SDK gives it no types


def _not_connected() -> aiohttp.ClientConnectorError:
    key = aiohttp.client_reqrep.ConnectionKey("slack", 443, True, True, None, None, None)  # noqa: FBT003  as named
    return aiohttp.ClientConnectorError(key, OSError("unreachable"))


class Client:
    """What the program uses of slack_sdk's client."""

    base_url = "https://slack.invalid/api/"
    session = None

    def __init__(self, slack: Slack) -> None:
        self._slack = slack

    async def api_call(
        self,
        method: str,
        *,
        http_verb: str = "POST",  # noqa: ARG002  the SDK's shape
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
    ) -> Reply:
        return await self._slack.call(method, {**(params or {}), **(json or {})})
