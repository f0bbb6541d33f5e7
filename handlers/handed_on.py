"""What a receiver of approvals is sent, when it is tried again, and what the thread hears of it (pure)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from handlers import messages
from handlers.case import Case
from handlers.context import digest
from handlers.figures import duration, short
from handlers.judge import ReviewState, words_standing
from handlers.words import Body
from storage.records import Answer, Event, Handing, Verdict

GONE = 410
_OK = range(200, 300)
_REDIRECT = range(300, 400)
WAITS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    *[timedelta(hours=1)] * 72,
)
"""Between one attempt and the next: three days, then it is given up."""


class Outcome(StrEnum):
    """What came of an attempt."""

    ACCEPTED = "accepted"
    AGAIN = "again"
    GONE = "gone"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the receiver answered: HTTP's status, or, where it answered nothing, what went wrong."""

    status: int | None = None
    problem: str = ""

    @property
    def told(self) -> str:
        """In a few words, such as "HTTP 500"."""
        if self.status is None:
            return self.problem
        return f"HTTP {self.status}" + (", a redirect, which is not followed" if self.status in _REDIRECT else "")


def outcome_of(reply: Reply, attempt: int) -> Outcome:
    """What an answer means at this attempt, counted from 1."""
    if reply.status in _OK:
        return Outcome.ACCEPTED
    if reply.status == GONE:
        return Outcome.GONE
    return Outcome.AGAIN if attempt <= len(WAITS) else Outcome.GIVEN_UP


def granted(handing: Handing, case: Case) -> str:
    """The event that a text is approved, as it is sent: all a receiver needs, and how it is known."""
    data = {
        **_about(handing, case),
        "text": case.answer.text,
        "verdicts": [_verdict(verdict) for verdict in words_standing(case.said)],
    }
    return _event("approval.granted", handing.planned_at, data)


def withdrawn(handing: Handing, case: Case, state: ReviewState, of: Handing, because: Sequence[Verdict]) -> str:
    """The event that an approval was taken back after it was handed on; `of` is how it was."""
    data = {
        **_about(handing, case),
        "approval": of.id,
        "state": state.value,
        "verdicts": [_verdict(verdict) for verdict in because],
    }
    return _event("approval.withdrawn", handing.planned_at, data)


def is_of(payload: str, answer: Answer) -> bool:
    """Whether what is to be sent holds exactly the text that was approved."""
    data = json.loads(payload)["data"]
    return bool(data.get("sha256") == answer.sha256 == digest(str(data.get("text"))))


def _event(kind: str, at: datetime, data: dict[str, Any]) -> str:
    """In ASCII, so that no text can be one that does not go over the wire."""
    return json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}, allow_nan=False)


def _about(handing: Handing, case: Case) -> dict[str, Any]:
    return {
        "work": handing.work_id,
        "run": handing.run_id,
        "answer": handing.answer_id,
        "team": case.work.team,
        "channel": case.work.channel,
        "thread_ts": case.work.thread_ts,
        "sha256": case.answer.sha256,
        "ledger_head": handing.head,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "who": verdict.person,
        "kind": verdict.kind.value,
        "via": verdict.via,
        "emoji": verdict.emoji,
        "at": verdict.at.isoformat(),
        "evidence": verdict.evidence,
    }


# What the thread hears


def taken_back_too_late(case: Case, handing: Handing) -> Body:
    """An approval was taken back after its first attempt had begun."""
    text = short(case.answer.sha256)
    assert handing.begun_at is not None
    told = (
        f"Text {text} had been handed on at {_day(handing.handed_at)}, before its approval was taken back."
        if handing.handed_at
        else f"Handing on text {text} had begun at {_day(handing.begun_at)}, so it may have arrived before its "
        "approval was taken back."
    )
    more = "Its receiver is told; take it back there, too."
    return messages.plain(f"{told} {more}", fallback=f"Text {text} had been handed on")


def never_handed_on(case: Case, handing: Handing, outcome: Outcome, reply: Reply, waited: timedelta) -> Body:
    """Nothing more is tried; somebody has to do it by hand."""
    text = short(case.answer.sha256)
    why = (
        "its receiver says that it is gone for good (HTTP 410)"
        if outcome is Outcome.GONE
        else f"for {duration(waited.total_seconds())} its receiver did not accept it (the last time: {reply.told})"
    )
    if handing.event is Event.GRANTED:
        told = f"Text {text} was not handed on: {why}. It is not tried again; bring it there by hand."
    else:
        told = f"That the approval of text {text} was taken back could not be told: {why}. Take it back there by hand."
    return messages.plain(told, fallback=f"Text {text} could not be handed on")


def another_text(case: Case) -> Body:
    """Somebody changed what is kept; whatever that is, nobody approved it."""
    text = short(case.answer.sha256)
    told = (
        f"Text {text} is not handed on: what is kept of it is not what was approved. Tell whoever runs the bot: "
        "`python -m bot verify` says more."
    )
    return messages.plain(told, fallback=f"Text {text} is not handed on")


def waits_for_slack(case: Case) -> Body:
    """It is looked at again before it is handed on, and Slack does not answer."""
    text = short(case.answer.sha256)
    told = (
        f"Text {text} is not handed on yet: Slack does not tell me at present whether its approval still stands. "
        "I go on asking, and nothing is lost."
    )
    return messages.plain(told, fallback=f"Text {text} waits to be handed on")


def _day(at: datetime) -> str:
    return f"{at:%H:%M UTC on %Y-%m-%d}"
