"""When an endpoint that keeps failing is left alone for a while, and until when (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from handlers.errors import ModelFailed
from handlers.figures import clock
from handlers.stack import Model
from storage.records import Cooldown

FORGIVEN = 1
"""So many failures in a row are somebody's bad luck: whoever asks again is asked for at once."""
FIRST, LONGEST = timedelta(seconds=15), timedelta(minutes=5)
OLD = timedelta(minutes=15)
"""What failed so long ago says nothing of what failed now: counting begins anew."""
_PASSES = frozenset(
    {"timeout"}
)  # not asked again within one run, for it took all its time; the next run may find it quick


def after(
    failed: ModelFailed, model: Model, before: Cooldown | None, *, began: datetime, now: datetime
) -> Cooldown | None:
    """What to remember of an endpoint whose attempts all failed; None where waiting would change nothing.

    What was under way already when the last failure was noted is no further one: many runs see the same trouble.

    The second failure in a row costs it 15 s, each further one twice as long, up to 5 minutes. Where the endpoint said
    itself when to come back (Retry-After), that counts from the first failure on, within the same 5 minutes.
    """
    if not failed.retryable and failed.code not in _PASSES:
        return None
    if before is not None and began < before.at:
        return replace(before, at=now)
    lately = before is not None and now - before.at < OLD
    failures = (before.failures if before is not None and lately else 0) + 1
    rest = FIRST * 2 ** min(failures - FORGIVEN - 1, 10) if failures > FORGIVEN else timedelta(0)
    if failed.retry_after is not None:
        rest = max(rest, timedelta(seconds=min(failed.retry_after, LONGEST.total_seconds())))
    until = now + min(rest, LONGEST) if rest else None
    return Cooldown(endpoint=model.endpoint, failures=failures, code=failed.code[:60], at=now, until=until)


def rests(key: str, model: Model, cooling: Mapping[str, Cooldown], now: datetime) -> str | None:
    """Why a model is not asked now, as a sentence; None if it may be asked."""
    found = cooling.get(model.endpoint)
    if found is None or found.until is None or found.until <= now:
        return None
    often = f", {found.failures} times in a row" if found.failures > 1 else ""
    return f"{key} rests until {clock(found.until)}: it {in_words(found.code)}{often}."


def in_words(code: str) -> str:
    """What an endpoint did, by the code of its failure, after its name: "answered HTTP 429"."""
    if code.startswith("http_"):
        return f"answered HTTP {code.removeprefix('http_')}"
    return {
        "unreachable": "could not be reached",
        "cut": "broke off",
        "stalled": "fell silent in its answer",
        "incomplete": "ended without an end",
        "malformed": "answered in no form I can read",
        "empty": "answered with nothing",
        "timeout": "did not answer in time",
        "provider_error": "reported an error",
    }.get(code, "gave no answer")
