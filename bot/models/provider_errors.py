"""Reads a provider's error, in any of the shapes they come in, and cleans the words it holds."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.models.errors import AttemptFailed, Code, OptionalField

_LONGEST_SAID = 200
_LONGEST_READ = 20_000
_TELLING_RUN = 8

_TOO_LONG = re.compile(
    r"context[_ ]length[_ ]exceeded|maximum context length|prompt is too long|prompt too long|input is too long"
    r"|exceeds? (?:the )?(?:available |model'?s? )*context|exceed_context_size|context ?window ?exceeded"
    r"|exceed(?:s|ed)? .{0,40}context (?:limit|length|window|size)"
    r"|longer than the (?:maximum )?(?:model|context) length|token count .{0,40}exceeds the maximum"
    r"|too many (?:input )?tokens|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
_SECRETLIKE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|key|xox[a-z]|AIza|ya29|Bearer|Basic)[-_. ]?[\w.~+/*=-]{12,}", re.IGNORECASE
)
_NOT_AMOUNTS = re.compile(r"too large|at most|less than|greater than", re.IGNORECASE)
_PASSING = re.compile(
    r"overload|rate.?limit|timeout|timed.?out|server.?error|api_error|unavailable|busy|capacity", re.IGNORECASE
)
_LASTING = re.compile(
    r"invalid|authentication|permission|not.?found|billing|quota|too_large|unsupported", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderError:
    """An error as the provider tells it: its kind (type or code), the field it is about, and its words."""

    kind: str = ""
    field: str = ""
    words: str = ""

    @property
    def context_too_long(self) -> bool:
        return bool(_TOO_LONG.search(f"{self.kind} {self.words}"))

    @property
    def spent_quota(self) -> bool:
        """Whether a 429 says that the money is gone, which waiting does not mend."""
        return "insufficient_quota" in f"{self.kind} {self.words}"

    @property
    def may_pass(self) -> bool:
        """Whether an error sent in the middle of an answer may be gone the next time."""
        return bool(_PASSING.search(self.kind)) or not _LASTING.search(self.kind)

    @property
    def stumbled_over(self) -> OptionalField | None:
        """The optional field a 400 is about, if it is about one."""
        told = f"{self.field} {self.words}"
        if "stream_options" in told:
            return OptionalField.STREAM_OPTIONS
        if ("max_tokens" in told or "max_completion_tokens" in told) and not _NOT_AMOUNTS.search(told):
            return OptionalField.MAX_TOKENS
        if "temperature" in told:
            return OptionalField.TEMPERATURE
        return None


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore")
    message: Any = None
    type: Any = None
    code: Any = None
    param: Any = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")
    error: _Told | str | None = None
    message: Any = None
    detail: Any = None
    type: Any = None
    code: Any = None


def read_error(body: bytes) -> ProviderError:
    """The error in a body, whatever the body is; a page of HTML or nothing at all says nothing."""
    try:
        told = _Body.model_validate_json(body[:_LONGEST_READ])
    except ValidationError:
        return ProviderError()
    if isinstance(told.error, _Told):
        return error_of(told.error.model_dump())
    words = told.error or told.message or told.detail
    return ProviderError(kind=_word(told.type) or _word(told.code), words=_word(words))


def error_of(told: Any) -> ProviderError:
    """The error in a value that has been parsed already, such as the `error` of an event."""
    if not isinstance(told, dict):
        return ProviderError(words=_word(told))
    kind = " ".join(filter(None, (_word(told.get("type")), _word(told.get("code")))))
    return ProviderError(kind=kind, field=_word(told.get("param")), words=_word(told.get("message")))


def error_instead(error: ProviderError) -> AttemptFailed:
    """An error event, or an error object under status 200, in place of the answer or of its rest."""
    if error.context_too_long:
        return too_long(error)
    return AttemptFailed(
        Code.PROVIDER_ERROR,
        "sent an error in place of its answer",
        retryable=error.may_pass,
        said=error.words or error.kind,
    )


def too_long(error: ProviderError) -> AttemptFailed:
    return AttemptFailed(
        Code.CONTEXT_TOO_LONG, "cannot take a text this long: it exceeds the model's context", said=error.words
    )


def clean(words: str, *, secret: str) -> str:
    """A provider's words in one short line without anything that could be a key; empty when the key itself shows.

    Providers do repeat the key they were sent, whole or masked in the middle, so a run of a few of its characters,
    in any of the usual encodings, is enough to drop the words.
    """
    if secret and _shows(words[:_LONGEST_READ], secret):
        return ""
    visible = "".join(
        " " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each
        for each in words[:_LONGEST_READ]
        if unicodedata.category(each) not in {"Cf", "Cs", "Co", "Cn"} and each not in "<>`“”"
    )
    line = _SECRETLIKE.sub("[removed]", " ".join(visible.split())).rstrip(". ")
    return line if len(line) <= _LONGEST_SAID else line[: _LONGEST_SAID - 1].rstrip() + "…"


def _shows(words: str, secret: str) -> bool:
    squeezed = "".join(words.split())
    return any(
        run in squeezed
        for form in _forms(secret)
        for run in ({form[at : at + _TELLING_RUN] for at in range(max(1, len(form) - _TELLING_RUN + 1))})
    )


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, URL-quoted, JSON-escaped, and in base64 from each of the three offsets."""
    data = secret.encode()
    encoded = (base64.b64encode(b" " * pad + data).decode().rstrip("=")[4 if pad else 0 : -2] for pad in range(3))
    return (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *filter(None, encoded))


def _word(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)[:_LONGEST_READ]
