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
from bot.slack.modals import critique_modal
from handlers.errors import Refusal
from storage.crashpoints import crashpoint
from storage.database import Database
from storage.records import Letter

log = structlog.get_logger(__name__)

_ANYTHING = re.compile(".*", re.DOTALL)
_IN_TIME = 2.5
"""Seconds the inbox may take: Slack waits three."""
_NOT_TAKEN = "Your request could not be stored, so nothing was started. Try again in a minute."


def build_app(
    *,
    client: AsyncWebClient,
    signing_secret: str | None,
    storage: Database,
    chat: Chat,
    door: Callable[[], Door],
    metrics: Metrics | None = None,
) -> AsyncApp:
    """The Bolt app: one middleware that keeps what comes in, and listeners that do no more than acknowledge."""

    async def authorize() -> AuthorizeResult:
        """Known since the start. Bolt would ask Slack at a delivery, and lose it if Slack had no answer just then."""
        return AuthorizeResult(enterprise_id=None, team_id=door().team, bot_user_id=door().bot_user)

    counted = metrics or Metrics()
    tokenless = AsyncWebClient(base_url=client.base_url, session=client.session, retry_handlers=[])
    tokenless.proxy = None  # and with a token, Bolt would leave `authorize` aside
    app = AsyncApp(client=tokenless, authorize=authorize, signing_secret=signing_secret or "", logger=None)

    @app.middleware
    async def keep(req: AsyncBoltRequest, next: Callable[[], Awaitable[Any]]) -> BoltResponse | None:  # noqa: A002  Bolt's word
        return await keep_then(next, req.body, storage=storage, door=door(), metrics=counted)

    @app.event(_ANYTHING)
    async def event() -> None:
        """Acknowledged by Bolt; the inbox has what matters."""

    @app.command(_ANYTHING)
    async def command(ack: AsyncAck) -> None:
        await ack()

    @app.action(_ANYTHING)
    async def action(ack: AsyncAck) -> None:
        await ack()

    @app.view(CRITIQUE_MODAL)
    async def submitted(ack: AsyncAck) -> None:
        await ack()

    @app.shortcut(CRITIQUE_SHORTCUT)
    async def shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await ask_about(body, storage=storage, chat=chat)

    for late in (app.shortcut, app.view, app.view_closed, app.options):
        late(_ANYTHING)(_acknowledge)
    return app


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
        async with storage.transaction(alone=False) as saved:
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


async def ask_about(body: dict[str, Any], *, storage: Database, chat: Chat) -> None:
    """Open the modal of "Critique this"; in a work's thread the brief is known and not asked for."""
    message, channel = body["message"], body["channel"]["id"]
    thread = message.get("thread_ts") or message["ts"]
    async with storage.reading() as saved:
        work = await saved.works.in_thread(body["team"]["id"], channel, thread)
    view = critique_modal(channel=channel, ts=message["ts"], thread_ts=thread, asks_for_brief=work is None)
    await chat.open_view(body["trigger_id"], view)
