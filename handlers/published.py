"""The stack's prices beside published ones: what differs, in one sentence a model (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from handlers.remarks import Path
from handlers.stack import Model, Price, is_loopback

CODES: Mapping[str, str] = MappingProxyType(
    {
        "W432": "A price is not the published one.",
        "N430": "A price is not the one its maker publishes.",
    }
)
_TOLERANCE = 0.005  # what rounding may do


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a list says a model costs.

    Attributes:
        by: whose price it is, as the list calls them.
        model: what the list calls the model.
        input: USD per million tokens; `output` too.
        at_its_host: whether it is the price of the very host the stack asks, and not of another who serves the model.
        steps_at: from so many tokens of a prompt on, the list has other prices; None: it has none.
    """

    by: str
    model: str
    input: float
    output: float
    at_its_host: bool
    steps_at: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """One model's prices side by side; a code where they differ."""

    at: Path
    sentence: str
    code: str | None = None


def beside(key: str, model: Model, found: Published | str) -> Beside:
    """What the stack says of a model's price beside what a list says; a str tells why the list says nothing."""
    at: Path = ("models", key)
    ours = _amounts(model.price.input, model.price.output) if model.price else "no price"
    if is_loopback(urlsplit(model.base_url).hostname or ""):
        return Beside(at=at, sentence=f"{key}: {ours} here; it runs on this machine, which no list knows.")
    if isinstance(found, str):
        return Beside(at=at, sentence=f"{key}: {ours} here; {found}.")
    theirs = f"{found.model} at {found.by}: {_amounts(found.input, found.output)}"
    if found.steps_at is not None:
        theirs += f", other prices from {found.steps_at:,} tokens on"
    if model.price is None:
        return Beside(at=at, sentence=f"{key}: {ours} here; {theirs}.")
    at = ("models", key, "price")
    if not (differences := _differences(model.price, found)):
        return Beside(at=at, sentence=f"{key}: {ours} here; the same there ({theirs}).")
    told = f"{key}: {ours} here; {theirs}: {' and '.join(differences)} there"
    if found.at_its_host:
        return Beside(at=at, sentence=f"{told}; look at the provider's page, and set checked.", code="W432")
    return Beside(at=at, sentence=f"{told}; your endpoint may charge otherwise than its maker.", code="N430")


def _differences(ours: Price, theirs: Published) -> list[str]:
    found = [("input", ours.input, theirs.input), ("output", ours.output, theirs.output)]
    return [f"{what} costs {_more_or_less(here, there)}" for what, here, there in found if not _alike(here, there)]


def _alike(here: float, there: float) -> bool:
    return abs(here - there) <= _TOLERANCE * max(here, there)


def _more_or_less(here: float, there: float) -> str:
    if here == 0:
        return "something"
    if there == 0:
        return "nothing"
    if there >= 2 * here:
        return f"{there / here:,.1f} times as much"
    return f"{abs(there / here - 1):.0%} {'more' if there > here else 'less'}"


def _amounts(taken: float, given: float) -> str:
    return f"{_usd(taken)} in, {_usd(given)} out"


def _usd(amount: float) -> str:
    """$0.15; four digits behind the point where they are needed."""
    whole, _, cents = f"{amount:,.4f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"
