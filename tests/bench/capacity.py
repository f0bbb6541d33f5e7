"""`python -m tests.bench.capacity`: what more machines would carry, by a simulation of what was measured on this one.

Requests go through the bot's processes, the writers' lock, the model and Slack's pace; each holds what it needs for as
long as it was seen to. Discrete events, one seed, no clock but its own.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

Course = Generator[tuple[Sequence["Seats"], float], None, None]


@dataclass(eq=False)
class Seats:
    """Something of which so many can be held at once; who waits is served in order."""

    count: int
    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    taken: int = 0

    def ask(self, then: Callable[[], None]) -> None:
        if self.taken < self.count:
            self.taken += 1
            then()
        else:
            self.waiting.append(then)

    def free(self) -> None:
        if self.waiting:
            self.waiting.popleft()()
        else:
            self.taken -= 1


class Clock:
    """What happens when, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._number), do))

    def run(self) -> None:
        while self._due:
            self.now, _, do = heapq.heappop(self._due)
            do()

    def follow(self, course: Course, ended: Callable[[], None] = lambda: None) -> None:
        """Go through a course: at each step ask for all its seats, one after the other, hold them, and let go."""
        try:
            seats, seconds = next(course)
        except StopIteration:
            ended()
            return

        def let_go() -> None:
            for seat in reversed(seats):
                seat.free()
            self.follow(course, ended)

        def take(left: Sequence[Seats]) -> None:
            if left:
                left[0].ask(lambda: take(left[1:]))
            else:
                self.later(seconds, let_go)

        take(seats)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place to run the bot in, and what one run costs there; seconds and counts.

    Attributes:
        cores: processors that all share; what stands around (Slack, the model endpoint) is outside in real life.
        writes: transactions that take the writers' lock.
        locked: how long each holds it; of that, `locked_cpu` on the process, the rest on the database and the disk.
        worker_cpu: of a worker, beside what it spends holding the lock.
        around_cpu: of the database, Slack and the model endpoint on the same cores.
    """

    cores: int
    workers: int
    webs: int = 1
    writes: int
    locked: float
    locked_cpu: float
    web_cpu: float
    worker_cpu: float
    around_cpu: float
    model_seconds: float = 0.0
    posts: int = 3
    channels: int = 0  # 0: Slack's limits are off
    locks: int = 1  # one a database; one a workspace where each has its own


@dataclass(kw_only=True, slots=True)
class Seen:
    """How it went: seconds from arrival to the end of each request."""

    waits: list[float]
    seconds: float

    @property
    def runs_per_second(self) -> float:
        return len(self.waits) / self.seconds if self.seconds else 0.0


@dataclass(eq=False, slots=True)
class _Pace:
    """Slack's, of a channel or a workspace: one post each so many seconds, after a burst."""

    apart: float
    burst: int
    free_at: float = 0.0

    def wait(self, now: float) -> float:
        due = max(self.free_at, now)
        self.free_at = due + self.apart
        return max(0.0, due - (self.burst - 1) * self.apart - now)


def simulate(place: Place, arrivals: Sequence[float], *, seed: int = 0, workspaces: int = 1) -> Seen:
    """Let requests arrive at these moments and follow each to its end."""
    dice, clock = random.Random(seed), Clock()
    cores, webs = Seats(place.cores), [Seats(1) for _ in range(place.webs)]
    workers = [Seats(1) for _ in range(place.workers)]
    locks = [Seats(1) for _ in range(place.locks)]
    channels = [_Pace(1.0, 6) for _ in range(place.channels * workspaces)]
    teams = [_Pace(0.2, 60) for _ in range(workspaces)]
    waits: list[float] = []

    def course(number: int) -> Course:
        """The intake; then its writes, with the model in the middle and its posts at the beginning and the end."""
        team = number % workspaces
        lock, worker = locks[team % len(locks)], workers[dice.randrange(len(workers))]
        yield (webs[number % len(webs)], cores), place.web_cpu
        for write in range(place.writes):
            for cpu, holds in ((place.worker_cpu / place.writes, ()), (place.locked_cpu, (lock,))):
                yield (*holds, worker, cores), cpu * dice.uniform(0.8, 1.2)
            yield (lock,), max(0.0, place.locked - place.locked_cpu)
            yield (cores,), place.around_cpu / place.writes
            if write == place.writes // 2:
                yield (), place.model_seconds
            if channels and write * place.posts // place.writes != (write + 1) * place.posts // place.writes:
                slow = channels[team * place.channels + number // workspaces % place.channels]
                yield (), max(slow.wait(clock.now), teams[team].wait(clock.now))

    def begin(number: int, moment: float) -> None:
        clock.follow(course(number), lambda: waits.append(clock.now - moment))

    for number, moment in enumerate(arrivals):
        clock.later(moment, partial(begin, number, moment))
    clock.run()
    return Seen(waits=waits, seconds=clock.now - arrivals[0] if arrivals else 0.0)


def poisson(rate: float, seconds: float, *, seed: int = 0) -> list[float]:
    """Moments at which requests arrive by chance, so many a second in the long run."""
    dice, moments, now = random.Random(seed), list[float](), 0.0
    while (now := now + dice.expovariate(rate)) < seconds:
        moments.append(now)
    return moments


MEASURED = Place(
    cores=2,
    workers=1,
    writes=4,
    locked=0.0106,
    locked_cpu=0.005,
    web_cpu=0.008,
    worker_cpu=0.090,
    around_cpu=0.053,
)
"""What `make bench BENCH_OPTS="--only workers"` told of a lone request; see docs/scale.md."""


def most_a_second(place: Place, *, seed: int = 0, workspaces: int = 1, count: int = 400) -> float:
    """Runs a second with a crowd that never ends."""
    return simulate(place, [0.0] * count, seed=seed, workspaces=workspaces).runs_per_second


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    told = ["| cores | workers | databases | runs/s | median of 200 at once, s |", "| --: | --: | --: | --: | --: |"]
    for cores, workers, locks in ((2, 1, 1), (2, 2, 1), (2, 4, 1), (16, 4, 1), (16, 8, 1), (64, 16, 4), (256, 64, 16)):
        place = replace(MEASURED, cores=cores, workers=workers, locks=locks, webs=max(1, workers // 8))
        crowd = simulate(place, [0.0] * 200, seed=given.seed, workspaces=locks)
        rate = most_a_second(place, seed=given.seed, workspaces=locks, count=200 * locks)
        told.append(f"| {cores} | {workers} | {locks} | {rate:.1f} | {median(crowd.waits):.1f} |")
    sys.stdout.write("\n".join(told) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
