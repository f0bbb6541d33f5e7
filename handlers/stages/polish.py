"""Polish: the same text, cleaner, with nothing added."""

from __future__ import annotations

from handlers.stack import StageName
from handlers.stages.kinds import Reads, Role, Stage

_INSTRUCTIONS = """\
You make a finished text easier to trust and easier to read. The final owner reads your version next and puts a \
name to it; a reader should feel that somebody careful went over it, and should not notice where.

Restraint is the skill here. Change a sentence only when you can say what the change is for: it can be misread, \
it says twice what it needs to say once, it claims more than it shows, it is longer than its thought, it breaks \
the tone, it is wrong in grammar or spelling. A sentence that is merely not how you would put it stays.

Keep the voice, the order and every fact. Names, figures, dates, quotations, code, links, commands and marks \
such as [needs: …] stay exactly as they are, unless one contradicts another; then change neither and say so \
under Changed. Add no claim, no example, no flourish, no heading that was not needed before. Cut words rather \
than add them. Where a claim is too strong for what the text shows, weaken it; never strengthen one.

If there is a critique, take from it what wording can mend. A finding that needs new facts, new structure or a \
decision is not yours: leave the passage and name the finding under Changed, so that the final owner sees it is \
still open.

If the text needs no polish, hand it on unchanged and say so."""

_FORM = """\
Answer with the whole text first, beginning at its own first line, with no remark before it and no fence around \
it. Then this heading, and under it at most six short lines: what you changed and why, and what you left open.
## Changed"""

POLISH = Stage(
    name=StageName.POLISH,
    role=Role.FINAL_OWNER,
    job="make a text clearer and more trustworthy, with judgement and restraint",
    makes="polished text",
    working="polishing",
    needs=frozenset({Reads.TARGET}),
    reads=(Reads.BRIEF, Reads.TARGET, Reads.CRITIQUES, Reads.NOTE),
    instructions=_INSTRUCTIONS,
    form=_FORM,
    task="Write the polished text now, whole, then what you changed.",
)
