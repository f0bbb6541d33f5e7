"""Whether a model may be asked: its trust against the stage's floor, its jurisdiction against the channel's policy."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from handlers.ports import Assignment
from handlers.stack import Model, Stack, StageName


def barred_by(key: str, model: Model, *, min_trust: int, jurisdictions: Collection[str] | None) -> str | None:
    """The rule that keeps a model from being asked, in words; None where it may be.

    Args:
        key: what the stack calls it.
        model: who it is; one that names no jurisdiction is barred wherever some are listed.
        min_trust: the stage's floor.
        jurisdictions: where models may be operated; None is anywhere.
    """
    if model.trust < min_trust:
        return f"{key} has trust {model.trust}, below the stage's floor of {min_trust}"
    if jurisdictions is None or model.jurisdiction in jurisdictions:
        return None
    where = f"is operated in {model.jurisdiction}" if model.jurisdiction else "names no jurisdiction"
    return f"{key} {where} and this channel allows {_listed(jurisdictions) if jurisdictions else 'none'}"


def barred_now(assignment: Assignment, stack: Stack | None) -> str | None:
    """The rule that keeps an assignment from being asked at this moment, whoever assigned it; None where it may be.

    Both count: what held when the run was routed, and what the stack in use says now, which may have changed since.
    """
    floor, allowed = assignment.min_trust, assignment.jurisdictions
    if why := barred_by(assignment.key, assignment.model, min_trust=floor, jurisdictions=allowed):
        return why
    if stack is None or assignment.stage not in tuple(StageName):
        return None
    floor = stack.rules(StageName(assignment.stage)).min_trust
    allowed = stack.policy(assignment.channel).jurisdictions
    for model in (*_known_as_now(assignment, stack), assignment.model):
        if why := barred_by(assignment.key, model, min_trust=floor, jurisdictions=allowed):
            return why
    return None


def _known_as_now(assignment: Assignment, stack: Stack) -> Iterator[Model]:
    """The same model as the stack describes it now: an operator may have corrected where it is operated."""
    for model in stack.models.values():
        if model.endpoint == assignment.model.endpoint:
            yield model


def _listed(words: Collection[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
