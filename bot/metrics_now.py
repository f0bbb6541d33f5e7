"""What is open now, for Prometheus: read from the tables at each scrape, put on the page beside what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bot.metric_labels import ModelLabels, stage_label
from bot.metrics import Metrics
from bot.readiness import Health
from storage.gauges import Gauges

PARTS = ("database", "slack", "outbox", "inbox", "queue", "stack")


def page(metrics: Metrics, health: Health, *, now: datetime) -> bytes:
    """All metrics in Prometheus' text format. Without a database those that need it are left out, and `up` is 0."""
    registry = CollectorRegistry()
    registry.register(Now(health, now))
    return generate_latest(metrics.registry) + generate_latest(registry)


class Now(Collector):
    """One look, as gauges."""

    def __init__(self, health: Health, now: datetime) -> None:
        self._health, self._now = health, now

    def collect(self) -> Iterator[Metric]:
        gauges = self._health.gauges
        yield _one("database_up", "1 if the database answered in time, else 0.", int(gauges is not None))
        yield _one("ready", "1 if this process can do its part, else 0; /readyz says why.", int(self._health.is_ready))
        trouble = _gauge("trouble", "1 for each part of which /readyz has something to say, else 0.", "part")
        for part in PARTS:
            trouble.add_metric([part], int(part in self._health.missing or part in self._health.warnings))
        yield trouble
        if gauges is not None:
            yield from self._open(gauges)

    def _open(self, gauges: Gauges) -> Iterator[Metric]:
        yield _open_runs(gauges)
        yield _one("queue_age_seconds", "How long the oldest queued run has waited.", self._age(gauges.queued_at))
        yield _one("running_age_seconds", "How long the oldest running run has run.", self._age(gauges.running_since))
        yield _one("inbox_length", "Letters that are not handled.", gauges.letters)
        yield _one(
            "inbox_age_seconds",
            "How long the oldest letter has been due and not handled.",
            self._age(gauges.letter_due_at),
        )
        length = _gauge("outbox_length", "Messages that Slack does not show, or in an older form.", "owed")
        length.add_metric(["post"], gauges.posts)
        length.add_metric(["edit"], gauges.edits)
        yield length
        yield _one(
            "outbox_age_seconds", "How long the oldest unposted message has waited.", self._age(gauges.post_planned_at)
        )
        resting = sum(until > self._now for until in gauges.rests)
        yield _one("endpoints_resting", "Models' endpoints that failed lately and are left alone for now.", resting)

    def _age(self, since: datetime | None) -> float:
        return max(0.0, (self._now - since).total_seconds()) if since else 0.0


def _open_runs(gauges: Gauges) -> Metric:
    family = _gauge("runs_open", "Runs that are queued or running.", "stage", "state", "model")
    label, counted = ModelLabels(), Counter[tuple[str, str, str]]()
    for some in gauges.runs:
        counted[stage_label(some.stage), some.state.value, label(some.model)] += some.count
    for labels, count in counted.items():
        family.add_metric(list(labels), count)
    return family


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"countersign_{name}", told, labels=labels)


def _one(name: str, told: str, value: float) -> Metric:
    family = _gauge(name, told)
    family.add_metric([], value)
    return family
