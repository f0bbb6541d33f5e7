"""Why an attempt at a model gave nothing, and how that becomes the one sentence a thread reads.

Codes, as they stand in `ModelFailed.code` (stored and logged):

| code | what happened | asked again |
| --- | --- | --- |
| `no_key` | the variable named by `key_env` is unset, empty or unusable | no |
| `bad_address` | `base_url` is no http(s) address, or the request cannot be sent | no |
| `barred` | the channel's policy or the stage's floor forbids it, looked at again before the call | no |
| `unreachable` | no connection: refused, unknown name, connect time-out | yes |
| `tls` | the endpoint's certificate is not accepted | no |
| `cut` | the connection broke before or within the answer | yes |
| `stalled` | the answer began and then nothing came for a while | yes |
| `timeout` | the whole time of an attempt passed | no |
| `incomplete` | the answer ended cleanly, but without its stop reason | yes |
| `malformed` | not the wire's format: HTML, broken JSON, bytes that are no text | yes |
| `empty` | an answer without a word | yes, unless the output limit was used up |
| `too_large` | more than a body, a line or an answer may be | no |
| `redirected` | HTTP 3xx: never followed | no |
| `context_too_long` | the prompt is longer than the model takes, in any spelling | no |
| `provider_error` | an error sent in place of the answer's rest | if its kind may pass |
| `tool_call` | the model called a tool nobody offered | no |
| `unknown_stop` | a stop reason nobody knows, so nobody knows whether it is whole | no |
| `http_<status>` | that status | 408, 409, 429 (but not a spent quota), 5xx |
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The codes that are not an HTTP status."""

    NO_KEY = "no_key"
    BAD_ADDRESS = "bad_address"
    BARRED = "barred"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    CUT = "cut"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    INCOMPLETE = "incomplete"
    MALFORMED = "malformed"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    CONTEXT_TOO_LONG = "context_too_long"
    PROVIDER_ERROR = "provider_error"
    TOOL_CALL = "tool_call"
    UNKNOWN_STOP = "unknown_stop"


class OptionalField(StrEnum):
    """What a request can do without, or say otherwise, when an endpoint does not know it."""

    STREAM_OPTIONS = "stream_options"
    TEMPERATURE = "temperature"
    MAX_TOKENS = "max_tokens"  # called max_completion_tokens by some


_UNREACHED = frozenset({Code.NO_KEY, Code.BAD_ADDRESS, Code.UNREACHABLE, Code.TLS})


class AttemptFailed(Exception):  # noqa: N818  reads as a fact
    """One attempt gave no usable answer.

    Attributes:
        code: the name under which it is stored.
        what: what the model did, in words that follow its name, such as "answered HTTP 503".
        retryable: whether the same request may well succeed later.
        retry_after: seconds the endpoint asked us to wait, if it said so sensibly.
        said: the endpoint's own words, unread and untrusted.
        without: the optional field the endpoint stumbled over.
        is_free: nothing of it can be billed: the endpoint was not reached, or said that it did nothing.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        said: str = "",
        without: OptionalField | None = None,
    ) -> None:
        super().__init__(what)
        self.code = str(code)
        self.what = what
        self.retryable = retryable
        self.retry_after = retry_after
        self.said = said
        self.without = without
        self.is_free = code in _UNREACHED


def sentence(key: str, failed: AttemptFailed, *, asked: int, said: str) -> str:
    """What the thread reads: the model by its stack key, the cause, how often it was tried, the endpoint's words."""
    tried = "" if not asked else ", tried once" if asked == 1 else f", tried {asked} times"
    quoted = f"; its endpoint says “{said}”" if said else ""
    return f"{key} {failed.what}{tried}{quoted}."
