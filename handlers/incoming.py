"""What comes in, whatever its entrance: values that the inbox keeps and the handlers understand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from handlers.stack import StageName
from storage.records import Lane, Letter, VerdictKind

_SAME = timedelta(microseconds=2)


class Verb(StrEnum):
    """What a person wants."""

    STAGE = "stage"
    AGAIN = "again"
    SECOND_OPINION = "second_opinion"
    FRESH = "fresh"
    TO_CONTENT = "to_content"
    STATUS = "status"
    CONTEXT = "context"
    CANCEL = "cancel"
    HELP = "help"
    DOWNLOAD = "download"
    RAISE = "raise"
    SEND_BACK = "send_back"
    ROUTE = "route"
    STACK = "stack"


class Entrance(StrEnum):
    """How they asked."""

    COMMAND = "command"
    MENTION = "mention"
    BUTTON = "button"
    PIPELINE = "pipeline"
    SHORTCUT = "shortcut"
    FORM = "form"  # the advice of the four questions, run as it stands
    SEND_BACK = "send_back"
    POSTED_AGAIN = "posted_again"  # nobody asked a model: the same text in new messages


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
        brief_alone: a fresh start takes no text along.
        note_by: whose words the note is, where they are not the person's own: an earlier request asked again.
        second_to: the answer a second opinion is wanted on.
        lane: where an earlier request belonged, that is asked again.
        run_id: which earlier request that is, by its run; empty: the newest of the thread.
        reply_url: where a slash command can be answered privately; forgotten once handled.
        pipeline: the name of what they want to be run, as they wrote it, and `start` the stage to run it from.
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
    brief_alone: bool = False
    second_to: str | None = None
    lane: Lane | None = None
    pipeline: str = ""
    start: StageName | None = None
    run_id: str = ""

    @property
    def begins_its_thread(self) -> bool:
        """Whether the thread it was asked in begins with the very message that asks."""
        if self.thread_ts is None:
            return False
        return abs(datetime.fromtimestamp(float(self.thread_ts), tz=UTC) - self.at) < _SAME

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Request:
        stage, note_by, lane = body["stage"], body.get("note_by"), body.get("lane")
        start = body.get("start")
        return cls(
            **{
                **body,
                "at": datetime.fromisoformat(body["at"]),
                "entrance": Entrance(body["entrance"]),
                "verb": Verb(body["verb"]),
                "stage": StageName(stage) if stage else None,
                "start": StageName(start) if start else None,
                "note_by": None if note_by is None else tuple(note_by),
                "lane": Lane(lane) if lane else None,
            }
        )


def line_of(channel: str, message_ts: str) -> str:
    """The inbox's line for the reactions and the clicks on a message."""
    return f"reaction/{channel}/{message_ts}"


def line_in(team: str, channel: str, thread_ts: str | None) -> str:
    """The inbox's line for all that is asked in a thread."""
    return f"{team}/{channel}/{thread_ts}"


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

    @property
    def takes_away(self) -> bool:
        return not self.added

    @property
    def via(self) -> str:
        return "reaction"

    @property
    def evidence(self) -> dict[str, Any]:
        """Where and how Slack told it."""
        return {"message": self.message_ts, "event": self.key}

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Reaction:
        return cls(**{**body, "at": datetime.fromisoformat(body["at"])})


class Wish(StrEnum):
    """What the buttons of a review card say; other programs know them by these names."""

    APPROVE = "approve"
    SEND_BACK = "send_back"
    WITHDRAW = "withdraw"
    TAKE_BACK = "take_back"

    @property
    def gives(self) -> VerdictKind | None:
        """The verdict it gives; None where it takes one back."""
        given = {Wish.APPROVE: VerdictKind.APPROVE, Wish.SEND_BACK: VerdictKind.SEND_BACK}
        return given.get(self)

    @property
    def takes(self) -> VerdictKind | None:
        """The verdict it takes back, if that is what it does."""
        taken = {Wish.WITHDRAW: VerdictKind.APPROVE, Wish.TAKE_BACK: VerdictKind.SEND_BACK}
        return taken.get(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Click:
    """Somebody pressed a button of a review card. `at` is Slack's time of it, which orders them.

    Attributes:
        answer_id: the text the button was made for, and `sha256` its digest then; empty where it told none.
        action_ts: Slack's name for this one press.
    """

    key: str
    team: str
    channel: str
    message_ts: str
    thread_ts: str
    person: str
    wish: Wish
    answer_id: str
    sha256: str
    action_ts: str
    at: datetime

    @property
    def line(self) -> str:
        """In one line with the reactions on the card: all that happens to one message is handled in order."""
        return line_of(self.channel, self.message_ts)

    @property
    def takes_away(self) -> bool:
        return self.wish.takes is not None

    @property
    def via(self) -> str:
        return "button"

    @property
    def emoji(self) -> None:
        """Nobody sees a click, so none tells it from others."""
        return

    @property
    def evidence(self) -> dict[str, Any]:
        """Where and how Slack told it, and which kind of word a click takes back."""
        takes = {"takes": self.wish.takes.value} if self.wish.takes else {}
        return {"message": self.message_ts, "event": self.key, "action": self.action_ts, **takes}

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Click:
        return cls(**{**body, "wish": Wish(body["wish"]), "at": datetime.fromisoformat(body["at"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """Somebody deleted a message of ours: Slack lets its admins do so."""

    key: str
    team: str
    channel: str
    message_ts: str
    at: datetime

    @property
    def line(self) -> str:
        """In one line with the words on the message."""
        return line_of(self.channel, self.message_ts)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Deletion:
        return cls(**{**body, "at": datetime.fromisoformat(body["at"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """Somebody sent a text back in words, in its thread. With what they pressed, it is one word: the last one counts.

    Attributes:
        message_ts: where their words stand.
        words: the reason; may be empty.
    """

    key: str
    team: str
    channel: str
    thread_ts: str
    message_ts: str
    person: str
    words: str
    at: datetime

    @property
    def line(self) -> str:
        """In one line with all that is asked in the thread."""
        return line_in(self.team, self.channel, self.thread_ts)

    @property
    def takes_away(self) -> bool:
        return False

    @property
    def via(self) -> str:
        return "reply"

    @property
    def emoji(self) -> None:
        """There is none."""
        return

    @property
    def evidence(self) -> dict[str, Any]:
        """Where and how Slack told it, and whether the reason came with it; the reason itself becomes a run's note."""
        return {"message": self.message_ts, "event": self.key, "with_reason": bool(self.words)}

    @property
    def reason(self) -> Reason:
        """The words for themselves."""
        return Reason(
            key=f"{self.key}/reason"[:200],
            team=self.team,
            channel=self.channel,
            thread_ts=self.thread_ts,
            person=self.person,
            words=self.words,
            at=self.at,
        )


Word = Reaction | Click | Reply
"""Somebody's yes or no about a text, given or taken back, in whichever way."""


def words_in(letters: Iterable[Letter]) -> list[Word]:
    """The reactions and clicks among letters, in their order."""
    kinds: dict[str, type[Reaction | Click]] = {"reaction": Reaction, "click": Click}
    return [kinds[letter.kind].from_json(letter.body) for letter in letters if letter.kind in kinds]


def sends_back(letter: Letter) -> bool:
    """Whether a letter is a send-back in words."""
    return letter.kind == "request" and letter.body.get("verb") == Verb.SEND_BACK


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
