"""What the bot says in a thread: roots, cards, answers, reviews, verdicts. A refusal stands where it is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from handlers.figures import clock, count, day, duration, money, short, tokens
from handlers.incoming import Wish
from handlers.material import title
from handlers.stack import StageName
from handlers.words import Body, Button, Line, Span, Text, Who, bold, code, line, people
from storage.records import Answer, Run, RunState, Work

BOT = "@Countersign"
SLACK_SILENT = (
    "Slack has not told me about this channel for a quarter of an hour, so nothing was started. "
    "See that I am in the channel and may read it, then say it again."
)
_SHOWN_BRIEF = 2_400


def root(work: Work, run: Run) -> Body:
    """The message a thread hangs from: the brief, and who asked for what."""
    brief = work.brief if len(work.brief) <= _SHOWN_BRIEF else work.brief[:_SHOWN_BRIEF].rstrip() + " …"
    cut = " · the brief is longer than shown here; all of it crosses" if brief is not work.brief else ""
    return Body(
        lines=(line(Text(text=brief)), line(f"{run.stage} for ", Who(person=run.asked_by), cut, small=True)),
        fallback=f"{run.stage}: a new piece of work",
        facts={"stage": run.stage},
    )


# cards


def queued(run: Run, *, ahead: int = 0) -> Body:
    wait = f"after {count(ahead, 'run')} of this thread" if ahead else "starting"
    return _card(run, RunState.QUEUED, [line(bold(name_of(run)), f" · queued · {wait}")])


def working(run: Run, *, word: str, model: str, seconds: float, why: str, read: str) -> Body:
    """The heartbeat."""
    now = f" · {word} · {model}, {duration(seconds)} so far"
    return _card(run, RunState.RUNNING, [line(bold(name_of(run)), now), line(why, *_read(read), small=True)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a card tells of a run that gave an answer.

    Attributes:
        because: why another model answered than was assigned.
        price_of: the day somebody looked up the price, where that was long ago.
    """

    model: str
    seconds: float
    tokens: int | None
    estimated: bool
    usd: float | None
    why: str
    read: str
    remark: str = ""
    done: str = "answered"
    instead_of: str = ""
    because: str = ""
    price_of: date | None = None


def answered(run: Run, outcome: Outcome) -> Body:
    figures = f" in {duration(outcome.seconds)}"
    if outcome.tokens is not None:
        figures += f" · {tokens(outcome.tokens, estimated=outcome.estimated)}"
    if outcome.usd is not None:
        figures += f"{', ' if outcome.tokens is not None else ' · '}{money(outcome.usd)}"
        figures += f" (price of {day(outcome.price_of)})" if outcome.price_of else ""
    who = bold(f"{outcome.model} for {outcome.instead_of}") if outcome.instead_of else outcome.model
    lines = [line(bold(name_of(run)), f" · {outcome.done} · ", who, figures)]
    if outcome.because:
        lines.append(line(outcome.because))
    if outcome.remark:
        lines.append(line(outcome.remark))
    return _card(run, RunState.ANSWERED, [*lines, line(outcome.why, *_read(outcome.read), small=True)])


def failed(run: Run, sentence: str) -> Body:
    return _card(run, RunState.FAILED, [line(bold(name_of(run)), f" · failed · {sentence}")])


def cancelled(run: Run, by: str) -> Body:
    return _card(run, RunState.CANCELLED, [line(bold(name_of(run)), " · cancelled by ", Who(person=by))])


def refused(run: Run, sentence: str) -> Body:
    return _card(run, RunState.REFUSED, [line(bold(name_of(run)), f" · not started · {sentence}")])


def name_of(run: Run) -> str:
    return "revise" if run.revises else run.stage


def _read(read: str) -> list[str]:
    return [f" · read: {read}"] if read else []


def _card(run: Run, state: RunState, lines: list[Line]) -> Body:
    return Body(
        lines=tuple(lines),
        fallback=f"{name_of(run)}: {state.value}",
        facts={"stage": run.stage, "state": state.value},
    )


# answers


def part(answer: Answer, blocks: Sequence[dict[str, Any]], *, number: int, of: int, buttons: bool) -> Body:
    """A piece of an answer; the buttons stand under its last one."""
    label = (line(f"{title(answer)}, part {number} of {of}", small=True),) if of > 1 else ()
    return Body(
        lines=label,
        answer=tuple(blocks),
        buttons=_buttons(answer) if buttons else (),
        fallback=f"{title(answer)}" + (f", part {number} of {of}" if of > 1 else ""),
        facts={"stage": answer.stage, "sha256": answer.sha256, "part": number, "parts": of},
    )


def notes(answer: Answer, blocks: Sequence[dict[str, Any]], *, number: int, of: int) -> Body:
    what = "owner's notes" if answer.stage == StageName.FINAL else "what changed"
    return Body(
        lines=(line(f"{what} · not part of the text", small=True),),
        answer=tuple(blocks),
        fallback=f"{title(answer)}: {what}",
        facts={"stage": answer.stage, "sha256": answer.sha256, "part": number, "parts": of},
    )


def _buttons(answer: Answer) -> tuple[Button, ...]:
    seen = Button(action="context", label="What did it see?", value=answer.id)
    if answer.stage == StageName.CRITIQUE:
        return (seen,)
    critique = Button(action="critique", label="Critique", value=answer.id)
    if answer.stage == StageName.SCOUT:
        return (critique, seen)
    return (
        critique,
        Button(action="revise", label="Revise", value=answer.id),
        Button(action="final", label="Final", value=answer.id),
        seen,
    )


# refusals and help, for the person who asked


def plain(*lines: str | Line, fallback: str = "A word from Countersign", state: str | None = None) -> Body:
    """A notice in the bot's own words."""
    spoken = tuple(one if isinstance(one, Line) else line(one) for one in lines)
    return Body(lines=spoken, fallback=fallback, facts={"state": state} if state else {})


def broke(reference: str) -> str:
    return (
        f"Something broke on our side (reference {reference}). Nothing was lost: `{BOT} again`, "
        "or tell the operator the reference."
    )


def not_handled(reference: str) -> str:
    """For a request that broke before it came to a run."""
    return (
        f"Something broke on our side, so nothing was started (reference {reference}). "
        "Ask again in a minute, or tell the operator the reference."
    )


def help_text(prefix: str, *, puzzled: bool = False, nearest: str | None = None) -> Body:
    """What can be asked for, and where; `puzzled` says first that what was asked for was not understood.

    `nearest` is the word that was probably meant.
    """
    command = f"/{prefix}draft"
    guess = f" Did you mean `{nearest}`?" if nearest else ""
    return plain(
        *([f"That names no stage and nothing else I know.{guess} Here is what I do:"] if puzzled else []),
        line(bold("Start work in a channel: "), code(f"{command} <brief>"), " (also scout, implement, final)"),
        line(bold("In a thread, mention me: "), code(f"{BOT} critique be harsh about the second paragraph")),
        line("Stages: scout, draft, revise, critique, implement, polish, final."),
        line("A reviewer may send a final back in words: ", code(f"{BOT} send back <reason>"), "."),
        line("Also: again, status, context, cancel, help. Any message can be criticised: its menu, Critique this."),
        line("A final text counts only after a reviewer's reaction on exactly that text.", small=True),
        fallback="What you can ask Countersign for",
    )


def status(runs: Sequence[tuple[Run, float]], reviews: Sequence[str], usd: float | None) -> Body:
    """How each run of a thread is doing; `runs` come with the seconds they took or have taken so far."""
    if not runs:
        return plain(f"Nothing has been asked for in this thread yet. Try `{BOT} draft …`.", fallback="Status")
    lines = [
        line(bold(name_of(run)), f" · {run.state.value} · {run.model or 'no model yet'} · {duration(seconds)}")
        for run, seconds in runs[-12:]
    ]
    lines += [line(sentence) for sentence in reviews]
    if usd:
        lines.append(line(f"thread so far {money(usd)}", small=True))
    return plain(*lines, fallback="Status of this thread")


# the gate


def review_card(
    answer: Answer,
    *,
    state: str,
    reviewers: Sequence[str],
    groups: Sequence[str],
    approve: str,
    send_back: str,
    asked_by: str,
    solo: bool,
    quorum: int,
    approved_by: Sequence[str],
    spent: float | None,
    remark: str = "",
    buttons: Sequence[Button] = (),
) -> Body:
    """Who may approve exactly what, and how."""
    cost = f" · thread so far {money(spent)}" if spent else ""
    head = {
        "awaiting": "Waiting for a reviewer",
        "approved": "Approved",
        "changes_requested": "Sent back",
        "superseded": "Superseded by a newer final",
        "withdrawn": "Approval withdrawn, waiting for a reviewer",
        "expired": "Expired without a decision",
    }[state]
    by = [" by ", *people(approved_by, between=" and ")] if state == "approved" else []
    lines = [line(bold(head), *by, f" · text {short(answer.sha256)}{cost}")]
    if approved_by and quorum > 1 and state != "approved":
        lines.append(line(f"{len(approved_by)} of {count(quorum, 'approval')}: ", *people(approved_by)))
    if remark:
        lines.append(line(remark))
    if state in {"awaiting", "withdrawn"}:
        also = any(button.action == Wish.APPROVE for button in buttons)
        lines.append(_how(reviewers, groups, approve, send_back, asked_by, solo=solo, quorum=quorum, buttons=also))
    return Body(
        lines=tuple(lines),
        buttons=tuple(buttons),
        fallback=f"Review of text {short(answer.sha256)}: {head.lower()}",
        facts={"stage": answer.stage, "state": state, "sha256": answer.sha256},
    )


def _how(
    reviewers: Sequence[str],
    groups: Sequence[str],
    approve: str,
    send_back: str,
    asked_by: str,
    *,
    solo: bool,
    quorum: int,
    buttons: bool,
) -> Line:
    needed = f" {quorum} of them must agree." if quorum > 1 else ""
    teams = f"members of the user group{'s' * (len(groups) > 1)} {', '.join(groups)}"
    who = people(reviewers) + ([", " if reviewers else "", teams] if groups else [])
    spans: list[str | Span] = [
        f"{approve} approves this text, {send_back} sends it back{'; the buttons do the same' * buttons}. Reviewers: ",
        *who,
        f".{needed} ",
    ]
    if solo:
        spans.append("Solo mode: a reviewer may approve what they asked for.")
    else:
        spans += [Who(person=asked_by), " asked for it and cannot approve it."]
    return line(*spans, small=True)


_GLYPHS = {
    "white_check_mark": "✅",
    "heavy_check_mark": "✔️",
    "x": "❌",
    "leftwards_arrow_with_hook": "↩️",
    "+1": "👍",
    "thumbsup": "👍",
    "-1": "👎",
    "eyes": "👀",
    "lock": "🔒",
    "pencil": "📝",
}


def glyph(name: str) -> str:
    """An emoji as people see it; a name we have no picture for stays a name."""
    return _GLYPHS.get(name, f":{name}:")


def ways(approve: Sequence[str], send_back: Sequence[str]) -> str:
    """What the emoji do: `✅ approves it, ❌ sends it back`."""
    both = ((approve, "approves it"), (send_back, "sends it back"))
    return ", ".join(f"{glyph(names[0])} {does}" for names, does in both if names)


def verdict(answer: Answer, state: str, *spoken: str | Span) -> Body:
    """A change of a review's state, said aloud."""
    return Body(
        lines=(line(*spoken),),
        fallback=f"Text {short(answer.sha256)}: {state.replace('_', ' ')}",
        facts={"stage": answer.stage, "state": state, "sha256": answer.sha256},
    )


def approved_by(
    answer: Answer, who: Sequence[str], at: datetime, head: str, *, solo: bool, freed_by: str | None = None
) -> Body:
    """Said when the quorum is reached; `freed_by` took back the send-back that stood against it."""
    mode = " Solo mode: approved by who asked for it." if solo else ""
    told = f": text {short(answer.sha256)}, {clock(at)}.{mode} Ledger {head[:12]}."
    first: list[str | Span] = [Who(person=freed_by), " withdrew the send-back. "] if freed_by else []
    said = verdict(answer, "approved", *first, "Approved by ", *people(who, between=" and "), told)
    return replace(said, buttons=(Button(action="download", label="Download", value=answer.id),))


def sent_back(answer: Answer, by: str, *, said_why: bool = False) -> Body:
    """Said with the question for the reason, unless that came with it."""
    if said_why:
        told = f": text {short(answer.sha256)}. What they said becomes the note of the next run."
        return verdict(answer, "changes_requested", "Sent back by ", Who(person=by), told)
    told = (
        f": text {short(answer.sha256)}. Reply here with the reason: the next final starts at once, with it as "
        f"its note; `polish: …` or `revise: …` sends it to that stage instead. Or anybody may ask with `{BOT} final …`."
    )
    return verdict(answer, "changes_requested", "Sent back by ", Who(person=by), told)


def took_back(answer: Answer, state: str, by: str, what: str, *, waits: bool) -> Body:
    """Somebody took their word back; `waits` if the text can be approved again."""
    told = f" withdrew {what}." + (" Waiting for a reviewer again." if waits else "")
    return verdict(answer, state, Who(person=by), told)


def still_waiting(
    answer: Answer,
    *,
    wanted: Sequence[str],
    fresh: Sequence[str],
    waited: float,
    approve: Sequence[str],
    send_back: Sequence[str],
) -> Body:
    """A reminder for those who can decide; `fresh` are those who may from now on."""
    persons = [one for one in wanted if not one.startswith("S")]
    groups = [one for one in wanted if one.startswith("S")]
    who: list[str | Span] = people(persons)
    if groups:
        who += [", " if persons else "", f"members of the user group{'s' * (len(groups) > 1)} {', '.join(groups)}"]
    first = line(f"Text {short(answer.sha256)} has waited {duration(waited)} for a reviewer: ", *who, ".")
    lines = [first, line(f"On the text, {ways(approve, send_back)}.", small=True)]
    if fresh:
        joined = [one for one in fresh if not one.startswith("S")]
        named: list[str | Span] = people(joined, between=" and ") if joined else ["the backup reviewers"]
        lines.insert(1, line("Nobody has decided yet, so from now on ", *named, " may decide, too."))
    return Body(lines=tuple(lines), fallback=f"Text {short(answer.sha256)} is waiting for a reviewer")


def expired(answer: Answer, seconds: float) -> Body:
    """Nobody decided in time, which is neither yes nor no."""
    told = f"Text {short(answer.sha256)} waited {duration(seconds)} and nobody decided, so it has expired: it is not "
    return verdict(answer, "expired", f"{told}approved. `{BOT} final` makes a new version to approve.")


def lapsed(who: Sequence[str], why: str) -> Line:
    """An approval that stopped counting, found when it was looked at again."""
    approvals = "The approval by " if len(who) == 1 else "The approvals by "
    told = f" do{'es' * (len(who) == 1)} not count any more. {why}"
    return line(approvals, *people(who, between=" and "), told)
