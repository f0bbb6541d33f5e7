"""What a transaction leaves for somebody to attend to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Subject(StrEnum):
    """What is attended to by one at a time."""

    LINE = "line"  # the letters of one line of the inbox, by the line's name
    WORK = "work"  # the runs of one work, by its id
    LANE = "lane"  # what one work owes to Slack, by its id


@dataclass(frozen=True, slots=True)
class Errand:
    """A nudge to attend to something, now or later. Only a nudge: what there is to do stands in the tables."""

    subject: Subject
    key: str
    due_at: datetime | None = None


Errands = dict[Errand, None]
"""Errands in the order in which they came up, each once."""
