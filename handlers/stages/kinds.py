"""What a stage is: a value that says who does which job, from what, and in which form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from handlers.stack import StageName


class Role(StrEnum):
    """Who does the job."""

    SCOUT = "Scout"
    DRAFTER = "Drafter"
    CRITIC = "Critic"
    IMPLEMENTER = "Implementer"
    FINAL_OWNER = "Final owner"


class Reads(StrEnum):
    """What may cross into a context; the words are the ones people read."""

    BRIEF = "brief"
    SOURCES = "sources"
    UNREAD = "unread sources"
    """Which sources gave no text, and why: our own words."""
    SCOUT_NOTES = "scout notes"
    TARGET = "text"
    """The one text it works on."""
    PLAN = "plan"
    """The draft or plan a person chose to have carried out."""
    CRITIQUES = "critiques"
    FINDINGS = "open findings"
    EVIDENCE = "test evidence"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A kind of job.

    Attributes:
        job: what it is for, in a few words.
        makes: what its answer is called.
        working: what it is doing while it runs.
        needs: what it cannot start without.
        reads: all its model ever sees beside its instructions, in the order shown; includes what it needs.
        instructions: how to do the job well, and who reads the answer next.
        form: how the answer must look; operators add to the instructions, never to this.
        task: the line that ends every request.
        revision: whether it makes the next version of a text instead of the first.
    """

    name: StageName
    role: Role
    job: str
    makes: str
    working: str
    needs: frozenset[Reads]
    reads: tuple[Reads, ...]
    instructions: str
    form: str
    task: str
    revision: bool = False
