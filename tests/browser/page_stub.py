"""A stand-in for the playground's server: speaks the page's protocol over an in-memory workspace, and runs no bot."""

import asyncio
import copy
import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

import bot.playground

Json = dict[str, Any]
PAGE = Path(bot.playground.__file__).parent / "page"
POLICY = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-store"}
ANN, RAE, STAN, BOT = "U0ANN", "U0RAE", "U0STAN", "UBOT"
LAUNCH, DOCS = "C0LAUNCH", "C0DOCS"

STATE: Json = {
    "team": {"id": "T0PLAY", "name": "Marsupial Press"},
    "bot": {"user_id": BOT, "bot_id": "B0COUNTER", "name": "Countersign", "connected": True},
    "label": "Scripted answers: nothing here was written by a model",
    "try": [
        {"channel": LAUNCH, "text": "/draft Announce that our bot now asks a reviewer before anything is published"},
        {"channel": LAUNCH, "text": "/scout What do teams fear when a bot writes in their name?"},
        {"channel": DOCS, "text": "/final One paragraph on how a final text gets approved"},
    ],
    "people": [
        {"id": ANN, "name": "ann", "real_name": "Ann Okafor", "title": "Writes the launch", "role": "requester",
         "colour": "#b45309", "is_bot": False, "deleted": False},
        {"id": RAE, "name": "rae", "real_name": "Rae Lindqvist", "title": "Reviewer", "role": "reviewer",
         "colour": "#0f766e", "is_bot": False, "deleted": False},
        {"id": "U0SAM", "name": "sam", "real_name": "Sam Duarte", "title": "Reviewer", "role": "reviewer",
         "colour": "#1d4ed8", "is_bot": False, "deleted": False},
        {"id": STAN, "name": "stan", "real_name": "Stan Petrov", "title": "Sales", "role": "stranger",
         "colour": "#9333ea", "is_bot": False, "deleted": False},
        {"id": "U0GUS", "name": "gus", "real_name": "Gus Aldana", "title": "Guest", "role": "guest",
         "colour": "#be185d", "is_bot": False, "deleted": False},
        {"id": "U0DEE", "name": "dee", "real_name": "Dee Marsh", "title": "Left in spring", "role": "member",
         "colour": "#475569", "is_bot": False, "deleted": True},
    ],
    "channels": [
        {"id": LAUNCH, "name": "launch", "purpose": "What we tell the world", "is_member": True},
        {"id": DOCS, "name": "docs", "purpose": "Handbook and how-tos", "is_member": True},
        {"id": "C0PARTNERS", "name": "partners", "purpose": "", "is_ext_shared": True, "is_member": True},
        {"id": "C0QUIET", "name": "quiet", "purpose": "The app is not in here", "is_member": False},
    ],
    "commands": [
        {"command": "/scout", "usage_hint": "what to look into", "description": "A broad, quick scan"},
        {"command": "/draft", "usage_hint": "what to write", "description": "A first draft, cheap to revise"},
        {"command": "/critique", "usage_hint": "[link to a thread]", "description": "A critic with a fresh context"},
        {"command": "/final", "usage_hint": "[link] what to write", "description": "The final text, for a reviewer"},
    ],
    "shortcuts": [{"callback_id": "critique_message", "name": "Critique this"}],
}  # fmt: skip


class PageStub:
    """Use as an async context manager; `done` lists what the page did, `state` may be changed before it opens."""

    def __init__(self) -> None:
        self.state: Json = copy.deepcopy(STATE)
        self.messages: list[Json] = []
        self.done: list[Json] = []
        self.answers: dict[str, Json] = {}  # "say" -> what /do answers instead of doing it
        self.homes: dict[str, Json] = {}
        self.reading = asyncio.Event()  # clear it to keep the page waiting for messages already read
        self.reading.set()
        self._lines: list[asyncio.Queue[Json | None]] = []
        self._last = time.time_ns() // 1000 - 600_000_000
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/", self._file)
        app.router.add_get("/archives/{rest:.*}", self._file)
        app.router.add_get("/assets/{name}", self._file)
        app.router.add_get("/playground/state", self._state)
        app.router.add_get("/playground/messages", self._messages)
        app.router.add_get("/playground/live", self._live)
        app.router.add_post("/playground/do", self._do)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_lines()
        if self._runner:
            await self._runner.cleanup()

    # What a test makes happen

    def push(self, event: Json) -> None:
        """An event on every line: less discreet than the playground, so that the page must be discreet itself."""
        for line in self._lines:
            line.put_nowait(event)

    def post(self, user: str, text: str, *, channel: str = LAUNCH, thread: str = "", **more: Any) -> Json:
        """A message, by the bot where `user` is its id; returns it as kept."""
        self._last += 1_000_000
        message: Json = {"ts": f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}", "channel": channel}
        message |= {"user": user, "text": text, **({"bot_id": "B0COUNTER"} if user == BOT else {}), **more}
        root = self.find(thread) if thread else None
        if root is not None:
            message["thread_ts"] = thread
        self.messages.append(message)
        self.push({"type": "message", "message": message})
        if root is not None and not message.get("is_ephemeral"):
            users = list(dict.fromkeys([*root.get("reply_users", ()), user]))
            count = root.get("reply_count", 0) + 1
            self.change(root, thread_ts=thread, reply_count=count, reply_users=users, latest_reply=message["ts"])
        return message

    def says(self, kind: str, text: str, *, thread: str = "", blocks: Any = None, **payload: Any) -> Json:
        """A message of the bot with its metadata, as the contract has it."""
        metadata = {"event_type": "countersign", "event_payload": {"kind": kind, "work": "w1", **payload}}
        shown = {"blocks": blocks} if blocks else {}
        return self.post(BOT, text, thread=thread, metadata=metadata, **shown)

    def change(self, message: Json, **fields: Any) -> None:
        message |= fields
        self.push({"type": "changed", "message": dict(message)})

    def delete(self, message: Json) -> None:
        self.messages.remove(message)
        self.push({"type": "deleted", "channel": message["channel"], "ts": message["ts"]})

    def find(self, ts: str) -> Json:
        return next(message for message in self.messages if message["ts"] == ts)

    def cut_lines(self) -> None:
        """Every page's live line breaks; the pages connect again by themselves."""
        for line in self._lines:
            line.put_nowait(None)

    def did(self, what: str) -> list[Json]:
        return [deed for deed in self.done if deed["do"] == what]

    # The protocol

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / request.match_info.get("name", "index.html"), headers=POLICY)

    async def _state(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self.state)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        channel, thread, person = (request.query.get(name, "") for name in ("channel", "thread_ts", "as"))
        seen = [
            message
            for message in self.messages
            if message["channel"] == channel
            and message.get("to", person) == person
            and (thread in {message["ts"], message.get("thread_ts")} if thread else _is_top(message))
        ]
        await self.reading.wait()
        return web.json_response({"messages": seen})

    async def _live(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        line: asyncio.Queue[Json | None] = asyncio.Queue()
        self._lines.append(line)
        event: Json | None = {"type": "hello"}
        try:
            while event is not None:
                await answer.write(f"data: {json.dumps(event)}\n\n".encode())
                event = await line.get()
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._lines.remove(line)
        return answer

    async def _do(self, request: web.Request) -> web.StreamResponse:
        deed: Json = await request.json()
        self.done.append(deed)
        if deed["do"] in self.answers:
            return web.json_response(self.answers[deed["do"]])
        match deed:
            case {"do": "say", "text": str(text)} if not text.startswith("/"):
                self.post(deed["as"], text, channel=deed["channel"], thread=deed.get("thread_ts", ""))
            case {"do": "react" | "unreact", "name": str(name)}:
                self._react(self.find(deed["ts"]), deed["as"], name)
            case {"do": "delete"}:
                self.delete(self.find(deed["ts"]))
            case {"do": "home"}:
                return web.json_response({"ok": True, "view": self.homes.get(deed["as"])})
            case {"do": "close" | "submit", "view_id": str(view)}:
                self.push({"type": "view_closed", "view_id": view, "as": deed["as"]})
            case _:
                pass
        return web.json_response({"ok": True})

    def _react(self, message: Json, person: str, name: str) -> None:
        users = {one["name"]: list(one["users"]) for one in message.get("reactions", ())}
        named = users.setdefault(name, [])
        named.remove(person) if person in named else named.append(person)
        reactions = [{"name": one, "users": who, "count": len(who)} for one, who in users.items() if who]
        message["reactions"] = reactions
        where = {"channel": message["channel"], "ts": message["ts"]}
        self.push({"type": "reactions", **where, "reactions": reactions})


def _is_top(message: Json) -> bool:
    return bool(message.get("thread_ts", message["ts"]) == message["ts"])
