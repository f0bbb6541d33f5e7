"""The figures as tables for people, and as JSON for whoever compares."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from statistics import median, quantiles
from typing import Any

from tests.bench.rounds import Both, Measured, Round
from tests.bench.scene import Timing

SLACK_WAITS = 3.0
_HEAD = """\
Delivery to ack, to the first post and to the last part of the answer, in ms (median / p95).
Instant model, SQLite with synchronous=FULL, Python {python}; Slack's limits are off for this.
`bare` is a listener that stores nothing, asks the same endpoint and posts; it ran in turns with the bot."""
_WAYS: dict[str, Callable[[Timing], float]] = {
    "ack": lambda timing: timing.acked - timing.sent,
    "first": lambda timing: timing.first - timing.sent,
    "last": lambda timing: timing.last - timing.sent,
}


def p95(values: Sequence[float]) -> float:
    """The value that 95 in 100 do not exceed."""
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def figures(done: Round) -> dict[str, Any]:
    """One round in milliseconds, and what one run of it cost."""
    good = [timing for timing in done.timings if not timing.problem]
    count = len(good) or 1
    told: dict[str, Any] = {"requests": len(done.timings), "not_done": len(done.refused)}
    for name, way in _WAYS.items():
        seconds = [way(timing) for timing in good] or [0.0]
        told[name] = {"p50_ms": round(1000 * median(seconds), 1), "p95_ms": round(1000 * p95(seconds), 1)}
    told["late_acks"] = sum(_WAYS["ack"](timing) > SLACK_WAITS for timing in done.timings)
    told["runs_per_second"] = round(len(good) / done.seconds, 1) if done.seconds else 0.0
    told["commits_per_run"] = round((done.after.commits - done.before.commits) / count, 1)
    told["transactions_per_run"] = round((done.after.transactions - done.before.transactions) / count, 1)
    told["cpu_ms_per_run"] = round(1000 * (done.after.cpu_seconds - done.before.cpu_seconds) / count, 1)
    told["rss_mib"] = [round(facts.rss_kib / 1024, 1) for facts in (done.before, done.after)]
    told["calls_per_run"] = {method: round(calls / count, 2) for method, calls in sorted(done.calls.items())}
    return told


def as_json(measured: Measured) -> dict[str, Any]:
    def both(pair: Both) -> dict[str, Any]:
        return {"bot": figures(pair.bot), "bare": figures(pair.bare)}

    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "plan": {"alone": measured.plan.alone, "at_once": measured.plan.at_once},
        "alone": {stage: both(pair) for stage, pair in measured.alone.items()},
        "at_once": {stage: both(pair) for stage, pair in measured.at_once.items()},
        "slow_model": both(measured.slow_model) if measured.slow_model else None,
        "paced": {
            "last_ms": [round(1000 * _WAYS["last"](timing), 1) for timing in measured.paced],
            "refused_429": measured.paced_429s,
        },
    }


def as_text(measured: Measured) -> str:
    """The whole report."""
    told = as_json(measured)
    plan = measured.plan
    parts = [
        _HEAD.format(python=told["python"]),
        f"One request at a time, {plan.alone} of each command\n{_times(told['alone'])}",
        f"{plan.at_once} requests in flight\n{_times(told['at_once'], many=True)}",
        f"What one run costs the bot (at once)\n{_costs(told['at_once'])}",
        f"Memory of the process, MiB, before and after each round at once\n{_memory(told['at_once'])}",
        *_others(measured, told),
    ]
    return "\n\n".join(parts)


def _times(rounds: dict[str, Any], *, many: bool = False) -> str:
    head = ["", "ack", "bare", "first post", "last part", "bare", "ratio"]
    rows = [head + (["runs/s", "bare", "acks > 3 s", "not done"] if many else [])]
    for stage, pair in rounds.items():
        bot, bare = pair["bot"], pair["bare"]
        row = [f"/{stage}", _two(bot["ack"]), _two(bare["ack"])]
        row += [_two(bot["first"]), _two(bot["last"]), _two(bare["last"]), _ratio(bot, bare)]
        more = [bot["runs_per_second"], bare["runs_per_second"], bot["late_acks"], bot["not_done"]]
        rows.append(row + ([str(value) for value in more] if many else []))
    return _table(rows)


def _costs(rounds: dict[str, Any]) -> str:
    methods = sorted({method for pair in rounds.values() for method in pair["bot"]["calls_per_run"]})
    rows = [["", "commits", "transactions", "CPU ms", "bare: CPU ms", *methods]]
    for stage, pair in rounds.items():
        bot = pair["bot"]
        costs = [bot["commits_per_run"], bot["transactions_per_run"], bot["cpu_ms_per_run"]]
        calls = [bot["calls_per_run"].get(method, 0) for method in methods]
        rows.append([f"/{stage}", *(str(cost) for cost in [*costs, pair["bare"]["cpu_ms_per_run"], *calls])])
    return _table(rows)


def _memory(rounds: dict[str, Any]) -> str:
    rows = [["", "bot", "bare"]]
    for stage, pair in rounds.items():
        rows.append(
            [f"/{stage}", *(f"{before} -> {after}" for before, after in (pair[who]["rss_mib"] for who in pair))]
        )
    return _table(rows)


def _others(measured: Measured, told: dict[str, Any]) -> Iterable[str]:
    if (slow := told["slow_model"]) is not None:
        bot, bare = slow["bot"], slow["bare"]
        yield (
            f"{measured.plan.at_once} x /draft in flight, a model that takes {measured.plan.model_seconds:g} s: "
            f"last part {_two(bot['last'])} ms, bare {_two(bare['last'])} ms; "
            f"{bot['runs_per_second']} runs/s, bare {bare['runs_per_second']}"
        )
    if paced := told["paced"]["last_ms"]:
        yield (
            f"`python -m bot run` as shipped, Slack's limits kept on both sides, lone /draft: last part after "
            f"{', '.join(f'{value:g}' for value in paced)} ms; calls refused with 429: {told['paced']['refused_429']}"
        )


def _two(way: dict[str, float]) -> str:
    return f"{way['p50_ms']:.0f} / {way['p95_ms']:.0f}"


def _ratio(bot: dict[str, Any], bare: dict[str, Any]) -> str:
    return f"{bot['last']['p50_ms'] / bare['last']['p50_ms']:.1f}" if bare["last"]["p50_ms"] else "-"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
