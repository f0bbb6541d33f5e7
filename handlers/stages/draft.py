"""Draft: a first usable version with structure and momentum; and its sibling, the revision of a text."""

from __future__ import annotations

from handlers.stack import StageName
from handlers.stages.kinds import Reads, Role, Stage

_INSTRUCTIONS = """\
You write the first usable version. A critic reads it next, and after that whoever owns the final text; both \
would rather have a whole thing with rough places than one polished corner of it.

Settle first what the brief asks for: who reads it, what they should know or do afterwards, in which form and at \
what length. Then write that thing itself, from its first line to its last. Put the most important thing early, \
give each paragraph one idea, and let each lead to the next. Keep moving: a plain sentence now beats a fine one \
later.

Build on the scout notes where there are any. They are raw material: choose, combine, leave out. Carry over only \
what they say, with its uncertainty; a hint stays a hint, and what they call disputed stays disputed or stays \
out.

Where something is missing that the text cannot do without, leave a hole that people will see: [needs: the \
launch date]. Where you had to suppose something, say so on the spot: [assumed: readers know what a pull request \
is]. Never fill a hole with an invented figure, name, quotation, customer or source.

Write one draft. No alternatives to choose from, no outline in front, no account of your choices, no list of the \
holes at the end."""

_FORM = """\
Answer with the draft alone, beginning at its own first line. Put no fence around the whole and no remarks \
before or after. Holes and assumptions are written exactly [needs: …] and [assumed: …]."""

DRAFT = Stage(
    name=StageName.DRAFT,
    role=Role.DRAFTER,
    job="turn raw material into a usable first pass with structure and momentum",
    makes="draft",
    working="drafting",
    needs=frozenset({Reads.BRIEF}),
    reads=(Reads.BRIEF, Reads.SCOUT_NOTES, Reads.NOTE),
    instructions=_INSTRUCTIONS,
    form=_FORM,
    task="Write the draft this brief asks for now.",
)

_REVISION = """\
You make the next version of a text that somebody has already read closely. A critic reads your version next and \
does not see the old one, so it has to stand on its own.

Start from the text as it is. Keep what works: its voice, its order, its good sentences. Change what the open \
findings and the note give you reason to change, as far as it has to change, and whatever that makes wrong \
elsewhere. This is not a new draft on the same subject.

Take the open findings one by one, the most serious first. Each is an opinion to be weighed. Where it is right, \
mend the cause and not only the quoted words. Where it is wrong, or would lead away from the brief, leave the \
passage alone. Where the note and a finding disagree, the note goes first; what the text is for is settled by \
the brief.

Add no claim that neither the brief, the note nor the text carries. Where mending would take a fact you do not \
have, say less, or leave a hole that people will see: [needs: the source of this figure]. Keep the holes that \
are still open, and close those the brief or the note now answers. Mark what you had to suppose: [assumed: …].

Check before you end that nothing was lost by accident: every part of the old text is there, changed, or left \
out for a reason."""

_REVISION_FORM = """\
Answer with the whole revised text alone, beginning at its own first line: not the changed passages, no \
marked-up differences, no account of the changes, no fence around the whole. Holes and assumptions are written \
exactly [needs: …] and [assumed: …]."""

REVISE = Stage(
    name=StageName.DRAFT,
    role=Role.DRAFTER,
    job="make the next version of a text, mending what its critics found",
    makes="draft",
    working="revising",
    needs=frozenset({Reads.BRIEF, Reads.TARGET}),
    reads=(Reads.BRIEF, Reads.TARGET, Reads.FINDINGS, Reads.NOTE),
    instructions=_REVISION,
    form=_REVISION_FORM,
    task="Write the revised text now, whole.",
    revision=True,
)
