"""A second opinion: the stage of an answer once more, on the same material, by a model that never sees that answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from handlers import messages
from handlers.context import Crossed, Item, Manifest, digest
from handlers.errors import Refusal
from handlers.incoming import Request, Verb
from handlers.material import title
from handlers.routing import NoRoute, Route, another
from handlers.stack import Stack, StageName
from handlers.stages import Reads
from storage.database import Saved
from storage.records import Answer, Run, RunState, StoredContext, Work


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """The answer a second opinion stands beside, and how it came about.

    Attributes:
        heard: the models that gave a second opinion already.
        wrote: the model that wrote what the answer criticises; empty where it criticises nothing of a model's.
        context: what the model of the answer was handed, where it was looked up.
    """

    answer: Answer
    run: Run
    heard: frozenset[str] = frozenset()
    wrote: str = ""
    context: StoredContext | None = None


def ask_another(request: Request, answers: Sequence[Answer], runs: Sequence[Run], pointed: Answer | None) -> Request:
    """The request for the stage behind an answer: the one pointed at, else the newest that a run made.

    Whoever points at a second opinion asks for one more on the first answer.
    """
    answer = pointed or next((a for a in reversed(answers) if a.run_id), None)
    if answer is None:
        raise Refusal(f"No model has answered in this thread yet. Try `{messages.BOT} draft …`.")
    if answer.run_id is None:
        raise Refusal(
            "No model of this thread wrote that, so nobody can be second to it. "
            f"Ask for another eye on it: `{messages.BOT} critique`, with a link to it."
        )
    first = next((a for a in answers if a.id == answer.second_to), answer)
    run = next(r for r in runs if r.id == first.run_id)
    added = (request.person,) if request.words else ()
    return replace(
        request,
        verb=Verb.STAGE,
        stage=StageName(run.stage),
        revises=run.revises,
        words="\n".join(words for words in (run.note, request.words) if words),
        note_by=tuple(dict.fromkeys([*run.note_by, *added])),
        target_id=first.about_id,
        second_to=first.id,
        lane=run.lane,
    )


def first_among(second: Run, answers: Sequence[Answer], runs: Sequence[Run]) -> First:
    """What a run is a second opinion on. LookupError: our bug, for no answer is ever removed."""
    answer = next((a for a in answers if a.id == second.second_to), None)
    run = next((r for r in runs if answer and r.id == answer.run_id), None)
    if answer is None or run is None:
        raise LookupError(f"run {second.id} is second to an answer of which nothing is known")
    others = (r for r in runs if r.second_to == answer.id and r.id != second.id and r.state is RunState.ANSWERED)
    heard = frozenset(r.model for r in others if r.model)
    return First(answer=answer, run=run, heard=heard, wrote=_writer(answer, answers, runs))


def _writer(answer: Answer, answers: Sequence[Answer], runs: Sequence[Run]) -> str:
    text = next((a for a in answers if a.id == answer.about_id), None)
    made = next((r for r in runs if text and r.id == text.run_id), None)
    return made.model or "" if made and answer.stage == StageName.CRITIQUE else ""


async def first_of(second: Run, answers: Sequence[Answer], runs: Sequence[Run], saved: Saved) -> First | None:
    """The same with what the first model was handed; None for a run that is second to nothing."""
    if second.second_to is None:
        return None
    first = first_among(second, answers, runs)
    return replace(first, context=await saved.runs.context(first.run.id))


def route_beside(first: First, work: Work, stack: Stack) -> Route | NoRoute:
    """Who gives the second opinion, and the reason as its card has it."""
    than = first.run.model or ""
    heard = first.heard | {first.wrote}  # who wrote a text is the last to criticise it
    decided = another(stack, StageName(first.run.stage), work.channel, than=than, heard=heard)
    if isinstance(decided, NoRoute):
        return decided
    remark = "; it wrote the text itself" if decided.model == first.wrote else ""
    reason = f"second opinion on {title(first.answer)} ({than}): {decided.reason}{remark}"
    return replace(decided, reason=reason)


def known_then(first: First, answers: Sequence[Answer]) -> list[Answer]:
    """The answers that were there before the first one; nothing that came of it or after it."""
    return [answer for answer in answers if answer.seq < first.answer.seq]


def same_material(second: Run, first: First) -> list[Item]:
    """What the first model was handed, byte for byte, with the note of whoever asks now.

    Raises:
        Refusal: it is not kept, or not as it was.
    """
    if first.context is None:
        raise Refusal(f"Nothing is kept of what {title(first.answer)} was made from. Ask for `{second.stage}` instead.")
    items = [item for item in _handed_over(first.context) if item.reads is not Reads.NOTE]
    note = Item(reads=Reads.NOTE, title="note", text=second.note, author=second.asked_by)
    return [*items, note] if second.note else items


def _handed_over(context: StoredContext) -> Iterator[Item]:
    """The items of a stored prompt, each held against the digest that was kept of it."""
    manifest, at = Manifest.from_json(json.dumps(context.manifest)), 0
    for crossed in manifest.items:
        begin = context.prompt.find(">>>\n", at) + len(">>>\n")
        end = begin + crossed.characters
        yield _item(crossed, context.prompt[begin:end])
        at = end + len(f"\n<<<{manifest.marker} end>>>")


def _item(crossed: Crossed, text: str) -> Item:
    if digest(text) != crossed.sha256:
        raise Refusal(f"What is kept of {crossed.title} is not what crossed then, so nobody is asked again about it.")
    return Item(reads=crossed.reads, title=crossed.title, text=text, answer_id=crossed.answer_id, author=crossed.author)
