"""Which stack routes the work is written into the ledger: by its digest, with who owns which stage and what is new."""

from __future__ import annotations

import json
from typing import Any

from handlers.ports import Clock
from handlers.routing import assigned_model
from handlers.stack import Stack, StageName
from storage.database import Database, Saved
from storage.records import Entry

WHO = "stack.toml"
"""Nobody in Slack: whoever may write the file."""


async def note_stack(stack: Stack, team: str, *, storage: Database, now: Clock) -> None:
    """Note the stack that is in use from now on, unless the ledger's last word of it is the same."""
    async with storage.reading() as saved:
        if (await _last(saved, team)).get("stack") == stack.digest:
            return
    async with storage.transaction() as saved:
        before = await _last(saved, team)
        if before.get("stack") == stack.digest:
            return
        owners = _owners(stack)
        body = {
            "stack": stack.digest,
            "before": before.get("stack"),
            "models": owners,
            "changed": changed(before, owners),
        }
        await saved.ledger.append(Entry(team=team, at=now(), who=WHO, what="stack", body=body))


def changed(before: dict[str, Any], owners: dict[str, str]) -> list[str]:
    """The stages that have another model than before, each in words: "draft: fast (some-id) to swift (another-id)"."""
    old = before.get("models") or {}
    return [
        f"{stage}: {old[stage]} to {owner}" for stage, owner in owners.items() if stage in old and old[stage] != owner
    ]


def _owners(stack: Stack) -> dict[str, str]:
    """By stage, the model that owns it and the id it is asked for by."""
    owners = {stage: assigned_model(stack, stage) for stage in StageName if stack.models}
    return {stage.value: f"{key} ({stack.models[key].id})" for stage, key in owners.items() if key in stack.models}


async def _last(saved: Saved, team: str) -> dict[str, Any]:
    body = await saved.ledger.last_stack(team)
    said: dict[str, Any] = json.loads(body) if body else {}
    return said
