"""What models cost by the list that the package genai-prices carries: its data as it was packaged, never fetched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from handlers.published import Beside, Published, beside
from handlers.stack import Model, Stack

NOT_KNOWN = "not known there"
_UNREADABLE = "its entry there cannot be read"
_NOT_BY_TOKEN = "it has no price by the token there"  # noqa: S105  no password
_MOST = 1_000_000.0
"""USD per million tokens: beyond it is a mistake of the list's."""
_LONGEST_NAME = 60


class NoList(Exception):  # noqa: N818  reads as a fact
    """The list cannot be opened; the sentence says why."""


def compared(stack: Stack) -> tuple[str, list[Beside]]:
    """What was compared with, and each model's prices side by side, in the order of the file. Raises NoList."""
    name, snapshot = _opened()
    return name, [beside(key, model, look_up(model, snapshot)) for key, model in stack.models.items()]


def look_up(model: Model, snapshot: Any) -> Published | str:
    """What the list says of a model, or why it says nothing. Whatever stands in the list, nothing is raised."""
    try:
        for provider, found, at_its_host in _matches(model, snapshot):
            return _read(provider, found, at_its_host=at_its_host)
    except Exception:  # noqa: BLE001  it is others' data, read by others' code; one bad entry must not hide the rest
        return _UNREADABLE
    return NOT_KNOWN


def _opened() -> tuple[str, Any]:
    """The packaged data. The package's updater, which alone would use the network, is never started."""
    try:
        # Imported only now: it takes most of a second, and only this needs it.
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415

        return f"genai-prices {metadata.version('genai-prices')}", get_snapshot()
    except Exception as problem:  # noqa: BLE001  missing or broken, it keeps nobody from checking the rest
        raise NoList(f"Prices were not compared: genai-prices cannot be read ({type(problem).__name__}).") from None


def _matches(model: Model, snapshot: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Provider, entry, and whether the provider is the host asked: by host, by `maker/model`, by the id alone."""
    everybody = {provider.id: provider for provider in snapshot.providers}

    def entry(provider: Any, name: str) -> Any:
        return provider.find_model(name, all_providers=snapshot.providers)

    if host := _provider(snapshot, None, f"{model.base_url}/"):
        if found := entry(host, model.id):
            yield host, found, True
        return  # what others ask for a model of this name says nothing of this host
    maker, _, rest = model.id.partition("/")
    if rest and (provider := everybody.get(maker.lower())) and (found := entry(provider, rest)):
        yield provider, found, False
    if rest and (provider := everybody.get("openrouter")) and (found := entry(provider, model.id)):
        yield provider, found, False
    if not rest and (provider := _provider(snapshot, model.id, None)) and (found := entry(provider, model.id)):
        yield provider, found, False


def _provider(snapshot: Any, name: str | None, url: str | None) -> Any:
    try:
        return snapshot.find_provider(name and name.lower(), None, url)
    except LookupError:
        return None


def _read(provider: Any, found: Any, *, at_its_host: bool) -> Published | str:
    prices: Mapping[str, Any] = vars(found.get_prices(datetime.now(UTC)))
    taken, given = prices.get("input_mtok"), prices.get("output_mtok")
    if taken is None or given is None:
        return _NOT_BY_TOKEN
    tiers = [*getattr(taken, "tiers", ()), *getattr(given, "tiers", ())]
    return Published(
        by=str(provider.id)[:_LONGEST_NAME],
        model=str(found.id)[:_LONGEST_NAME],
        input=_amount(taken),
        output=_amount(given),
        at_its_host=at_its_host,
        steps_at=min((int(tier.start) for tier in tiers), default=None),
    )


def _amount(price: Any) -> float:
    """USD per million tokens, of the first tier. Raises ValueError for what can be no price."""
    amount = float(getattr(price, "base", price))
    if not math.isfinite(amount) or not 0 <= amount <= _MOST:
        raise ValueError
    return amount
