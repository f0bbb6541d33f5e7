"""The labels of the metrics: each from a short list, so that no id, name or text of anybody's becomes one."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from bot.models.errors import Code
from bot.slack.pace import LIMITS
from handlers.stack import StageName
from storage.records import Event, Kind

OTHER, NONE = "other", "none"
_MOST_MODELS = 100
_STAGES = frozenset(name.value for name in StageName)
_KINDS = frozenset(kind.value for kind in Kind)
_EVENTS = frozenset(event.value for event in Event)
_LETTERS = frozenset({"request", "reaction", "click", "reason", "deletion"})
_ATTEMPTS = frozenset(code.value for code in Code) | {"answered", "cancelled", "http_429"}
_HUNDREDS = frozenset({"http_3", "http_4", "http_5"})


class Delivered(StrEnum):
    """What became of something Slack delivered."""

    ACKNOWLEDGED = "acknowledged"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    NOT_SIGNED = "not_signed"
    TOO_LARGE = "too_large"
    BROKEN = "broken"


class Kept(StrEnum):
    """What became of a letter that was to go into the inbox."""

    NEW = "new"
    KNOWN = "known"
    MISSED = "missed"
    FAILED = "failed"


class Handled(StrEnum):
    """What became of a letter when it was looked at."""

    DONE = "done"
    REFUSED = "refused"
    PUT_OFF = "put_off"
    GIVEN_UP = "given_up"


class Shown(StrEnum):
    """How a message of ours came to be in Slack, or why it never will."""

    POSTED = "posted"
    EDITED = "edited"
    WHISPERED = "whispered"
    FOUND = "found"
    GIVEN_UP = "given_up"


class ModelLabels:
    """Models by their keys in the stack. Stacks may follow each other for months; the labels stop growing."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, key: str | None) -> str:
        if not key:
            return NONE
        if key not in self._known:
            if len(self._known) >= _MOST_MODELS:
                return OTHER
            self._known.add(key)
        return key


def stage_label(stage: str) -> str:
    return _within(_STAGES, stage)


def letter_label(kind: str) -> str:
    return _within(_LETTERS, kind)


def kind_label(kind: str) -> str:
    return _within(_KINDS, kind)


def event_label(kind: str) -> str:
    return _within(_EVENTS, kind)


def method_label(method: str) -> str:
    return _within(LIMITS, method)


def attempt_label(outcome: str) -> str:
    """What came of an attempt: HTTP's many refusals by their hundred, but for "too many requests"."""
    return f"{outcome[:6]}xx" if outcome not in _ATTEMPTS and outcome[:6] in _HUNDREDS else _within(_ATTEMPTS, outcome)


def _within(known: Collection[str], name: str) -> str:
    return name if name in known else OTHER
