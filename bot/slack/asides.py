"""What is said beside the outbox, at best once: statuses, words for one person's eyes, modals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.fence import Displaced
from bot.slack.blocks import blocks_of, fallback_of
from bot.slack.calls import CallFailed, Calls, Trouble
from handlers.ports import Sleep
from handlers.words import Body
from storage.records import Work

_UNAVAILABLE_SECONDS = 600.0
_TRIES = 3
_PATIENCE = 30.0  # somebody waits for these words; later they are of no use
_HTTP_OK = 200


class Asides:
    """Nothing here is remembered, and a failure is a line in the log."""

    def __init__(
        self, *, client: AsyncWebClient, calls: Calls, sleep: Sleep, tick: Callable[[], float], log: Any
    ) -> None:
        self._client = client
        self._calls = calls
        self._sleep = sleep
        self._tick = tick
        self._log = log
        self._no_status_until: dict[str, float] = {}

    async def show_status(self, work: Work, text: str) -> None:
        method, now = "assistant.threads.setStatus", self._tick()
        if work.thread_ts is None or now < self._no_status_until.get(work.channel, now):
            return
        if not self._calls.pace.spare(method):
            return
        try:
            await self._calls.send(method, channel_id=work.channel, thread_ts=work.thread_ts, status=text)
        except Displaced:
            return  # whoever took the run over shows it
        except CallFailed as failed:
            if failed.trouble in {Trouble.OPERATOR, Trouble.ODD, Trouble.NEVER}:
                self._no_status_until[work.channel] = now + _UNAVAILABLE_SECONDS

    async def answer_privately(
        self, *, reply_url: str | None, channel: str, person: str, thread_ts: str | None, body: Body
    ) -> None:
        said: dict[str, Any] = {"text": fallback_of(body), "blocks": blocks_of(body, "aside") or None}
        if thread_ts:
            said["thread_ts"] = thread_ts
        if reply_url and await self._reply(reply_url, said):
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._whisper(channel=channel, user=person, **said)
        except (CallFailed, TimeoutError) as problem:
            self._log.warning("may not have been told", channel=channel, person=person, why=str(problem))

    async def _whisper(self, **said: Any) -> None:
        """Only what Slack certainly did not take is said again."""
        for left in reversed(range(_TRIES)):
            try:
                await self._calls.ask("chat.postEphemeral", **said)
            except CallFailed as failed:
                if failed.trouble is not Trouble.LATER or not left:
                    raise
                await self._sleep(1.0)
            else:
                return

    async def _reply(self, reply_url: str, said: dict[str, Any]) -> bool:
        """Answer by the address Slack gave; False if it certainly did not take it."""
        if not self._is_slacks(reply_url) or self._client.session is None:
            self._log.warning("not an address of Slack's", host=urlsplit(reply_url).hostname)
            return False
        answer = {key: value for key, value in said.items() if value is not None}
        answer |= {"response_type": "ephemeral", "replace_original": False}
        try:
            async with self._client.session.post(reply_url, json=answer, allow_redirects=False) as reply:
                if reply.status != _HTTP_OK:
                    self._log.warning("the reply address was refused", status=reply.status)
                return reply.status == _HTTP_OK
        except aiohttp.ClientConnectorError:
            return False
        except (aiohttp.ClientError, TimeoutError) as problem:
            self._log.warning("may not have arrived", code=type(problem).__name__)
            return True

    def _is_slacks(self, address: str) -> bool:
        """Slack's own host, or that of the Web API we talk to."""
        parts, api = urlsplit(address), urlsplit(self._client.base_url)
        if (parts.scheme, parts.netloc) == (api.scheme, api.netloc):
            return True
        return parts.scheme == "https" and parts.netloc == "hooks.slack.com"

    async def publish_home(self, person: str, view: dict[str, Any]) -> bool:
        """Show somebody their Home, if there is room; False if it was not and a moment later it may be."""
        if not self._calls.pace.spare("views.publish"):
            return False
        try:
            await self._calls.send("views.publish", user_id=person, view=view)
        except CallFailed as failed:
            self._log.warning("no Home was published", person=person, why=str(failed))
            return failed.trouble in {Trouble.OPERATOR, Trouble.ODD, Trouble.NEVER}
        return True

    async def open_view(self, trigger_id: str, view: dict[str, Any]) -> bool:
        try:
            await self._calls.send("views.open", trigger_id=trigger_id, view=view)
        except CallFailed as failed:
            if failed.code == "exchanged_trigger_id":
                return True  # a delivery of the same click that came before opened it
            self._log.warning("no modal was opened", code=failed.code)
            return False
        return True
