from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.stack import Model, Price, ReviewRules, Stack


def a_model(**said: Any) -> dict[str, Any]:
    return {"wire": "openai", "id": "llama-of-peru", "base_url": "http://127.0.0.1:9/v1", **said}


def complaints(**tables: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Stack.model_validate(tables)
    return [error["msg"] for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
    ],
)
def test_an_endpoint_is_https_or_on_this_machine(said: str, meant: str) -> None:
    assert Model.model_validate(a_model(base_url=said)).base_url == meant


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("ftp://api.example.com", "must be a URL"),
        ("api.example.com/v1", "must be a URL"),
        ("https://", "must be a URL"),
        ("https://[half", "must be a URL"),
        ("https://api.example.com:port/", "must be a URL"),
        ("https://api.example.com:99999/", "must be a URL"),
        ("https://api.example .com/", "must be a URL"),
        ("https://api.example.com\\@evil.example/", "must be a URL"),
        ("https://ann:pw@api.example.com/", "user name"),
        ("https://ann@api.example.com/", "user name"),
        ("https://api.example.com/v1?key=x", "no query"),
        ("https://api.example.com/v1#top", "no query"),
        ("http://api.example.com/v1", "must be https"),
        ("http://10.0.0.8/v1", "must be https"),
        ("http://localhost.evil.example/v1", "must be https"),
        ("http://127.0.0.1.evil.example/v1", "must be https"),
    ],
)
def test_an_endpoint_that_could_leak_a_key_is_refused_and_why(said: str, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(a_model(base_url=said))
    assert complaint in str(caught.value)


def test_an_endpoint_that_carries_a_password_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(a_model(base_url="https://ann:mellon@moria.example"))
    assert "mellon" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("4h", timedelta(hours=4)),
        ("30m", timedelta(minutes=30)),
        ("7d", timedelta(days=7)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(said: str, meant: timedelta) -> None:
    assert ReviewRules.model_validate({"remind_after": said}).remind_after == meant


@pytest.mark.parametrize("said", ["4", "h", "4 hours", "-4h", "4.5h", "²h", "٤h", "99999999d", "", 5, True, None])
def test_anything_else_is_no_duration(said: object) -> None:
    with pytest.raises(ValidationError, match="whole number and a unit"):
        ReviewRules.model_validate({"remind_after": said})


@pytest.mark.parametrize("said", [date(2026, 11, 1), "2026-11-01"])
def test_a_price_says_the_day_it_was_checked(said: object) -> None:
    assert Price.model_validate({"input": 1, "output": 2, "checked": said}).checked == date(2026, 11, 1)


@pytest.mark.parametrize("said", [datetime(2026, 11, 1, tzinfo=UTC), "yesterday", 20261101, True])
def test_a_moment_or_a_number_is_no_day(said: object) -> None:
    with pytest.raises(ValidationError, match="must be a day"):
        Price.model_validate({"input": 1, "output": 2, "checked": said})


@pytest.mark.parametrize(
    "tables",
    [
        {"review": {"quorum": "2"}},
        {"review": {"quorum": True}},
        {"review": {"quorum": 2.0}},
        {"review": {"solo": "no"}},
        {"review": {"solo": 1}},
        {"budgets": {"run_usd": "1.00"}},
        {"budgets": {"run_usd": float("nan")}},
        {"budgets": {"run_usd": float("inf")}},
        {"models": {"hare": a_model(trust="3")}},
        {"models": {"hare": a_model(key_env="sk-1234")}},
    ],
)
def test_types_are_not_guessed(tables: dict[str, Any]) -> None:
    assert complaints(**tables)


def test_a_stack_cannot_be_changed_afterwards() -> None:
    stack = Stack.model_validate({"models": {"hare": a_model()}})
    with pytest.raises(ValidationError, match="frozen"):
        stack.models = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        stack.models["owl"] = stack.models["hare"]  # type: ignore[index]


def test_the_digest_is_of_the_values_and_survives_being_written_down() -> None:
    stack = Stack.model_validate(
        {
            "models": {"hare": a_model(price={"input": 1, "output": 2, "checked": date(2026, 11, 1)})},
            "policy": {"regulated": True},
        }
    )
    again = Stack.model_validate_json(stack.model_dump_json(by_alias=True))
    assert again == stack
    assert again.digest == stack.digest
    assert Stack.model_validate({"models": {"hare": a_model()}}).digest != stack.digest
