"""The one spelling of a JSON value, so that its digest can be worked out again."""

from __future__ import annotations

import json
from typing import Any


def canonical(body: dict[str, Any]) -> str:
    """JSON with one spelling: sorted keys, no spaces, no escapes that are not needed, no NaN."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
