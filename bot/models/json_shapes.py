"""A provider's JSON, read into the shape its wire expects."""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bot.models.wire import malformed

T = TypeVar("T", bound=BaseModel)

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)",
    re.DOTALL,
)


def parse(shape: type[T], data: str | bytes) -> T:
    """Read JSON into a shape; a character cut in half (some servers cut between two events) becomes U+FFFD.

    Raises:
        AttemptFailed: it is no JSON, or of another shape. The validator's error quotes what it was given, so it is
            not passed on.
    """
    try:
        return shape.model_validate_json(data)
    except ValidationError:
        pass
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    whole = _ESCAPE.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)
    if whole == text:
        raise malformed() from None
    try:
        return shape.model_validate_json(whole)
    except ValidationError:
        raise malformed() from None
