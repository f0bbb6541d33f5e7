"""A reviewer's reason that no version has taken up yet, because the run that carried it failed (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handlers.incoming import Entrance
from handlers.material import target_of
from handlers.stack import StageName
from handlers.stages import is_text
from storage.records import Answer, Run, RunState

_LOST = frozenset({RunState.FAILED, RunState.REFUSED})


def unheard_reason(run: Run, before: Sequence[Run], answers: Sequence[Answer]) -> str:
    """Why the text this run makes the next version of was sent back, unless a run has answered that since.

    Nothing for a run that carries it anyhow: an earlier request asked again.
    """
    makes_a_version = run.revises or StageName(run.stage) in {StageName.POLISH, StageName.FINAL}
    target = target_of(run, answers)
    if not makes_a_version or run.second_to or target is None:
        return ""
    for earlier in reversed(before):
        if earlier.lane is not run.lane or earlier.second_to or not is_text(StageName(earlier.stage)):
            continue
        if earlier.state is RunState.ANSWERED:
            return ""
        if earlier.entrance == Entrance.SEND_BACK and earlier.target_id == target.id and earlier.state in _LOST:
            return "" if _stands_in(run.note, earlier.note) else earlier.note
    return ""


def _stands_in(note: str, reason: str) -> bool:
    """Whether a note holds these very words, and not merely their letters within others."""
    return re.search(rf"(?<!\w){re.escape(reason)}(?!\w)", note) is not None
