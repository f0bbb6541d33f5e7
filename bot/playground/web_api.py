"""The door of the Web API: who calls, may they, not too fast, what befalls the call, and its answer."""

import asyncio
import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.playground import methods_chat as chat
from bot.playground import methods_more as more
from bot.playground import methods_read as read
from bot.playground.arguments import Args, parsed
from bot.playground.faults import DONE_FIRST, Call, Fault, Faults, Happening
from bot.playground.pace import Pace, Tier
from bot.playground.safety import Safety
from bot.playground.shapes import Json, SlackError
from bot.playground.workspace import Workspace

# As the app manifest asks for, the optional ones included. Not granted: assistant:write, channels:join,
# chat:write.public, files:read, team:read.
SCOPES = frozenset({
    "commands", "chat:write", "app_mentions:read", "reactions:read", "channels:history", "groups:history",
    "channels:read", "groups:read", "users:read", "files:write", "usergroups:read", "reactions:write", "im:history",
    "im:write",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """One method: what it does, any of the scopes it needs, its rate, and whose token it takes."""

    run: Callable[[Workspace, Args], Json]
    scopes: tuple[str, ...] = ()
    tier: Tier = Tier.THREE
    token: str = "bot"  # noqa: S105  bot, app or none: the kind


_HISTORY = ("channels:history", "groups:history", "im:history")
_CHANNELS = ("channels:read", "groups:read", "im:read")

METHODS: dict[str, Method] = {
    "api.test": Method(read.api_test, tier=Tier.SPECIAL, token="none"),  # noqa: S106  the kind of token
    "apps.connections.open": Method(more.connections_open, token="app"),  # noqa: S106  the kind of token
    "assistant.threads.setStatus": Method(chat.set_status, ("chat:write", "assistant:write"), Tier.SPECIAL),
    "auth.test": Method(read.auth_test, tier=Tier.SPECIAL),
    "blocks.validate": Method(more.blocks_validate, token="none"),  # noqa: S106  the kind of token
    "chat.delete": Method(chat.delete, ("chat:write",)),
    "chat.getPermalink": Method(chat.get_permalink, tier=Tier.SPECIAL),
    "chat.postEphemeral": Method(chat.post_ephemeral, ("chat:write",), Tier.FOUR),
    "chat.postMessage": Method(chat.post_message, ("chat:write",), Tier.SPECIAL),
    "chat.update": Method(chat.update, ("chat:write",)),
    "conversations.history": Method(read.conversations_history, _HISTORY),
    "conversations.info": Method(read.conversations_info, _CHANNELS),
    "conversations.join": Method(read.conversations_join, ("channels:join",)),
    "conversations.list": Method(read.conversations_list, _CHANNELS, Tier.TWO),
    "conversations.members": Method(read.conversations_members, _CHANNELS, Tier.FOUR),
    "conversations.open": Method(read.conversations_open, ("im:write", "channels:manage", "groups:write")),
    "conversations.replies": Method(read.conversations_replies, _HISTORY),
    "files.completeUploadExternal": Method(more.complete_upload, ("files:write",), Tier.FOUR),
    "files.getUploadURLExternal": Method(more.get_upload_url, ("files:write",), Tier.FOUR),
    "files.info": Method(more.files_info, ("files:read",), Tier.FOUR),
    "reactions.add": Method(read.reactions_add, ("reactions:write",)),
    "reactions.get": Method(read.reactions_get, ("reactions:read",)),
    "reactions.remove": Method(read.reactions_remove, ("reactions:write",), Tier.TWO),
    "team.info": Method(read.team_info, ("team:read",)),
    "usergroups.list": Method(read.usergroups_list, ("usergroups:read",), Tier.TWO),
    "usergroups.users.list": Method(read.usergroups_users_list, ("usergroups:read",), Tier.TWO),
    "users.conversations": Method(read.users_conversations, _CHANNELS),
    "users.info": Method(read.users_info, ("users:read",), Tier.FOUR),
    "users.list": Method(read.users_list, ("users:read",), Tier.TWO),
    "views.open": Method(more.views_open, tier=Tier.FOUR),
    "views.publish": Method(more.views_publish, tier=Tier.FOUR),
    "views.push": Method(more.views_push, tier=Tier.FOUR),
    "views.update": Method(more.views_update, tier=Tier.FOUR),
}


@dataclass(kw_only=True)
class WebApi:
    """Answers `/api/<method>` and remembers every call."""

    workspace: Workspace
    safety: Safety
    tokens: dict[str, str]  # token -> bot or app
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    pace: Pace = field(default_factory=Pace)
    faults: Faults = field(default_factory=Faults)
    calls: list[Call] = field(default_factory=list)
    down: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request, from its arrival to its answer or its untimely end."""
        if self.down:
            return cut(request)
        raw, token = await _read(request)
        call = Call(request.match_info["method"], parsed(raw), time.time())
        self.calls.append(call)
        fault = self.faults.next_for(call)
        if fault is None:
            return _json(call, *self._done(call, token))
        call.fault = fault.happening.name
        if fault.happening in DONE_FIRST:
            answer = self._done(call, token)
            return await self._after(request, call, fault, answer)
        return await self._instead(request, call, fault)

    def _done(self, call: Call, token: str) -> tuple[int, Json, dict[str, str]]:
        """Status, body and headers of a call that reaches the workspace."""
        method = METHODS.get(call.method)
        try:
            self.safety.asked(call)
            if method is None:
                return 200, {"ok": False, "error": "unknown_method", "req_method": call.method}, {}
            self._admit(method, token)
            if seconds := self.pace.wait(call.method, method.tier, str(call.args.get("channel", ""))):
                return 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(seconds)}
            body = method.run(self.workspace, Args(call.args))
        except SlackError as refusal:
            return 200, refusal.body, {}
        call.done = True
        return 200, body, {"x-oauth-scopes": ",".join(sorted(self.scopes))}

    def _admit(self, method: Method, token: str) -> None:
        kind = self.tokens.get(token)
        if method.token == "none":  # noqa: S105  the kind of token
            return
        if kind is None:
            raise SlackError("invalid_auth" if token else "not_authed")
        if kind != method.token:
            raise SlackError("not_allowed_token_type")
        if method.scopes and not self.scopes.intersection(method.scopes):
            raise SlackError("missing_scope", needed=method.scopes[0], provided=",".join(sorted(self.scopes)))

    async def _after(
        self, request: web.Request, call: Call, fault: Fault, answer: tuple[int, Json, dict[str, str]]
    ) -> web.StreamResponse:
        match fault.happening:
            case Happening.LOSE_REPLY:
                return cut(request)
            case Happening.HANG_AFTER:
                await self.closing.wait()
                return cut(request)
            case Happening.SLOW:
                await asyncio.sleep(fault.seconds)
                return _json(call, *answer)
            case Happening.TWISTED:
                said = fault.twist(copy.deepcopy(answer[1]))
                if isinstance(said, str):
                    return _plain(call, fault.status, said, "text/html")
                return _json(call, fault.status, said, answer[2])
            case _:
                return _plain(call, 500, "Internal Server Error")

    async def _instead(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        match fault.happening:
            case Happening.HANG:
                await self.closing.wait()
                return cut(request)
            case Happening.RATE_LIMITED:
                headers = {"Retry-After": str(fault.retry_after)}
                return _json(call, 429, {"ok": False, "error": "ratelimited"}, headers)
            case Happening.ERROR:
                return _json(call, 200, {"ok": False, "error": fault.error}, {})
            case Happening.HTML:
                return _plain(call, 200, "<!DOCTYPE html><title>Slack</title><p>Something went wrong.", "text/html")
            case Happening.SAYS:
                return _plain(call, fault.status, fault.error, "text/html")
            case Happening.SERVER_ERROR_BEFORE:
                return _plain(call, 500, "Internal Server Error")
            case Happening.DOWN:
                return _plain(call, 503, "Service Unavailable")
            case _:
                return cut(request)


def cut(request: web.Request) -> web.Response:
    """The connection breaks without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere


async def _read(request: web.Request) -> tuple[Json, str]:
    """Arguments and token of a request, wherever they stand."""
    raw: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        try:
            sent = json.loads(body) if body else {}
        except ValueError:
            sent = {}
        raw |= sent if isinstance(sent, dict) else {}
    elif request.can_read_body:
        raw |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    in_body = str(raw.pop("token", "") or "")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return raw, token.strip() if scheme.lower() == "bearer" else in_body


def _json(call: Call, status: int, body: Json, headers: dict[str, str]) -> web.Response:
    call.status, call.error = status, str(body.get("error", "")) if not body.get("ok") else ""
    return web.json_response(body, status=status, headers=headers)


def _plain(call: Call, status: int, text: str, content_type: str = "text/plain") -> web.Response:
    call.status = status
    return web.Response(status=status, text=text, content_type=content_type)
