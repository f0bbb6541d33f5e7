"""One word at the gate: judged with what Slack says now, then remembered with all that follows, or answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from handlers.case import Case, load_case
from handlers.incoming import Reaction
from handlers.judge import Judgement, ReviewState, Situation, approvers, judge, reaction_of, reactions_standing
from handlers.ports import Clock, Slack
from handlers.recheck import differs, lapsed, situation
from handlers.stack import Stack
from handlers.verdicts import LAPSED, remember, tell_why
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Verdict, VerdictKind


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """What came of looking again: what is wrong with the text, and whose approvals do not count any more, with why."""

    fault: str | None = None
    gone: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One reaction and its tools. Slack is asked first; then all that follows is one transaction."""

    reaction: Reaction
    storage: Database
    slack: Slack
    stack: Stack
    now: Clock

    async def settle(self, outcome: str) -> bool:
        async with self.storage.transaction() as saved:
            await saved.inbox.handled(self.reaction.key, at=self.now(), outcome=outcome)
        return True

    async def give(self, kind: VerdictKind, case: Case) -> bool:
        """A reaction was added. False when the case is not what it was any more."""
        state, at = case.state(self.stack.review, self.now()), self.now()
        seen = await situation(self.reaction.person, case, state, at, slack=self.slack, stack=self.stack)
        judgement, given = judge(seen), self._given(kind, case, seen)
        checked = await self._look_again(case, given) if judgement is Judgement.COUNTS else _Checked()
        async with self.storage.transaction() as saved:
            fresh = await load_case(case.answer.id, saved)
            if fresh is None or len(fresh.verdicts) != len(case.verdicts):
                return False
            if judgement is Judgement.COUNTS:
                judgement = judge(replace(seen, state=fresh.state(self.stack.review, self.now())))
            outcome = checked.fault if judgement is Judgement.COUNTS and checked.fault else judgement
            if not await saved.inbox.handled(self.reaction.key, at=self.now(), outcome=outcome):
                return True
            if outcome is Judgement.COUNTS:
                gone = [*await self._already_taken_away(given, fresh, saved), *self._lapses(checked, fresh)]
                await remember([given, *gone], fresh, saved, self.stack, now=self.now)
            else:
                await tell_why(self.reaction, judgement, checked.fault, fresh, saved, self.stack, now=self.now)
            crashpoint("cp22")
        crashpoint("cp24")
        return True

    async def take_away(self, case: Case) -> bool:
        """Taking the reaction away takes the verdict away. False when the case is not what it was any more."""
        crashpoint("cp26")
        taken = self._withdrawal(case, self.reaction)
        checked = await self._look_again(case, taken)
        async with self.storage.transaction() as saved:
            fresh = await load_case(case.answer.id, saved)
            if fresh is None or len(fresh.verdicts) != len(case.verdicts):
                return False
            was_given = any(reaction_of(verdict) == reaction_of(taken) for verdict in fresh.verdicts)
            outcome = "withdraw" if was_given else "nothing to take away"
            if await saved.inbox.handled(self.reaction.key, at=self.now(), outcome=outcome) and was_given:
                lapses = self._lapses(checked, fresh.with_also(taken))
                await remember([taken, *lapses], fresh, saved, self.stack, now=self.now)
        return True

    async def _look_again(self, case: Case, verdict: Verdict) -> _Checked:
        """Before an approval counts: the text as it stands in the thread, and everybody else who approves it."""
        after = case.with_also(verdict)
        approves, becomes = verdict.kind is VerdictKind.APPROVE, after.state(self.stack.review, self.now())
        if becomes is not ReviewState.APPROVED and not approves:
            return _Checked()
        fault = await differs(case, storage=self.storage, slack=self.slack, now=self.now)
        if fault:  # nobody's approval is of what stands there now
            return _Checked(fault=fault, gone={} if approves else dict.fromkeys(approvers(after.said), fault))
        if becomes is not ReviewState.APPROVED:
            return _Checked()
        judged = self.reaction.person if approves else None  # who takes something away was not judged
        gone = await lapsed(after, self.now(), besides=judged, slack=self.slack, stack=self.stack)
        return _Checked(gone={person: str(why) for person, why in gone.items()})

    def _given(self, kind: VerdictKind, case: Case, seen: Situation) -> Verdict:
        reaction, rules = self.reaction, self.stack.review
        evidence = {
            "message": reaction.message_ts,
            "event": reaction.key,
            "sha256": case.answer.sha256,
            "quorum": rules.quorum,
            "named": seen.named,
            "in_group": seen.in_group,
            "solo": seen.wrote_it and rules.solo,
        }
        return Verdict(
            answer_id=case.answer.id,
            person=reaction.person,
            kind=kind,
            via="reaction",
            emoji=reaction.emoji,
            request_key=reaction.key,
            evidence=evidence,
            at=reaction.at,
        )

    def _withdrawal(self, case: Case, removal: Reaction) -> Verdict:
        return Verdict(
            answer_id=case.answer.id,
            person=removal.person,
            kind=VerdictKind.WITHDRAW,
            via="reaction",
            emoji=removal.emoji,
            request_key=removal.key,
            evidence={"message": removal.message_ts, "event": removal.key},
            at=removal.at,
        )

    async def _already_taken_away(self, given: Verdict, case: Case, saved: Saved) -> list[Verdict]:
        """Removals of this very reaction that were delivered before it: they had nothing to take away then."""
        letters = [Reaction.from_json(letter.body) for letter in await saved.inbox.handled_in_line(self.reaction.line)]
        removals = [self._withdrawal(case, one) for one in letters if not one.added and one.at >= given.at]
        known = {verdict.request_key for verdict in case.verdicts}
        return [one for one in removals if reaction_of(one) == reaction_of(given) and one.request_key not in known]

    def _lapses(self, checked: _Checked, case: Case) -> list[Verdict]:
        """Approvals that do not count any more are taken away for their givers, who may give them again.

        At their own time: with the approval that brought this to light, the quorum was not reached for a moment.
        """
        return [
            replace(
                verdict,
                kind=VerdictKind.WITHDRAW,
                via=LAPSED,
                request_key=f"lapsed/{verdict.seq}/{self.reaction.key}"[:200],
                evidence={"message": verdict.evidence.get("message"), "why": checked.gone[verdict.person]},
            )
            for verdict in reactions_standing(case.said)
            if verdict.person in checked.gone
        ]
