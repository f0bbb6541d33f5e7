from __future__ import annotations

import pytest

from handlers.errors import ModelFailed, Refusal
from handlers.ports import LookupFailed, Place
from handlers.still_allowed import see_that_it_may_go_on
from storage.records import RunState
from tests.fakes import a_stack
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
