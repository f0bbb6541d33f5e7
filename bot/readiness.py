"""Whether this process can do its part, and what is wrong beside that: sentences by part, for /readyz."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.glance import Glance
from bot.stack_findings import Finding
from handlers.ports import Clock
from storage.gauges import Gauges
from storage.records import RunState

OUTBOX_STUCK = timedelta(minutes=5)
INBOX_STUCK = timedelta(minutes=2)
QUEUE_STUCK = timedelta(minutes=15)

SlackTrouble = Callable[[], Awaitable[str]]
"""What keeps us and Slack apart, in a sentence; empty while nothing does."""

StackProblems = Callable[[], Sequence[Finding]]
"""What is wrong with the stack file as it lies there now; empty while the one in use is the one on disk."""

_WITHOUT_DATABASE = {
    True: "What comes in is not acknowledged; Slack brings it again.",
    False: "Nothing is begun here until it answers; what is in line stays there.",
}
_NOT_WRITTEN = (
    "The last change could not be written, so what came in then was not acknowledged; Slack brings it again. See to "
    "the database's disk and the log; this goes with the next change that is written."
)
_QUEUE_AWAY = "The queue in the database is out of reach, so nothing is taken up here; it is tried again all the time."


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How a process is.

    Attributes:
        missing: what keeps it from doing its part, by name, each with a sentence; a balancer should pass it by.
        warnings: what somebody should look at although the process does its part. Passing it by would only lose
            deliveries: an outbox that waits for Slack waits in every process.
        gauges: what is open; None if the database did not say.
    """

    missing: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    gauges: Gauges | None = None

    @property
    def is_ready(self) -> bool:
        return not self.missing


class Readiness:
    """Looks at the parts of a process: those it is made of, each by the tool it is given."""

    def __init__(
        self,
        *,
        glance: Glance,
        now: Clock,
        slack: SlackTrouble,
        stack_problems: StackProblems = tuple,
        takes_in: bool = True,
        cannot_write: Callable[[], bool] = lambda: False,
        is_queue_away: Callable[[], bool] = lambda: False,
        outbox_stuck: timedelta = OUTBOX_STUCK,
    ) -> None:
        """`takes_in`: whether deliveries come to this process; one without them is there to do what is in line."""
        self._glance, self._now = glance, now
        self._slack, self._stack_problems = slack, stack_problems
        self._takes_in, self._is_queue_away = takes_in, is_queue_away
        self._cannot_write = cannot_write
        self._outbox_stuck = outbox_stuck

    async def look(self) -> Health:
        seen = await self._glance.look()
        missing = {}
        if seen.gauges is None:
            missing["database"] = f"{seen.problem} {_WITHOUT_DATABASE[self._takes_in]}"
        if trouble := await self._slack():
            missing["slack"] = trouble
        warnings = {}
        if seen.gauges is not None:
            warnings = waiting_too_long(seen.gauges, self._now(), outbox_stuck=self._outbox_stuck)
            if self._cannot_write():
                warnings["database"] = _NOT_WRITTEN
        if self._is_queue_away():
            (warnings if self._takes_in else missing)["queue"] = _QUEUE_AWAY
        if problems := self._stack_problems():
            warnings["stack"] = _broken_stack(problems)
        return Health(missing=missing, warnings=warnings, gauges=seen.gauges)


def waiting_too_long(gauges: Gauges, now: datetime, *, outbox_stuck: timedelta = OUTBOX_STUCK) -> dict[str, str]:
    """What has waited for longer than it should, by part, each with a sentence."""
    waiting = {}
    if waited := _beyond(gauges.post_planned_at, now, outbox_stuck):
        owed = gauges.posts + gauges.edits
        waiting["outbox"] = (
            f"A message to Slack has waited for {waited}, and {owed} are owed. The log says why, under "
            '"not delivered yet" or "Slack refuses this app"; they follow by themselves once Slack takes them.'
        )
    if waited := _beyond(gauges.letter_due_at, now, INBOX_STUCK):
        waiting["inbox"] = (
            f"A letter that is due has waited for {waited}, and {gauges.letters} are unhandled. See whether a worker "
            "runs, and the log for what it stumbles over."
        )
    if waited := _beyond(gauges.queued_at, now, QUEUE_STUCK):
        waiting["queue"] = (
            f"A run has waited in line for {waited}, and {gauges.count(RunState.QUEUED)} are queued. See whether a "
            "worker runs; if so, its model is slow or its `concurrency` in the stack is low."
        )
    return waiting


def _beyond(since: datetime | None, now: datetime, limit: timedelta) -> str:
    """For how long something has waited, in words, if that is longer than it should."""
    if since is None or now - since <= limit:
        return ""
    minutes = int((now - since).total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004  an hour


def _broken_stack(problems: Sequence[Finding]) -> str:
    """The first finding by code and line; the file's words stay in the log, for this page may be read by anybody."""
    first, more = problems[0], len(problems) - 1
    others = f" and {more} more" if more else ""
    return (
        f"The changed stack file cannot be used ({first.code} in line {first.line}{others}), so the old stack stays in "
        "use. `python -m bot check` shows what to mend."
    )
