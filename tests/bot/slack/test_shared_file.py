"""The file of an approved text: once in its thread, byte for byte, whatever becomes of a call or of us."""

from __future__ import annotations

import hashlib

import pytest

from bot.playground.server import Fault, Message
from handlers.download import file_name
from handlers.words import Body, Text, line
from storage.records import Answer, Kind, Work
from storage.records import Message as Owed
from tests.bot.slack.desk import LOSSES, TEAM, Desk, now
from tests.storage.records import answer, run
from tests.storage.records import keep as keep_all

SHARE, ANNOUNCE = "files.completeUploadExternal", "files.getUploadURLExternal"
TEXT = "# Marsupilamis\r\n\r\nThey jump — far.\n\n\tHouba \u202e!\n"


async def approved(desk: Desk, text: str = TEXT) -> tuple[Work, Answer, str]:
    """A work with its approved text, whose file is owed; the slot of that."""
    work = await desk.work("wombat")
    made = answer("a1", "r1", work_id=work.id, text=text, sha256=hashlib.sha256(TEXT.encode()).hexdigest())
    await keep_all(desk.database, run("r1", of=work.id), made)
    name = file_name(work, made)
    body = Body(lines=(line(Text(text=name)),), fallback="draft 1 as approved", facts={"file": name})
    slot = f"{work.id}/file/{name}"
    owed = Owed(
        slot=slot,
        work_id=work.id,
        kind=Kind.FILE,
        team=TEAM,
        channel=work.channel,
        answer_id=made.id,
        body=body.to_json(),
        planned_at=now(),
    )
    async with desk.database.transaction() as saved:
        assert await saved.outbox.plan(owed)
    await desk.owes(work, "last", "and that is all")
    return work, made, slot


def shared(desk: Desk) -> list[Message]:
    return [message for message in desk.slack.everything() if message.get("files")]


def contents(desk: Desk) -> list[bytes | None]:
    """The bytes of each file that somebody can see."""
    return [
        desk.slack.workspace.files.by_id[file["id"]].content for message in shared(desk) for file in message["files"]
    ]


@pytest.mark.parametrize("method", [ANNOUNCE, SHARE])
@pytest.mark.parametrize("loss", ["nothing is lost", *LOSSES])
async def test_a_loss_neither_doubles_nor_swallows_a_file(desk: Desk, loss: str, method: str) -> None:
    if loss in LOSSES:
        desk.slack.faults.add(method, LOSSES[loss])
    work, made, slot = await approved(desk)
    await desk.delivers(within=60)
    assert contents(desk) == [TEXT.encode()]
    (message,) = shared(desk)
    (file,) = message["files"]
    assert file["name"] == f"wombat-draft-1-{made.sha256[:12]}.md"
    row = await desk.row(slot)
    assert (row.ts, row.given_up) == (message.ts, None)
    assert (await desk.shown(work))[-1] == "and that is all"


async def test_a_process_that_died_between_the_share_and_the_commit_finds_its_file(desk: Desk) -> None:
    desk.slack.faults.add(SHARE, Fault.HANG_AFTER)
    _, _, slot = await approved(desk)
    desk.starts()
    await desk.slack.until(lambda: bool(shared(desk)))
    await desk.dies()
    assert (await desk.row(slot)).ts is None
    await desk.delivers(within=60)
    (message,) = shared(desk)
    assert (await desk.row(slot)).ts == message.ts


async def test_a_process_that_died_before_the_share_sends_the_file_again(desk: Desk) -> None:
    desk.slack.faults.add(SHARE, Fault.HANG)
    await approved(desk)
    desk.starts()
    await desk.slack.until(lambda: any(call.method == SHARE for call in desk.slack.calls))
    await desk.dies()
    await desk.delivers(within=60)
    assert contents(desk) == [TEXT.encode()]


async def test_somebody_elses_file_of_that_name_is_not_taken_for_ours(desk: Desk) -> None:
    desk.slack.faults.add(SHARE, Fault.SERVER_ERROR_BEFORE)
    work, made, slot = await approved(desk)
    desk.starts()
    await desk.slack.until(lambda: bool(desk.slack.by_bot("root")))
    root = desk.slack.by_bot("root")[0]
    files = [{"id": "F0", "name": file_name(work, made)}]
    desk.slack.workspace.post(
        desk.slack.workspace.channels[work.channel], thread_ts=root.ts, user="U0ANN", text="", files=files
    )
    await desk.delivers(within=60)
    ours = [message for message in shared(desk) if message.get("user") == "UBOT"]
    assert [message.ts for message in ours] == [(await desk.row(slot)).ts]


@pytest.mark.parametrize("method", [ANNOUNCE, SHARE])
async def test_without_the_scope_the_thread_hears_it_and_goes_on(desk: Desk, method: str) -> None:
    desk.slack.faults.add(method, Fault.ERROR("missing_scope"), times=9)
    work, _, slot = await approved(desk)
    await desk.delivers(within=60)
    assert shared(desk) == []
    assert (await desk.row(slot)).given_up == "missing_scope"
    said = await desk.shown(work)
    assert "and that is all" in said
    (told,) = [words for words in said if words.startswith("Slack did not take the file")]
    assert "files:write" in told


async def test_any_other_refusal_is_named_and_the_thread_goes_on(desk: Desk) -> None:
    desk.slack.faults.add(SHARE, Fault.ERROR("invalid_arguments"), times=9)
    work, _, slot = await approved(desk)
    await desk.delivers(within=60)
    assert (await desk.row(slot)).given_up == "invalid_arguments"
    said = await desk.shown(work)
    assert "and that is all" in said
    (told,) = [words for words in said if words.startswith("Slack did not take the file")]
    assert "(invalid_arguments)" in told
    assert "files:write" not in told


async def test_bytes_that_are_not_what_was_approved_are_never_sent(desk: Desk) -> None:
    work, _, slot = await approved(desk, TEXT.replace("far", "near"))
    await desk.delivers(within=60)
    assert any(said.startswith("What is kept of the text is not what was approved") for said in await desk.shown(work))
    assert shared(desk) == []
    assert (await desk.row(slot)).given_up == "another_text"
    assert not [call for call in desk.slack.calls if call.method.startswith("files.")]


async def test_a_file_that_was_given_up_may_be_owed_again(desk: Desk) -> None:
    desk.slack.faults.add(SHARE, Fault.ERROR("missing_scope"), times=1)
    _, _, slot = await approved(desk)
    await desk.delivers(within=60)
    async with desk.database.transaction() as saved:
        assert await saved.outbox.owe_again(slot)
    desk.chat.wake()
    await desk.delivers(within=60)
    assert contents(desk) == [TEXT.encode()]
    async with desk.database.transaction() as saved:
        assert not await saved.outbox.owe_again(slot)
