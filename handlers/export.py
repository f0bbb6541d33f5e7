"""One work, whole, for whoever asks later how it came about: as data, and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from handlers.case import Case, load_case
from handlers.figures import count, money, tokens
from handlers.messages import step_words
from handlers.stack import Stack
from storage.database import Saved
from storage.records import Answer, Chained, Handing, Run, Verdict, Work

_LEAST_FENCE = 3


async def export_work(work: Work, saved: Saved, *, stack: Stack | None, now: datetime) -> dict[str, Any]:
    """Everything remembered of a work, but for the prompts, whose digests and manifests stand in for them.

    The reviews' states are of this moment, by the stack's quorum; without a stack they are left out.
    """
    runs, answers = await saved.runs.of_work(work.id), await saved.answers.of_work(work.id)
    contexts = {run.id: await saved.runs.context(run.id) for run in runs}
    cases = [await load_case(review.answer_id, saved) for review in await saved.reviews.of_work(work.id)]
    entries = [entry async for entry in saved.ledger.of_work(work.id)]
    posted = await saved.outbox.of_work(work.id)
    return {
        "work": _work(work),
        "runs": [{**_run(run), "context": _manifest(contexts[run.id])} for run in runs],
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
        "reviews": [_review(case, stack, now) for case in cases if case is not None],
        "handed_on": [_handing(one) for one in await saved.handings.of_work(work.id)],
        "ledger": [_entry(entry) for entry in entries],
        "cost_usd": sum(run.cost_usd or 0 for run in runs),
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


def _of_review(review: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Review of text {review['sha256'][:8]}" + (f": {review['state']}" if review["state"] else "")
    yield ""
    reminded = count(review["reminded"], "time")
    yield f"- opened at {review['opened_at']}, until {review['expires_at']}; reminded {reminded}"
    yield f"- could not approve it: {', '.join(review['may_not_approve'])}"
    for verdict in review["verdicts"]:
        way = f":{verdict['emoji']}:, {verdict['via']}" if verdict["emoji"] else verdict["via"]
        yield f"- {verdict['at']}: {verdict['kind']} by {verdict['person']} ({way}), entry {verdict['ledger_seq']}"
        for part in verdict["evidence"].get("parts", []):
            yield f"  - of message {part['ts']}, sha256 `{part['sha256']}`"
    yield ""


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
    yield "| entry | at | who | what | hash |"
    yield "| --: | :-- | :-- | :-- | :-- |"
    for entry in entries:
        yield f"| {entry['seq']} | {entry['at']} | {entry['who']} | {entry['what']} | `{entry['hash']}` |"


def _fenced(text: str) -> Iterator[str]:
    """A text in a fence longer than any run of backticks in it."""
    longest = run = 0
    for sign in text:
        run = run + 1 if sign == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(_LEAST_FENCE, longest + 1)
    yield f"{fence}text"
    yield text
    yield fence
    yield ""
