"""Words for one person's eyes: they reach only them, and are never said twice."""

from __future__ import annotations

import pytest

from bot.playground.server import Fault
from tests.bot.slack.desk import LOSSES, Desk


async def test_words_for_one_person_reach_only_them_in_the_thread(desk: Desk) -> None:
    work = await desk.work("lemur")
    await desk.owes(work, "hint", "You asked for this text.", person="U0ANN")
    await desk.delivers()
    [hint] = desk.slack.ephemerals("ann")
    assert (hint.visible, hint.thread_ts) == ("You asked for this text.", (await desk.again(work)).thread_ts)
    assert await desk.shown(work) == ["About lemur"]


@pytest.mark.parametrize("loss", ["the reply is lost", "a time-out after it was done", "a 500 after it was done"])
async def test_words_for_one_person_are_not_repeated_when_nobody_knows_whether_they_arrived(
    desk: Desk, loss: str
) -> None:
    work = await desk.work("loris")
    desk.slack.faults.add("chat.postEphemeral", LOSSES[loss])
    await desk.owes(work, "hint", "Slowly.", person="U0ANN")
    await desk.delivers()
    await desk.chat.settled()
    assert [hint.visible for hint in desk.slack.ephemerals("ann")] == ["Slowly."]


async def test_words_for_one_person_survive_what_certainly_stopped_them(desk: Desk) -> None:
    work = await desk.work("potoo")
    desk.slack.faults.add("chat.postEphemeral", Fault.RATE_LIMITED(3))
    desk.slack.faults.add("chat.postEphemeral", Fault.ERROR("invalid_auth"))
    await desk.owes(work, "hint", "Sits very still.", person="U0ANN")
    desk.starts()
    await desk.slack.until(lambda: desk.slack.ephemerals("ann"))
    await desk.delivers()
    assert [hint.visible for hint in desk.slack.ephemerals("ann")] == ["Sits very still."]


async def test_words_for_one_person_are_not_repeated_by_the_next_process(desk: Desk) -> None:
    work = await desk.work("colugo")
    desk.slack.faults.add("chat.postEphemeral", Fault.HANG_AFTER)
    await desk.owes(work, "hint", "It glides.", person="U0ANN")
    desk.starts()
    await desk.slack.until(lambda: desk.slack.ephemerals("ann"))
    await desk.dies()
    await desk.delivers()
    assert len(desk.slack.ephemerals("ann")) == 1
