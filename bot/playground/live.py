"""The page's protocol: its files, what it reads, what it hears live, and what its person does."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bot.playground.actors import Actor
from bot.playground.channels import Channel
from bot.playground.interactions import Answered, Interactions
from bot.playground.people import BOT, BOT_ID, Person
from bot.playground.shapes import Json, Message, SlackError, View
from bot.playground.wording import typed
from bot.playground.workspace import Workspace

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEARTBEAT_SECONDS = 15
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
COMMANDS = [
    {"command": "/scout", "usage_hint": "what to look into", "description": "A broad, quick scan"},
    {"command": "/draft", "usage_hint": "what to write", "description": "A first draft, cheap to revise"},
    {"command": "/critique", "usage_hint": "[link to a thread]", "description": "A critic with a context of its own"},
    {"command": "/implement", "usage_hint": "what to change", "description": "A plan and a patch"},
    {"command": "/polish", "usage_hint": "[link to a thread]", "description": "A careful pass over a text"},
    {"command": "/final", "usage_hint": "[link] what to write", "description": "The final text, for a reviewer"},
    {"command": "/route", "usage_hint": "what is wanted", "description": "Four questions: which stage, which model"},
    {"command": "/stack", "usage_hint": "", "description": "Who does what here, and how it is doing"},
]
SHORTCUTS = [{"callback_id": "critique_message", "name": "Critique this"}]
TRY = [
    {"channel": "C0LAUNCH", "text": "/draft Announce that our bot now asks a reviewer before anything is published"},
    {"channel": "C0LAUNCH", "text": "/scout What do teams fear when a bot writes in their name?"},
    {"channel": "C0DOCS", "text": "/final One paragraph on how a final text gets approved"},
]
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
         ".png": "image/png", ".woff2": "font/woff2", ".json": "application/json", ".ico": "image/x-icon"}  # fmt: skip

Deed = Callable[["Page", Actor, Json], Awaitable[Json]]


class NotDoneError(Exception):
    """What the person asked for cannot be done; the sentence says why."""


@dataclass(kw_only=True)
class Page:
    """Serves the page and speaks its protocol."""

    workspace: Workspace
    actor: Callable[[str], Actor]
    interactions: Interactions
    connected: Callable[[], bool]
    label: str = ""
    commands: list[dict[str, str]] = field(default_factory=lambda: list(COMMANDS))
    suggestions: list[dict[str, str]] = field(default_factory=lambda: list(TRY))
    _listeners: dict[asyncio.Queue[Json | None], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace.changed.append(self._tell)

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/", self._index)
        app.router.add_get("/archives/{rest:.*}", self._index)
        app.router.add_get("/assets/{name:.+}", self._asset)
        app.router.add_get("/playground/state", self._guarded(self._state))
        app.router.add_get("/playground/messages", self._guarded(self._messages))
        app.router.add_get("/playground/files/{file}", self._guarded(self._shared))
        app.router.add_get("/playground/live", self._guarded(self._live))
        app.router.add_post("/playground/do", self._guarded(self._do))

    def close(self) -> None:
        for queue in self._listeners:
            queue.put_nowait(None)

    # Files

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return self._file("index.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["name"])

    def _file(self, name: str) -> web.StreamResponse:
        parts = name.split("/")
        suffix = f".{name.rpartition('.')[2]}"
        if suffix not in TYPES or any(part.startswith(".") or not part for part in parts):
            return web.Response(status=404, headers=HEADERS)
        file = resources.files("bot.playground").joinpath("page", *parts)
        if not file.is_file():
            return web.Response(status=404, headers=HEADERS)
        charset = "utf-8" if suffix in {".html", ".css", ".js", ".svg", ".json"} else None
        return web.Response(body=file.read_bytes(), content_type=TYPES[suffix], charset=charset, headers=HEADERS)

    # Who may ask

    def _guarded(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        """Only this machine's own page: other names for this address (DNS rebinding) and other origins are refused."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not _own(request.host, request.headers.get("Origin")):
                return web.json_response({"ok": False, "error": "Only the playground's own page may ask."}, status=403)
            return await handler(request)

        return guarded

    # What the page reads

    async def _state(self, request: web.Request) -> web.StreamResponse:
        mine = [c for c in self.workspace.channels.values() if not c.is_im or request.query.get("as") in c.members]
        return _json({
            "team": {"id": self.workspace.team["id"], "name": self.workspace.team["name"]},
            "bot": {"user_id": BOT.id, "bot_id": BOT_ID, "name": BOT.real_name, "connected": self.connected()},
            "label": self.label,
            "try": self.suggestions,
            "people": [_person(person) for person in self.workspace.people.values()],
            "channels": [_channel(channel) for channel in mine],
            "commands": self.commands,
            "shortcuts": SHORTCUTS,
        })  # fmt: skip

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        channel, thread_ts = request.query.get("channel", ""), request.query.get("thread_ts")
        if channel not in self.workspace.channels:
            return _json({"ok": False, "error": "There is no such channel."})
        stored = self.workspace.thread(channel, thread_ts) if thread_ts else self.workspace.top_level(channel)
        mine = [
            message
            for message in self.workspace.ephemerals
            if message["to"] == request.query.get("as")
            and message.channel == channel
            and message.thread_ts == thread_ts
        ]
        messages = sorted([*stored, *mine], key=lambda message: message.ts)
        return _json({"messages": [_shown(message) for message in messages]})

    async def _shared(self, request: web.Request) -> web.StreamResponse:
        """A shared file, to be kept and never shown: what is in it is none of the page's."""
        file = self.workspace.files.by_id.get(request.match_info["file"])
        if file is None or not file.done:
            return web.Response(status=404, headers=HEADERS)
        name = "".join(sign for sign in file.name if sign.isascii() and (sign.isalnum() or sign in "-_."))
        kept = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=file.content, content_type="application/octet-stream", headers=kept)

    # What it hears

    async def _live(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await answer.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._listeners[queue] = request.query.get("as", "")
        try:
            await _send(answer, {"type": "hello"})
            while (change := await _next(queue)) is not None:
                await _send(answer, change)
        except ConnectionError:
            pass  # the page went away
        finally:
            del self._listeners[queue]
        return answer

    def _tell(self, change: Json) -> None:
        for queue, user in self._listeners.items():
            if self._concerns(change, user):
                shown = {**change, "message": _shown(change["message"])} if "message" in change else change
                queue.put_nowait(shown)

    def _concerns(self, change: Json, user: str) -> bool:
        """Whether this person may hear of it: not of others' modals, whispers and direct messages."""
        message = change.get("message") or {}
        only = change.get("as") or change.get("user") or message.get("to")
        channel = self.workspace.channels.get(change.get("channel") or message.get("channel") or "")
        return only in {None, user} and (channel is None or not channel.is_im or user in channel.members)

    # What its person does

    async def _do(self, request: web.Request) -> web.StreamResponse:
        try:
            return _json({"ok": True, **await self._done(await request.json())})
        except NotDoneError as problem:
            return _json({"ok": False, "error": str(problem)})
        except SlackError as problem:
            return _json({"ok": False, "error": f"Slack refuses: {problem.error}."})
        except (KeyError, TypeError, ValueError) as problem:
            return _json({"ok": False, "error": f"That request is not complete: {problem}."})

    async def _done(self, deed: Json) -> Json:
        actor = self.actor(str(deed["as"]))
        if actor.person.deleted:
            raise NotDoneError(f"{actor.person.real_name} is deactivated and can do nothing any more.")
        do = DEEDS.get(str(deed["do"]))
        if do is None:
            raise NotDoneError(f"The playground does not know how to {deed['do']}.")
        return await do(self, actor, deed)

    async def _say(self, actor: Actor, deed: Json) -> Json:
        channel, text, thread_ts = (
            self.workspace.channel(deed["channel"]),
            str(deed["text"]).strip(),
            deed.get("thread_ts"),
        )
        if not text:
            raise NotDoneError("There is nothing to send.")
        if channel.is_archived:
            raise NotDoneError(f"#{channel.name} is archived.")
        names = {person.name: person.id for person in self.workspace.people.values()}
        kept = typed(text, names)
        if text.startswith("/"):
            command, _, rest = kept.partition(" ")
            return await self._command(actor, channel.id, command, rest.strip(), in_thread=bool(thread_ts))
        return {"ts": self.workspace.says(actor.person, channel, kept, thread_ts).ts}

    async def _command(self, actor: Actor, channel: str, command: str, rest: str, *, in_thread: bool) -> Json:
        if command == "/invite" and rest == f"<@{BOT.id}>":
            return self._invite(self.workspace.channel(channel))
        if command not in {known["command"] for known in self.commands}:
            raise NotDoneError(f"{command} is not a command here.")
        if in_thread:
            raise NotDoneError(f"{command} does not work inside threads. Mention the bot instead.")
        return _told(await actor.command(command, rest, channel=channel))

    def _invite(self, channel: Channel) -> Json:
        """Slack's own command; here it knows nobody but the app, which asks for it where it is no member."""
        if not channel.has_bot:
            channel.members.append(BOT.id)
            self.workspace.tell({"type": "state"})
        return {}

    async def _react(self, actor: Actor, deed: Json) -> Json:
        await actor.reacts(str(deed["name"]).strip(":"), self._message(deed))
        return {}

    async def _unreact(self, actor: Actor, deed: Json) -> Json:
        await actor.unreacts(str(deed["name"]).strip(":"), self._message(deed))
        return {}

    async def _click(self, actor: Actor, deed: Json) -> Json:
        where: Message | View = (
            self.workspace.views.get(deed["view_id"]) if deed.get("view_id") else self._message(deed, actor.id)
        )
        for element in where.actions:
            if element["action_id"] == deed["action_id"] and element["block_id"] == deed.get(
                "block_id", element["block_id"]
            ):
                if isinstance(where, View):
                    return _told(
                        await self.interactions.click_in_view(actor.person, where, element, deed.get("chosen"))
                    )
                return _told(await self.interactions.click(actor.person, where, element, deed.get("chosen")))
        raise NotDoneError("That button is not there any more.")

    async def _shortcut(self, actor: Actor, deed: Json) -> Json:
        message = self._message(deed)
        return _told(await self.interactions.shortcut(actor.person, str(deed["callback_id"]), message))

    async def _submit(self, actor: Actor, deed: Json) -> Json:
        view = self.workspace.views.get(str(deed["view_id"]))
        answered = await self.interactions.submit(actor.person, view, deed.get("values") or {})
        if answered.problem:  # the form is still open and shows it
            raise NotDoneError(f"The form was not taken: {answered.problem}.")
        return {"errors": answered.errors} if answered.errors else {}

    async def _close(self, actor: Actor, deed: Json) -> Json:
        await actor.closes(self.workspace.views.get(str(deed["view_id"])))
        return {}

    async def _delete(self, actor: Actor, deed: Json) -> Json:
        message = self._message(deed, actor.id)
        if message.get("is_ephemeral"):
            self.workspace.hush(message)
            return {}
        if message.user != actor.id and not actor.person.is_admin:
            raise NotDoneError("Only its author or an admin can delete that message.")
        await actor.deletes(message)
        return {}

    async def _edit(self, actor: Actor, deed: Json) -> Json:
        message = self._message(deed)
        if message.user != actor.id:
            raise NotDoneError("Only its author can edit that message.")
        names = {person.name: person.id for person in self.workspace.people.values()}
        self.workspace.rewrites(message, typed(str(deed["text"]), names))
        return {}

    async def _home(self, actor: Actor, _deed: Json) -> Json:
        self.interactions.home_opened(actor.person)
        home = self.workspace.views.homes.get(actor.id)
        return {"view": home} if home else {}

    def _message(self, deed: Json, whose: str = "") -> Message:
        for message in self.workspace.ephemerals:
            if whose and message["to"] == whose and message.ts == deed["ts"]:
                return message
        return self.workspace.message(str(deed["channel"]), str(deed["ts"]))


DEEDS: dict[str, Deed] = {
    "say": Page._say,  # noqa: SLF001  the page's own deeds, by the protocol's names
    "react": Page._react,  # noqa: SLF001
    "unreact": Page._unreact,  # noqa: SLF001
    "click": Page._click,  # noqa: SLF001
    "shortcut": Page._shortcut,  # noqa: SLF001
    "submit": Page._submit,  # noqa: SLF001
    "close": Page._close,  # noqa: SLF001
    "delete": Page._delete,  # noqa: SLF001
    "edit": Page._edit,  # noqa: SLF001
    "home": Page._home,  # noqa: SLF001
}


def _own(host: str, origin: str | None) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:  # not the name of any host
        return False


def _told(answered: Answered) -> Json:
    """The person hears of a problem by a toast, as in Slack; it is no fault of the page's request."""
    return {"problem": answered.problem} if answered.problem else {}


def _person(person: Person) -> Json:
    return {
        "id": person.id, "name": person.name, "real_name": person.real_name, "title": person.title,
        "role": person.role, "colour": person.colour, "is_bot": person.is_bot, "deleted": person.deleted,
    }  # fmt: skip


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id, "name": channel.name, "purpose": channel.purpose, "is_private": channel.is_private,
        "is_ext_shared": channel.is_ext_shared, "is_archived": channel.is_archived, "is_member": channel.has_bot,
        "is_im": channel.is_im,
    }  # fmt: skip


def _shown(message: Message) -> Json:
    shown = dict(message)
    if shown.get("subtype") == "tombstone":
        shown["deleted"] = True
    return shown


def _json(body: Json) -> web.Response:
    return web.json_response(body, headers=HEADERS)


async def _next(queue: asyncio.Queue[Json | None]) -> Json | None:
    """The next change; every fifteen quiet seconds an empty one, which keeps the connection alive."""
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await queue.get()
    except TimeoutError:
        return {}


async def _send(answer: web.StreamResponse, change: Json) -> None:
    line = f"data: {json.dumps(change, default=str)}\n\n" if change else ": still here\n\n"
    await answer.write(line.encode())
