"""What a seed decides before anything happens: how many workers, how much goes wrong, who asks for what."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.world.dice import Dice


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """How often things go wrong, as shares of the times they could."""

    lost: float
    limited: float
    refused: float
    not_reached: float
    settles_late: float
    page: int
    model_fails: float
    model_is_slow: float
    copies: float
    late: float
    dies: float
    freezes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One world, before it begins."""

    number: int
    workers: int
    rates: Rates
    works: int
    steps: int
    deaths: int
    outages: tuple[tuple[float, float], ...]
    order: str
    clocks_apart: float


def plan_of(number: int, dice: Dice) -> Plan:
    """Most worlds are in some trouble, a few in none, so that trouble of one kind is also seen alone."""
    trouble = dice.pick((0.0, 0.3, 1.0, 1.0, 2.0))

    def share(most: float) -> float:
        return dice.between(0.0, most) * trouble if dice.happens(0.6) else 0.0

    rates = Rates(
        lost=share(0.25),
        limited=share(0.1),
        refused=share(0.05),
        not_reached=share(0.1),
        settles_late=share(0.5),
        page=dice.pick((200, 200, 5, 2)),
        model_fails=share(0.2),
        model_is_slow=share(0.15),
        copies=share(0.4),
        late=share(0.3),
        dies=share(0.02),
        freezes=share(0.5),
    )
    workers = dice.pick((1, 1, 1, 2, 3))
    return Plan(
        number=number,
        workers=workers,
        rates=rates,
        works=dice.pick((1, 1, 2)),
        steps=1 + dice.below(4),
        deaths=dice.below(4) if trouble else 0,
        outages=_outages(dice, hours=workers == 1) if dice.happens(0.1 * trouble) else (),
        clocks_apart=dice.pick((0.0, 0.0, 0.1, 5.0, 120.0)) if workers > 1 else 0.0,
        order=dice.pick(("in turn", "drawn", "drawn", "newest first")),
    )


def _outages(dice: Dice, *, hours: bool) -> tuple[tuple[float, float], ...]:
    hours = dice.happens(0.05) and hours
    return ((dice.between(0.0, 20.0), dice.between(3_600.0, 10_000.0) if hours else dice.wait(30.0)),)
