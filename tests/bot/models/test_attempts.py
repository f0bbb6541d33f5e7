"""When a model is asked again, how long the bot waits before that, and when it stops asking."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models.assigned import AssignedModels
from bot.models.waiting import asked_wait, pause
from bot.playground.scripted import Fault, Recorded, Reply, ScriptedModels
from handlers.errors import ModelFailed
from handlers.ports import Assignment, ModelAnswer, Settle, Unanswered
from handlers.stack import Model
from tests.bot.models.conftest import PROMPT, Asking
from tests.fakes import at_no_cost, until

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def one_by_one(*replies: Reply) -> Callable[[Recorded], Reply]:
    waiting: Iterator[Reply] = iter(replies)
    return lambda _: next(waiting)


async def test_an_answer_after_two_faults_tells_how_often_it_was_asked_for(asking: Asking) -> None:
    asking.endpoint.answers = one_by_one(
        Reply(status=503), Reply(text="half", fault=Fault.CUT_BEFORE_FINISH), Reply(text="whole")
    )

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelAnswer)
    assert (outcome.text, outcome.attempts) == ("whole", 3)


async def test_the_pauses_grow(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(status=500)

    await asking.outcome(asking.assignment())

    assert asking.waits == [1.0, 4.0]


async def test_the_endpoint_says_how_long_to_wait(asking: Asking) -> None:
    asking.endpoint.answers = one_by_one(
        Reply(status=429, headers={"Retry-After": "17"}),
        Reply(status=429, headers={"Retry-After-Ms": "2500"}),
        Reply(text="there you are"),
    )

    await asking.outcome(asking.assignment())

    assert asking.waits == [17.0, 4.0]


async def test_a_wait_longer_than_the_ask_may_take_ends_it_at_once_and_is_passed_on(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(status=429, headers={"Retry-After": "3600"}, error="Slow down.")

    outcome = await asking.outcome(asking.assignment(seconds=60))

    assert isinstance(outcome, ModelFailed)
    assert (asking.waits, outcome.retry_after, outcome.retryable) == ([], 3_600.0, True)
    assert outcome.sentence == (
        "fast answered HTTP 429 (too many requests), tried once; its endpoint says “Slow down”."
    )


async def test_a_spent_quota_is_not_tried_again(asking: Asking) -> None:
    body = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    asking.endpoint.answers = lambda _: Reply(status=429, body=body)

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelFailed)
    assert (len(asking.endpoint.requests), outcome.retryable) == (1, False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": format_datetime(NOON + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(NOON - timedelta(days=1), usegmt=True)}, None),
        ({"retry-after": "Sun, 99 Nov 9999 25:61:61 GMT"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "-1", "retry-after": "4"}, 4.0),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"x-ratelimit-reset-ms": "30000"}, 30.0),
        ({"x-ratelimit-reset": str(int((NOON.timestamp() + 20) * 1_000))}, 20.0),
        ({"x-ratelimit-reset": str(int((NOON.timestamp() - 20) * 1_000))}, None),
        ({"x-ratelimit-reset": "59"}, None),
    ],
)
def test_what_the_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    told = asked_wait({"date": format_datetime(NOON, usegmt=True), **headers})

    assert told == (None if seconds is None else pytest.approx(seconds))


@given(st.dictionaries(st.sampled_from(["date", "retry-after", "retry-after-ms", "x-ratelimit-reset"]), st.text()))
def test_no_header_makes_a_wait_that_is_not_one(headers: dict[str, str]) -> None:
    told = asked_wait(headers)

    assert told is None or (math.isfinite(told) and 0 <= told <= 7 * 86_400)


@given(st.integers(1, 3), st.floats(0, 1), st.none() | st.floats(0, 1_000))
def test_a_pause_is_never_shorter_than_asked(faults: int, jitter: float, asked: float | None) -> None:
    assert pause(faults, jitter=jitter, asked=asked) >= 0.5
    assert pause(faults, jitter=jitter, asked=asked) >= (asked or 0)


@pytest.mark.parametrize(
    ("stumbles", "changed"),
    [
        ("Unknown field: stream_options", {"stream_options": None}),
        ("Unsupported value: 'temperature' does not support 0.4 with this model.", {"temperature": None}),
        (
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            {"max_tokens": None, "max_completion_tokens": 300},
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_a_field_the_endpoint_does_not_know_is_spared_at_once_and_from_then_on(
    asking: Asking, stumbles: str, changed: dict[str, int | None], status: int
) -> None:
    field = next(iter(changed))
    asking.endpoint.answers = lambda recorded: (
        Reply(status=status, error=stumbles) if field in recorded.body else Reply(text="there you are")
    )

    first = await asking.outcome(asking.assignment())
    requests = list(asking.endpoint.requests)
    second = await asking.outcome(asking.assignment())

    assert isinstance(first, ModelAnswer)
    assert isinstance(second, ModelAnswer)
    assert (first.attempts, second.attempts, asking.waits) == (2, 1, [])
    assert {name: requests[1].body.get(name) for name in changed} == changed


async def test_each_field_is_spared_once_and_a_stubborn_400_ends_it(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(status=400, error="temperature and max_tokens and stream_options")

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelFailed)
    assert (outcome.code, len(asking.endpoint.requests)) == ("http_400", 2)


async def test_a_model_that_knows_neither_field_is_asked_without_both(asking: Asking) -> None:
    def answers(recorded: Recorded) -> Reply:
        if "max_tokens" in recorded.body:
            return Reply(status=400, error="Unsupported parameter: 'max_tokens'")
        if "temperature" in recorded.body:
            return Reply(status=400, error="Unsupported value: 'temperature'")
        return Reply(text="there you are")

    asking.endpoint.answers = answers

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelAnswer)
    assert outcome.attempts == 3


async def test_what_did_not_help_is_not_remembered(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(status=400, error="stream_options")
    await asking.outcome(asking.assignment())
    asking.endpoint.answers = lambda _: Reply(text="there you are")

    await asking.outcome(asking.assignment())

    assert "stream_options" in asking.endpoint.requests[0].body


async def test_the_time_limit_is_of_the_whole_attempt(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(text="word " * 200, pace=6)

    outcome = await asking.outcome(asking.assignment(seconds=0.3))

    assert isinstance(outcome, ModelFailed)
    assert outcome.sentence == "fast did not finish within 0.3 s, tried once."


async def test_a_model_may_think_longer_than_it_may_pause(asking: Asking) -> None:
    async def answers(_: Recorded) -> Reply:
        await asyncio.sleep(3)
        return Reply(text="at last")

    asking.endpoint.answers = answers
    asking.no_pause_beyond(2)

    outcome = await asking.outcome(asking.assignment())

    assert isinstance(outcome, ModelAnswer)


@pytest.mark.parametrize("value", [None, "", "  ", "sk-\u2028canary", "two words"])
async def test_a_key_that_is_missing_or_unusable_is_named_by_its_variable(value: str | None) -> None:
    models = AssignedModels(environment={} if value is None else {"MARSU_KEY": value})
    model = Model(wire="openai", id="houba-1", base_url="http://127.0.0.1:9/v1", key_env="MARSU_KEY")

    with pytest.raises(ModelFailed, match="MARSU_KEY") as failed:
        await models.ask(Assignment(key="fast", model=model, timeout_seconds=5), PROMPT, before=at_no_cost)

    assert failed.value.code == "no_key"
    assert "canary" not in failed.value.sentence


@pytest.mark.parametrize(
    "base_url", ["", "fast", "ftp://x/v1", "http://", "http://me:secret@x/v1", "http://[::/v1", "file:///etc"]
)
async def test_an_address_that_is_none_is_a_sentence(asking: Asking, base_url: str) -> None:
    model = Model(wire="openai", id="houba-1", base_url="https://houba.invalid").model_copy(
        update={"base_url": base_url}
    )

    outcome = await asking.outcome(Assignment(key="fast", model=model, timeout_seconds=5))

    assert isinstance(outcome, ModelFailed)
    assert outcome.sentence == "fast cannot be asked: its base_url is no plain http or https address."
    assert outcome.code == "bad_address"


async def test_a_closed_port_is_tried_three_times(asking: Asking) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"

        outcome = await asking.outcome(asking.assignment(base_url=base_url))

    assert isinstance(outcome, ModelFailed)
    assert outcome.sentence == "fast could not be reached (connection refused), tried 3 times."


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (
            _caused(httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known")),
            "unreachable",
            "fast could not be reached (its host name is not known), tried 3 times.",
        ),
        (
            _caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError("self-signed certificate")),
            "tls",
            "fast could not be asked: its certificate is not accepted, tried once.",
        ),
        (
            _caused(httpx.ConnectError("x"), ssl.SSLError("wrong version number")),
            "tls",
            "fast could not agree on encryption, tried 3 times.",
        ),
        (httpx.ConnectTimeout("x"), "unreachable", "fast could not be reached in time, tried 3 times."),
        (httpx.PoolTimeout("x"), "unreachable", "fast could not be asked: no connection was free, tried 3 times."),
        (httpx.ReadTimeout("x"), "cut", "fast broke the connection before it answered, tried 3 times."),
        (httpx.WriteError("x"), "cut", "fast broke the connection before it answered, tried 3 times."),
        (
            httpx.LocalProtocolError("Illegal header value b'Bearer sk-canary'"),
            "bad_address",
            "fast could not be asked: the request cannot be sent to its address, tried once.",
        ),
    ],
)
async def test_a_connection_that_fails_is_told_in_plain_words(fault: Exception, code: str, sentence: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise fault

    async def sleep(_: float) -> None: ...

    models = AssignedModels(
        environment={},
        sleep=sleep,
        client_factory=lambda *_: httpx.AsyncClient(transport=httpx.MockTransport(fail)),
    )
    model = Model(wire="anthropic", id="houba-1", base_url="https://houba.invalid")

    with pytest.raises(ModelFailed) as failed:
        await models.ask(Assignment(key="fast", model=model, timeout_seconds=60), PROMPT, before=at_no_cost)

    await models.aclose()
    assert (failed.value.code, failed.value.sentence) == (code, sentence)
    assert failed.value.__cause__ is None


async def test_each_attempt_is_counted_by_stage_model_and_what_came_of_it(asking: Asking) -> None:
    asking.endpoint.answers = one_by_one(
        Reply(status=503), Reply(text="half", fault=Fault.CUT_BEFORE_FINISH), Reply(text="whole")
    )
    await asking.models.ask(replace(asking.assignment(), stage="critique"), PROMPT, before=at_no_cost)
    of = {"stage": "critique", "model": "fast"}

    def counted(name: str, **labels: str) -> float | None:
        return asking.models._metrics.registry.get_sample_value(f"countersign_model_{name}", of | labels)

    for outcome in ("http_5xx", "cut", "answered"):
        assert counted("attempts_total", outcome=outcome) == 1
    assert counted("retries_total") == 2
    assert counted("seconds_count") == 1


async def test_an_attempt_that_is_called_off_is_counted_as_such(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(fault=Fault.HANG_BEFORE_BYTES)
    call = asyncio.create_task(
        asking.models.ask(replace(asking.assignment(), stage="draft"), PROMPT, before=at_no_cost)
    )
    await until(lambda: bool(asking.endpoint.requests))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    labels = {"stage": "draft", "model": "fast", "outcome": "cancelled"}
    registry = asking.models._metrics.registry
    assert registry.get_sample_value("countersign_model_attempts_total", labels) == 1


class Purse:
    """A Before that remembers when it was awaited and what it was told, and has room for so many attempts."""

    def __init__(self, endpoint: ScriptedModels, room: int = 99) -> None:
        self.endpoint, self.room = endpoint, room
        self.asked_before: list[int] = []
        self.told: list[str] = []

    async def __call__(self) -> Settle:
        self.asked_before.append(len(self.endpoint.requests))
        if len(self.asked_before) > self.room:
            raise ModelFailed("There is no money left.", code="budget")

        async def settle(came: ModelAnswer | Unanswered) -> None:
            self.told.append(came.text if isinstance(came, ModelAnswer) else came.value)

        return settle


async def with_purse(asking: Asking, purse: Purse, assignment: Assignment | None = None) -> ModelAnswer | ModelFailed:
    try:
        return await asking.models.ask(assignment or asking.assignment(), PROMPT, before=purse)
    except ModelFailed as failed:
        return failed


async def test_each_attempt_is_announced_before_it_is_made_and_settled_after(asking: Asking) -> None:
    asking.endpoint.answers = one_by_one(
        Reply(status=400, error="temperature"),
        Reply(status=429),
        Reply(text="half", fault=Fault.CUT_BEFORE_FINISH),
        Reply(text="whole"),
    )
    purse = Purse(asking.endpoint)

    await with_purse(asking, purse)

    assert purse.asked_before == [0, 1, 2, 3]
    assert purse.told == ["free", "free", "maybe_billed", "whole"]


async def test_what_is_kept_off_is_not_asked_and_says_what_came_before(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(status=429)
    purse = Purse(asking.endpoint, room=2)

    outcome = await with_purse(asking, purse)

    assert isinstance(outcome, ModelFailed)
    assert (len(asking.endpoint.requests), outcome.code) == (2, "budget")
    assert outcome.sentence.startswith("fast answered HTTP 429 (too many requests), tried 2 times")
    assert outcome.sentence.endswith(". There is no money left.")

    nothing = Purse(asking.endpoint, room=0)
    outcome = await with_purse(asking, nothing)

    assert isinstance(outcome, ModelFailed)
    assert (len(asking.endpoint.requests), outcome.sentence) == (2, "There is no money left.")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=401), "free"),
        (Reply(status=400, error="maximum context length"), "free"),
        (Reply(status=503), "free"),
        (Reply(status=529), "free"),
        (Reply(fault=Fault.REDIRECT), "free"),
        (Reply(status=500), "maybe_billed"),
        (Reply(status=502), "maybe_billed"),
        (Reply(status=504), "maybe_billed"),
        (Reply(fault=Fault.RESET), "maybe_billed"),
        (Reply(text="half", fault=Fault.ERROR_EVENT), "maybe_billed"),
        (Reply(fault=Fault.HTML), "maybe_billed"),
        (Reply(fault=Fault.TOOL_CALL), "maybe_billed"),
        (Reply(text="Half", fault=Fault.NO_STOP_REASON), "maybe_billed"),
    ],
)
async def test_only_what_was_not_carried_out_is_free(asking: Asking, reply: Reply, told: str) -> None:
    asking.endpoint.answers = lambda _: reply
    purse = Purse(asking.endpoint)

    await with_purse(asking, purse)

    assert set(purse.told) == {told}


async def test_who_is_not_reached_bills_nothing(asking: Asking) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        purse = Purse(asking.endpoint)

        await with_purse(asking, purse, asking.assignment(base_url=base_url))

    assert purse.told == ["free"] * 3


async def test_of_an_attempt_that_is_called_off_nobody_knows_what_it_costs(asking: Asking) -> None:
    asking.endpoint.answers = lambda _: Reply(fault=Fault.HANG_BEFORE_BYTES)
    purse = Purse(asking.endpoint)
    call = asyncio.create_task(with_purse(asking, purse))
    await until(lambda: bool(asking.endpoint.requests))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (purse.asked_before, purse.told) == ([0], [])
