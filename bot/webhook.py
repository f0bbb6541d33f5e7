"""The webhook: approvals go to the receiver that the stack names, signed as Standard Webhooks has it, at least once."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog
from standardwebhooks import Webhook as Signer

from bot.metrics import Metrics
from bot.models.clients import open_client, trusted_authorities
from bot.models.egress import origin_of
from handlers.attempts import Attempt, next_attempt, settle
from handlers.handed_on import Outcome, Reply
from handlers.ports import Clock, Slack, Sleep
from handlers.stack import Stack
from storage.crashpoints import crashpoint
from storage.database import Database

log = structlog.get_logger(__name__)

_EVERY = 1.0
_PATIENCE = 20.0
_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64  # the specification's


class NoSigner(Exception):  # noqa: N818  reads as a fact
    """There is no secret to sign with; in one sentence, which does not repeat it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receiver:
    """Where approvals go, and what signs them."""

    url: httpx.URL
    signer: Signer


def signer_of(name: str, secret: str | None) -> Signer:
    """What signs with the secret of this variable.

    Raises:
        NoSigner: it is not set, or not one.
    """
    if not secret or not secret.strip():
        raise NoSigner(f"{name} is not set: it holds the secret that approvals are signed with.")
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.strip().startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise NoSigner(f"{name} must be {_PREFIX} and {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64.")
    return Signer(key)


class Webhook:
    """Makes the attempts that are due, one after the other, in any number of processes at once."""

    def __init__(
        self,
        *,
        storage: Database,
        slack: Slack,
        stack: Callable[[], Stack],
        environment: Mapping[str, str],
        now: Clock,
        metrics: Metrics | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`environment`: where the secret is looked up, at every attempt."""
        self._storage, self._slack, self._stack, self._environment = storage, slack, stack, environment
        self.now, self._sleep = now, sleep
        self._metrics = metrics or Metrics()
        self._told = ""

    async def run(self) -> None:
        """Until cancelled. What is under way then is tried again when its time is over."""
        while True:
            try:
                while await self.attempt():
                    pass
            except Exception:
                log.exception("approvals could not be handed on; trying again")
            await self._sleep(_EVERY)

    async def attempt(self) -> bool:
        """Make one attempt; False if nothing is due, or there is nobody to send it to."""
        receiver = self._receiver()
        if receiver is None:
            return False
        attempt = await next_attempt(storage=self._storage, slack=self._slack, stack=self._stack(), now=self.now)
        if attempt is None:
            return False
        reply = await self._send(attempt, receiver)
        crashpoint("cp31")
        host = receiver.url.host
        outcome = await settle(attempt, reply, to=host, storage=self._storage, now=self.now)
        self._metrics.handed(attempt.event, outcome)
        if outcome is not Outcome.ACCEPTED:
            why = reply.told
            log.warning("an approval was not handed on", key=attempt.id, host=host, why=why, tries=attempt.number)
        return True

    def _receiver(self) -> Receiver | None:
        """None without a webhook, or without a secret, which is said once."""
        rules = self._stack().review
        if rules.webhook_url is None or rules.webhook_secret_env is None:
            return None
        try:
            signer = signer_of(rules.webhook_secret_env, self._environment.get(rules.webhook_secret_env))
            receiver = Receiver(url=httpx.URL(rules.webhook_url), signer=signer)
        except (NoSigner, httpx.InvalidURL) as problem:
            self._tell(str(problem))
            return None
        self._told = ""
        return receiver

    def _tell(self, problem: str) -> None:
        if problem != self._told:
            log.error("approvals wait to be handed on", why=problem)
        self._told = problem

    async def _send(self, attempt: Attempt, receiver: Receiver) -> Reply:
        """One POST. Of the answer only its status counts; a redirect is not followed."""
        client = open_client(origin_of(receiver.url), trusted_authorities())
        headers = _headers(attempt, receiver.signer, self.now())
        post = client.stream("POST", receiver.url, content=attempt.payload.encode(), headers=headers)
        try:
            async with asyncio.timeout(_PATIENCE), client, post as response:
                return Reply(status=response.status_code)
        except TimeoutError:
            return Reply(problem=f"no answer within {_PATIENCE:.0f} s")
        except (httpx.HTTPError, OSError) as problem:
            return Reply(problem=f"it could not be reached: {type(problem).__name__}")


def _headers(attempt: Attempt, signer: Signer, at: datetime) -> dict[str, str]:
    at = at.astimezone(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "countersign",
        "webhook-id": attempt.id,
        "webhook-timestamp": str(math.floor(at.timestamp())),
        "webhook-signature": signer.sign(msg_id=attempt.id, timestamp=at, data=attempt.payload),
    }
