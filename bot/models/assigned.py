"""The models of the stack, asked over their wires: port `Models`.

`Assignment.timeout_seconds` bounds one attempt, from its first byte out to its last byte in. A whole ask, with its
attempts and the waits between them, takes at most twice that; waiting for a free place under the model's
`concurrency` comes before it and is bounded by the caller.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import httpx
import structlog
from pydantic import SecretStr

from bot.metrics import Metrics
from bot.models.anthropic import AnthropicWire
from bot.models.clients import Clients, open_client
from bot.models.egress import Origin, origin_of
from bot.models.errors import AttemptFailed, Code, OptionalField, sentence
from bot.models.exchange import Exchange, Key
from bot.models.gate import LocalSeats
from bot.models.openai import OpenAIWire
from bot.models.provider_errors import clean
from bot.models.waiting import pause
from bot.models.wire import Wire
from handlers.errors import ModelFailed
from handlers.permission import barred_now
from handlers.ports import Assignment, Before, ModelAnswer, Prompt, Seats, Sleep, Unanswered
from handlers.stack import Stack

log = structlog.get_logger(__name__)

ATTEMPTS = 3
_WHOLE_ASK = 2.0
_SILENCE = 60.0
_WIRES: Mapping[Literal["openai", "anthropic"], Wire] = {"openai": OpenAIWire(), "anthropic": AnthropicWire()}


class AssignedModels:
    """Asks the assigned model, three times where that may help; each failure is one sentence for the thread.

    Args:
        environment: where each model's `key_env` is looked up, at every ask.
        sleep: how to wait between attempts.
        random: a number between 0 and 1, so that many who failed together do not return together.
        client_factory: opens the client for an origin.
        silence_seconds: how long an answer may pause once its words have begun.
        metrics: what attempts are counted in.
        seats: who may ask now; by default nobody else is there.
        stack: the stack in use, whose policies hold beside those an assignment brings; None: those alone.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        sleep: Sleep = asyncio.sleep,
        random: Callable[[], float] = random.random,
        client_factory: Callable[[Origin, ssl.SSLContext], httpx.AsyncClient] = open_client,
        silence_seconds: float = _SILENCE,
        metrics: Metrics | None = None,
        seats: Seats | None = None,
        stack: Callable[[], Stack | None] = lambda: None,
    ) -> None:
        self._environment = environment
        self._sleep = sleep
        self._random = random
        self._silence = silence_seconds
        self._metrics = metrics or Metrics()
        self._clients = Clients(client_factory)
        self._seats = seats or LocalSeats()
        self._stack = stack
        # What an endpoint turned out not to know, so that the next request spares it.
        self._without: dict[tuple[str, str], frozenset[OptionalField]] = {}

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        """The model's whole answer. Raises ModelFailed; cancelling the task aborts the call."""
        try:
            secret = self._secret(assignment)
            url = _address(assignment)
        except AttemptFailed as failed:
            raise ModelFailed(sentence(assignment.key, failed, asked=0, said=""), code=failed.code) from None
        async with self._seats.within(assignment):
            return await self._attempts(assignment, prompt, url, secret, before)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._clients.aclose()

    async def _attempts(
        self, assignment: Assignment, prompt: Prompt, url: httpx.URL, secret: SecretStr | None, before: Before
    ) -> ModelAnswer:
        now = asyncio.get_running_loop().time
        ends = now() + _WHOLE_ASK * assignment.timeout_seconds
        model = (assignment.model.base_url, assignment.model.id)
        without = self._without.get(model, frozenset())
        asked = faults = 0
        last: AttemptFailed | None = None
        while True:
            waits = now()
            try:
                settle = await before()
            except ModelFailed as kept_off:
                raise _after(last, kept_off, assignment.key, asked=asked, secret=secret) from None
            ends += now() - waits  # that was no time of the model's
            try:
                self._may_be_asked(assignment, asked)
            except ModelFailed:
                await settle(Unanswered.FREE)
                raise
            asked += 1
            exchange = self._exchange(assignment, prompt, url, secret, without, left=ends - now())
            try:
                with self._clients.to(origin_of(url)) as client:
                    answer = await self._attempt(assignment, exchange, client)
            except AttemptFailed as failed:
                last = failed
                await settle(Unanswered.FREE if failed.is_free else Unanswered.MAYBE_BILLED)
                if failed.without is not None and failed.without not in without:
                    # Asked again without it, once a field; that is a correction and no retry.
                    without |= {failed.without}
                    continue
                faults += 1
                wait = pause(faults, jitter=self._random(), asked=failed.retry_after)
                if not failed.retryable or faults >= ATTEMPTS or wait >= ends - now():
                    raise _model_failed(assignment.key, failed, asked=asked, secret=secret) from None
                self._metrics.retried(assignment.stage, assignment.key)
                log.info(
                    "model is asked again", model=assignment.key, code=failed.code, asked=asked, wait=round(wait, 2)
                )
            else:
                await settle(answer)
                self._without[model] = without
                return replace(answer, attempts=asked)
            await self._sleep(wait)

    def _may_be_asked(self, assignment: Assignment, asked: int) -> None:
        """Raises ModelFailed where the policy forbids it at this moment: nothing is sent to who may not have it."""
        if why := barred_now(assignment, self._stack()):
            word = "was not asked again" if asked else "was not asked"
            failed = AttemptFailed(Code.BARRED, f"{word}: {why}")
            raise ModelFailed(sentence(assignment.key, failed, asked=0, said=""), code=failed.code)

    async def _attempt(self, assignment: Assignment, exchange: Exchange, client: httpx.AsyncClient) -> ModelAnswer:
        """Ask once, and count it by what came of it."""
        began, outcome = time.perf_counter(), "broken"
        try:
            answer = await exchange.over(client)
        except AttemptFailed as failed:
            outcome = failed.code
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        else:
            outcome = "answered"
            return answer
        finally:
            self._metrics.attempted(assignment.stage, assignment.key, outcome, time.perf_counter() - began)

    def _exchange(
        self,
        assignment: Assignment,
        prompt: Prompt,
        url: httpx.URL,
        secret: SecretStr | None,
        without: frozenset[OptionalField],
        *,
        left: float,
    ) -> Exchange:
        wire = _WIRES[assignment.model.wire]
        return Exchange(
            wire=wire,
            url=url,
            body=wire.body(assignment.model.id, prompt, without),
            key=Key(wire, secret) if secret else None,
            key_named=assignment.model.key_env,
            seconds=max(0.0, min(assignment.timeout_seconds, left)),
            silence=self._silence,
        )

    def _secret(self, assignment: Assignment) -> SecretStr | None:
        name = assignment.model.key_env
        if name is None:
            return None
        secret = self._environment.get(name, "").strip()
        if not secret:
            raise AttemptFailed(Code.NO_KEY, f"cannot be asked: its key is to stand in {name}, which is not set")
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise AttemptFailed(Code.NO_KEY, f"cannot be asked: what stands in {name} cannot be a key")
        return SecretStr(secret)


def _address(assignment: Assignment) -> httpx.URL:
    wire = _WIRES[assignment.model.wire]
    try:
        url = httpx.URL(assignment.model.base_url.rstrip("/") + wire.path)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise AttemptFailed(Code.BAD_ADDRESS, "cannot be asked: its base_url is no plain http or https address")
    return url


def _after(
    last: AttemptFailed | None, kept_off: ModelFailed, key: str, *, asked: int, secret: SecretStr | None
) -> ModelFailed:
    """Why a model was not asked again, with what came of it before."""
    if last is None:
        return kept_off
    before = _model_failed(key, last, asked=asked, secret=secret)
    return ModelFailed(f"{before.sentence} {kept_off.sentence}", code=kept_off.code)


def _model_failed(key: str, failed: AttemptFailed, *, asked: int, secret: SecretStr | None) -> ModelFailed:
    said = clean(failed.said, secret=secret.get_secret_value() if secret else "")
    return ModelFailed(
        sentence(key, failed, asked=asked, said=said),
        code=failed.code,
        retryable=failed.retryable,
        retry_after=failed.retry_after,
    )
