"""What Slack delivers: kept in the inbox before it is acknowledged, so that an ack is a promise."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.metrics import Kept, Metrics
from bot.slack.chat import Chat
from bot.slack.door import CRITIQUE_MODAL, CRITIQUE_SHORTCUT, Door
from bot.slack.home import Home
from bot.slack.lookup import Lookup
from bot.slack.modals import critique_modal
from bot.slack.route_desk import RouteDesk
from bot.slack.route_form import ROUTE_ADVICE, ROUTE_FORM
from handlers import messages
from handlers.errors import Refusal
from handlers.ports import LookupFailed
from handlers.stack import Stack
from storage.crashpoints import crashpoint
from storage.database import Database
from storage.records import Letter

log = structlog.get_logger(__name__)

_ANYTHING = re.compile(".*", re.DOTALL)
_IN_TIME = 2.5
"""Seconds the inbox may take: Slack waits three."""
_PLACE_SECONDS = 1.0
"""What a look at the channel may take of the three seconds in which a form can be opened."""
_NOT_TAKEN = "Your request could not be stored, so nothing was started. Try again in a minute."
_NOT_HERE = f"I am not in this channel. Invite me with `/invite {messages.BOT}`, then ask again."
_NO_FORM = "Slack did not open the form in time, so nothing was started. Choose it from the message's menu once more."


def build_app(
    *,
    client: AsyncWebClient,
    signing_secret: str | None,
    storage: Database,
    chat: Chat,
    door: Callable[[], Door],
    stack: Callable[[], Stack] = Stack,
    lookup: Lookup | None = None,
    metrics: Metrics | None = None,
    home: Home | None = None,
) -> AsyncApp:
    """The Bolt app: one middleware that keeps what comes in, and listeners that do little more than acknowledge.

    With a lookup, its knowledge of a user group is dropped as soon as Slack says that the group has changed. `stack`
    is what the four questions are answered from; by default there are no models.
    """

    async def authorize() -> AuthorizeResult:
        """Known since the start. Bolt would ask Slack at a delivery, and lose it if Slack had no answer just then."""
        return AuthorizeResult(enterprise_id=None, team_id=door().team, bot_user_id=door().bot_user)

    counted = metrics or Metrics()
    tokenless = AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[])
    tokenless.proxy = None  # and with a token, Bolt would leave `authorize` aside
    app = AsyncApp(
        client=tokenless,
        authorize=authorize,
        signing_secret=signing_secret or "",
        logger=None,
        ignoring_self_events_enabled=False,  # else nobody would hear that a message of ours was deleted
    )

    @app.middleware
    async def keep(req: AsyncBoltRequest, next: Callable[[], Awaitable[Any]]) -> BoltResponse | None:  # noqa: A002  Bolt's word
        return await keep_then(next, req.body, storage=storage, door=door(), metrics=counted)

    if lookup is not None:
        _follow_groups(app, lookup)
    _follow_homes(app, home)
    _route(app, RouteDesk(storage=storage, chat=chat, lookup=lookup, stack=stack, door=door), door)

    @app.event(_ANYTHING)
    async def event() -> None:
        """Acknowledged by Bolt; the inbox has what matters."""

    @app.view(CRITIQUE_MODAL)
    async def submitted(ack: AsyncAck) -> None:
        await ack()

    @app.shortcut(CRITIQUE_SHORTCUT)
    async def shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await ask_about(body, storage=storage, chat=chat, lookup=lookup)

    for late in (app.shortcut, app.view, app.view_closed, app.options):
        late(_ANYTHING)(_acknowledge)
    return app


def _follow_groups(app: AsyncApp, lookup: Lookup) -> None:
    @app.event("subteam_members_changed")
    async def group_changed(event: dict[str, Any]) -> None:
        """Who reviews is asked anew, in every process."""
        await lookup.forget_group(str(event.get("subteam_id")))


def _route(app: AsyncApp, desk: RouteDesk, door: Callable[[], Door]) -> None:
    async def asked(ack: AsyncAck, body: dict[str, Any]) -> None:
        """A command or a click. Whoever wants the four questions gets their form; all else is in the inbox."""
        await ack()
        if (opener := door().opener(body)) is not None:
            await desk.open(opener)

    app.command(_ANYTHING)(asked)
    app.action(_ANYTHING)(asked)

    @app.view(ROUTE_FORM)
    async def answered(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack(**desk.advise(body))

    @app.view(ROUTE_ADVICE)
    async def run(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack(**desk.taken(body))


def _follow_homes(app: AsyncApp, home: Home | None) -> None:
    if home is None:
        return

    @app.event("app_home_opened")
    async def home_opened(event: dict[str, Any], body: dict[str, Any]) -> None:
        """Not kept in the inbox: it is a view, and who opens it again sees it again."""
        if event.get("tab") == "home" and isinstance(person := event.get("user"), str):
            home.opened(str(body.get("team_id")), person)


async def _acknowledge(ack: AsyncAck) -> None:
    await ack()


async def keep_then(
    next_: Callable[[], Awaitable[Any]], body: dict[str, Any], *, storage: Database, door: Door, metrics: Metrics
) -> BoltResponse | None:
    """Commit what a delivery asks of us, then go on to the ack; without the commit there is no ack."""
    try:
        letters = door.letters(body)
    except Refusal as refusal:
        return _ephemeral(refusal.sentence)
    try:
        async with asyncio.timeout(_IN_TIME) as limit:
            for letter in letters:
                await _keep(letter, storage, limit, metrics)
    except Exception:
        log.exception("the inbox could not be written; not acknowledged")
        return _ephemeral(_NOT_TAKEN) if "command" in body else BoltResponse(status=503, body="not stored")
    crashpoint("cp02")
    await next_()
    return None


async def _keep(letter: Letter, storage: Database, limit: asyncio.Timeout, metrics: Metrics) -> None:
    """Commit a letter in time. Once the commit has begun, only its outcome can tell what to answer."""
    if letter.kind == "reason" and not await _is_wanted(letter, storage):
        return
    outcome = Kept.FAILED
    try:
        async with storage.order(letter.line), storage.transaction(alone=False) as saved:
            is_new = await saved.inbox.put(letter)
            limit.reschedule(None)
            crashpoint("cp01")
        outcome = Kept.NEW if is_new else Kept.KNOWN
    finally:
        metrics.kept(letter.kind, outcome)


async def _is_wanted(letter: Letter, storage: Database) -> bool:
    """Whether this person owes a reason in this thread; everybody else's replies are none of our business."""
    said = letter.body
    async with storage.reading() as saved:
        waiting = await saved.reviews.waiting_for_reason(
            said["team"], said["channel"], said["thread_ts"], said["person"]
        )
    return waiting is not None


def _ephemeral(text: str) -> BoltResponse:
    body = json.dumps({"response_type": "ephemeral", "text": text})
    return BoltResponse(status=200, body=body, headers={"content-type": "application/json"})


async def ask_about(body: dict[str, Any], *, storage: Database, chat: Chat, lookup: Lookup | None = None) -> None:
    """Open the modal of "Critique this"; in a work's thread the brief is known and not asked for.

    Slack offers the shortcut in every channel. Where we are not, we could not answer what is asked by the modal.
    """
    message, channel = body["message"], body["channel"]["id"]
    if lookup is not None and not await _is_member(channel, lookup):
        await _answer(body, _NOT_HERE, chat)
        return
    thread = message.get("thread_ts") or message["ts"]
    async with storage.reading() as saved:
        work = await saved.works.in_thread(body["team"]["id"], channel, thread)
    view = critique_modal(channel=channel, ts=message["ts"], thread_ts=thread, asks_for_brief=work is None)
    if not await chat.open_view(body["trigger_id"], view):
        await _answer(body, _NO_FORM, chat)


async def _is_member(channel: str, lookup: Lookup) -> bool:
    """Whether we are in a channel; as long as Slack does not say, we are: the request itself asks again."""
    try:
        async with asyncio.timeout(_PLACE_SECONDS):
            return (await lookup.place(channel)).is_member
    except (LookupFailed, TimeoutError):
        return True


async def _answer(body: dict[str, Any], sentence: str, chat: Chat) -> None:
    """Tell whoever used the shortcut, by its own address: it reaches them where we are not."""
    await chat.answer_privately(
        reply_url=body.get("response_url"),
        channel=body["channel"]["id"],
        person=body["user"]["id"],
        thread_ts=body["message"].get("thread_ts"),
        body=messages.plain(sentence, fallback=sentence),
    )
