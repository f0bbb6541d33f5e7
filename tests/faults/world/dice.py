"""What a seed draws: everything that is not decided by the program comes from here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Random's integers and floats only, which are the same on every machine."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def happens(self, share: float) -> bool:
        return share > 0 and self._random() < share

    def below(self, count: int) -> int:
        return int(self._random() * count)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random()

    def pick(self, among: Sequence[T]) -> T:
        return among[int(self._random() * len(among))]

    def wait(self, mean: float) -> float:
        """Seconds until something that comes at any moment, this often on average."""
        return round(-mean * math.log(1.0 - self._random()), 6)

    def id(self) -> str:
        return f"{int(self._random() * (1 << 48)):012x}"
