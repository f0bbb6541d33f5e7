"""One word at the gate: judged with what Slack says now, then remembered with all that follows, or answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from handlers.case import Case, load_case
from handlers.incoming import Click, Reaction, Reason, Reply, Word, words_in
from handlers.judge import OPEN, Judgement, ReviewState, Situation, approvers, judge, pressed, word_of
from handlers.ports import Clock, Slack
from handlers.posted_again import post_again, told_to_approver
from handlers.recheck import Posted, lapsed, lapses, read_back, situation
from handlers.stack import Stack
from handlers.told import tell_if_nothing_shows, tell_of_another_text, tell_what_was_taken_for, tell_why
from handlers.verdicts import remember
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Letter, Verdict, VerdictKind


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """What came of looking again: the text as it is posted, and whose approvals do not count any more, with why."""

    posted: Posted = field(default_factory=Posted)
    gone: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One word and its tools. Slack is asked first; then all that follows is one transaction."""

    word: Word
    storage: Database
    slack: Slack
    stack: Stack
    now: Clock

    async def settle(self, outcome: str) -> bool:
        async with self.storage.transaction() as saved:
            await saved.inbox.handled(self.word.key, at=self.now(), outcome=outcome)
        return True

    async def refuse_another_text(self, case: Case) -> bool:
        """A button says another text than the one that is kept."""
        assert isinstance(self.word, Click), "a reaction names no text"
        async with self.storage.transaction() as saved:
            if await saved.inbox.handled(self.word.key, at=self.now(), outcome="another text"):
                await tell_of_another_text(self.word, case, saved, now=self.now)
        return True

    async def give(self, kind: VerdictKind, case: Case) -> bool:
        """A word was given. False when the case is not what it was any more."""
        seen = await self._situation(kind, case)
        judgement, given = judge(seen), self._given(kind, case, seen)
        checked = await self._look_again(case, given) if judgement is Judgement.COUNTS else _Checked()
        async with self.storage.transaction() as saved:
            fresh = await load_case(case.answer.id, saved)
            if fresh is None or len(fresh.verdicts) != len(case.verdicts):
                return False
            if judgement is Judgement.COUNTS:
                judgement = judge(replace(seen, state=fresh.state(self.stack.review, self.word.at)))
            fault, posted = checked.posted.told, checked.posted
            outcome = fault if judgement is Judgement.COUNTS and fault else judgement
            if not await saved.inbox.handled(self.word.key, at=self.now(), outcome=outcome):
                return True
            if outcome is Judgement.COUNTS:
                gone = [*await self._already_taken_away(given, fresh, saved), *self._lapses(checked, fresh)]
                await self._remember([_bound(given, checked), *gone], fresh, saved)
                await self._hear_the_reason(fresh, saved)
            else:
                if outcome == fault and posted.is_kept and fresh.state(self.stack.review, self.now()) in OPEN:
                    fault = await self._post_again(str(posted.fault), fresh, saved)
                await tell_why(self.word, judgement, fault, fresh, saved, self.stack, now=self.now)
            crashpoint("cp22")
        crashpoint("cp24")
        return True

    async def _post_again(self, fault: str, case: Case, saved: Saved) -> str:
        """A reviewer would approve what does not stand there: they get it as a new version. Returns what they hear."""
        text = await post_again(case, fault, self.word.person, saved, self.stack, now=self.now)
        return told_to_approver(fault, text)

    async def take_away(self, case: Case) -> bool:
        """A word was taken back, and with it its verdict. False when the case is not what it was any more."""
        crashpoint("cp26")
        taken = self._withdrawal(case, self.word)
        was_given = _takes_something(self.word, taken, case)
        checked = await self._look_again(case, taken) if was_given else _Checked()
        async with self.storage.transaction() as saved:
            fresh = await load_case(case.answer.id, saved)
            if fresh is None or len(fresh.verdicts) != len(case.verdicts):
                return False
            outcome = "withdraw" if was_given else "nothing to take away"
            if not await saved.inbox.handled(self.word.key, at=self.now(), outcome=outcome):
                return True
            if was_given:
                lapses = self._lapses(checked, fresh.with_also(taken))
                await self._remember([taken, *lapses], fresh, saved)
            elif isinstance(self.word, Click):
                await tell_what_was_taken_for(self.word, fresh, saved, now=self.now)
        return True

    async def _situation(self, kind: VerdictKind, case: Case) -> Situation:
        """What the judge looks at. What somebody pressed is seen by nobody, so it is told to them a second time."""
        word, at = self.word, self.word.at  # in time is what was said in time, however late it is told
        seen = await situation(
            word.person, case, case.state(self.stack.review, at), at, slack=self.slack, stack=self.stack
        )
        if not isinstance(word, Click):
            return seen
        stands = pressed(case.said, word.person, word.at)
        return replace(
            seen, no_buttons=not self.stack.review.buttons, approved_already=stands is kind is VerdictKind.APPROVE
        )

    async def _remember(self, verdicts: list[Verdict], case: Case, saved: Saved) -> None:
        after = await remember(verdicts, case, saved, self.stack, now=self.now)
        if not isinstance(self.word, Reaction):
            await tell_if_nothing_shows(self.word, case, after, saved, self.stack, now=self.now)

    async def _hear_the_reason(self, case: Case, saved: Saved) -> None:
        """Who sent the text back in words has said why, whoever else was asked."""
        if isinstance(self.word, Reply) and self.word.words:
            await saved.reviews.want_reason(case.answer.id, self.word.person)
            await saved.inbox.put(_letter(self.word.reason, self.now()))

    async def _look_again(self, case: Case, verdict: Verdict) -> _Checked:
        """Before an approval counts: the text as it stands in the thread, and everybody else who approves it."""
        after = case.with_also(verdict)
        approves, becomes = verdict.kind is VerdictKind.APPROVE, after.state(self.stack.review, self.now())
        if becomes is not ReviewState.APPROVED and not approves:
            return _Checked()
        posted = await read_back(case, storage=self.storage, slack=self.slack, now=self.now)
        if posted.fault:  # nobody's approval is of what stands there now
            gone = {} if approves else dict.fromkeys(approvers(after.said), str(posted.told))
            return _Checked(posted=posted, gone=gone)
        if becomes is not ReviewState.APPROVED:
            return _Checked(posted=posted)
        judged = self.word.person if approves else None  # who takes something away was not judged
        left = await lapsed(after, self.now(), besides=judged, slack=self.slack, stack=self.stack)
        return _Checked(posted=posted, gone={person: str(why) for person, why in left.items()})

    def _given(self, kind: VerdictKind, case: Case, seen: Situation) -> Verdict:
        rules = self.stack.review
        evidence = {
            "sha256": case.answer.sha256,
            "quorum": rules.quorum,
            "named": seen.named,
            "in_group": seen.in_group,
            "groups": list(seen.groups),
            "guest": seen.person.is_guest,
            "external": seen.person.is_external,
            "looked_up_at": self.now().isoformat(),
            "solo": seen.wrote_it and rules.solo,
            "rules": self.stack.digest,
            "made_by": case.made_by,
        }
        return _verdict(self.word, kind, case, evidence)

    def _withdrawal(self, case: Case, removal: Word) -> Verdict:
        return _verdict(removal, VerdictKind.WITHDRAW, case, {})

    async def _already_taken_away(self, given: Verdict, case: Case, saved: Saved) -> list[Verdict]:
        """Removals of this very word that were delivered before it: they had nothing to take away then."""
        known, taken = {verdict.request_key for verdict in case.verdicts}, list[Verdict]()
        words = words_in(await saved.inbox.handled_in_line(self.word.line))
        for word in words:
            if not word.takes_away or word.at < given.at or word.key in known:
                continue
            removal = self._withdrawal(case, word)
            if word_of(removal) == word_of(given) and _takes_something(word, removal, case.with_also(given, *taken)):
                taken.append(removal)
        return taken

    def _lapses(self, checked: _Checked, case: Case) -> list[Verdict]:
        return lapses(case, checked.gone, self.word.key)


def _letter(reason: Reason, at: datetime) -> Letter:
    """What was said with a send-back is read as the reason that is asked for then."""
    line = f"{reason.team}/{reason.channel}/{reason.thread_ts}"
    return Letter(key=reason.key, kind="reason", line=line[:200], body=reason.to_json(), received_at=at)


def _verdict(word: Word, kind: VerdictKind, case: Case, more: dict[str, Any]) -> Verdict:
    return Verdict(
        answer_id=case.answer.id,
        person=word.person,
        kind=kind,
        via=word.via,
        emoji=word.emoji,
        request_key=word.key,
        evidence={**word.evidence, **more},
        at=word.at,
    )


def _bound(given: Verdict, checked: _Checked) -> Verdict:
    """An approval with the messages that were read back for it."""
    if given.kind is not VerdictKind.APPROVE:
        return given
    return replace(given, evidence={**given.evidence, **checked.posted.evidence})


def _takes_something(word: Word, removal: Verdict, case: Case) -> bool:
    """Whether there is what a word takes back: that reaction, or by a button, what was pressed last."""
    if isinstance(word, Click):
        return pressed(case.said, word.person, word.at) is word.wish.takes
    return any(word_of(verdict) == word_of(removal) for verdict in case.verdicts)
