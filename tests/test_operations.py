"""docs/operations.md tells the truth: its metrics, labels, log fields, parts and alerts are the program's."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from bot import logs
from bot.metrics import Metrics
from bot.metrics_now import PARTS, Now
from bot.readiness import Health
from storage.gauges import Gauges, OpenRuns
from storage.records import RunState
from tests.bot.test_metrics import do_everything
from tests.storage.records import NOON

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
OTHERS = ("process_", "python_")
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of a section's tables that begins with a name."""
    found = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `"))
    return [[cell.strip() for cell in row] for row in found]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def families() -> Iterator[Metric]:
    """All that can stand on the page, with all its labels."""
    metrics, registry = Metrics(), CollectorRegistry()
    do_everything(metrics, "draft")
    open_run = OpenRuns(stage="draft", state=RunState.QUEUED, model="fast", count=1, asked_at=NOON, started_at=None)
    registry.register(Now(Health(gauges=Gauges(runs=(open_run,))), NOON))
    yield from metrics.registry.collect()
    yield from registry.collect()


def shown(family: Metric) -> tuple[str, str, frozenset[str]]:
    """A family's name as one asks for it, its type, and its labels."""
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    return family.name + suffix, "gauge" if family.type == "info" else family.type, frozenset(labels)


def test_every_metric_stands_in_the_table_with_its_type_and_labels_and_no_other() -> None:
    ours = {shown(family) for family in families() if not family.name.startswith(OTHERS)}
    told = {
        (name, kind, frozenset(names(labels)))
        for cell, kind, labels, *_ in rows(section("What is counted"))
        for name in names(cell)
    }
    assert told == ours


def test_a_metric_that_is_new_or_forgotten_would_be_noticed() -> None:
    assert len({shown(family)[0] for family in families()}) > 30
    assert any(family.name.startswith("python_") for family in families())


def test_no_metric_stands_on_the_page_twice() -> None:
    every = [family.name for family in families()]
    assert len(every) == len(set(every))


def test_every_part_of_readiness_is_told() -> None:
    assert [names(part).pop() for part, *_ in rows(section("Ready or not"))] == list(PARTS)


def test_alerts_ask_for_metrics_and_labels_that_are_there() -> None:
    known = {name: labels for name, _, labels in map(shown, families())}
    asked = re.findall(
        r"(countersign_\w+?)(?:_bucket|_count|_sum)?(?:\{(\w+)[=!]|[^\w{]|$)", section("When to wake somebody")
    )
    assert len(asked) > 12
    for name, label in asked:
        assert name in known, name
        assert not label or label in known[name], (name, label)


# Log fields


def modules() -> Iterator[Path]:
    return (path for path in (ROOT / "bot").rglob("*.py") if "playground" not in path.parts)


def fields_written() -> set[str]:
    """The names under which the program's log calls tell facts."""
    nodes = (node for path in modules() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    calls = (node for node in nodes if isinstance(node, ast.Call) and is_of_a_log(node.func))
    return {keyword.arg for call in calls for keyword in call.keywords if keyword.arg} - {"exc_info"}


def is_of_a_log(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and called.attr in LEVELS and ast.unparse(called.value).endswith("log")


def test_every_log_field_is_told() -> None:
    told = {name for cell, *_ in rows(section("What is logged")) for name in names(cell)}
    by_themselves = {"time", "level", "logger", "event", "exception"} | set(inspect.signature(logs.about).parameters)
    assert fields_written() | by_themselves <= told


def test_no_log_field_is_told_that_nobody_writes() -> None:
    told = {name for cell, *_ in rows(section("What is logged")) for name in names(cell)}
    source = "".join(path.read_text(encoding="utf-8") for path in modules())
    assert [name for name in told if not re.search(rf"\b{name}\b", source)] == []


def test_no_line_is_written_with_what_people_or_models_wrote() -> None:
    assert not fields_written() & {"text", "brief", "note", "prompt", "answer", "body", "message", "blocks", "token"}


def test_the_readme_leads_here() -> None:
    assert "(docs/operations.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
