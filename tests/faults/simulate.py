"""The deterministic simulator: `python -m tests.faults.simulate --seed N` lives one world, `--seeds COUNT` many.

A world is one process without threads: a seed draws its workers, its people, its faults and its deaths, and the order
in which everything takes its turn. The program in it is the real one, but for Slack, the models, the web and the time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count

from tests.faults.world.world import Ended, live

_AT_ONCE = 10
_MOST_SHOWN = 10


def many(seeds: Sequence[int], *, processes: int) -> Iterator[Ended]:
    """Live these worlds, as many at once as there are processes, and tell of each as it ends."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(live, seeds, chunksize=_AT_ONCE)


def within(seconds: float, *, first: int) -> Iterator[Ended]:
    """One world after the other, until the time is over."""
    until = time.monotonic() + seconds
    for seed in count(first):
        yield live(seed)
        if time.monotonic() > until:
            return


def summary(worlds: Sequence[Ended]) -> str:
    """What happened in them all, so that one sees that it did."""
    counts: Counter[str] = Counter()
    for one in worlds:
        counts.update(one.counts)
    told = [f"  {what:<44}{times:>12,}" for what, times in sorted(counts.items())]
    wrong = [one for one in worlds if one.wrong]
    return "\n".join([*told, f"{len(worlds):,} worlds, {len(wrong):,} in which something was wrong"])


def fault_of(ended: Ended) -> str:
    """What was wrong in a world, and how to see it again."""
    found = "\n  ".join(ended.wrong)
    again = f"again: python -m tests.faults.simulate --seed {ended.seed}"
    return f"seed {ended.seed} (trace {ended.digest}):\n  {found}\n  {again}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="live this one world and print its trace")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds to live")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _one(asked.seed)
    began, worlds, shown = time.monotonic(), [], 0
    for ended in many(range(asked.first, asked.first + asked.seeds), processes=asked.processes):
        worlds.append(ended)
        if ended.wrong and (shown := shown + 1) <= _MOST_SHOWN:
            print(fault_of(ended), flush=True)
    print(summary(worlds))
    took = time.monotonic() - began
    print(f"{took:.0f} s, {1_000 * took * asked.processes / len(worlds):.0f} ms of a processor for each")
    return 1 if any(one.wrong for one in worlds) else 0


def _one(seed: int) -> int:
    ended = live(seed, keeps_lines=True)
    print("\n".join(ended.lines))
    print(summary([ended]))
    print(fault_of(ended) if ended.wrong else f"seed {seed}: nothing is wrong (trace {ended.digest})")
    return 1 if ended.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
