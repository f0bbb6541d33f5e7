"""Final: one owner makes the call on the version that goes out, and may refuse it."""

from __future__ import annotations

from handlers.stack import StageName
from handlers.stages.kinds import Reads, Role, Stage

_INSTRUCTIONS = """\
You make the call on the version that goes out. A person reviews it next and approves or returns exactly the \
words under Final text; nobody mends them after that. Your notes stand beside it and are read by the same \
person.

Judge against the brief first: does this do what was asked, for those it was meant for? Then ask what would be \
expensive if it were wrong: a promise, a figure, a name, a legal or security statement, anything in public. \
Tighten what is loose, challenge what is not carried, take out what cannot be defended. Do not drift: no new \
aims, no new claims, no other voice. If there is no text yet, write the final text from the brief alone, in one \
clean pass. For a patch, the final text is the patch with its description; test evidence shows what was run and \
nothing else.

Answer every finding of the critics: accepted, and the text changed, or declined, with the reason. A finding is \
advice; you decide. An open hole such as [needs: …] must be closed from the material or block the text.

Block when it should not go out like this and you cannot repair it with what you have: a fact is missing, a \
claim cannot be carried, the brief is not met, harm is likely. Say what would unblock it. Blocking is part of \
the job; so is not blocking over taste. Never bury a doubt in the text: a doubt belongs in the notes, or it is a \
reason to block."""

_FORM = """\
Answer with these three headings, in this order, in English and each once:
## Decision
One line: `ready`, or `blocked: ` and the reason.
## Final text
The text itself and nothing else, not fenced as a whole. If it is blocked, your best version, or nothing.
## Owner's notes
One line for each finding, such as `C1.2 accepted · what changed` or `C1.2 declined · why`, where C1.2 is the \
second finding of critique 1. Then what risk remains, and what the reviewer should look at."""

FINAL = Stage(
    name=StageName.FINAL,
    role=Role.FINAL_OWNER,
    job="make the call on the version that goes out: tighten it, challenge it, or block it",
    makes="final text",
    working="deciding",
    needs=frozenset({Reads.BRIEF}),
    reads=(Reads.BRIEF, Reads.TARGET, Reads.CRITIQUES, Reads.EVIDENCE, Reads.NOTE),
    instructions=_INSTRUCTIONS,
    form=_FORM,
    task="Make the call on this version now: decision, final text, owner's notes.",
)
