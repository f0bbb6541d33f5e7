"""What comes in, whatever its entrance: values that the inbox keeps and the handlers understand."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from handlers.stack import StageName


class Verb(StrEnum):
    """What a person wants."""

    STAGE = "stage"
    AGAIN = "again"
    STATUS = "status"
    CONTEXT = "context"
    CANCEL = "cancel"
    HELP = "help"


class Entrance(StrEnum):
    """How they asked."""

    COMMAND = "command"
    MENTION = "mention"
    BUTTON = "button"
    SHORTCUT = "shortcut"
    SEND_BACK = "send_back"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a person asked for. Its key makes a repeat harmless.

    Attributes:
        words: the brief of a new work, or the note to a stage of one that exists.
        thread_ts: the thread it was asked in or points at; None for a slash command that starts a work.
        target_ts: the message a person pointed at, by a link or the shortcut.
        target_thread_ts: the thread of that message, where the way of pointing at it tells.
        target_id: the answer or run behind a button.
        brief: what the text is for, asked by the shortcut's modal.
        note_by: whose words the note is, where they are not the person's own: an earlier request asked again.
        reply_url: where a slash command can be answered privately; forgotten once handled.
    """

    key: str
    entrance: Entrance
    verb: Verb
    team: str
    channel: str
    person: str
    at: datetime
    stage: StageName | None = None
    revises: bool = False
    words: str = ""
    thread_ts: str | None = None
    target_ts: str | None = None
    target_thread_ts: str | None = None
    target_id: str | None = None
    brief: str = ""
    reply_url: str | None = None
    note_by: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Request:
        stage, note_by = body["stage"], body.get("note_by")
        return cls(
            **{
                **body,
                "at": datetime.fromisoformat(body["at"]),
                "entrance": Entrance(body["entrance"]),
                "verb": Verb(body["verb"]),
                "stage": StageName(stage) if stage else None,
                "note_by": None if note_by is None else tuple(note_by),
            }
        )


def line_of(channel: str, message_ts: str) -> str:
    """The inbox's line for the reactions on a message."""
    return f"reaction/{channel}/{message_ts}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reaction:
    """Somebody put an emoji on a message, or took it away. `at` is Slack's time of it, which orders them.

    Attributes:
        seen: Slack never told us; we looked, and it stood there, or no more. `at` is then the earliest it can be.
    """

    key: str
    team: str
    channel: str
    message_ts: str
    person: str
    emoji: str
    added: bool
    at: datetime
    seen: bool = False

    @property
    def line(self) -> str:
        """All that happens to one message is handled in order."""
        return line_of(self.channel, self.message_ts)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Reaction:
        return cls(**{**body, "at": datetime.fromisoformat(body["at"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Somebody who sent a text back said why."""

    key: str
    team: str
    channel: str
    thread_ts: str
    person: str
    words: str
    at: datetime

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Reason:
        return cls(**{**body, "at": datetime.fromisoformat(body["at"])})
