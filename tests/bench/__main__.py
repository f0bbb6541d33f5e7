"""`python -m tests.bench`: how long people wait, alone and in a crowd; what a run costs; what limits and years do."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import large
from tests.bench.report import as_json, as_text, of_channels, of_ready, of_stored, of_teams
from tests.bench.rounds import Plan, measure
from tests.postgres import NoPostgreSQL, Server

PARTS = {
    "alone": "each command, one request at a time",
    "crowd": "each command, many in flight, an instant model",
    "slow": "many in flight, a model that takes its time",
    "shipped": "lone requests with Slack's limits kept",
    "workers": "many in flight on PostgreSQL: 1, 2 and 4 workers",
    "pace": "a channel at Slack's limit; as long as the limit makes it, 3 minutes for 60 runs",
    "stored": "a lone request with 1,000 and with 1,000,000 stored runs",
    "ready": "a start with 10,000 open runs",
}
_BASIC = frozenset({"alone", "crowd", "slow", "shipped"})
_USUAL = _BASIC | {"workers", "pace", "stored", "ready"}
THOROUGH = Plan(alone=15, at_once=200)
QUICK = Plan(alone=4, at_once=40, model_seconds=0.5, paced=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Large:
    """How much of the large parts is measured."""

    workers: Sequence[int] = (1, 2, 4)
    pace_workers: int = 3
    waiting: int = 60
    stored: Sequence[int] = (1_000, 1_000_000)
    open_runs: Sequence[int] = (1, 10_000)


QUICK_LARGE = Large(workers=(1, 2), waiting=8, stored=(1_000, 20_000), open_runs=(1, 1_000))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        epilog="parts: " + "; ".join(f"{name}: {told}" for name, told in PARTS.items()),
    )
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help="these parts; default: all")
    parser.add_argument("--alone", type=int, metavar="N", help="repetitions of each command, one at a time")
    parser.add_argument("--at-once", type=int, metavar="N", help="requests in flight; default 200")
    parser.add_argument("--workers", type=int, nargs="+", metavar="N", help="numbers of workers; default 1 2 4")
    parser.add_argument("--waiting", type=int, metavar="N", help="runs that wait in the channel; default 60")
    parser.add_argument("--stored", type=int, nargs="+", metavar="N", help="stored runs; default 1000 1000000")
    parser.add_argument("--model-seconds", type=float, metavar="S", help="the slow model's time; 0 leaves it out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the first four parts' figures there, too")
    given = parser.parse_args(argv)
    usual, many = (QUICK, QUICK_LARGE) if given.quick else (THOROUGH, Large())
    plan = Plan(
        alone=usual.alone if given.alone is None else given.alone,
        at_once=usual.at_once if given.at_once is None else given.at_once,
        model_seconds=usual.model_seconds if given.model_seconds is None else given.model_seconds,
        paced=usual.paced,
        parts=frozenset(given.only) if given.only else _USUAL,
    )
    sizes = Large(
        workers=given.workers or many.workers,
        pace_workers=min(many.pace_workers, max(given.workers or [many.pace_workers])),
        waiting=given.waiting or many.waiting,
        stored=given.stored or many.stored,
        open_runs=many.open_runs,
    )
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        if plan.parts & _BASIC:
            measured = asyncio.run(measure(plan, Path(folder)))
            sys.stdout.write(as_text(measured) + "\n")
            if given.json:
                given.json.write_text(json.dumps(as_json(measured), indent=2) + "\n")
        if plan.parts - _BASIC:
            _tell_of_the_large(plan, sizes, Path(folder))
    return 0


def _tell_of_the_large(plan: Plan, sizes: Large, folder: Path) -> None:
    with ExitStack() as scene:
        try:
            one = scene.enter_context(large.postgresql())
        except NoPostgreSQL as problem:
            sys.exit(f"No PostgreSQL can be started here: {problem}")
        asyncio.run(_print_all(plan, sizes, folder, one))


async def _print_all(plan: Plan, sizes: Large, folder: Path, one: Server) -> None:
    async for told in _large(plan, sizes, folder, one):
        sys.stdout.write(f"\n{told}\n")
        sys.stdout.flush()


async def _large(plan: Plan, sizes: Large, folder: Path, one: Server) -> AsyncIterator[str]:
    if "workers" in plan.parts:
        measured = large.teams(
            one,
            folder,
            workers=sizes.workers,
            count=plan.at_once,
            model_seconds=plan.model_seconds,
            times=plan.alone,
        )
        async for team in measured:
            yield of_teams([team], plan.at_once)
    if "pace" in plan.parts:
        yield of_channels(await large.channels(one, folder, waiting=sizes.waiting, workers=sizes.pace_workers))
    if "stored" in plan.parts:
        files = {count: large.sqlite_url(large.made(folder / f"of{count}")) for count in sizes.stored}
        yield of_stored(await large.stored("SQLite", folder, files, times=plan.alone))
        urls = {count: await asyncio.to_thread(one.fresh) for count in sizes.stored}
        yield of_stored(await large.stored("PostgreSQL", folder, urls, times=plan.alone))
    if "ready" in plan.parts:
        yield of_ready("SQLite", await large.ready(folder / "lite", None, sizes.open_runs))
        yield of_ready("PostgreSQL", await large.ready(folder / "post", one.fresh, sizes.open_runs))


if __name__ == "__main__":
    raise SystemExit(main())
