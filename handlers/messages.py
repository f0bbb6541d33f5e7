"""What the bot says in a thread: roots, cards, answers, reviews, verdicts. A refusal stands where it is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from handlers.figures import clock, count, day, duration, money, short, tokens
from handlers.incoming import Wish
from handlers.material import title
from handlers.stack import StageName
from handlers.words import Body, Button, Line, Link, Span, Text, Who, bold, code, line, people
from storage.records import Answer, Lane, Run, RunState, Work

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
        lines=(line(Text(text=brief)), line(f"{_first(run)} for ", Who(person=run.asked_by), cut, small=True)),
        fallback=f"{run.stage}: a new piece of work",
        facts={"stage": run.stage},
    )


def fresh_root(work: Work, run: Run | None, old: Work, old_text: Answer | None, *, link: str | None) -> Body:
    """The message a thread hangs from that goes on from another one: the brief, whence it comes, what came along."""
    brief = work.brief if len(work.brief) <= _SHOWN_BRIEF else work.brief[:_SHOWN_BRIEF].rstrip() + " …"
    if link is not None:
        whence: list[str | Span] = [" from ", Link(url=link, label="another thread")]
    else:
        begun = datetime.fromtimestamp(float(old.thread_ts or old.opened_at.timestamp()), tz=UTC)
        whence = [f" from the thread of {day(begun.date())}, {clock(begun)}"]
    for_whom: list[str | Span] = [f"fresh start{f', {_there(run)}' if run else ''} for ", Who(person=work.opened_by)]
    return Body(
        lines=(
            line(Text(text=brief)) if brief.strip() else line("A fresh start without a brief"),
            line(*for_whom, *whence, f" · came along: {_along(work, old_text)}, nothing else", small=True),
        ),
        fallback="a fresh start of a piece of work",
        facts={"stage": run.stage} if run else {},
    )


def _there(run: Run) -> str:
    return _first(run) if run.walk else name_of(run)


def _along(work: Work, text: Answer | None) -> str:
    named = [*(["brief"] if work.brief.strip() else []), *([f"{title(text)} ({short(text.sha256)})"] if text else [])]
    return " and ".join(named)


def taken_along(answer: Answer, blocks: Sequence[dict[str, Any]], *, number: int, of: int) -> Body:
    """A piece of the text that came along, with the buttons of any answer."""
    body = part(answer, blocks, number=number, of=of, buttons=number == of)
    where = f", part {number} of {of}" if of > 1 else ""
    label = f"{title(answer)}{where} · came along word for word · text {short(answer.sha256)}"
    return replace(body, lines=(line(label, small=True),))


def goes_on_elsewhere(by: str, text: Answer | None, run: Run | None) -> Body:
    """For the thread that was left."""
    what = f"the brief and {title(text)} ({short(text.sha256)})" if text else "the brief"
    then = f"; {_there(run)} runs there" if run else ""
    told = line(Who(person=by), f" started fresh in a new thread of this channel with {what}, nothing else{then}.")
    return plain(told, fallback="This goes on in a new thread", state="fresh")


def handed_over(patch: Answer, by: str) -> Body:
    told = line(Who(person=by), f" handed the words of {title(patch)} over to the content lane, without its code:")
    return plain(told, fallback=f"The words of {title(patch)} as content")


def _first(run: Run) -> str:
    """What was asked for: a stage, or a pipeline that begins with it."""
    return f"{run.walk['name']}, from {run.stage}," if run.walk else run.stage


# cards


def queued(run: Run, *, ahead: int = 0) -> Body:
    wait = f"after {count(ahead, 'run')} of this thread" if ahead else "starting"
    return _card(run, RunState.QUEUED, [line(bold(name_of(run)), f" · queued · {wait}")])


def working(run: Run, *, word: str, model: str, seconds: float, why: str, read: str, waits: str = "") -> Body:
    """The heartbeat; `waits` says why nothing can be done at the moment."""
    now = f" · waiting · {waits}" if waits else f" · {word} · {model}, {duration(seconds)} so far"
    return _card(run, RunState.RUNNING, [line(bold(name_of(run)), now), line(why, *_read(read), small=True)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a card tells of a run that gave an answer.

    Attributes:
        because: why another model answered than was assigned.
        price_of: the day somebody looked up the price, where that was long ago.
        so_far: what the thread and the day have cost.
        beside: how a second opinion differs from the first.
        swamp: how much the thread holds, where this run made it too much.
    """

    model: str
    seconds: float
    tokens: int | None
    estimated: bool
    usd: float | None
    why: str
    read: str
    remark: str = ""
    beside: str = ""
    swamp: str = ""
    done: str = "answered"
    instead_of: str = ""
    because: str = ""
    price_of: date | None = None
    so_far: str = ""


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
    if outcome.beside:
        lines.append(line(outcome.beside))
    if outcome.so_far:
        lines.append(line(outcome.so_far, small=True))
    lines.append(line(outcome.why, *_read(outcome.read), small=True))
    if not outcome.swamp:
        return _card(run, RunState.ANSWERED, lines)
    told = (
        f"This thread has become long ({outcome.swamp}). `{BOT} fresh` goes on in a new one, with the brief and a text."
    )
    card = _card(run, RunState.ANSWERED, [*lines, line(told, small=True)])
    return replace(card, buttons=(Button(action="fresh", label="Start fresh", value=run.work_id),))


def failed(run: Run, sentence: str) -> Body:
    return _card(run, RunState.FAILED, [line(bold(name_of(run)), f" · failed · {sentence}")])


def cancelled(run: Run, by: str) -> Body:
    return _card(run, RunState.CANCELLED, [line(bold(name_of(run)), " · cancelled by ", Who(person=by))])


def refused(run: Run, sentence: str) -> Body:
    return _card(run, RunState.REFUSED, [line(bold(name_of(run)), f" · not started · {sentence}")])


def name_of(run: Run) -> str:
    name = "revise" if run.revises else run.stage
    return f"{name} (second opinion)" if run.second_to else name


def _read(read: str) -> list[str]:
    return [f" · read: {read}"] if read else []


def _card(run: Run, state: RunState, lines: list[Line]) -> Body:
    if run.walk:
        step = step_words(run.walk)
        *before, last = lines
        spoken = last.spans if last.small else ()
        lines = [*(before if last.small else lines), line(step, *([" · ", *spoken] if spoken else []), small=True)]
    return Body(
        lines=tuple(lines),
        fallback=f"{name_of(run)}: {state.value}",
        facts={"stage": run.stage, "state": state.value},
    )


# walks


def step_words(step: Mapping[str, Any]) -> str:
    """Where a walk is: "step 3 of 4 of content, round 1 of 2"."""
    return f"step {step['step']} of {step['of']} of {step['name']}{_round(step)}"


def at_step(stage: str, step: Mapping[str, Any]) -> str:
    """The same after the pipeline's name: "critique (step 3 of 4, round 1 of 2)"."""
    return f"{stage} (step {step['step']} of {step['of']}{_round(step)})"


def _round(step: Mapping[str, Any]) -> str:
    return f", round {step['round']} of {step['rounds']}" if step["round"] else ""


def walk_stuck(run: Run, why: str) -> Body:
    """A step gave nothing to go on with."""
    assert run.walk is not None
    told = f" stopped at {at_step(name_of(run), run.walk)}: {why}. `{BOT} again` goes on from there."
    return plain(line(bold(run.walk["name"]), told), fallback=f"{run.walk['name']} stopped", state="stuck")


def walk_stopped(stage: str, step: Mapping[str, Any], by: str) -> Body:
    """A person stopped it."""
    told = line(bold(step["name"]), f" stopped at {at_step(stage, step)} by ", Who(person=by), ".")
    return plain(told, fallback=f"{step['name']} stopped", state="stopped")


def walk_undecided(run: Run, versions: Sequence[Answer], *, rounds: int) -> Body:
    """All rounds are done and the critic still asks for more: a person chooses between the last two texts."""
    assert run.walk is not None
    name = run.walk["name"]
    after = f" stopped at critique (step {run.walk['step']} of {run.walk['of']}): after {count(rounds, 'revision')} "
    first = line(
        bold(name), after, "the critic still says to revise. ", Who(person=run.asked_by), ", which text goes on?"
    )
    texts = [line(f"• {title(one)} · text {short(one.sha256)}") for one in versions]
    buttons = [
        Button(action=f"final:{place}", label=f"Final on {title(one)}", value=one.id)
        for place, one in enumerate(versions, 1)
    ]
    return replace(
        plain(first, *texts, fallback=f"{name} stopped for you to choose", state="stopped"), buttons=tuple(buttons)
    )


def walk_status(stage: str, step: Mapping[str, Any], state: str, *, goes_on: bool) -> Line:
    """How a walk is doing."""
    way = f" · `{BOT} again` goes on" if goes_on else ""
    return line(bold(step["name"]), f" · {state} · {at_step(stage, step)}{way}")


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
    what = "beside the first" if answer.second_to else "what changed"
    what = "owner's notes" if answer.stage == StageName.FINAL else what
    return Body(
        lines=(line(f"{what} · not part of the text", small=True),),
        answer=tuple(blocks),
        fallback=f"{title(answer)}: {what}",
        facts={"stage": answer.stage, "sha256": answer.sha256, "part": number, "parts": of},
    )


def _buttons(answer: Answer) -> tuple[Button, ...]:
    """What can be done with an answer; where no run of this thread made it, nobody can say what a model saw."""

    def button(action: str, label: str) -> Button:
        return Button(action=action, label=label, value=answer.id)

    critique, seen = button("critique", "Critique"), button("context", "What did it see?")
    of_its_run = (button("second_opinion", "Second opinion"), seen) if answer.run_id else ()
    if answer.stage == StageName.CRITIQUE:
        return of_its_run
    if answer.stage == StageName.SCOUT:
        return (critique, *of_its_run)
    crosses = button("to_code", "To code") if answer.lane is Lane.CONTENT else button("to_content", "To content")
    final = button("final", "Final")
    if answer.stage == StageName.FINAL and not answer.second_to:
        final = replace(
            final,
            confirm=line(
                "A newer final takes this one's place: this text, approved or not, cannot be approved any more."
            ),
        )
    return (critique, button("revise", "Revise"), final, crosses, *of_its_run)


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


def help_text(prefix: str, *, puzzled: bool = False, nearest: str | None = None, pipelines: Sequence[str] = ()) -> Body:
    """What can be asked for, and where; `puzzled` says first that what was asked for was not understood.

    `nearest` is the word that was probably meant; `pipelines` are the names there are.
    """
    command = f"/{prefix}draft"
    guess = f" Did you mean `{nearest}`?" if nearest else ""
    return plain(
        *([f"That names no stage and nothing else I know.{guess} Here is what I do:"] if puzzled else []),
        line(bold("Start work in a channel: "), code(f"{command} <brief>"), " (also scout, implement, final)"),
        line(bold("In a thread, mention me: "), code(f"{BOT} critique be harsh about the second paragraph")),
        line("Stages: scout, draft, revise, critique, implement, polish, final."),
        line("A reviewer may send a final back in words: ", code(f"{BOT} send back <reason>"), "."),
        *([line(bold("Several stages in a row: "), *_named_pipelines(pipelines))] if pipelines else []),
        line("Also: second opinion, fresh, again, status, context, cancel, raise, help."),
        line("Any message can be criticised: its menu, Critique this."),
        line(
            "Not sure which stage? ",
            code(f"/{prefix}route"),
            " asks four questions. Who does what: ",
            code(f"/{prefix}stack"),
            ".",
        ),
        line("A final text counts only after a reviewer's reaction on exactly that text.", small=True),
        fallback="What you can ask Countersign for",
    )


def how_to_approve(approve: Sequence[str], *, buttons: bool) -> Body:
    """For somebody who tried it in words: the ways there are."""
    emoji: list[str | Span] = [f"{glyph(approve[0])} on it"] if approve else []
    card: list[str | Span] = [bold("Approve"), " on its review card"] if buttons else []
    between = [", or "] if emoji and card else []
    return plain(line("A text is approved by ", *emoji, *between, *card, "."), fallback="How a text is approved")


def offers_questions(where: str) -> Body:
    """A button that opens the four questions; `where` tells whom and what they are about."""
    told = plain("Which stage should own this? Four questions tell.", fallback="Four questions tell which stage")
    return replace(told, buttons=(Button(action="route", label="Answer four questions", value=where),))


def _named_pipelines(pipelines: Sequence[str]) -> list[str | Span]:
    said: list[str | Span] = [code(f"{BOT} run {pipelines[0]}"), " (`run … from critique` begins later)"]
    if others := pipelines[1:]:
        said += ["; also ", ", ".join(others)]
    return said


def status(
    runs: Sequence[tuple[Run, float]], reviews: Sequence[str], money_left: str, *, walk: Line | None = None
) -> Body:
    """How each run of a thread is doing; `runs` come with the seconds they took or have taken so far."""
    if not runs:
        return plain(f"Nothing has been asked for in this thread yet. Try `{BOT} draft …`.", fallback="Status")
    lines = [
        line(bold(name_of(run)), f" · {run.state.value} · {run.model or 'no model yet'} · {duration(seconds)}")
        for run, seconds in runs[-12:]
    ]
    lines += [walk] if walk else []
    lines += [line(sentence) for sentence in reviews]
    if money_left:
        lines.append(line(money_left, small=True))
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


# money


def limit_hit(run: Run, what: str, who: Sequence[str | Span], facts: dict[str, Any]) -> Body:
    """A limit kept a run from its answer, and somebody may raise it once."""
    asks = line(f"Once raised, {what}. The ledger keeps that under your name.")
    first = line(bold("A limit was hit."), f" Raised once, {what}, and {name_of(run)} is asked for again.")
    small = line("For ", *who, f", once in this thread: the button, or `{BOT} raise`.", small=True)
    return Body(
        lines=(first, small),
        buttons=(Button(action="raise", label="Raise once", value=run.id, confirm=asks),),
        fallback=f"{name_of(run)}: a limit was hit",
        facts=facts,
    )


def limit_raised(by: str, what: str, at: datetime, head: str, again: Run | None, facts: dict[str, Any]) -> Body:
    """Who raised what; `again` is the run that is asked for once more."""
    then = f" {name_of(again)} is asked for again, for " if again else ""
    asker: list[str | Span] = [then, Who(person=again.asked_by), "."] if again else []
    told = line("Raised once by ", Who(person=by), f", {clock(at)}: {what}. Ledger {head[:12]}.", *asker)
    return Body(lines=(told,), fallback="A limit was raised", facts=facts)
