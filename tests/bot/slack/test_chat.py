"""What is owed arrives once and in order, whatever network, Slack and process do."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.playground.server import Fault
from bot.slack.chat import digest_of
from handlers.words import Body, Button
from storage.records import Kind, Run, RunState, WalkState, Work
from tests.bot.slack.desk import DOCS, LAUNCH, LOSSES, Desk, open_desk, said
from tests.storage.records import keep
from tests.storage.records import run as a_run
from tests.storage.records import walk as a_walk


def answer_of(text: str) -> Body:
    block = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}],
    }
    return Body(
        answer=(block,), fallback="draft 1", facts={"stage": "draft", "sha256": "ab" * 32, "part": 1, "parts": 1}
    )


def slots(desk: Desk) -> list[str]:
    return [message.slot for message in desk.slack.by_bot() if message.slot]


async def test_a_thread_begins_with_its_root_and_keeps_the_order_of_what_was_said(desk: Desk) -> None:
    work = await desk.work("marsupilami")
    await desk.owes(work, "card", said("draft · queued", state="queued"), kind=Kind.CARD)
    for number in range(1, 4):
        await desk.owes(work, f"notice-{number}", f"jungle fact {number}")
    await desk.delivers()

    facts = ["jungle fact 1", "jungle fact 2", "jungle fact 3"]
    assert await desk.shown(work) == ["About marsupilami", "draft · queued", *facts]


async def test_each_delivered_message_costs_one_commit(desk: Desk) -> None:
    work = await desk.work("tapir")
    for number in range(4):
        await desk.owes(work, f"n{number}", f"tapir {number}")
    before = desk.database.commits
    await desk.delivers()
    assert desk.database.commits - before == 5


async def test_the_metadata_tells_other_programs_what_a_message_is(desk: Desk) -> None:
    work = await desk.work("okapi")
    await desk.owes(work, "a1", answer_of("An okapi is no zebra."), kind=Kind.ANSWER)
    await desk.delivers()

    root, answer = desk.slack.by_bot()
    assert root.payload == {"kind": "root", "slot": "okapi/root", "work": "okapi"}
    assert answer.payload == {
        "kind": "answer", "slot": "okapi/a1", "work": "okapi", "stage": "draft",
        "sha256": "ab" * 32, "part": 1, "parts": 1,
    }  # fmt: skip


async def test_a_work_in_somebodys_thread_answers_there(desk: Desk) -> None:
    asked = await desk.slack.as_person("ann").says("What do we know about quokkas?")
    work = await desk.work("quokka", thread_ts=asked.ts)
    await desk.owes(work, "card", "scout · queued", kind=Kind.CARD)
    await desk.delivers()
    assert desk.thread(asked.ts) == ["What do we know about quokkas?", "scout · queued"]


async def test_only_the_newest_form_of_an_unsent_message_is_ever_sent(desk: Desk) -> None:
    work = await desk.work("axolotl")
    card = await desk.owes(work, "card", "draft · queued", kind=Kind.CARD)
    await desk.revises(card, "draft · answered")
    await desk.delivers()
    assert await desk.shown(work) == ["About axolotl", "draft · answered"]
    assert desk.slack.calls_of("chat.update") == []


async def test_a_revision_edits_the_message_that_is_shown(desk: Desk) -> None:
    work = await desk.work("numbat")
    card = await desk.owes(work, "card", said("draft · queued", state="queued"), kind=Kind.CARD)
    await desk.delivers()
    await desk.revises(card, said("draft · answered", state="answered"))
    await desk.delivers()

    [message] = desk.slack.by_bot("card")
    assert (message.visible, message.state) == ("draft · answered", "answered")
    row = await desk.row(card)
    assert (row.shown, row.ts, row.digest) == (2, message.ts, digest_of(message))


async def test_what_is_new_is_said_before_what_only_changed(desk: Desk) -> None:
    """Whoever waits for an answer waits for nothing else."""
    work = await desk.work("bilby")
    card = await desk.owes(work, "card", "draft · queued", kind=Kind.CARD)
    await desk.delivers()
    await desk.owes(work, "a1", answer_of("A bilby has long ears."), kind=Kind.ANSWER)
    await desk.owes(work, "a2", answer_of("It digs."), kind=Kind.ANSWER)
    await desk.revises(card, "draft · answered")
    await desk.delivers()
    assert await desk.shown(work) == ["About bilby", "draft · answered", "A bilby has long ears.", "It digs."]
    assert [call.method for call in desk.slack.calls if call.method.startswith("chat.")][2:] == [
        "chat.postMessage",
        "chat.postMessage",
        "chat.update",
    ]


@pytest.mark.parametrize("slot", ["root", "notice"])
@pytest.mark.parametrize("loss", LOSSES)
async def test_a_loss_neither_doubles_nor_swallows_a_message(desk: Desk, loss: str, slot: str) -> None:
    desk.slack.faults.add(
        "chat.postMessage", LOSSES[loss], when=lambda call: call.args["metadata"]["event_payload"]["kind"] == slot
    )
    work = await desk.work("kakapo")
    await desk.owes(work, "notice", "a parrot that cannot fly")
    await desk.owes(work, "last", "and boasts at night")
    await desk.delivers()

    assert await desk.shown(work) == ["About kakapo", "a parrot that cannot fly", "and boasts at night"]
    assert slots(desk) == ["kakapo/root", "kakapo/notice", "kakapo/last"]
    notice = await desk.row("kakapo/notice")
    assert notice.digest == digest_of(next(m for m in desk.slack.by_bot() if m.slot == notice.slot))


@pytest.mark.parametrize("loss", LOSSES)
async def test_an_edit_is_repeated_until_its_reply_arrives(desk: Desk, loss: str) -> None:
    work = await desk.work("dik-dik")
    card = await desk.owes(work, "card", "draft · queued", kind=Kind.CARD)
    await desk.delivers()
    desk.slack.faults.add("chat.update", LOSSES[loss], times=2)
    await desk.revises(card, "draft · answered")
    await desk.delivers()
    assert await desk.shown(work) == ["About dik-dik", "draft · answered"]


@pytest.mark.parametrize("slot", ["root", "notice"])
async def test_a_process_that_died_between_send_and_commit_finds_its_message(desk: Desk, slot: str) -> None:
    desk.slack.faults.add(
        "chat.postMessage", Fault.HANG_AFTER, when=lambda call: call.args["metadata"]["event_payload"]["kind"] == slot
    )
    work = await desk.work("saola")
    await desk.owes(work, "notice", "seen alive a few times")
    desk.starts()
    await desk.slack.until(lambda: f"saola/{slot}" in slots(desk))
    await desk.dies()
    assert (await desk.row(f"saola/{slot}")).ts is None

    await desk.delivers()
    assert slots(desk) == ["saola/root", "saola/notice"]
    assert (await desk.again(work)).thread_ts == desk.slack.by_bot("root")[0].ts


async def test_a_message_found_again_is_edited_if_it_was_revised_meanwhile(desk: Desk) -> None:
    work = await desk.work("pangolin")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.HANG_AFTER)
    card = await desk.owes(work, "card", "draft · queued", kind=Kind.CARD)
    await desk.slack.until(lambda: card in slots(desk))
    await desk.dies()
    await desk.revises(card, "draft · answered")
    await desk.delivers()
    assert await desk.shown(work) == ["About pangolin", "draft · answered"]
    assert (await desk.row(card)).shown == 2


async def test_a_thread_that_is_not_there_to_be_read_yet_takes_what_is_owed(desk: Desk) -> None:
    work = await desk.work("okapi")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    desk.slack.faults.add("conversations.replies", Fault.ERROR("thread_not_found"), times=2)
    await desk.owes(work, "notice", "licks its own ears")
    await desk.delivers()
    assert slots(desk) == ["okapi/root", "okapi/notice"]


async def test_nothing_is_sent_again_while_the_thread_cannot_be_read(desk: Desk) -> None:
    work = await desk.work("aye-aye")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    desk.slack.faults.add("conversations.replies", Fault.DOWN, times=4)
    desk.slack.faults.add("conversations.replies", Fault.ERROR("missing_scope"), times=2)
    await desk.owes(work, "notice", "taps on bark")
    await desk.delivers()
    assert slots(desk) == ["aye-aye/root", "aye-aye/notice"]
    assert len(desk.slack.calls_of("conversations.replies")) == 7


@pytest.mark.parametrize("unseen", [1, 2])
async def test_a_message_that_shows_late_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, unseen: int
) -> None:
    work = await desk.work("olm")
    await desk.delivers()
    threads, looks = desk.slack.workspace.thread, 0

    def stale(channel: str, ts: str) -> list[Any]:
        nonlocal looks
        looks += 1
        return threads(channel, ts)[: 1 if looks <= unseen else None]

    desk.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    with monkeypatch.context() as patched:
        patched.setattr(desk.slack.workspace, "thread", stale)
        await desk.owes(work, "notice", "lives a hundred years")
        await desk.delivers()
    assert slots(desk) == ["olm/root", "olm/notice"]
    assert looks == unseen + 1


async def test_another_apps_message_with_our_slot_is_not_taken_for_ours(desk: Desk) -> None:
    work = await desk.work("shoebill")
    await desk.delivers()
    ts = (await desk.again(work)).thread_ts
    forged = {"event_type": "countersign", "event_payload": {"kind": "notice", "slot": "shoebill/notice"}}
    place = desk.slack.channels["launch"]
    desk.slack.workspace.post(place, thread_ts=ts, user="UFORGER", bot_id="B0FORGER", text="trust me", metadata=forged)
    desk.slack.faults.add("chat.postMessage", Fault.SERVER_ERROR_BEFORE)
    await desk.owes(work, "notice", "looks like a dinosaur")
    await desk.delivers()
    assert desk.thread(ts) == ["About shoebill", "trust me", "looks like a dinosaur"]


async def test_what_was_owed_in_an_outage_arrives_in_order_afterwards(desk: Desk) -> None:
    desk.slack.go_down()
    works = [await desk.work(f"gecko-{number}") for number in range(5)]
    for work in works:
        for number in range(3):
            await desk.owes(work, f"n{number}", f"{work.id} says {number}")
    desk.starts()
    while len(desk.time.asked) < 40:  # noqa: ASYNC110  it is the time that passes
        await asyncio.sleep(0.01)
    await desk.chat.settled()
    assert max(desk.time.asked) == 60
    assert desk.slack.by_bot() == []

    desk.slack.come_back()
    await desk.delivers()
    for work in works:
        assert await desk.shown(work) == [f"About {work.id}", *(f"{work.id} says {number}" for number in range(3))]


@pytest.mark.parametrize("shut", ["kicked", "archived"])
async def test_a_thread_in_a_channel_that_is_shut_goes_on_when_it_is_open_again(desk: Desk, shut: str) -> None:
    works = [await desk.work(f"serval-{number}") for number in range(6)]
    await desk.delivers()
    place = desk.slack.channels["launch"]
    if shut == "kicked":
        desk.slack.remove_bot("launch")
    else:
        place.is_archived = True
    for work in works:
        await desk.owes(work, "n1", "long legs")
        await desk.owes(work, "n2", "large ears")
    free = await desk.work("caracal", channel=DOCS)
    await desk.slack.until(lambda: "caracal/root" in slots(desk))
    before = len(desk.slack.calls_of("chat.postMessage"))
    began = desk.time.tick()
    await asyncio.sleep(0.3)
    knocks = len(desk.slack.calls_of("chat.postMessage")) - before
    assert knocks <= (desk.time.tick() - began) / 60 + 6, "one message knocks for all"
    if shut == "kicked":
        desk.slack.invite_bot("launch")
    else:
        place.is_archived = False
    await desk.delivers()
    for work in works:
        assert await desk.shown(work) == [f"About {work.id}", "long legs", "large ears"]
    assert await desk.shown(free) == ["About caracal"]


async def test_a_429_is_obeyed_and_changes_nothing_else(desk: Desk) -> None:
    work = await desk.work("wombat")
    await desk.delivers()
    desk.time.asked.clear()
    desk.slack.faults.add("chat.postMessage", Fault.RATE_LIMITED(31))
    await desk.owes(work, "n1", "cubes")
    await desk.owes(work, "n2", "really")
    await desk.delivers()
    assert await desk.shown(work) == ["About wombat", "cubes", "really"]
    assert any(seconds == pytest.approx(31, abs=1) for seconds in desk.time.asked)
    assert desk.slack.calls_of("conversations.replies") == []


async def test_a_429_in_one_channel_does_not_hold_up_another(desk: Desk) -> None:
    desk.slack.faults.add(
        "chat.postMessage", Fault.RATE_LIMITED(1_000), times=1_000, when=lambda call: call.args["channel"] == LAUNCH
    )
    await desk.work("stuck")
    free = await desk.work("free", channel=DOCS)
    await desk.owes(free, "n", "as a bird")
    desk.starts()
    await desk.slack.until(lambda: "free/n" in slots(desk))
    assert await desk.shown(free) == ["About free", "as a bird"]


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive", "missing_scope"])
async def test_a_broken_token_loses_nothing(desk: Desk, error: str) -> None:
    desk.slack.faults.add("chat.postMessage", Fault.ERROR(error), times=9)
    work = await desk.work("ibex")
    await desk.owes(work, "n", "climbs dams")
    await desk.delivers()
    assert await desk.shown(work) == ["About ibex", "climbs dams"]


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived", "restricted_action"])
async def test_a_work_whose_root_slack_will_never_take_is_given_up(desk: Desk, error: str) -> None:
    desk.slack.faults.add("chat.postMessage", Fault.ERROR(error))
    work = await desk.work("dodo")
    await desk.owes(work, "n", "extinct")
    await desk.delivers()
    await desk.owes(work, "late", "still extinct")
    await desk.delivers()
    assert slots(desk) == []
    assert [(await desk.row(f"dodo/{name}")).given_up for name in ("root", "n", "late")] == [error] * 3


async def test_giving_up_many_messages_after_a_lost_root_piles_up_nothing(desk: Desk) -> None:
    depths: list[int] = []

    class Log:
        def error(self, *_: object, **__: object) -> None:
            depths.append(len(inspect.stack(0)))

        exception = error

    work = await desk.work("aurochs")
    async with desk.database.transaction() as saved:
        await saved.outbox.give_up("aurochs/root", "is_archived")
    names = [f"n{number}" for number in range(8)]
    for name in names:
        await desk.owes(work, name, "extinct since 1627")
    await desk.another_chat(log=Log()).attend(work.id, doubt=False)
    assert [(await desk.row(f"aurochs/{name}")).given_up for name in names] == ["is_archived"] * 8
    assert depths == depths[:1] * 8


async def test_a_run_whose_root_slack_refuses_is_cancelled_and_its_asker_is_told(desk: Desk) -> None:
    heard: list[tuple[str, list[str], str]] = []

    async def hears(work: Work, runs: Sequence[Run], code: str) -> None:
        heard.append((work.id, [run.id for run in runs], code))

    desk.chat = desk.another_chat(on_refused_root=hears)
    desk.slack.faults.add("chat.postMessage", Fault.ERROR("restricted_action"))
    work = await desk.work("thylacine")
    over = a_run("r-over", of=work.id, state=RunState.ANSWERED)
    await keep(desk.database, over, *(a_run(name, of=work.id, asked_by="U0ANN") for name in ("r-one", "r-two")))
    await keep(desk.database, a_walk(of=work.id, run_id="r-two"))
    await desk.delivers()

    async with desk.database.reading() as saved:
        runs = await saved.runs.of_work(work.id)
        assert [walk.state for walk in await saved.walks.of_work(work.id)] == [WalkState.STOPPED]
    assert [(run.state, run.cancel_by, run.error_code) for run in runs] == [
        (RunState.ANSWERED, None, None),
        (RunState.CANCELLED, "slack", "restricted_action"),
        (RunState.CANCELLED, "slack", "restricted_action"),
    ]
    assert heard == [("thylacine", ["r-one", "r-two"], "restricted_action")]
    [told] = desk.slack.ephemerals("ann")
    assert told.visible == (
        "Slack does not let me post in this channel (restricted_action); invite me or ask in another channel."
    )


async def test_a_refused_notice_cancels_no_run(desk: Desk) -> None:
    work = await desk.work("quagga")
    await desk.delivers()
    await keep(desk.database, a_run("r-quagga", of=work.id))
    desk.slack.faults.add("chat.postMessage", Fault.ERROR("restricted_action"))
    await desk.owes(work, "n", "half a zebra")
    await desk.delivers()
    async with desk.database.reading() as saved:
        assert [run.state for run in await saved.runs.of_work(work.id)] == [RunState.QUEUED]
    assert desk.slack.ephemerals("ann") == []


async def test_a_reason_nobody_knows_is_tried_some_times_and_then_given_up(desk: Desk) -> None:
    work = await desk.work("yeti")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.ERROR("too_much_snow"), times=7)
    await desk.owes(work, "n1", "footprints")
    await desk.owes(work, "n2", "a tuft of fur")
    await desk.delivers()
    assert (await desk.row("yeti/n1")).given_up == "too_much_snow"
    assert await desk.shown(work) == ["About yeti", "a tuft of fur"]


async def test_an_outage_before_a_reason_nobody_knows_loses_nothing(desk: Desk) -> None:
    work = await desk.work("almas")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.DOWN, times=20)
    desk.slack.faults.add("chat.postMessage", Fault.ERROR("too_much_snow"), times=6)
    await desk.owes(work, "n1", "footprints")
    await desk.delivers()
    assert await desk.shown(work) == ["About almas", "footprints"]


@pytest.mark.parametrize("error", ["message_not_found", "edit_window_closed", "cant_update_message"])
async def test_an_edit_slack_will_never_take_is_given_up_and_the_thread_goes_on(desk: Desk, error: str) -> None:
    work = await desk.work("moa")
    card = await desk.owes(work, "card", "draft · queued", kind=Kind.CARD)
    await desk.delivers()
    desk.slack.faults.add("chat.update", Fault.ERROR(error))
    await desk.revises(card, "draft · answered")
    await desk.owes(work, "n", "a large bird")
    await desk.delivers()
    assert (await desk.row(card)).given_up == error
    assert await desk.shown(work) == ["About moa", "draft · queued", "a large bird"]


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long", "msg_too_long"])
async def test_an_answer_in_blocks_slack_refuses_is_said_in_plain_pieces(desk: Desk, error: str) -> None:
    work = await desk.work("narwhal")
    await desk.delivers()
    desk.slack.faults.add("chat.postMessage", Fault.ERROR(error))
    tusks = "\n".join(f"tusk {number} is a tooth" for number in range(300))
    button = Button(action="critique", label="Critique", value="a1")
    body = Body(**{**_fields(answer_of(tusks)), "buttons": (button,)})
    await desk.owes(work, "a1", body, kind=Kind.ANSWER)
    await desk.delivers()

    assert (await desk.row("narwhal/a1")).given_up == error
    pieces = desk.slack.by_bot("answer")
    assert "".join(_first_block(piece) for piece in pieces) == tusks
    assert [piece.buttons for piece in pieces] == [[], [], ["Critique"]]
    assert {piece.payload["sha256"] for piece in pieces} == {"ab" * 32}


def _fields(body: Body) -> dict[str, Any]:
    return {name: getattr(body, name) for name in Body.__slots__}


def _first_block(message: Any) -> str:
    return "".join(leaf["text"] for leaf in message.blocks[0]["elements"][0]["elements"])


# Everything at once


async def test_many_works_are_delivered_side_by_side(desk: Desk) -> None:
    desk.starts()
    works = [await desk.work(f"ant-{number}") for number in range(80)]
    for work in works:
        await desk.owes(work, "card", "queued", kind=Kind.CARD)
    await desk.delivers(within=60)
    assert len(desk.slack.by_bot()) == len(set(slots(desk))) == 160
    assert desk.slack.calls_of("conversations.replies") == []


async def test_roots_owed_at_the_start_are_looked_for_together(desk: Desk) -> None:
    for number in range(30):
        await desk.work(f"cicada-{number}")
    await desk.delivers()
    assert len(slots(desk)) == len(set(slots(desk))) == 30
    assert len(desk.slack.calls_of("conversations.history")) < 12


@pytest.mark.parametrize("seeds", [range(start, start + 5) for start in range(0, 60, 5)], ids=str)
async def test_no_fault_script_doubles_swallows_or_reorders(tmp_path: Path, seeds: range) -> None:
    async with asyncio.TaskGroup() as scripts:
        for seed in seeds:
            scripts.create_task(_script(tmp_path / f"{seed}.db", seed))


async def _script(database: Path, seed: int) -> None:
    rng = random.Random(seed)
    weather = [
        Fault.LOSE_REPLY, Fault.SERVER_ERROR_AFTER, Fault.SERVER_ERROR_BEFORE, Fault.RESET_BEFORE, Fault.HTML,
        Fault.DOWN, Fault.RATE_LIMITED(2), Fault.SLOW(0.03), Fault.HANG, Fault.HANG_AFTER,
        *(Fault.ERROR(name) for name in ("internal_error", "fatal_error", "service_unavailable", "invalid_auth")),
    ]  # fmt: skip
    async with open_desk(database, seconds=0.2) as desk:
        for _ in range(rng.randrange(4, 12)):
            method = rng.choice(
                ["chat.postMessage"] * 4
                + ["chat.update", "conversations.replies", "conversations.history", "auth.test"]
            )
            skip = rng.randrange(6)
            desk.slack.faults.add(method, rng.choice(weather), when=_after(skip))
        works = [await desk.work(f"bee-{number}", channel=rng.choice([LAUNCH, DOCS])) for number in range(4)]
        desk.starts()
        for number in range(3):
            for work in works:
                await desk.owes(work, f"n{number}", f"{work.id} hums {number}")
                if rng.random() < 0.3:
                    await desk.revises(f"{work.id}/n{rng.randrange(number + 1)}", f"{work.id} hums again")
                if rng.random() < 0.15:
                    await asyncio.sleep(rng.random() / 20)
                    await desk.dies()
                    desk.starts()
        await desk.delivers(within=30)

        for work in works:
            expected = [f"About {work.id}"]
            for number in range(3):
                row = await desk.row(f"{work.id}/n{number}")
                expected.append(f"{work.id} hums again" if row.revision > 1 else f"{work.id} hums {number}")
            assert await desk.shown(work) == expected
        assert len(slots(desk)) == len(set(slots(desk))) == 16


def _after(skip: int) -> Any:
    seen = 0

    def when(_call: Any) -> bool:
        nonlocal seen
        seen += 1
        return seen > skip

    return when
