"""`python -m tests.bench`: how long people wait for each command, alone and in a crowd, and what a run costs."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import as_json, as_text
from tests.bench.rounds import Plan, measure

THOROUGH = Plan(alone=15, at_once=200)
QUICK = Plan(alone=4, at_once=40, model_seconds=0.5, paced=2)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer of everything; under a minute")
    parser.add_argument("--alone", type=int, metavar="N", help="repetitions of each command, one at a time")
    parser.add_argument("--at-once", type=int, metavar="N", help="requests in flight; default 200")
    parser.add_argument("--model-seconds", type=float, metavar="S", help="the slow model's time; 0 leaves it out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args(argv)
    usual = QUICK if given.quick else THOROUGH
    plan = Plan(
        alone=usual.alone if given.alone is None else given.alone,
        at_once=usual.at_once if given.at_once is None else given.at_once,
        model_seconds=usual.model_seconds if given.model_seconds is None else given.model_seconds,
        paced=usual.paced,
    )
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        measured = asyncio.run(measure(plan, Path(folder)))
    sys.stdout.write(as_text(measured) + "\n")
    if given.json:
        given.json.write_text(json.dumps(as_json(measured), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
