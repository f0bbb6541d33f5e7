"""The figures as tables for people, and as JSON for whoever compares."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from tests.bench.large import Channel, Stored, Team
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
    parts = [_HEAD.format(python=told["python"])]
    if told["alone"]:
        parts.append(f"One request at a time, {plan.alone} of each command\n{_times(told['alone'])}")
    if told["at_once"]:
        parts += [
            f"{plan.at_once} requests in flight\n{_times(told['at_once'], many=True)}",
            f"What one run costs the bot (at once)\n{_costs(told['at_once'])}",
            f"Memory of the process, MiB, before and after each round at once\n{_memory(told['at_once'])}",
        ]
    parts += _others(measured, told)
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
            f"{bot['runs_per_second']} runs/s, bare {bare['runs_per_second']} "
            f"({bot['runs_per_second'] / (bare['runs_per_second'] or 1):.2f} of it); "
            f"acks p95 {bot['ack']['p95_ms']:.0f} ms; "
            f"memory {bot['rss_mib'][0]:.0f} -> {bot['rss_mib'][1]:.0f} MiB"
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
    head, *rest = rows
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rest]
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_teams(found: Sequence[Team], count: int) -> str:
    """What each number of workers carries, over what the bare listener did in the same minute."""
    head = ["workers", "runs/s", "bare", "last part, ms", "acks p95, ms", "CPU ms per run: web", "worker"]
    head += ["lock: times per run", "ms each", "its share of the time", "MiB: web", "a worker", "slow model: of bare"]
    rows = [head]
    for team in found:
        bot, bare = figures(team.instant.bot), figures(team.instant.bare)
        web, *others = team.each
        locked = sum(facts.locked_seconds for facts in others)
        times = sum(facts.locked for facts in others)
        rows.append(
            [
                str(team.workers),
                f"{bot['runs_per_second']}",
                f"{bare['runs_per_second']}",
                _two(bot["last"]),
                f"{bot['ack']['p95_ms']:.0f}",
                f"{1000 * web.cpu_seconds / count:.0f}",
                f"{1000 * sum(facts.cpu_seconds for facts in others) / count:.0f}",
                f"{times / count:.1f}",
                f"{1000 * locked / times:.1f}" if times else "-",
                f"{100 * locked / team.instant.bot.seconds:.0f} %",
                f"{web.rss_kib / 1024:.0f}",
                f"{sum(facts.rss_kib for facts in others) / 1024 / len(others):.0f}",
                _throughput(team.slow),
            ]
        )
    lone = [
        f"{team.workers} worker{'s' * (team.workers > 1)}: {_two(figures(team.alone)['last'])} ms a lone /draft, of it "
        f"{1000 * team.alone_locked:.1f} ms with the lock in {team.alone_writes:.1f} writes; processor time "
        f"{1000 * team.alone_cpu:.0f} ms here, {1000 * team.postgres_seconds / len(team.alone.timings):.0f} ms "
        f"PostgreSQL, {1000 * team.here_seconds / len(team.alone.timings):.0f} ms Slack and model"
        for team in found
    ]
    return "\n".join([f"{count} x /draft in flight on PostgreSQL, one web and some workers", _table(rows), "", *lone])


def _throughput(slow: Both | None) -> str:
    if slow is None:
        return "-"
    bot, bare = figures(slow.bot)["runs_per_second"], figures(slow.bare)["runs_per_second"]
    return f"{bot / bare:.2f} ({bot} / {bare})"


def of_channels(found: Sequence[Channel]) -> str:
    rows = [["a channel at Slack's limit", "asked", "answered", "lost", "429s", "posts", "s", "share of the limit"]]
    for one in found:
        lost = one.asked - one.answered
        told = [one.name, one.asked, one.answered, lost, one.refused_429, one.posts, f"{one.seconds:.0f}"]
        rows.append([*map(str, told), f"{100 * one.share:.1f} %"])
    return _table(rows)


def of_stored(found: Stored) -> str:
    assert found.bare is not None
    bare = figures(found.bare)["last"]
    rows = [["stored runs", "MiB", "ack, ms", "first post", "last part", "of bare"]]
    for count, done in found.rounds.items():
        told = figures(done)
        times = [_two(told[way]) for way in _WAYS]
        ratio = f"{told['last']['p50_ms'] / bare['p50_ms']:.1f}"
        rows.append([f"{count:,}", f"{found.mib[count]:.0f}", *times, ratio])
    return f"One /draft at a time on {found.database}; bare {_two(bare)} ms\n{_table(rows)}"


def of_ready(name: str, found: Mapping[int, float]) -> str:
    told = ", ".join(f"{seconds:.1f} s with {count:,} open runs" for count, seconds in found.items())
    return f"From the program's beginning until deliveries can arrive, {name}: {told}"
