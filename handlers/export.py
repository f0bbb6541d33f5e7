"""One work, whole, for whoever asks later how it came about: as data, and as a document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from handlers.budget import dollars
from handlers.case import Case, load_case
from handlers.figures import count, money, tokens
from handlers.incoming import Click, line_of, words_in
from handlers.messages import step_words
from handlers.stack import Stack
from handlers.words import Body, words_of
from storage.database import Saved
from storage.records import Answer, Chained, Handing, Kind, Message, Run, Spending, Verdict, Work

_LEAST_FENCE = 3
_BACKTICKS = re.compile("`+")


async def export_work(work: Work, saved: Saved, *, stack: Stack | None, now: datetime) -> dict[str, Any]:
    """Everything remembered of a work, but for the prompts, whose digests and manifests stand in for them.

    The reviews' states are of this moment, by the stack's quorum; without a stack they are left out.
    """
    runs, answers = await saved.runs.of_work(work.id), await saved.answers.of_work(work.id)
    contexts = {run.id: await saved.runs.context(run.id) for run in runs}
    asked = {run.id: [_attempt(one) for one in await saved.spendings.of_run(run.id)] for run in runs}
    cases = [await load_case(review.answer_id, saved) for review in await saved.reviews.of_work(work.id)]
    entries = [entry async for entry in saved.ledger.of_work(work.id)]
    posted = await saved.outbox.of_work(work.id)
    opened = {entry.answer_id: entry for entry in entries if entry.what == "review_opened"}
    return {
        "work": _work(work),
        "runs": [{**_run(run), "asked": asked[run.id], "context": _manifest(contexts[run.id])} for run in runs],
        "answers": [
            {
                **_answer(answer),
                "posted": [
                    {"slot": part.slot, "ts": part.ts, "digest": part.digest, "given_up": part.given_up}
                    for part in posted
                    if part.answer_id == answer.id and part.kind == "answer"
                ],
            }
            for answer in answers
        ],
        "reviews": [
            {
                **_review(case, stack, now),
                "opened_with": json.loads(opened[case.answer.id].body) if case.answer.id in opened else None,
                "said_in_thread": [_said(one) for one in posted if _is_about(one, case)],
                "words_heard": await _heard(case, posted, saved),
            }
            for case in cases
            if case is not None
        ],
        "handed_on": [_handing(one) for one in await saved.handings.of_work(work.id)],
        "ledger": [_entry(entry) for entry in entries],
        "ledger_head": await saved.ledger.head(work.team),
        "cost_usd": dollars(await saved.spendings.of_work(work.id)),
        "exported_at": _at(now),
    }


def _work(work: Work) -> dict[str, Any]:
    return {
        "id": work.id,
        "team": work.team,
        "channel": work.channel,
        "thread_ts": work.thread_ts,
        "opened_by": work.opened_by,
        "opened_at": _at(work.opened_at),
        "brief": work.brief,
        "fresh_from": work.fresh_from,
        "carried": asdict(work.carried) if work.carried else None,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "stage": run.stage,
        "state": run.state.value,
        "asked_by": run.asked_by,
        "asked_at": _at(run.asked_at),
        "entrance": run.entrance,
        "note": run.note,
        "note_by": list(run.note_by),
        "target": run.target_id,
        "second_to": run.second_to,
        "walk": run.walk,
        "started_at": _at(run.started_at),
        "ended_at": _at(run.ended_at),
        "route": run.route,
        "model": run.model,
        "served_id": run.served_id,
        "stop_reason": run.stop_reason,
        "attempts": run.attempts,
        "begun": run.epoch,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "tokens_are_estimates": run.estimated,
        "cost_usd": run.cost_usd,
        "cancelled_by": run.cancel_by,
        "error": run.error,
    }


def _attempt(spending: Spending) -> dict[str, Any]:
    """What was set aside for an attempt at a model with a price, and what it came to, if anybody learnt that."""
    return {
        "model": spending.model,
        "at": _at(spending.at),
        "begun": spending.epoch,
        "attempt": spending.attempt,
        "set_aside_usd": dollars(spending.reserved),
        "spent_usd": None if spending.spent is None else dollars(spending.spent),
        "is_estimate": spending.estimated,
        "over_the_day": spending.over_day,
    }


def _manifest(context: Any) -> dict[str, Any] | None:
    return None if context is None else {"made_at": _at(context.made_at), "manifest": context.manifest}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "run": answer.run_id,
        "stage": answer.stage,
        "number": answer.number,
        "lane": answer.lane.value,
        "sha256": answer.sha256,
        "made_at": _at(answer.made_at),
        "about": answer.about_id,
        "second_to": answer.second_to,
        "author": answer.author,
        "decision": answer.decision,
        "verdict": answer.verdict,
        "text": answer.text,
        "notes": answer.notes,
    }


def _review(case: Case, stack: Stack | None, now: datetime) -> dict[str, Any]:
    review = case.review
    return {
        "answer": review.answer_id,
        "sha256": case.answer.sha256,
        "state": case.state(stack.review, now).value if stack else None,
        "asked_by": review.asked_by,
        "may_not_approve": list(review.authors),
        "opened_at": _at(review.opened_at),
        "expires_at": _at(review.expires_at),
        "reminded": review.reminded,
        "verdicts": [_verdict(verdict) for verdict in case.verdicts],
    }


def _is_about(message: Message, case: Case) -> bool:
    return message.answer_id == case.answer.id and message.kind in {Kind.REVIEW, Kind.VERDICT, Kind.NOTICE}


def _said(message: Message) -> dict[str, Any]:
    """A message of ours, by where it stands in Slack; `to` alone has read it."""
    return {
        "kind": message.kind.value,
        "state": message.body["facts"].get("state"),
        "ts": message.ts,
        "digest": message.digest,
        "to": message.person,
        "words": words_of(Body.from_json(message.body)),
    }


async def _heard(case: Case, posted: Sequence[Message], saved: Saved) -> list[dict[str, Any]]:
    """Every reaction and click on a text or its card that is still remembered, and what became of it.

    Those that count for nothing stand in no ledger; letters are kept for thirty days.
    """
    shown = [one for one in posted if one.answer_id == case.answer.id and one.kind in {Kind.ANSWER, Kind.REVIEW}]
    heard = []
    for message in shown:
        if message.ts is None:
            continue
        for letter in await saved.inbox.in_line(line_of(message.channel, message.ts)):
            for word in words_in([letter]):
                said = word.wish.value if isinstance(word, Click) else word.emoji
                heard.append(
                    {
                        "at": _at(word.at),
                        "person": word.person,
                        "via": word.via,
                        "said": said,
                        "taken_away": word.takes_away,
                        "on": message.kind.value,
                        "ts": message.ts,
                        "became": letter.outcome,
                    }
                )
    return sorted(heard, key=lambda one: str(one["at"]))


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "person": verdict.person,
        "kind": verdict.kind.value,
        "emoji": verdict.emoji,
        "via": verdict.via,
        "at": _at(verdict.at),
        "evidence": verdict.evidence,
        "ledger_seq": verdict.ledger_seq,
    }


def _handing(handing: Handing) -> dict[str, Any]:
    return {
        "webhook_id": handing.id,
        "event": handing.event.value,
        "answer": handing.answer_id,
        "ledger_head": handing.head,
        "planned_at": _at(handing.planned_at),
        "begun_at": _at(handing.begun_at),
        "attempts": handing.attempts,
        "status": handing.status,
        "error": handing.error,
        "handed_at": _at(handing.handed_at),
        "given_up_at": _at(handing.given_up_at),
        "not_any_more_since": _at(handing.withdrawn_at),
    }


def _entry(entry: Chained) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": _at(entry.at),
        "who": entry.who,
        "what": entry.what,
        "run": entry.run_id,
        "answer": entry.answer_id,
        "body": entry.body,
        "previous": entry.previous,
        "hash": entry.hash,
    }


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds")


def as_markdown(exported: Mapping[str, Any]) -> str:
    """The same as a document. Texts stand in fences, so that nothing in them is taken for ours."""
    return "\n".join(_document(exported)).rstrip() + "\n"


def _document(whole: Mapping[str, Any]) -> Iterator[str]:
    work = whole["work"]
    yield f"# Work {work['id']}"
    yield ""
    yield f"Opened by {work['opened_by']} in {work['channel']} at {work['opened_at']}; thread {work['thread_ts']}."
    cost = money(whole["cost_usd"]) if whole["cost_usd"] else "no cost known"
    yield f"{count(len(whole['runs']), 'run')}, {cost}. Exported at {whole['exported_at']}."
    if work["fresh_from"]:
        along = f" and answer {work['carried']['answer_id']}" if work["carried"]["answer_id"] else ""
        yield f"Started fresh from work {work['fresh_from']}, with its brief{along}."
    yield ""
    yield "## Brief"
    yield ""
    yield from _fenced(work["brief"])
    answers = {answer["run"]: answer for answer in whole["answers"] if answer["run"]}
    for answer in whole["answers"]:
        if not answer["run"]:
            yield from _pointed_at(answer)
    for number, run in enumerate(whole["runs"], 1):
        yield from _of_run(number, run, answers.get(run["id"]))
    for review in whole["reviews"]:
        yield from _of_review(review)
    yield from _of_handings(whole["handed_on"])
    yield from _of_ledger(whole["ledger"])
    yield ""
    yield f"The whole ledger's head is `{whole['ledger_head']}`: `python -m bot verify` goes along all of it."


def _pointed_at(answer: Mapping[str, Any]) -> Iterator[str]:
    whence = f"by {answer['author']}" if answer["author"] else "made by no run of this work"
    yield f"## {answer['stage'].capitalize()} {whence}"
    yield ""
    yield f"sha256 `{answer['sha256']}`"
    yield ""
    yield from _fenced(answer["text"])


def _step(run: Mapping[str, Any]) -> str:
    return f": {step_words(run['walk'])}" if run["walk"] else ""


def _of_run(number: int, run: Mapping[str, Any], answer: Mapping[str, Any] | None) -> Iterator[str]:
    yield f"## {number}. {run['stage']}: {run['state']}"
    yield ""
    yield f"- asked by {run['asked_by']} at {run['asked_at']} ({run['entrance']}){_step(run)}"
    if run["model"]:
        served = f", served as {run['served_id']}" if run["served_id"] else ""
        yield f"- model {run['model']}{served}"
    if run["route"]:
        yield f"- routed: {run['route'].get('reason', '')} (stack `{run['route'].get('stack', '')[:12]}`)"
    if run["input_tokens"] is not None:
        spent = tokens((run["input_tokens"] or 0) + (run["output_tokens"] or 0), estimated=run["tokens_are_estimates"])
        yield f"- {spent}" + (f", {money(run['cost_usd'])}" if run["cost_usd"] else "")
    yield from _of_attempts(run["asked"])
    for item in (run["context"] or {}).get("manifest", {}).get("items", []):
        yield f"- it saw {item['title']} ({item['characters']:,} characters): sha256 `{item['sha256']}`"
    if run["error"]:
        yield f"- {run['error']}"
    if run["cancelled_by"]:
        yield f"- cancelled by {run['cancelled_by']}"
    yield ""
    if run["note"]:
        yield f"Note by {', '.join(run['note_by']) or run['asked_by']}:"
        yield ""
        yield from _fenced(run["note"])
    if answer:
        yield f"### {answer['stage']} {answer['number']}"
        yield ""
        yield f"sha256 `{answer['sha256']}`"
        yield ""
        yield from _fenced(answer["text"])
        if answer["notes"]:
            yield "Notes, not part of the text:"
            yield ""
            yield from _fenced(answer["notes"])


def _of_attempts(asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in asked:
        came = "nobody learnt what it came to" if one["spent_usd"] is None else f"it came to {money(one['spent_usd'])}"
        also = " (an estimate)" * one["is_estimate"] + ", over the day's limit" * one["over_the_day"]
        yield f"- asked {one['model']}: up to {money(one['set_aside_usd'])} set aside at {one['at']}, {came}{also}"


def _of_review(review: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Review of text {review['sha256'][:8]}" + (f": {review['state']}" if review["state"] else "")
    yield ""
    reminded = count(review["reminded"], "time")
    yield f"- opened at {review['opened_at']}, until {review['expires_at']}; reminded {reminded}"
    yield f"- asked for by {review['asked_by']}; could not approve it: {', '.join(review['may_not_approve'])}"
    if opened := review["opened_with"]:
        solo = "; solo mode" if opened.get("solo") else ""
        rules = f"; rules of stack `{opened['rules'][:12]}`" if opened.get("rules") else ""
        needed = f"; needed: {opened['quorum']}" if "quorum" in opened else ""
        yield f"- reviewers then: {', '.join(opened['reviewers'])}{needed}{solo}{rules}"
    for verdict in review["verdicts"]:
        way = f":{verdict['emoji']}:, {verdict['via']}" if verdict["emoji"] else verdict["via"]
        yield f"- {verdict['at']}: {verdict['kind']} by {verdict['person']} ({way}), entry {verdict['ledger_seq']}"
        yield from _of_evidence(verdict["evidence"])
        for part in verdict["evidence"].get("parts", []):
            yield f"  - of message {part['ts']}, sha256 `{part['sha256']}`"
    if idle := [one for one in review["words_heard"] if one["became"] not in {"counts", "withdraw"}]:
        yield "- words that count for nothing:"
        for one in idle:
            how = f"{one['said']}{', taken away' * one['taken_away']} ({one['via']} on {one['ts']})"
            yield f"  - {one['at']}: {one['person']}, {how}: {one['became'] or 'not judged yet'}"
    yield "- said in the thread:"
    for said in review["said_in_thread"]:
        if said["kind"] != Kind.REVIEW:
            whom = f", to {said['to']} alone" if said["to"] else ""
            yield f"  - {said['ts'] or 'no place'}{whom}: {said['words']}"
    yield ""


def _of_evidence(seen: Mapping[str, Any]) -> Iterator[str]:
    """Why somebody's word counted, and for what."""
    if "quorum" not in seen:
        return
    by = "named" if seen.get("named") else f"a member of {', '.join(seen.get('groups', [])) or 'a group'}"
    also = [word for word in ("guest", "external", "solo") if seen.get(word)]
    looked = f", looked up at {seen['looked_up_at']}" if "looked_up_at" in seen else ""
    yield f"  - counted as {by}{''.join(f', {word}' for word in also)}; needed: {seen['quorum']}{looked}"
    if "made_by" in seen:
        made = seen["made_by"]
        stacks = f"made with stack `{str(made['stack'])[:12]}`, judged by the rules of `{seen['rules'][:12]}`"
        served = f" (served as {made['served']})" if made["served"] else ""
        yield f"  - of text `{seen['sha256']}` by {made['model']}{served}, {stacks}"


def _of_handings(handings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not handings:
        return
    yield "## Handed on"
    yield ""
    for one in handings:
        ends = (("handed_at", "accepted"), ("given_up_at", "given up"), ("not_any_more_since", "not to be handed on"))
        became = next((f"{word} at {one[key]}" for key, word in ends if one[key]), "not accepted yet")
        last = f", the last one: {one['error']}" if one["error"] else ""
        tried = count(one["attempts"], "attempt")
        yield f"- {one['event']}, `{one['webhook_id']}`, planned at {one['planned_at']}: {became}; {tried}{last}"
    yield ""


def _of_ledger(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Ledger"
    yield ""
    yield "| entry | at | who | what | it says | hash |"
    yield "| --: | :-- | :-- | :-- | :-- | :-- |"
    for entry in entries:
        says = _as_code(entry["body"].replace("|", "\\|"))
        who = f"{entry['at']} | {entry['who']} | {entry['what']}"
        yield f"| {entry['seq']} | {who} | {says} | `{entry['hash']}` |"


def _as_code(line: str) -> str:
    """A line within more backticks than stand in a row in it."""
    if "`" not in line:
        return f"`{line}`"
    marks = "`" * (_most_backticks(line) + 1)
    return f"{marks} {line} {marks}"


def _most_backticks(text: str) -> int:
    """In a row."""
    return max((len(found) for found in _BACKTICKS.findall(text)), default=0)


def _fenced(text: str) -> Iterator[str]:
    """A text in a fence longer than any run of backticks in it."""
    fence = "`" * max(_LEAST_FENCE, _most_backticks(text) + 1)
    yield f"{fence}text"
    yield text
    yield fence
    yield ""
