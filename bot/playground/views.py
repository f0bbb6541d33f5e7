"""Modals and Home tabs, and the short-lived trigger a modal needs."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from bot.playground.people import APP_ID, BOT_ID, TEAM
from bot.playground.shapes import Json, SlackError, View

DEEPEST = 3  # views in one person's stack


@dataclass(slots=True)
class Trigger:
    id: str
    user: str
    at: float
    view_id: str = ""  # the view it was exchanged for


class Views:
    """Everybody's open modals (a stack each), Home tabs, and the triggers not yet exchanged."""

    def __init__(self, tell: Callable[[Json], None], *, trigger_seconds: float) -> None:
        self.trigger_seconds = trigger_seconds
        self.homes: dict[str, Json] = {}
        self._tell = tell
        self._triggers: dict[str, Trigger] = {}
        self._views: dict[str, View] = {}
        self._stacks: dict[str, list[str]] = defaultdict(list)

    def new_trigger(self, user: str) -> Trigger:
        trigger = Trigger(f"{time.time_ns() // 1000}.{TEAM}.{uuid.uuid4().hex}", user, time.monotonic())
        self._triggers[trigger.id] = trigger
        return trigger

    def exchange(self, trigger_id: str) -> Trigger:
        """The trigger, if it still opens something: it does so once, and for three seconds."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.view_id:
            raise SlackError("exchanged_trigger_id")
        if time.monotonic() - trigger.at > self.trigger_seconds:
            raise SlackError("expired_trigger_id")
        return trigger

    def open(self, trigger: Trigger, view: Json, *, push: bool = False) -> View:
        stack = self._stacks[trigger.user]
        if not push:
            self.close_all(trigger.user)
        elif not stack:
            raise SlackError("not_found")
        elif len(stack) >= DEEPEST:
            raise SlackError("push_limit_reached")
        opened = self._push(trigger.user, view)
        trigger.view_id = opened.id
        return opened

    def _push(self, user: str, view: Json) -> View:
        stack = self._stacks[user]
        view_id = f"V0{uuid.uuid4().hex[:8].upper()}"
        before = stack[-1] if stack else None
        root = stack[0] if stack else view_id
        opened = self._kept(view, id=view_id, root_view_id=root, previous_view_id=before, user=user)
        stack.append(view_id)
        self._tell({"type": "view", "view": opened, "as": user})
        return opened

    def push_as_answer(self, user: str, view: Json) -> View:
        """What `response_action: push` does."""
        if len(self._stacks[user]) >= DEEPEST:
            raise SlackError("push_limit_reached")
        return self._push(user, view)

    def get(self, view_id: str) -> View:
        """A modal or Home view by its id."""
        homes = (View(home) for home in self.homes.values() if home["id"] == view_id)
        view = self._views.get(view_id) or next(homes, None)
        if view is None:
            raise SlackError("not_found")
        return view

    def current(self, user: str) -> View | None:
        """The view this person has before their eyes."""
        stack = self._stacks[user]
        return self._views[stack[-1]] if stack else None

    def opened_by(self, trigger_id: str) -> View | None:
        """The view this trigger was exchanged for, as it stands now."""
        trigger = self._triggers.get(trigger_id)
        return self._views.get(trigger.view_id) if trigger else None

    def by_external_id(self, external_id: str) -> View:
        for view in self._views.values():
            if external_id and view.get("external_id") == external_id:
                return view
        raise SlackError("not_found")

    def update(self, old: View, view: Json, view_hash: str = "") -> View:
        if old["type"] == "home":
            raise SlackError("not_found")  # a Home tab is published, not updated
        if view_hash and view_hash != old["hash"]:
            raise SlackError("hash_conflict")
        same = {key: old[key] for key in ("id", "root_view_id", "previous_view_id", "user")}
        updated = self._kept(view, **same)
        self._tell({"type": "view", "view": updated, "as": old["user"]})
        return updated

    def close(self, view: View) -> None:
        self._stacks[view["user"]].remove(view.id)
        del self._views[view.id]
        self._tell({"type": "view_closed", "view_id": view.id, "as": view["user"]})

    def close_all(self, user: str) -> None:
        for view_id in reversed(self._stacks[user].copy()):
            self.close(self._views[view_id])

    def publish(self, user: str, view: Json, view_hash: str = "") -> Json:
        old = self.homes.get(user)
        if view_hash and old and view_hash != old["hash"]:
            raise SlackError("hash_conflict")
        view_id = old["id"] if old else f"V0{uuid.uuid4().hex[:8].upper()}"
        home = _complete(view, id=view_id, root_view_id=view_id, previous_view_id=None, user=user)
        self.homes[user] = home
        self._tell({"type": "home", "user": user, "view": home})
        return home

    def _kept(self, view: Json, **fields: str | None) -> View:
        kept = View(_complete(view, **fields))
        self._views[kept.id] = kept
        return kept


def _complete(view: Json, **fields: str | None) -> Json:
    blocks = [{**block, "block_id": block.get("block_id") or uuid.uuid4().hex[:5]} for block in view["blocks"]]
    return {
        "team_id": TEAM, "app_id": APP_ID, "bot_id": BOT_ID, "private_metadata": "", "callback_id": "",
        "external_id": "", "clear_on_close": False, "notify_on_close": False, "submit": None, "close": None,
        **view, "blocks": blocks, "state": {"values": {}}, "hash": f"{int(time.time())}.{uuid.uuid4().hex[:8]}",
        **fields,
    }  # fmt: skip
