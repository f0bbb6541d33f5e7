"""What the handlers need from the outside; originals live in bot/, fakes in tests/fakes.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from handlers.stack import Model


class StopReason(StrEnum):
    """Why a model stopped. Only FINISHED is a whole answer."""

    FINISHED = "finished"
    LENGTH = "length"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What a model is sent: the stage's instructions and the fenced material."""

    system: str
    user: str
    max_output_tokens: int
    temperature: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens; None where the endpoint did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswer:
    """What came back, whole: a stream that ended without its stop reason never becomes one."""

    text: str
    stop: StopReason
    served_id: str | None
    usage: Usage = field(default_factory=Usage)
    attempts: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Which model is asked, under its key in the stack, for how long at most, for which stage, and by which run.

    `host_concurrency` is how many may ask at the model's host at once, whatever the model; None: any number.
    `channel`, `jurisdictions` (None: anywhere) and `min_trust` are the policy where it is asked; it is looked at again
    before each call, so that a wrong route reaches nobody.
    """

    key: str
    model: Model
    timeout_seconds: float
    stage: str = ""
    run_id: str = ""
    epoch: int = 0
    host_concurrency: int | None = None
    channel: str = ""
    jurisdictions: tuple[str, ...] | None = None
    min_trust: int = 1

    @property
    def limits(self) -> list[tuple[str, int]]:
        """What it needs a place at, by a name of its own, and how many places there are; the model's comes first."""
        limits = [(f"model {self.key}", self.model.concurrency)]
        if self.host_concurrency is not None:
            limits.append((f"host {self.model.host}", self.host_concurrency))
        return limits


class Seats(Protocol):
    """Who may ask a model now: so many at once, whichever process they are in."""

    def within(self, assignment: Assignment) -> AbstractAsyncContextManager[None]:
        """Wait for a place, and hold it inside."""
        ...


class Unanswered(StrEnum):
    """An attempt that gave no answer: whether it may have been billed all the same."""

    FREE = "free"
    MAYBE_BILLED = "maybe_billed"


Settle = Callable[[ModelAnswer | Unanswered], Awaitable[None]]
"""What became of an attempt. Where nobody says it, the attempt may have been billed."""

Before = Callable[[], Awaitable[Settle]]
"""Awaited before each attempt, which is not made if this raises; ModelFailed is then what the ask raises."""


class Models(Protocol):
    """The models of the stack. Retries within the assignment; the caller decides about fallbacks."""

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        """Raise ModelFailed when three attempts gave nothing; cancelling the task aborts the call."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A member as Slack knows them; what decides whether their word counts."""

    id: str
    is_bot: bool = False
    is_guest: bool = False
    is_deactivated: bool = False
    is_external: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A conversation as Slack knows it.

    Attributes:
        is_external: shared with another organisation, or about to be.
        is_strange: neither a channel nor a direct message, so nobody here knows who reads along.
    """

    id: str
    is_member: bool = True
    is_archived: bool = False
    is_external: bool = False
    is_strange: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenMessage:
    """A message as Slack returned it."""

    channel: str
    ts: str
    thread_ts: str | None
    author: str | None
    text: str
    digest: str
    edited: bool = False


class Slack(Protocol):
    """What we read from Slack. Each raises LookupFailed when Slack does not say.

    A place may be what Slack said half a minute ago; `now`: what it says these seconds.
    """

    async def person(self, person: str) -> Person: ...
    async def members_of(self, group: str) -> frozenset[str]: ...
    async def place(self, channel: str, *, now: bool = False) -> Place: ...
    async def message(self, channel: str, ts: str, *, thread_ts: str | None = None) -> SeenMessage | None: ...
    async def messages(self, channel: str, thread_ts: str, wanted: Sequence[str]) -> dict[str, SeenMessage]: ...


class LookupFailed(Exception):  # noqa: N818  reads as a fact
    """Slack could not tell us; whatever depends on it is "not yet", never "yes"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A page as text.

    Attributes:
        url: where it was read in the end; another address than the one asked for if that one led on.
        title: what it calls itself; empty if it does not.
        text: its words, with headings and lists as Markdown has them.
        kind: "html", "text", "markdown" or "json".
        fetched_bytes: what came over the wire.
    """

    url: str
    title: str
    text: str
    kind: str
    fetched_bytes: int


class SourceUnread(Exception):  # noqa: N818  reads as a fact
    """A source gave no text. Its sentence goes on after "was not read: ", such as "it answered HTTP 404"."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Sources(Protocol):
    """The scout's reading room. Only addresses that people wrote are ever asked for."""

    async def read(self, url: str) -> Source:
        """Raise SourceUnread, and nothing else, when there is no text to be had."""
        ...


Clock = Callable[[], datetime]
"""Now, in UTC, with its zone."""

NewId = Callable[[str], str]
"""A fresh id with the given one-letter prefix, such as "r" for a run."""

Wake = Callable[[], None]
"""Tell whoever delivers or runs that there is something new; losing it costs time, never work."""

Sleep = Callable[[float], Awaitable[None]]
"""Wait for so many seconds."""
