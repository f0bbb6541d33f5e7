"""Each message of ours is counted by how it came to be in Slack, or why it never will, and each doubt by its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from bot.metrics import Metrics
from bot.playground.server import Fault
from storage.records import Kind
from tests.bot.slack.desk import Desk


@pytest.fixture
def metrics(desk: Desk) -> Metrics:
    """What the desk's gateway counts in."""
    counting = Metrics()
    desk.chat = desk.another_chat(metrics=counting)
    return counting


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """What is logged, as JSON, with what each line is about."""
    stream = StringIO()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    yield stream
    structlog.reset_defaults()


def messages(metrics: Metrics, kind: str) -> dict[str, float]:
    """How often each outcome was met by messages of a kind."""
    samples = [s for family in metrics.registry.collect() for s in family.samples if s.name.endswith("messages_total")]
    return {s.labels["outcome"]: s.value for s in samples if s.labels["kind"] == kind}


def read_backs(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("countersign_read_backs_total", {"outcome": outcome}) or 0


async def test_a_post_an_edit_and_a_whisper_are_told_apart(desk: Desk, metrics: Metrics) -> None:
    work = await desk.work("w1")
    card = await desk.owes(work, "card", "Working", kind=Kind.CARD)
    await desk.delivers()
    await desk.revises(card, "Done")
    await desk.owes(work, "aside", "Only for you", person="U0ANN")
    await desk.delivers()
    assert messages(metrics, "root") == {"posted": 1}
    assert messages(metrics, "card") == {"posted": 1, "edited": 1}
    assert messages(metrics, "notice") == {"whispered": 1}


async def test_a_post_whose_reply_was_lost_is_found_and_not_posted_twice(desk: Desk, metrics: Metrics) -> None:
    work = await desk.work("w1")
    await desk.delivers()
    assert read_backs(metrics, "found") == 0
    desk.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    await desk.owes(work, "late", "Houba")
    await desk.delivers()
    assert messages(metrics, "notice") == {"found": 1}
    assert read_backs(metrics, "found") == 1


async def test_a_post_that_slack_never_took_is_looked_for_in_vain_and_posted(desk: Desk, metrics: Metrics) -> None:
    work = await desk.work("w1")
    await desk.delivers()
    before = read_backs(metrics, "absent")  # who begins doubts what it finds owed
    desk.slack.faults.add("chat.postMessage", Fault.SERVER_ERROR_BEFORE)
    await desk.owes(work, "late", "Houba")
    await desk.delivers()
    assert messages(metrics, "notice") == {"posted": 1}
    assert read_backs(metrics, "absent") == before + 1


async def test_what_slack_will_never_take_is_counted_as_given_up(desk: Desk, metrics: Metrics) -> None:
    work = await desk.work("w1")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.ERROR("msg_too_long"))
    await desk.owes(work, "late", "Houba")
    await desk.delivers()
    assert messages(metrics, "notice") == {"given_up": 1}


async def test_a_line_about_a_delivery_names_its_work_and_its_slot(desk: Desk, lines: StringIO) -> None:
    desk.chat = desk.another_chat()
    work = await desk.work("w1")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.SERVER_ERROR_BEFORE)
    slot = await desk.owes(work, "late", "A secret of the marsupilami")
    await desk.delivers()
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    (undelivered,) = [line for line in told if line["event"] == "not delivered yet"]
    assert (undelivered["work"], undelivered["slot"], undelivered["failures"]) == ("w1", slot, 1)
    assert "marsupilami" not in lines.getvalue()
