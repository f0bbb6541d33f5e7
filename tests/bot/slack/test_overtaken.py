"""Whoever had to wait for its turn says only what is still owed by then: another process may have said it meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.slack.pace import Pace
from storage.records import Work
from tests.bot.slack.desk import Desk

Meanwhile = Callable[[], Awaitable[None]]


class Queue(Pace):
    """A turn at one method takes its time, and something happens meanwhile, once."""

    def __init__(self, method: str, meanwhile: Meanwhile) -> None:
        super().__init__()
        self._method, self._meanwhile = method, [meanwhile]

    async def turn(self, method: str, channel: str = "") -> bool:
        waited = await super().turn(method, channel)
        if method != self._method:
            return waited
        if self._meanwhile:
            await self._meanwhile.pop()()
        return True


async def attends_slowly(desk: Desk, work: Work, method: str, meanwhile: Meanwhile, *, doubt: bool = False) -> None:
    await desk.another_chat(pace=Queue(method, meanwhile)).attend(work.id, doubt=doubt)


async def rooted(desk: Desk, name: str) -> Work:
    work = await desk.work(name)
    await desk.chat.attend(work.id, doubt=False)
    return await desk.again(work)


async def test_what_another_process_posted_meanwhile_is_not_posted_again(desk: Desk) -> None:
    work = await rooted(desk, "takin")
    await desk.owes(work, "note", "It wears no golden fleece.")
    await attends_slowly(desk, work, "chat.postMessage", lambda: desk.chat.attend(work.id, doubt=False))
    assert await desk.shown(work) == ["About takin", "It wears no golden fleece."]
    assert desk.slack.calls_of("chat.update") == []


async def test_a_root_that_another_process_posted_meanwhile_is_not_posted_again(desk: Desk) -> None:
    work = await desk.work("serow")
    await attends_slowly(desk, work, "chat.postMessage", lambda: desk.chat.attend(work.id, doubt=False))
    assert [call.args["text"] for call in desk.slack.calls_of("chat.postMessage")] == ["A word about the marsupilami"]


async def test_what_another_process_posted_and_somebody_revised_meanwhile_is_edited(desk: Desk) -> None:
    work = await rooted(desk, "goral")
    slot = await desk.owes(work, "note", "queued")

    async def posted_and_revised() -> None:
        await desk.chat.attend(work.id, doubt=False)
        await desk.revises(slot, "answered")

    await attends_slowly(desk, work, "chat.postMessage", posted_and_revised)
    assert await desk.shown(work) == ["About goral", "answered"]
    assert not (await desk.row(slot)).is_owed


async def test_what_was_given_up_meanwhile_is_not_posted(desk: Desk) -> None:
    work = await rooted(desk, "saola")
    slot = await desk.owes(work, "note", "Nobody sees it.")

    async def given_up() -> None:
        async with desk.database.transaction() as saved:
            await saved.outbox.give_up(slot, "restricted_action")

    await attends_slowly(desk, work, "chat.postMessage", given_up)
    assert await desk.shown(work) == ["About saola"]


async def test_what_another_process_edited_meanwhile_is_not_edited_again(desk: Desk) -> None:
    work = await rooted(desk, "chiru")
    slot = await desk.owes(work, "note", "queued")
    await desk.chat.attend(work.id, doubt=False)
    await desk.revises(slot, "answered")
    await attends_slowly(desk, work, "chat.update", lambda: desk.chat.attend(work.id, doubt=False))
    assert await desk.shown(work) == ["About chiru", "answered"]
    assert len(desk.slack.calls_of("chat.update")) == 1


async def test_what_another_process_found_in_slack_meanwhile_is_not_edited_again(desk: Desk) -> None:
    work = await rooted(desk, "dhole")
    slot = await _lost_and_revised(desk, work)
    await attends_slowly(desk, work, "chat.update", lambda: desk.chat.attend(work.id, doubt=True), doubt=True)
    assert await desk.shown(work) == ["About dhole", "answered"]
    assert len(desk.slack.calls_of("chat.update")) == 1
    assert not (await desk.row(slot)).is_owed


async def test_what_was_found_in_slack_and_revised_meanwhile_is_shown_in_its_newest_form(desk: Desk) -> None:
    work = await rooted(desk, "cuon")
    slot = await _lost_and_revised(desk, work)
    await attends_slowly(desk, work, "chat.update", lambda: desk.revises(slot, "approved"), doubt=True)
    assert await desk.shown(work) == ["About cuon", "approved"]
    assert len(desk.slack.calls_of("chat.update")) == 1


async def test_what_another_process_whispered_meanwhile_is_not_whispered_again(desk: Desk) -> None:
    work = await rooted(desk, "bongo")
    await desk.owes(work, "hint", "You asked for this text.", person="U0ANN")
    await attends_slowly(desk, work, "chat.postEphemeral", lambda: desk.chat.attend(work.id, doubt=False))
    assert [hint.visible for hint in desk.slack.ephemerals("ann")] == ["You asked for this text."]


async def _lost_and_revised(desk: Desk, work: Work) -> str:
    """Slack has a message whose place nobody knows, and which is wanted in another form by now."""
    slot = await desk.owes(work, "note", "queued")
    await desk.chat.attend(work.id, doubt=False)
    async with desk.database.transaction() as saved:
        await saved.outbox.sent(slot, shown=0, ts=None, digest=None, at=work.opened_at)
    await desk.revises(slot, "answered")
    return slot
