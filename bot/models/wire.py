"""What the two wire formats have in common: a request goes out as JSON, an answer is read event by event."""

from __future__ import annotations

from typing import Any, Protocol

from bot.models.errors import AttemptFailed, Code, OptionalField
from handlers.ports import ModelAnswer, Prompt, StopReason, Usage

_MOST_TOKENS = 50_000_000
_LONGEST_ID = 200
MOST_TEXT = 8 * 1024 * 1024
"""Characters an answer may have."""


class Reading(Protocol):
    """One answer, being put together from the events of a stream."""

    @property
    def has_text(self) -> bool:
        """Whether words of the answer have come; thinking does not count."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether all that an answer needs has come, whatever happens to the connection now."""
        ...

    def take(self, data: str) -> bool:
        """Take one event's data; True when it was the last that is owed. Raises AttemptFailed."""
        ...

    def answer(self) -> ModelAnswer:
        """The whole answer. Raises AttemptFailed where it is not whole."""
        ...


class Wire(Protocol):
    """A pure translation: a prompt to a request, and what comes back to an answer."""

    path: str

    def headers(self) -> dict[str, str]: ...
    def key_header(self, key: str) -> tuple[str, str]: ...
    def body(self, model_id: str, prompt: Prompt, without: frozenset[OptionalField]) -> dict[str, Any]: ...
    def reading(self) -> Reading: ...
    def read_json(self, body: bytes) -> ModelAnswer: ...


class Words:
    """The text of an answer as it grows, within its limit."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def __bool__(self) -> bool:
        return self._length > 0

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        self._length += len(piece)
        if self._length > MOST_TEXT:
            raise AttemptFailed(Code.TOO_LARGE, "wrote more than an answer may hold")
        if piece:
            self._pieces.append(piece)


def checked(text: str, stop: StopReason, *, served_id: str | None, usage: Usage) -> ModelAnswer:
    """An answer, if it says anything: silence is a failure, except where the model declined to speak."""
    if not text.strip():
        if stop is StopReason.FINISHED:
            raise AttemptFailed(Code.EMPTY, "answered without a word", retryable=True)
        if stop is StopReason.LENGTH:
            raise AttemptFailed(Code.EMPTY, "used up its output limit before it wrote a word")
    return ModelAnswer(text=text, stop=stop, served_id=served_id, usage=usage)


def malformed(what: str = "answered in a form that is not its wire's") -> AttemptFailed:
    return AttemptFailed(Code.MALFORMED, what, retryable=True)


def incomplete(*, begun: bool) -> AttemptFailed:
    if begun:
        return AttemptFailed(Code.INCOMPLETE, "stopped in the middle of its answer", retryable=True)
    return AttemptFailed(Code.EMPTY, "answered with nothing", retryable=True)


def called_a_tool() -> AttemptFailed:
    return AttemptFailed(Code.TOOL_CALL, "called a tool instead of answering, and it was offered none")


def unknown_stop(reason: str) -> AttemptFailed:
    return AttemptFailed(Code.UNKNOWN_STOP, "stopped for a reason this bot does not know", said=reason)


def tokens(value: Any) -> int | None:
    """A count of tokens, or None where it is none: endpoints send nothing, words, negative and impossible counts."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_TOKENS:
        return None
    return value


def served(value: str | None) -> str | None:
    """The id an endpoint says it served, fit to be shown."""
    shown = "".join(each for each in value or "" if each.isprintable()).strip()[:_LONGEST_ID]
    return shown or None
