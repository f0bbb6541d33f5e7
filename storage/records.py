"""What storage hands out and takes in: frozen records, and the words their states are written in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """How far a run is; the names are the contract's."""

    QUEUED = "queued"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Lane(StrEnum):
    """Content and code do not read each other's answers unless a person hands one over."""

    CONTENT = "content"
    CODE = "code"


class Kind(StrEnum):
    """What a message of ours is; other programs read it in the metadata."""

    ROOT = "root"
    CARD = "card"
    ANSWER = "answer"
    NOTES = "notes"
    REVIEW = "review"
    VERDICT = "verdict"
    NOTICE = "notice"
    FILE = "file"  # which carries no metadata: Slack gives a file none


class VerdictKind(StrEnum):
    """What a reviewer said."""

    APPROVE = "approve"
    SEND_BACK = "send_back"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """Something that came in and must be handled exactly once."""

    key: str
    kind: str
    line: str
    body: dict[str, Any]
    received_at: datetime
    seq: int = 0
    tries: int = 0
    due_at: datetime | None = None
    outcome: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """What a work that began fresh brought along, and by whom it came about.

    Attributes:
        brief_by: who opened the work in which the brief was written.
        people: everybody with a hand in the brief or the text, as far back as it goes.
        answer_id: the text as it stood in the thread before; None if only the brief came along.
    """

    brief_by: str
    people: tuple[str, ...] = ()
    answer_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One piece of work: one Slack thread with its brief."""

    id: str
    team: str
    channel: str
    brief: str
    opened_by: str
    opened_at: datetime
    thread_ts: str | None = None
    in_human_thread: bool = False
    fresh_from: str | None = None
    carried: Carried | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One execution of one stage in a work.

    `walk`: which step of which walk it is, if any: the walk's id and name, step, of how many, round, of how many.
    """

    id: str
    work_id: str
    request_key: str
    stage: str
    lane: Lane
    state: RunState
    asked_by: str
    entrance: str
    asked_at: datetime
    note: str = ""
    note_by: tuple[str, ...] = ()
    target_id: str | None = None
    revises: bool = False
    second_to: str | None = None
    walk: dict[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    epoch: int = 0
    cancel_by: str | None = None
    route: dict[str, Any] | None = None
    model: str | None = None
    served_id: str | None = None
    stop_reason: str | None = None
    attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    estimated: bool = False
    cost_usd: float | None = None
    error_code: str | None = None
    error: str | None = None
    seq: int = 0


class WalkState(StrEnum):
    """How a walk is doing."""

    WALKING = "walking"
    DONE = "done"
    STOPPED = "stopped"  # by a person, or for one to decide
    STUCK = "stuck"  # at a step that gave nothing to go on with; it can go on from there


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """A pipeline that somebody asked for, step by step in the thread of one work.

    Attributes:
        stages: its steps as they were configured when it began, and `revise_rounds` as it was.
        place: the step it is at, counted from 0; `rounds` of revision were begun there.
        run_id: the run of that step. Only how this one ends moves the walk.
        text_id: the text it has in hand.
        ended_at: when it was done, was stopped or got stuck.
    """

    id: str
    work_id: str
    request_key: str
    name: str
    stages: tuple[str, ...]
    asked_by: str
    begun_at: datetime
    run_id: str
    revise_rounds: int = 0
    place: int = 0
    rounds: int = 0
    text_id: str | None = None
    note: str = ""
    state: WalkState = WalkState.WALKING
    ended_at: datetime | None = None
    seq: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cooldown:
    """A model's endpoint that failed since it last answered.

    Attributes:
        failures: asks in a row that gave nothing, each with its attempts.
        code: of the newest failure, as in ModelFailed.
        until: nobody asks it before; None while it may be asked.
    """

    endpoint: str
    failures: int
    code: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredContext:
    """Exactly what the model of a run saw."""

    run_id: str
    system: str
    prompt: str
    manifest: dict[str, Any]
    made_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a run made, or a message a person pointed at; never changed."""

    id: str
    work_id: str
    run_id: str | None
    stage: str
    lane: Lane
    number: int
    text: str
    sha256: str
    made_at: datetime
    notes: str = ""
    decision: str = "none"
    verdict: str | None = None
    about_id: str | None = None
    second_to: str | None = None
    author: str | None = None
    seq: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message of ours: planned before it is sent, found again by its slot."""

    slot: str
    work_id: str
    kind: Kind
    team: str
    channel: str
    body: dict[str, Any]
    planned_at: datetime
    run_id: str | None = None
    answer_id: str | None = None
    person: str | None = None
    revision: int = 1
    shown: int = 0
    ts: str | None = None
    digest: str | None = None
    given_up: str | None = None
    sent_at: datetime | None = None
    seq: int = 0

    @property
    def is_owed(self) -> bool:
        """Slack does not show it yet, or not in its newest form."""
        return self.shown < self.revision and self.given_up is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """The gate of one final answer. Its state is derived from its verdicts, never stored."""

    answer_id: str
    run_id: str
    work_id: str
    asked_by: str
    authors: tuple[str, ...]
    opened_at: datetime
    expires_at: datetime | None = None
    remind_at: datetime | None = None
    reminded: int = 0
    reason_wanted_from: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one reviewer said of one answer, and how we know."""

    answer_id: str
    person: str
    kind: VerdictKind
    via: str
    request_key: str
    evidence: dict[str, Any]
    at: datetime
    emoji: str | None = None
    ledger_seq: int = 0
    seq: int = 0


class Event(StrEnum):
    """What a receiver of approvals is told."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Handing:
    """An event that a receiver outside is to be told, at least once.

    Attributes:
        id: the same at every attempt, so that the receiver knows a repeat.
        head: the ledger's, with the verdict from which this follows.
        payload: what is sent, to the byte; None until the first attempt fixes it.
        claimed_until: somebody attempts it; nobody else does before.
        begun_at: of the first attempt. From then on it counts as handed on.
        status: HTTP's, of the last attempt; None where nobody answered, and `error` says what happened.
        withdrawn_at: it is not to be handed on any more.
    """

    id: str
    event: Event
    work_id: str
    run_id: str
    answer_id: str
    head: str
    planned_at: datetime
    due_at: datetime
    payload: str | None = None
    claimed_until: datetime | None = None
    attempts: int = 0
    begun_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    handed_at: datetime | None = None
    given_up_at: datetime | None = None
    withdrawn_at: datetime | None = None
    seq: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be handed on."""
        return self.handed_at is None and self.given_up_at is None and self.withdrawn_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What one attempt at a model may cost, set aside before it begins. Money is in billionths of a US dollar.

    Attributes:
        day: UTC's, such as "2026-11-03".
        spent: what it came to; None while it is under way, and for ever where nobody learnt it.
        over_day: it counts against what somebody raised, not against the day's limit.
    """

    team: str
    day: str
    work_id: str
    run_id: str
    epoch: int
    attempt: int
    stage: str
    model: str
    reserved: int
    at: datetime
    spent: int | None = None
    estimated: bool = False
    over_day: bool = False
    seq: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """What counts against each limit: what was spent, else what is set aside; in billionths of a US dollar.

    Attributes:
        day: without what counts against a raise.
        over_day: what this work spent over the day's limit, on any day.
    """

    run: int = 0
    work: int = 0
    day: int = 0
    over_day: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """What was spent so far, in billionths of a US dollar; `under_way` is set aside for runs that are not over."""

    work: int = 0
    stage: int = 0
    day: int = 0
    under_way: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """Somebody let a work spend more than a limit, once; `amount` is in billionths of a US dollar."""

    work_id: str
    run_id: str
    which: str
    amount: int
    who: str
    at: datetime
    ledger_seq: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the ledger, before it is chained."""

    team: str
    at: datetime
    who: str
    what: str
    body: dict[str, Any]
    work_id: str | None = None
    run_id: str | None = None
    answer_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Chained:
    """One line of the ledger as it stands in the chain."""

    seq: int
    team: str
    at: datetime
    who: str
    what: str
    body: str
    previous: str
    hash: str
    work_id: str | None = None
    run_id: str | None = None
    answer_id: str | None = None
