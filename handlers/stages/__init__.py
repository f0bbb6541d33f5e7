"""The six stages and the revision, by name: what each is for, what it reads, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from handlers.stack import StageName
from handlers.stages.critique import CRITIQUE
from handlers.stages.draft import DRAFT, REVISE
from handlers.stages.final import FINAL
from handlers.stages.implement import IMPLEMENT
from handlers.stages.kinds import Reads, Role, Stage
from handlers.stages.polish import POLISH
from handlers.stages.scout import SCOUT

__all__ = ["REVISE", "STAGES", "Reads", "Role", "Stage", "is_text"]

STAGES: Mapping[StageName, Stage] = MappingProxyType(
    {stage.name: stage for stage in (SCOUT, DRAFT, CRITIQUE, IMPLEMENT, POLISH, FINAL)}
)


def is_text(stage: StageName) -> bool:
    """Whether the stage's answers are texts: what polish and final take up, and a newer one supersedes.

    Scout notes and critiques are not, though a person may point at them and have them criticised.
    """
    match stage:
        case StageName.DRAFT | StageName.IMPLEMENT | StageName.POLISH | StageName.FINAL:
            return True
        case StageName.SCOUT | StageName.CRITIQUE:
            return False
