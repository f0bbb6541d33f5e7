"""Slack's faults in a table: what becomes of a root, of an answer's part, of an edit, of a whisper, of a question."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.playground.server import Call, Fault
from bot.slack.lookup import Lookup
from bot.slack.pace import Pace
from handlers.ports import LookupFailed
from storage.records import Kind
from tests.bot.slack.desk import DOCS, LAUNCH, Desk, open_desk, said
from tests.bot.slack.test_chat import answer_of
from tests.storage.records import keep
from tests.storage.records import run as a_run

PARTNERS = "C0PARTNERS"
PAGE = "<!DOCTYPE html><title>Slack</title><p>Something went wrong."
WORDS = "Marsupilamis swim, climb and lasso. They nest in high trees, and nobody has counted them."


def another_ts(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"ts": "1700000000.000100"}


def torso(body: dict[str, Any]) -> dict[str, Any]:
    """Slack took less than it was given, and says so only in what it shows."""

    def cut(node: Any) -> Any:
        match node:
            case {"type": "text", "text": str() as text}:
                return {**node, "text": text[:20]}
            case dict():
                return {key: cut(value) for key, value in node.items()}
            case list():
                return [cut(one) for one in node]
            case _:
                return node

    found: dict[str, Any] = cut(body)
    return found


def half_a_page(body: dict[str, Any]) -> dict[str, Any]:
    """A list that ends too early, of messages or of users."""
    short = {key: value[: len(value) // 2] for key, value in body.items() if isinstance(value, list)}
    return {**body, **short, "has_more": True}


PASSING = {
    "429 for a second": Fault.RATE_LIMITED(1),
    "429 for half a minute": Fault.RATE_LIMITED(30),
    "429 for an hour": Fault.RATE_LIMITED(3_600),
    "429 without a word": Fault.SAYS(429, "slow down"),
    "500": Fault.SERVER_ERROR_BEFORE,
    "502": Fault.SAYS(502, PAGE),
    "503 in HTML": Fault.SAYS(503, PAGE),
    "a time-out before it was done": Fault.HANG,
    "a time-out after it was done": Fault.HANG_AFTER,
    "a reset after it was done": Fault.LOSE_REPLY,
    "no JSON": Fault.HTML,
    "no JSON after it was done": Fault.TWISTED(lambda _: PAGE),
    "another ts": Fault.TWISTED(another_ts),
    "half of the text": Fault.TWISTED(torso),
    "half of a list": Fault.TWISTED(half_a_page),
}
"""What befalls two calls and is over then. A lasting outage has tests of its own."""

REFUSALS = (
    "channel_not_found", "not_in_channel", "is_archived", "msg_too_long", "msg_blocks_too_long", "invalid_blocks",
    "restricted_action", "ratelimited", "token_revoked", "invalid_auth", "account_inactive", "missing_scope",
    "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "user_not_found",
    "fatal_error", "internal_error", "unknown_new_error",
)  # fmt: skip
"""What Slack says until somebody mends it."""

# once: it is there, once.  waits: it is there, once, when the fault is over.  given up: it is not there, the log says
# so, and of a root whoever asked is told.  pieces: it is there as plain text.  unsaid: nobody knows, so it is not
# repeated.  For a question: known, nothing there, or not yet, which is never taken for a yes.
TABLE = """
fault                          | root     | part     | edit     | whisper  | question
429 for a second               | once     | once     | once     | once     | known
429 for half a minute          | once     | once     | once     | once     | not yet
429 for an hour                | once     | once     | once     | once     | not yet
429 without a word             | once     | once     | once     | once     | known
500                            | once     | once     | once     | unsaid   | not yet
502                            | once     | once     | once     | unsaid   | not yet
503 in HTML                    | once     | once     | once     | unsaid   | not yet
a time-out before it was done  | once     | once     | once     | unsaid   | not yet
a time-out after it was done   | once     | once     | once     | once     | not yet
a reset after it was done      | once     | once     | once     | once     | not yet
no JSON                        | once     | once     | once     | unsaid   | not yet
no JSON after it was done      | once     | once     | once     | once     | not yet
another ts                     | once     | once     | once     | once     | known
half of the text               | once     | pieces   | once     | once     | known
half of a list                 | once     | once     | once     | once     | nothing
channel_not_found              | given up | waits    | waits    | given up | not yet
not_in_channel                 | given up | waits    | waits    | given up | not yet
is_archived                    | given up | waits    | waits    | given up | not yet
msg_too_long                   | given up | pieces   | given up | given up | not yet
msg_blocks_too_long            | given up | pieces   | given up | given up | not yet
invalid_blocks                 | given up | pieces   | given up | given up | not yet
restricted_action              | given up | waits    | waits    | given up | not yet
ratelimited                    | waits    | waits    | waits    | waits    | not yet
token_revoked                  | waits    | waits    | waits    | waits    | not yet
invalid_auth                   | waits    | waits    | waits    | waits    | not yet
account_inactive               | waits    | waits    | waits    | waits    | not yet
missing_scope                  | waits    | waits    | waits    | waits    | not yet
message_not_found              | given up | given up | given up | given up | nothing
cant_update_message            | given up | given up | given up | given up | not yet
edit_window_closed             | given up | given up | given up | given up | not yet
thread_not_found               | given up | given up | given up | given up | nothing
user_not_found                 | given up | given up | given up | given up | not yet
fatal_error                    | waits    | waits    | waits    | unsaid   | not yet
internal_error                 | waits    | waits    | waits    | unsaid   | not yet
unknown_new_error              | given up | given up | given up | given up | not yet
"""


def _rows() -> dict[str, dict[str, str]]:
    head, *lines = [[cell.strip() for cell in row.split("|")] for row in TABLE.strip().splitlines()]
    return {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in lines}


EXPECTED = _rows()


def test_the_table_has_a_row_for_each_fault() -> None:
    assert set(EXPECTED) == {*PASSING, *REFUSALS}


class Cells:
    """One message of each sort, each in a work of its own, and what becomes of it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.slots: dict[str, str] = {}

    async def prepare(self) -> None:
        """What has to stand in Slack before the fault begins."""
        desk = self.desk
        self.talking = await desk.work("part", channel=DOCS)
        self.carded = await desk.work("edit", channel=PARTNERS)
        self.whispering = await desk.work("whisper", channel=PARTNERS)
        self.slots["edit"] = await desk.owes(self.carded, "card", said("queued", state="queued"), kind=Kind.CARD)
        await desk.delivers()
        await desk.dies()

    async def owe(self) -> None:
        desk = self.desk
        rooted = await desk.work("root", channel=LAUNCH)
        await keep(desk.database, a_run("r-root", of=rooted.id, asked_by="U0ANN"))
        self.slots["root"] = "root/root"
        self.slots["part"] = await desk.owes(self.talking, "a1", answer_of(WORDS), kind=Kind.ANSWER)
        await desk.revises(self.slots["edit"], said("answered", state="answered"))
        self.slots["whisper"] = await desk.owes(self.whispering, "hint", "Only for you.", person="U0STAN")

    async def outcomes(self, *, mended: bool) -> dict[str, str]:
        """What each comes to; where somebody has to mend the fault, they do when the chat has tried for a while."""
        desk, early = self.desk, set(self.slots)
        if mended:
            desk.starts()
            await asyncio.sleep(0)
            with contextlib.suppress(TimeoutError):  # whoever is told to go slower never fails
                await asyncio.wait_for(desk.chat.settled(), 2)
            early = {name for name, slot in self.slots.items() if self._times_shown(name, slot)}
            desk.slack.faults.clear()
        await desk.delivers()
        while desk.chat._lanes:  # noqa: ASYNC110  a whisper under way owes nothing
            await asyncio.sleep(0.01)
        return {name: await self._outcome(name, slot, is_early=name in early) for name, slot in self.slots.items()}

    async def _outcome(self, name: str, slot: str, *, is_early: bool) -> str:
        row = await self.desk.row(slot)
        if row.given_up:
            pieces = [one.payload["slot"] for one in self.desk.slack.by_bot() if one.slot.startswith(f"{slot}/plain")]
            return "pieces" if pieces else "given up"
        match self._times_shown(name, slot):
            case 0:
                return "unsaid"
            case 1:
                return "once" if is_early else "waits"
            case times:
                return f"{times} times"

    def _times_shown(self, name: str, slot: str) -> int:
        slack = self.desk.slack
        if name == "whisper":
            return sum(one.visible == "Only for you." for one in slack.ephemerals("U0STAN"))
        shown = [one for one in slack.by_bot() if one.slot == slot]
        return sum(one.visible == "answered" for one in shown) if name == "edit" else len(shown)


def _befall(desk: Desk, fault: Fault, *, times: int) -> None:
    for method in ("chat.update", "chat.postEphemeral"):
        desk.slack.faults.add(method, fault, times=times, when=_not_the_last_word)
    for slot in ("root/root", "part/a1"):  # not the plain pieces in which a refused part goes on
        desk.slack.faults.add("chat.postMessage", fault, times=times, when=partial(_is, slot))


def _is(slot: str, call: Call) -> bool:
    return bool(call.args["metadata"]["event_payload"]["slot"] == slot)


def _not_the_last_word(call: Call) -> bool:
    """What tells the asker of a refused root is a whisper, too, and not what is looked at."""
    return call.args.get("user") != "U0ANN"


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_fault_of_slacks_comes_to_what_the_table_says(tmp_path: Path, name: str) -> None:
    async with open_desk(tmp_path / "outbox.db", seconds=0.25 if "time-out" in name else 10) as desk:
        cells = Cells(desk)
        await cells.prepare()
        if name in PASSING:
            _befall(desk, PASSING[name], times=1 if name == "half of the text" else 2)
        else:
            _befall(desk, Fault.ERROR(name), times=1_000_000)
        await cells.owe()
        found = await cells.outcomes(mended="waits" in EXPECTED[name].values())
        found["question"] = await question(
            desk, PASSING.get(name) or Fault.ERROR(name), times=1 if "429" in name else 1_000_000
        )
        assert found == EXPECTED[name]
        told = [one.visible for one in desk.slack.ephemerals("ann")]
        assert told == ([_sentence(name)] if found["root"] == "given up" else [])


def _sentence(code: str) -> str:
    return f"Slack does not let me post in this channel ({code}); invite me or ask in another channel."


FASTER = 40


async def question(desk: Desk, fault: Fault, *, times: int) -> str:
    """Look a message up, in a time that goes forty times as fast for the question, its patience and Slack."""
    pace = Pace(tick=lambda: time.monotonic() * FASTER, sleep=lambda seconds: asyncio.sleep(seconds / FASTER))
    lookup = Lookup(client=desk.client, pace=pace, patience=20 / FASTER)
    asked = await desk.slack.as_person("ann").says("Who has seen it?")
    desk.slack.faults.add("conversations.history", fault, times=times)
    desk.slack.faults.add("conversations.replies", fault, times=times)
    try:
        seen = await lookup.message(asked.channel, asked.ts, thread_ts=asked.ts)
    except LookupFailed:
        return "not yet"
    finally:
        desk.slack.faults.clear()
    return "known" if seen is not None and seen.text == "Who has seen it?" else "nothing"
