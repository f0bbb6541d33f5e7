from __future__ import annotations

from collections.abc import Callable

import pytest

from handlers.errors import ModelFailed, Refusal
from handlers.ports import Assignment, Before, LookupFailed, ModelAnswer, Place, Prompt
from handlers.still_allowed import see_that_it_may_go_on
from storage.records import RunState
from tests.fakes import FakeModels, a_stack
from tests.handlers.house import ANN, LAUNCH, House

CHANGES = {
    "shared": (Place(id=LAUNCH, is_external=True), "shared with another organisation"),
    "archived": (Place(id=LAUNCH, is_archived=True), "archived"),
    "put out": (Place(id=LAUNCH, is_member=False), "I am not in this channel"),
    "of no known kind": (Place(id=LAUNCH, is_strange=True), "who reads along"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_became_of_the_channel_since_somebody_asked_keeps_its_words_from_every_model(
    house: House, change: str
) -> None:
    run = await house.asks("draft", "Announce the open cage")
    house.slack.places[LAUNCH], says = CHANGES[change]
    await house.runs_all()
    assert house.models.asked == []
    assert (await house.run(run)).state is RunState.REFUSED
    assert says in await house.card_of(run)


async def test_where_outsiders_are_allowed_the_run_goes_on(house: House) -> None:
    house.stack = a_stack(channels={LAUNCH: {"external": True}})
    run = await house.asks("draft", "Announce the open cage")
    house.slack.places[LAUNCH] = Place(id=LAUNCH, is_external=True)
    await house.runs_all()
    assert (await house.run(run)).state is RunState.ANSWERED


class Silent:
    """Slack, which says nothing the first so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.slept = times, list[float]()
        self.waits: list[str] = []

    async def place(self, channel: str, *, now: bool = False) -> Place:
        assert now
        if len(self.slept) < self.times:
            raise LookupFailed("conversations.info: no answer")
        return Place(id=channel)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def looks(house: House, slack: Silent) -> None:
    run = await house.asks("draft", "Announce the open cage", person=ANN)
    work = await house.work(run.work_id)
    await see_that_it_may_go_on(work, house.stack, slack=slack, waits=slack.waits.append, sleep=slack.sleep)  # type: ignore[arg-type]  # it asks for nothing else


async def test_while_slack_says_nothing_the_run_waits_and_says_so(house: House) -> None:
    slack = Silent(times=3)
    await looks(house, slack)
    assert slack.waits == ["Slack does not say whether this channel may still be worked in"] * 3 + [""]


async def test_silence_for_five_minutes_is_never_a_yes(house: House) -> None:
    slack = Silent(times=99)
    with pytest.raises(ModelFailed, match="nothing was sent to a model") as told:
        await looks(house, slack)
    assert told.value.code == "place_unknown"
    assert 280 <= sum(slack.slept) <= 320
    assert not isinstance(told.value, Refusal)


class InLine(FakeModels):
    """Models whose place comes free only after a while, in which something happens."""

    def __init__(self, house: House, happens: Callable[[], None], *, seconds: float) -> None:
        super().__init__()
        self.house, self.happens, self.seconds = house, happens, seconds

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        self.house.now.goes_on(seconds=self.seconds)
        self.happens()
        return await super().ask(assignment, prompt, before=before)


@pytest.mark.parametrize("change", CHANGES)
async def test_whoever_waited_for_a_model_looks_again_before_it_is_asked(house: House, change: str) -> None:
    place, says = CHANGES[change]
    house.models = InLine(house, lambda: house.slack.places.update({LAUNCH: place}), seconds=60)
    run = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    assert house.models.asked == []
    assert (await house.run(run)).state is RunState.REFUSED
    assert says in await house.card_of(run)
    async with house.storage.reading() as saved:
        assert await saved.spendings.of_run(run.id) == []


async def test_who_did_not_wait_asks_slack_once(house: House) -> None:
    house.models = InLine(house, lambda: None, seconds=1)
    await house.asks("draft", "Announce the open cage")
    house.slack.asked.clear()
    await house.runs_all()
    assert len(house.slack.asked) == 1


async def test_where_slack_falls_silent_meanwhile_no_other_model_is_tried(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.still_allowed._PAUSES", (0.0,))
    house.stack = a_stack(stages={"draft": {"model": "quick", "fallbacks": ["careful"]}})
    house.models = InLine(house, lambda: house.slack.silent_about.add("place"), seconds=60)
    run = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    assert house.models.asked == []
    assert (await house.run(run)).error_code == "place_unknown"
    assert (await house.card_of(run)).count("Slack has not told me") == 1
