from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handlers.cooling import LONGEST, OLD, after, in_words, rests
from handlers.errors import ModelFailed
from handlers.stack import Model
from storage.records import Cooldown

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SNAIL = Model.model_validate({"wire": "openai", "id": "snail-1", "base_url": "http://127.0.0.1:9/v1"})


def failed(code: str = "http_503", *, retryable: bool = True, retry_after: float | None = None) -> ModelFailed:
    return ModelFailed("snail sleeps.", code=code, retryable=retryable, retry_after=retry_after)


def before(failures: int, ago: timedelta = timedelta(minutes=1)) -> Cooldown:
    return Cooldown(endpoint=SNAIL.endpoint, failures=failures, code="http_503", at=NOON - ago)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, None), (1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (60, 300)],
)
def test_each_failure_in_a_row_costs_a_longer_rest_and_the_first_none(failures: int, seconds: int | None) -> None:
    now = after(failed(), SNAIL, before(failures) if failures else None, began=NOON, now=NOON)
    assert now is not None
    assert now.failures == failures + 1
    assert now.until == (None if seconds is None else NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("asked", "failures", "seconds"), [(40, 0, 40), (5, 1, 15), (40, 1, 40), (86_400, 0, 300), (0, 0, None)]
)
def test_an_endpoint_that_says_when_to_come_back_is_believed_within_reason(
    asked: float, failures: int, seconds: int | None
) -> None:
    now = after(
        failed("http_429", retry_after=asked), SNAIL, before(failures) if failures else None, began=NOON, now=NOON
    )
    assert now is not None
    assert now.until == (None if seconds is None else NOON + timedelta(seconds=seconds))


def test_what_failed_long_ago_does_not_count() -> None:
    now = after(failed(), SNAIL, before(5, ago=OLD), began=NOON, now=NOON)
    assert now is not None
    assert (now.failures, now.until) == (1, None)
    assert LONGEST < OLD  # else nobody would ever rest as long as that


def test_many_runs_that_see_the_same_trouble_are_one_failure() -> None:
    then, known = NOON - timedelta(minutes=2), before(1, ago=timedelta(seconds=30))
    assert after(failed(), SNAIL, known, began=then, now=NOON) == replace(known, at=NOON)


@pytest.mark.parametrize("code", ["http_401", "no_key", "refusal", "context_too_long", "redirected", "budget"])
def test_what_no_waiting_mends_costs_no_rest(code: str) -> None:
    assert after(failed(code, retryable=False), SNAIL, before(3), began=NOON, now=NOON) is None


def test_a_model_that_takes_all_its_time_rests_too() -> None:
    assert after(failed("timeout", retryable=False), SNAIL, before(1), began=NOON, now=NOON) is not None


def test_who_rests_says_until_when_and_why() -> None:
    until = NOON + timedelta(seconds=90)
    cooling = {SNAIL.endpoint: Cooldown(endpoint=SNAIL.endpoint, failures=3, code="http_429", at=NOON, until=until)}
    told = "snail rests until 12:01 UTC: it answered HTTP 429, 3 times in a row."
    assert rests("snail", SNAIL, cooling, NOON) == told
    assert rests("snail", SNAIL, cooling, until) is None
    assert rests("snail", SNAIL, {}, NOON) is None


def test_what_an_endpoint_did_is_said_in_words() -> None:
    assert in_words("unreachable") == "could not be reached"
    assert in_words("something_new") == "gave no answer"
