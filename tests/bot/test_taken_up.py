"""Whoever takes a letter or a run up names it in every line written meanwhile, and counts what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from bot import intake
from bot.intake import handle
from bot.queue import Embedded, perform_in_order
from handlers.errors import Refusal
from handlers.ports import LookupFailed
from handlers.review import NotYet
from storage.errands import Subject
from storage.records import Run, RunState
from tests.bot.test_intake import Desk
from tests.fakes import until
from tests.handlers.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


async def look_after(desk: Desk) -> tuple[list[Any], dict[str, float]]:
    """Handle one request: what was logged, with what it is about, and what was counted."""
    letter = await desk.keeps(desk.house.request("draft", "Announce"))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await handle(await desk.get(letter.key), desk.tools)
    family = next(f for f in desk.tools.metrics.registry.collect() if f.name == "countersign_letters_handled")
    return lines, {s.labels["outcome"]: s.value for s in family.samples if s.name.endswith("_total")}


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (None, "done"),
        (Refusal("Not today."), "refused"),
        (NotYet(), "put_off"),
        (LookupFailed("users.info: timeout"), "put_off"),
        (ValueError("a bug of ours"), "put_off"),
    ],
)
async def test_a_letter_is_counted_by_what_became_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch, problem: Exception | None, outcome: str
) -> None:
    async def handler(*_: Any) -> None:
        if problem is not None:
            raise problem

    monkeypatch.setattr(intake, "_handle", handler)
    _, counted = await look_after(Desk(house))
    assert counted == {outcome: 1}


async def test_a_letter_that_cannot_be_read_is_counted_as_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_read", lambda _: None)
    _, counted = await look_after(Desk(house))
    assert counted == {"given_up": 1}


async def test_a_letter_is_named_in_whatever_is_logged_while_it_is_handled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(*_: Any) -> None:
        structlog.get_logger("deep inside").warning("something is odd")
        raise ValueError("a bug of ours")

    monkeypatch.setattr(intake, "_handle", handler)
    lines, _ = await look_after(Desk(house))
    named = [(line["event"], line["letter"].partition("/")[0]) for line in lines]
    assert named == [("something is odd", "command"), ("a letter could not be handled", "command")]
    assert get_contextvars() == {}


class Performed:
    """Performs by ending the run, and keeps what a line written meanwhile would name."""

    def __init__(self, house: House) -> None:
        self.house, self.named = house, dict[str, Any]()

    async def __call__(self, run: Run) -> None:
        async with self.house.storage.transaction() as saved:
            assert await saved.runs.leave(run, RunState.ANSWERED, at=self.house.now())
        self.named = get_contextvars()


async def test_a_run_is_named_while_it_is_performed_in_one_process(house: House) -> None:
    run, performed = await house.asks("draft", "Announce"), Performed(house)
    courier = Embedded(storage=house.storage, perform=performed, now=house.now)
    house.storage.on_errand(Subject.WORK, courier.wake)
    serving = asyncio.create_task(courier.serve())
    await until(lambda: bool(performed.named))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert performed.named == {"work": run.work_id, "run": run.id, "stage": "draft"}


async def test_a_run_is_named_while_it_is_performed_among_many_processes(house: House) -> None:
    run, performed = await house.asks("draft", "Announce"), Performed(house)
    await perform_in_order(run.work_id, storage=house.storage, perform=performed, now=house.now)
    assert performed.named == {"work": run.work_id, "run": run.id, "stage": "draft"}
    assert get_contextvars() == {}
