"""The values of the scripted endpoint: what was asked of it, what it answers, and how it misbehaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from handlers.ports import StopReason, Usage

WireName = Literal["openai", "anthropic"]


class Fault(StrEnum):
    """What an endpoint can do wrong, one at a time; statuses with their headers need none of these."""

    CUT_MID_EVENT = "cut in the middle of an event"
    CUT_MID_CODEPOINT = "cut in the middle of a character"
    CUT_BEFORE_FINISH = "cut between two events, before the stop reason"
    CUT_AFTER_FINISH = "cut after the stop reason, before the end marker"
    NO_STOP_REASON = "ends cleanly, without a stop reason"
    MARKER_ONLY = "ends with the end marker, without a stop reason"
    NO_END_MARKER = "stop reason, but no end marker"
    ERROR_EVENT = "an error event after some text"
    MALFORMED_CHUNK = "an event that is no JSON"
    WRONG_SCHEMA = "an event of another shape"
    EMPTY_BODY = "200 with an event stream of nothing"
    HTML = "200 with an HTML page"
    HANG_BEFORE_BYTES = "takes the request and says nothing"
    HANG_MID_STREAM = "says something and then nothing"
    HANG_AFTER_END = "the whole answer, but the connection stays open"
    SLOW_DRIP = "a byte now and then"
    RESET = "connection reset before any answer"
    RESET_MID_STREAM = "200, some text, then reset"
    REDIRECT = "307 to another address"
    HUGE_BODY = "50 MB of text"
    GZIP_BOMB = "a small gzip that becomes 512 MB"
    HUGE_LINE = "one line of 2 MB"
    BAD_UTF8 = "bytes that are no UTF-8"
    BOM = "a byte order mark before the first event"
    CARRIAGE_RETURNS = "lines that end with CR LF, and with CR"
    DUPLICATE_DELTA = "one delta sent twice"
    COMMENTS_ONLY = "comments to keep the line open, and nothing else"
    TOOL_CALL = "a tool call nobody asked for"
    NULL_CONTENT = "an answer whose content is null"
    UNKNOWN_STOP = "a stop reason nobody knows"
    WRONG_LENGTH = "Content-Length longer than the body"
    PLAIN_JSON = "ignores stream and answers with one JSON object"
    TRUNCATED_JSON = "ignores stream and breaks the JSON object off"
    JSON_NO_CHOICES = "ignores stream and answers with an empty list of choices"
    DEEP_JSON = "JSON nested ten thousand deep"
    ODD_ENCODING = "Content-Encoding nobody asked for"


ODD_USAGE: Mapping[str, Any] = MappingProxyType(
    {"missing": None, "negative": -7, "huge": 10**15, "text": "many", "fraction": 1.5}
)
"""What endpoints have been seen to send where a count of tokens belongs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """One request as it arrived; `peer` is the address and port it came from."""

    wire: WireName
    path: str
    model: str
    system: str
    user: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: datetime
    peer: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        text: the model's words.
        thinking: words the model keeps to itself; sent the way reasoning models send them.
        pace: seconds the whole text takes; None leaves it to the endpoint.
        stop: why the model stopped.
        usage: what is said about tokens; None counts words, as a real endpoint would count tokens.
        raw_usage: sent in place of each count, whatever it is.
        fault: what goes wrong.
        status: the HTTP status; with anything but 200 the body is an error.
        headers: further headers.
        body: the body as it is, instead of one made from the text.
        error: the words of an error.
        served_id: the model the endpoint says it served; None echoes what was asked.
        redirect: where a 307 points.
    """

    text: str = ""
    thinking: str = ""
    pace: float | None = None
    stop: StopReason = StopReason.FINISHED
    usage: Usage | None = None
    raw_usage: str | None = None
    fault: Fault | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    error: str = "the scripted endpoint was told to fail"
    served_id: str | None = None
    redirect: str = "http://127.0.0.1:9/elsewhere"


Answers = Callable[[Recorded], "Reply | str | Awaitable[Reply | str]"]
"""Chooses what a request is answered."""
