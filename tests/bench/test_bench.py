"""The benchmark runs, and reports what it says it reports; how long anything takes is not asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.large import share_of_limit
from tests.bench.report import p95
from tests.bench.rounds import COMMANDS


def test_the_benchmark_reports_each_command_alone_and_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ["--only", "alone", "crowd", "slow", "shipped", "--json", str(tmp_path / "b.json")]
    assert main(["--alone", "1", "--at-once", "3", "--model-seconds", "0.1", *parts]) == 0
    told = json.loads((tmp_path / "b.json").read_text())
    for rounds in (told["alone"], told["at_once"]):
        assert list(rounds) == list(COMMANDS)
        for pair in rounds.values():
            for figures in pair.values():
                assert figures["not_done"] == 0
                assert figures["last"]["p50_ms"] > 0
            assert pair["bot"]["first"]["p50_ms"] <= pair["bot"]["last"]["p50_ms"]
            assert pair["bot"]["transactions_per_run"] >= pair["bot"]["commits_per_run"] > 0
            assert pair["bot"]["calls_per_run"]["chat.postMessage"] >= 2
            assert pair["bare"]["calls_per_run"] == {"chat.postMessage": 1}
    if sys.platform == "linux":
        assert min(told["at_once"]["draft"]["bot"]["rss_mib"]) > 10
    assert told["slow_model"]["bot"]["last"]["p50_ms"] > 100
    assert told["paced"]["refused_429"] == 0
    printed = capsys.readouterr().out
    assert all(f"/{stage}" in printed for stage in COMMANDS)


def test_the_95th_percentile_is_within_what_was_measured() -> None:
    assert p95([7.0]) == 7.0
    assert p95([float(number) for number in range(1, 101)]) == pytest.approx(95.05)
    assert 1.0 <= p95([1.0, 2.0]) <= 2.0


def test_the_benchmark_reports_workers_and_a_channel_at_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--quick", "--only", "workers", "pace", "--alone", "1", "--at-once", "3", "--workers", "1"]
    assert main([*told, "--waiting", "2", "--model-seconds", "0"]) == 0
    printed = capsys.readouterr().out
    assert "3 x /draft in flight on PostgreSQL" in printed
    for name in ("one process, SQLite", "web + 1 workers, PostgreSQL"):
        asked, answered, lost, refused, posts, *_ = _row(printed, name)
        assert (asked, answered, lost, refused, posts) == ("2", "2", "0", "0", "6")


def test_the_benchmark_reports_what_stored_and_open_runs_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", "stored", "ready", "--alone", "1", "--stored", "3", "70"]) == 0
    printed = capsys.readouterr().out
    for database in ("SQLite", "PostgreSQL"):
        assert f"One /draft at a time on {database}" in printed
        assert f"can arrive, {database}: " in printed
    assert len(_row(printed, "70")) == 5


def _row(printed: str, name: str) -> list[str]:
    (line,) = [line for line in printed.splitlines() if line.startswith(f"| {name} |")][:1]
    return [cell.strip() for cell in line.split("|")][2:-1]


def test_the_share_of_the_limit_counts_what_comes_after_the_first_burst() -> None:
    burst = [0.0] * 10
    assert share_of_limit([*burst, *map(float, range(1, 30))]) == pytest.approx(1.0)
    assert share_of_limit([*burst, *(2.0 * number for number in range(1, 30))]) == pytest.approx(0.5)
    assert share_of_limit(burst) == 0.0
