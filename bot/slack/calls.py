"""One call of Slack's Web API, paced, and what a failure says about whether Slack did it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.fence import Displaced, pass_fence
from bot.metrics import Metrics
from bot.slack.pace import Pace
from storage.crashpoints import crashpoint

_READS = frozenset(
    {"auth.test", "conversations.history", "conversations.info", "conversations.replies"}
    | {"reactions.get", "usergroups.users.list", "users.conversations", "users.info"}
)
_FORMS = frozenset({"files.getUploadURLExternal"})  # takes no JSON
# Slack's pages say of these that part of the operation may have succeeded.
_UNKNOWN = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
# Nothing is wrong with the message: somebody has to mend the app, its token or its scopes.
_OPERATOR = frozenset(
    {"access_denied", "account_inactive", "ekm_access_denied", "enterprise_is_restricted", "invalid_auth"}
    | {"missing_scope", "no_permission", "not_allowed_token_type", "not_authed", "org_login_required"}
    | {"team_access_not_granted", "token_expired", "token_revoked", "two_factor_setup_required"}
)
_NEVER = frozenset(
    {"as_user_not_supported", "block_mismatch", "cannot_reply_to_message", "cant_update_message", "channel_not_found"}
    | {"edit_window_closed", "invalid_arguments", "invalid_blocks", "invalid_blocks_format", "is_archived"}
    | {"is_inactive", "message_not_found", "metadata_too_large", "method_not_supported_for_channel_type"}
    | {"msg_blocks_too_long", "msg_too_long", "no_text", "not_in_channel", "plan_upgrade_required"}
    | {"restricted_action", "restricted_action_non_threadable_channel", "restricted_action_read_only_channel"}
    | {"restricted_action_thread_locked", "restricted_action_thread_only_channel", "thread_locked"}
    | {"thread_not_found", "user_not_found", "user_not_in_channel", "invalid_metadata_format"}
    | {"invalid_metadata_schema", "messages_tab_disabled"}
)
_LATER = frozenset({"accesslimited", "team_added_to_org"})
_LIMITED = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
_RETRY_AFTER = 5.0
_LONGEST_RETRY_AFTER = 3_600.0
_HTTP_OK, _TOO_MANY = 200, 429
_ROOM = 64


class Trouble(StrEnum):
    """What a failed call means for whoever asked for it."""

    LIMITED = "limited"  # not done: too fast
    LATER = "later"  # not done: Slack was not reached, or says so
    UNKNOWN = "unknown"  # done or not
    OPERATOR = "operator"  # not done, and will not be until the app is mended
    ODD = "odd"  # not done, for a reason nobody here knows
    NEVER = "never"  # not done, and will not be


class CallFailed(Exception):  # noqa: N818  reads as a fact
    """Slack did not say that it did what was asked.

    Attributes:
        trouble: what it means.
        code: Slack's error, or a short name of ours such as "timeout"; fit for a log.
    """

    def __init__(self, trouble: Trouble, code: str) -> None:
        super().__init__(f"{trouble.value}: {code}")
        self.trouble = trouble
        self.code = code


def build_session(*, seconds: float = 30.0) -> aiohttp.ClientSession:
    """The HTTP session all calls share; close it. With a session given, slack_sdk's own time-out does not apply."""
    timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, 5.0))
    return aiohttp.ClientSession(timeout=timeout, trust_env=False, connector=aiohttp.TCPConnector(limit=2 * _ROOM))


def build_client(token: str, base_url: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    """A client that sends every request once: the SDK's default handlers post again after a lost reply."""
    logger = logging.getLogger("countersign.slack_sdk")
    logger.setLevel(logging.INFO)  # at DEBUG the SDK logs the text of messages
    client = AsyncWebClient(token=token, base_url=base_url, session=session, retry_handlers=[], logger=logger)
    client.proxy = None  # the SDK takes one from the environment, even for 127.0.0.1
    return client


class Calls:
    """The Web API behind its pace; at most 64 calls under way."""

    def __init__(
        self,
        client: AsyncWebClient,
        pace: Pace,
        *,
        metrics: Metrics | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._clock = clock
        self.ahead = timedelta()  # of Slack's clock, by its newest reply
        self.pace = pace
        self._metrics = metrics or Metrics()
        self._room = asyncio.Semaphore(_ROOM)

    @property
    def is_crowded(self) -> bool:
        return self._room.locked()

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Make a call in its turn, and again for as long as Slack says 429."""
        channel = str(arguments.get("channel", ""))
        while True:
            await self.pace.turn(method, channel)
            try:
                return await self.send(method, **arguments)
            except CallFailed as failed:
                if failed.trouble is not Trouble.LIMITED:
                    raise

    async def send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Make a call whose turn it is. A 429 closes its bucket for as long as Slack says. May raise Displaced."""
        try:
            async with self._room:
                if method not in _READS:
                    await self._pass_fence()  # the last thing before: nobody waits between here and Slack
                return await self._timed(method, arguments)
        except (Displaced, CallFailed):
            raise
        except Exception as problem:  # the SDK lets through whatever a broken reply makes it stumble over
            failed, retry_after = read_failure(problem)
            if failed.trouble is Trouble.LIMITED:
                self.pace.close(method, str(arguments.get("channel", "")), retry_after)
                self._metrics.limited(method, retry_after)
            if failed.trouble is Trouble.UNKNOWN and method in _READS:
                failed = CallFailed(Trouble.LATER, failed.code)
            raise failed from problem

    async def upload(self, url: str, content: bytes) -> None:
        """Send a file's bytes to the address that Slack gave for them, without our token."""
        if urlsplit(url).scheme != urlsplit(self._client.base_url).scheme or self._client.session is None:
            raise CallFailed(Trouble.LATER, "unreadable_reply")
        try:
            async with self._room, self._client.session.post(url, data=content, allow_redirects=False) as reply:
                if reply.status != _HTTP_OK:
                    raise CallFailed(Trouble.LATER, f"http_{reply.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise read_failure(problem)[0] from problem

    async def _pass_fence(self) -> None:
        """Raises Displaced, and CallFailed where it could not be asked: then nothing was sent, for certain."""
        try:
            await pass_fence()
        except Displaced:
            raise
        except Exception as problem:
            raise CallFailed(Trouble.LATER, "no_database") from problem

    async def _timed(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make the call, and count it by what came of it."""
        began, outcome = time.perf_counter(), "ok"
        try:
            return await self._call(method, arguments)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as problem:
            outcome = read_failure(problem)[0].trouble
            raise
        finally:
            self._metrics.called(method, outcome, time.perf_counter() - began)

    async def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if value is not None}
        if method in _READS:
            reply = await self._client.api_call(method, http_verb="GET", params=given)
        elif method in _FORMS:
            reply = await self._client.api_call(method, params=given)
        else:
            reply = await self._client.api_call(method, json=given)
            crashpoint("cp05")
        if not isinstance(reply.data, dict):
            raise TypeError("the reply is no JSON object")
        self._compare_clocks(reply.headers)
        return reply.data

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        if (date := _date_in(headers)) is not None:
            self.ahead = self._clock() - date


def _date_in(headers: Mapping[str, str]) -> datetime | None:
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def read_failure(problem: Exception) -> tuple[CallFailed, float]:
    """What went wrong, and for how long Slack wants to be left alone."""
    match problem:
        case SlackApiError():
            return _said(problem.response)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return CallFailed(Trouble.LATER, "not_connected"), 0
        case TimeoutError():
            return CallFailed(Trouble.UNKNOWN, "timeout"), 0
        case _:
            return CallFailed(Trouble.UNKNOWN, type(problem).__name__), 0


def _said(response: Any) -> tuple[CallFailed, float]:
    """Read a refusal: a SlackResponse, or the bare HTTP response where the body was no JSON."""
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    data = getattr(response, "data", None)
    error = data.get("error") if isinstance(data, dict) else None
    if status == _TOO_MANY or error in _LIMITED:
        return CallFailed(Trouble.LIMITED, "ratelimited"), _retry_after(response.headers)
    if status != _HTTP_OK:
        return CallFailed(Trouble.UNKNOWN, f"http_{status}"), 0
    if not isinstance(error, str) or not error:
        return CallFailed(Trouble.UNKNOWN, "unreadable_reply"), 0
    return CallFailed(_meaning(error), error), 0


def _meaning(error: str) -> Trouble:
    if error in _UNKNOWN:
        return Trouble.UNKNOWN
    if error in _OPERATOR:
        return Trouble.OPERATOR
    if error in _LATER:
        return Trouble.LATER
    return Trouble.NEVER if error in _NEVER else Trouble.ODD


def _retry_after(headers: Any) -> float:
    try:
        seconds = float(headers.get("Retry-After", _RETRY_AFTER))
    except ValueError:
        return _RETRY_AFTER
    if math.isnan(seconds) or seconds < 0:
        return _RETRY_AFTER
    return min(seconds, _LONGEST_RETRY_AFTER)
