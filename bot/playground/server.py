"""A small Slack of our own: its parts put together behind one address."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import aiohttp
from aiohttp import web

from bot.playground.actors import Actor
from bot.playground.channels import Channel
from bot.playground.delivery import Ack, Delivery, Kind, Retry
from bot.playground.doors import Doors
from bot.playground.faults import Call, Fault, Faults
from bot.playground.interactions import Interactions
from bot.playground.keep import Keeper
from bot.playground.live import Page
from bot.playground.people import BOT, Person
from bot.playground.response_urls import ResponseUrls
from bot.playground.safety import Safety
from bot.playground.shapes import Json, Message, View
from bot.playground.signed_http import SignedHttp
from bot.playground.socket_mode import SocketMode
from bot.playground.waiting import Watch
from bot.playground.web_api import WebApi
from bot.playground.workspace import Workspace

__all__ = ["Call", "Fault", "Message", "Person", "Playground", "View"]

T = TypeVar("T")
DUMPED = 12  # messages shown when a wait ends in vain
MOST_BYTES = 8 * 1024 * 1024


class Playground:
    """Slack for one workspace and one app, over real HTTP and WebSocket on loopback.

    Use as an async context manager. `keep` is a JSON file in which the workspace outlives a restart. Seconds are real:
    `ack_seconds`, `trigger_seconds` and `retry_delays` are Slack's own unless a test shortens them.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        label: str = "",
        keep: Path | None = None,
        ack_seconds: float = 3.0,
        trigger_seconds: float = 3.0,
        retry_delays: tuple[float, ...] = (0, 60, 300),
    ) -> None:
        self._host, self._port = host, port
        self.bot_token = f"xoxb-playground-{secrets.token_hex(12)}"
        self.app_token = f"xapp-playground-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.violations: list[str] = []
        self.workspace = Workspace(trigger_seconds=trigger_seconds)
        self._watch = Watch(self.workspace)
        self._safety = Safety(self.workspace, self._violated)
        self._sockets = SocketMode(workspace=self.workspace, ack_seconds=ack_seconds, connected=self._state_changed)
        self._http: SignedHttp | None = None
        self._delivery = Delivery(transport=self, retry_delays=retry_delays)
        self.workspace.happened.append(self._delivery.event)
        tokens = {self.bot_token: "bot", self.app_token: "app"}
        self._api = WebApi(workspace=self.workspace, safety=self._safety, tokens=tokens)
        self._response_urls = ResponseUrls(workspace=self.workspace, safety=self._safety)
        self._interactions = Interactions(
            workspace=self.workspace,
            delivery=self._delivery,
            response_urls=self._response_urls,
            safety=self._safety,
        )
        self._keeper = Keeper(self.workspace, keep) if keep else None
        self._page = Page(
            workspace=self.workspace, actor=self.as_person, interactions=self._interactions, connected=self._connected
        )
        self._page.label = label
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    # Opening and closing

    async def __aenter__(self) -> Self:
        if self._keeper:
            self._keeper.load()
            self._safety.remember()
        # A connection each: one kept alive may be closed by the app just as the next payload goes out.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
        self._runner = web.AppRunner(
            self._application(), handler_cancellation=True, shutdown_timeout=1.0, access_log=None
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self.__aexit__(None, None, None)
            raise
        port = self._runner.addresses[0][1]
        self.workspace.url = f"http://{self._host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._api.closing.set()
        self._page.close()
        await self._delivery.close()
        await self._sockets.close()
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()
        if self._keeper:
            await self._keeper.close()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/api/{method}", self._api.answer)
        app.router.add_get("/link", self._sockets.accept)
        doors = Doors(api=self._api, response_urls=self._response_urls, bot_token=self.bot_token)
        doors.add_routes(app)
        self._page.add_routes(app)
        if self._keeper:
            app.on_response_prepare.append(self._keep)
        return app

    async def _keep(self, _request: web.Request, _response: web.StreamResponse) -> None:
        """Nobody hears of a change that a `kill -9` could take back."""
        assert self._keeper is not None
        self._keeper.settle()

    @property
    def url(self) -> str:
        return self.workspace.url

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    # The way to the app

    def deliver_to(self, address: str) -> None:
        """Signed HTTP from now on, for events, commands and interactivity alike."""
        assert self._session is not None, "open the playground first"
        self._http = SignedHttp(
            address=address,
            signing_secret=self.signing_secret,
            session=self._session,
            ack_seconds=self._sockets.ack_seconds,
        )
        self._state_changed()

    async def attempt(self, kind: Kind, payload: Json, retry: Retry) -> Ack:
        """The transport in use."""
        if self._api.down:
            return Ack(problem="dispatch_failed", reason="connection_failed")
        return await (self._http or self._sockets).attempt(kind, payload, retry)

    async def verify_address(self) -> bool:
        """Slack's url_verification: whether the request URL gives the challenge back."""
        assert self._http is not None, "deliver_to comes first"
        challenge = secrets.token_hex(8)
        payload = {"token": "playground", "challenge": challenge, "type": "url_verification"}
        ack = await self._http.attempt(Kind.EVENT, payload, Retry())
        return challenge in {ack.body.get("challenge"), ack.body.get("text")}

    @property
    def repeat_deliveries(self) -> int:
        """How often everything is delivered; 1 as a rule."""
        return self._delivery.repeat

    @repeat_deliveries.setter
    def repeat_deliveries(self, times: int) -> None:
        self._delivery.repeat = times

    @property
    def given_up(self) -> list[Json]:
        """Event envelopes that were never acked, after the last retry."""
        return self._delivery.given_up

    @property
    def connections(self) -> int:
        return self._sockets.connections

    def _connected(self) -> bool:
        return bool(self._http or self._sockets.connections) and not self._api.down

    # The cast and the places

    @property
    def people(self) -> Mapping[str, Person]:
        """By name."""
        return {person.name: person for person in self.workspace.people.values() if not person.is_bot}

    @property
    def channels(self) -> Mapping[str, Channel]:
        """By name; direct messages by their id."""
        return {channel.name or channel.id: channel for channel in self.workspace.channels.values()}

    @property
    def groups(self) -> dict[str, list[str]]:
        """User groups: id -> user ids."""
        return self.workspace.groups

    @property
    def commands(self) -> list[dict[str, str]]:
        """The slash commands the page knows: command, usage_hint, description. A caller may exchange them."""
        return self._page.commands

    @property
    def plan_allows_groups(self) -> bool:
        """Whether the workspace pays for user groups; if not, usergroups.* answers plan_upgrade_required."""
        return self.workspace.plan_allows_groups

    @plan_allows_groups.setter
    def plan_allows_groups(self, allowed: bool) -> None:
        self.workspace.plan_allows_groups = allowed

    def change_group(self, group: str, *users: str) -> None:
        """Other members for a user group (names or ids), and the event that tells of it."""
        before, now = self.groups.get(group, []), [self.workspace.person(user).id for user in users]
        self.groups[group] = now
        changes = {
            "added_users": [user for user in now if user not in before],
            "removed_users": [user for user in before if user not in now],
        }
        self.workspace.happens({"type": "subteam_members_changed", "subteam_id": group, **changes})

    def change_person(self, who: str, **fields: Any) -> Person:
        """Somebody leaves (`deleted=True`), becomes a guest, an admin."""
        person = replace(self.workspace.person(who), **fields)
        self.workspace.people[person.id] = person
        self._state_changed()
        return person

    def invite_bot(self, channel: str, *, by: str = "ann") -> None:
        place = self.workspace.channel(channel)
        if not place.has_bot:
            place.members.append(BOT.id)
        event = {"type": "member_joined_channel", "user": BOT.id, "channel": place.id, "inviter": self.people[by].id}
        self.workspace.happens(event | {"event_ts": self.workspace.new_ts()}, place)
        self._state_changed()

    def remove_bot(self, channel: str) -> None:
        self.workspace.channel(channel).members.remove(BOT.id)
        self._state_changed()

    def as_person(self, who: str) -> Actor:
        """Somebody by name or id."""
        return Actor(
            person=self.workspace.person(who),
            workspace=self.workspace,
            interactions=self._interactions,
            appears=self._watch.wait,
        )

    # What is to be seen

    def messages(self, channel: str) -> list[Message]:
        """What the channel shows outside threads, oldest first."""
        return [Message(message) for message in self.workspace.top_level(self.workspace.channel(channel).id)]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """Root and replies, oldest first."""
        return [Message(message) for message in self.workspace.thread(self.workspace.channel(channel).id, ts)]

    def everything(self) -> list[Message]:
        """Every message of every channel, threads included, in order of time."""
        return sorted((Message(message) for message in self.workspace.every_message()), key=lambda message: message.ts)

    def by_bot(self, kind: str = "") -> list[Message]:
        """The app's messages everywhere, of one kind of metadata if given."""
        return [m for m in self.everything() if m.get("bot_id") and (not kind or m.kind == kind)]

    def now(self, message: Message) -> Message:
        """The same message as it stands now."""
        return Message(self.workspace.message(message.channel, message.ts))

    def ephemerals(self, who: str) -> list[Message]:
        """What only this person sees, oldest first."""
        user = self.workspace.person(who).id
        return [Message(message) for message in self.workspace.ephemerals if message["to"] == user]

    def status(self, channel: str, thread_ts: str) -> str:
        """The line under a thread, as assistant.threads.setStatus left it."""
        return self.workspace.status(self.workspace.channel(channel).id, thread_ts)

    def home(self, who: str) -> View | None:
        home = self.workspace.views.homes.get(self.workspace.person(who).id)
        return View(home) if home else None

    @property
    def calls(self) -> list[Call]:
        return self._api.calls

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    @overload
    async def until(self, condition: Callable[[], Awaitable[T | None]], timeout: float = ...) -> T: ...  # noqa: ASYNC109
    @overload
    async def until(self, condition: Callable[[], T | None], timeout: float = ...) -> T: ...  # noqa: ASYNC109
    async def until(self, condition: Callable[[], Any], timeout: float = 20) -> Any:  # noqa: ASYNC109  as tests say it
        """Waits until the condition is true, and gives what it gave. LookupError and StopIteration mean: not yet.

        Raises:
            AssertionError: it did not come true in time; the sentence shows the newest messages.
        """
        result = await self._watch.wait(condition, timeout)
        if not result:
            raise AssertionError(f"it did not come true in {timeout:g} s.\n{self.dump()}")
        return result

    def dump(self) -> str:
        """The newest messages, one line each, for people who wonder what went wrong."""
        lines = [_line(message) for message in [*self.everything(), *self.workspace.ephemerals][-DUMPED:]]
        refused = [f"{call.method}: {call.error or call.fault}" for call in self.calls[-30:] if not call.ok]
        parts = ["The newest messages:", *lines, f"Calls that failed lately: {refused}"]
        return "\n".join([*parts, *(f"Violation: {sentence}" for sentence in self.violations)])

    # Weather

    @property
    def faults(self) -> Faults:
        return self._api.faults

    @property
    def scopes(self) -> set[str]:
        """The scopes granted to the bot token; a test may take some away."""
        return self._api.scopes

    def pace(self, *, enabled: bool) -> None:
        """Whether rate limits hold."""
        self._api.pace.enabled = enabled

    def drop_sockets(self) -> None:
        """Every WebSocket breaks without a word."""
        self._sockets.drop()

    async def refresh_sockets(self, reason: str = "refresh_requested") -> None:
        """Slack asks every WebSocket to connect anew, as it does every few hours."""
        await self._sockets.refresh(reason)

    def go_down(self) -> None:
        """An outage: sockets break, every call of the API is cut, nothing is delivered."""
        self._api.down = self._sockets.down = True
        self._sockets.drop()
        self._state_changed()

    def come_back(self) -> None:
        self._api.down = self._sockets.down = False
        self._state_changed()

    def _violated(self, sentence: str) -> None:
        self.violations.append(sentence)

    def _state_changed(self) -> None:
        self.workspace.tell({"type": "state"})


def _line(message: Message) -> str:
    place = f"{message.channel} {'└ ' if message.is_reply else ''}{message.ts}"
    marks = " ".join(f":{reaction['name']}:{','.join(reaction['users'])}" for reaction in message.get("reactions", ()))
    kind = "/".join(part for part in (message.kind, message.state) if part) or ("ephemeral" if "to" in message else "")
    words = " ⏎ ".join(message.visible.splitlines())[:160]
    return f"  {place} {message.get('to', '') or message.user} [{kind}] {words} {marks}".rstrip()
