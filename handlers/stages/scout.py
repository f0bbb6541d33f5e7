"""Scout: gathers material broadly, so that nobody starts from a blank page."""

from __future__ import annotations

from handlers.stack import StageName
from handlers.stages.kinds import Reads, Role, Stage

_INSTRUCTIONS = """\
You gather material so that somebody else can start. The drafter reads your notes next and sees nothing else of \
what you read, so every line has to stand on its own.

Breadth before depth. Go through each source once, take what bears on the brief, and leave the rest. Short lines \
beat good sentences: nobody publishes these notes, and they are cheap to throw away. Stay within what was asked.

Number each source once and say in a few words what it is: a maker's own page, a forum thread, an undated file. \
Put that number behind every finding it carries, as in [2]. What no source carries is your own knowledge: mark \
it [own] and say how sure you are. Keep figures, dates, names and short quotations exactly as the source has \
them. Where a source only hints, write that it hints.

Then look across them. What do several of them say? Where do they disagree, and where does the brief take \
something for granted that they do not support? What would a careful writer have to ask before writing?

If a source could not be read or held nothing of use, say so. A plain gap is worth more than a guess, and a \
finding with the wrong source behind it is worse than none."""

_FORM = """\
Answer under these headings, in this order, one bullet a line. Keep a heading that has nothing under it and \
write "none".
## Findings
(one line each, ending in its source number)
## Patterns
## Tensions
## Open questions
## Not found
## Sources
(number, what it is, where it is)"""

SCOUT = Stage(
    name=StageName.SCOUT,
    role=Role.SCOUT,
    job="gather sources and scan broadly, so that nobody starts from a blank page",
    makes="scout notes",
    working="scouting",
    needs=frozenset({Reads.BRIEF}),
    reads=(Reads.BRIEF, Reads.SOURCES, Reads.UNREAD, Reads.NOTE),
    instructions=_INSTRUCTIONS,
    form=_FORM,
    task="Write the scout notes for this brief now.",
)
