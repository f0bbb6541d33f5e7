"""How a second opinion differs from the answer it stands beside (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.answers import CriticVerdict, Deliverable, read_answer
from handlers.changes import changes, in_common
from handlers.figures import count, short
from handlers.material import title
from handlers.stack import StageName
from storage.records import Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The difference in a sentence for the card, and passage by passage where there is enough in common for that."""

    sentence: str
    listing: str = ""


def beside(first: Answer, said: Deliverable) -> Beside:
    """Two critiques differ by what they find and conclude; two texts by their passages."""
    named = f"Beside {title(first)}"
    if first.stage == StageName.CRITIQUE:
        there = read_answer(StageName.CRITIQUE, first.text)
        found = f"{count(len(there.findings), 'finding')} there, {len(said.findings)} here"
        verdicts = f"verdict there: {_verdict(there)}, here: {_verdict(said)}"
        return Beside(sentence=f"{named}: {found}; {verdicts}.")
    named = f"{named} ({short(first.sha256)})"
    if not in_common(first.text, said.text):
        return Beside(sentence=f"{named}: no passage is the same.")
    told = changes(first.text, said.text)
    head, has_listing, _ = told.partition(":\n\n")
    sentence = head if head.endswith(".") else f"{head}."
    sentence = sentence[0].lower() + sentence[1:]
    return Beside(sentence=f"{named}: {sentence}", listing=f"**{named}:** {told}" if has_listing else "")


def _verdict(critique: Deliverable) -> str:
    return "nothing serious found" if critique.verdict is CriticVerdict.NOTHING_SERIOUS else "revise"
