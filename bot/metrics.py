"""What this process has done since its start, counted for Prometheus; what is open now stands in metrics_now.py."""

from __future__ import annotations

from time import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from bot.metric_labels import (
    Delivered,
    Handled,
    Kept,
    ModelLabels,
    Shown,
    attempt_label,
    event_label,
    kind_label,
    letter_label,
    method_label,
    stage_label,
)
from handlers.handed_on import Outcome
from storage.records import Run

__all__ = ["Delivered", "Handled", "Kept", "Metrics", "Shown"]

# Prometheus knows when a counter began; a second series for each would only double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client gives it no types

_AT_ONCE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)  # Slack waits three seconds for an ack
_CALLS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WORK = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0)


class Metrics:
    """One registry, for one process's life of the bot; no label ever holds an id, a name of Slack's, or a text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._model = ModelLabels()
        self._count_deliveries()
        self._count_runs()
        self._count_models()
        self._count_slack()
        self._count_sweeps()
        self._what = Info("process", "What this process is.", namespace="countersign", registry=self.registry)

    def is_a(self, role: str, *, intake: str, database: str) -> None:
        """Say what this process is, such as "web", "socket" and "postgresql"."""
        self._what.info({"role": role, "intake": intake, "database": database})

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(name, told, labels, namespace="countersign", registry=self.registry)

    def _histogram(self, name: str, told: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, told, labels, namespace="countersign", registry=self.registry, buckets=buckets)

    # What comes in

    def _count_deliveries(self) -> None:
        self._ack = self._histogram(
            "ack_seconds", "From a delivery's arrival to its acknowledgement.", "kind", buckets=_AT_ONCE
        )
        self._deliveries = self._counter("deliveries_total", "What Slack delivered.", "kind", "outcome")
        self._kept = self._counter(
            "letters_kept_total", "Letters for the inbox; a known one was delivered before.", "kind", "outcome"
        )
        self._handled = self._counter("letters_handled_total", "Letters that were looked at.", "kind", "outcome")

    def delivered(self, kind: str, outcome: Delivered, seconds: float) -> None:
        """A delivery of this kind (event, command, interaction) met its outcome after so long."""
        self._deliveries.labels(kind, outcome).inc()
        if outcome is Delivered.ACKNOWLEDGED:
            self._ack.labels(kind).observe(seconds)

    def kept(self, kind: str, outcome: Kept) -> None:
        """A letter is in the inbox, was there already, or could not be stored."""
        self._kept.labels(letter_label(kind), outcome).inc()

    def handled(self, kind: str, outcome: Handled) -> None:
        """A letter was looked at once."""
        self._handled.labels(letter_label(kind), outcome).inc()

    # Runs

    def _count_runs(self) -> None:
        labels = ("stage", "model")
        self._ended = self._counter("runs_ended_total", "Runs that ended.", "stage", "state", "model")
        self._waited = self._histogram(
            "run_wait_seconds", "From being asked for to being begun.", "stage", buckets=_WORK
        )
        self._took = self._histogram("run_seconds", "From being begun to its end.", "stage", "state", buckets=_WORK)
        self._tokens = self._counter("model_tokens_total", "Tokens of runs that answered.", *labels, "direction")
        self._cost = self._counter("model_cost_usd_total", "Approximate cost of runs that answered.", *labels)

    def ended(self, run: Run) -> None:
        """A run has ended, and that is committed."""
        stage, model = stage_label(run.stage), self._model(run.model)
        self._ended.labels(stage, run.state, model).inc()
        if run.started_at is not None:
            self._waited.labels(stage).observe(max(0.0, (run.started_at - run.asked_at).total_seconds()))
            if run.ended_at is not None:
                self._took.labels(stage, run.state).observe(max(0.0, (run.ended_at - run.started_at).total_seconds()))
        self._tokens.labels(stage, model, "input").inc(run.input_tokens or 0)
        self._tokens.labels(stage, model, "output").inc(run.output_tokens or 0)
        self._cost.labels(stage, model).inc(run.cost_usd or 0)

    # Models

    def _count_models(self) -> None:
        labels = ("stage", "model")
        self._attempts = self._counter("model_attempts_total", "Requests to models.", *labels, "outcome")
        self._retries = self._counter("model_retries_total", "Requests made again after a failure.", *labels)
        self._latency = self._histogram(
            "model_seconds", "One request to a model, to the last byte of its answer.", *labels, buckets=_WORK
        )

    def attempted(self, stage: str, model: str, outcome: str, seconds: float) -> None:
        """A model was asked once: "answered", "cancelled", or the failure's code."""
        known = self._model(model)
        self._attempts.labels(stage_label(stage), known, attempt_label(outcome)).inc()
        if outcome == "answered":
            self._latency.labels(stage_label(stage), known).observe(seconds)

    def retried(self, stage: str, model: str) -> None:
        """A model is about to be asked again."""
        self._retries.labels(stage_label(stage), self._model(model)).inc()

    # What goes out

    def _count_slack(self) -> None:
        self._calls = self._counter("slack_calls_total", "Calls of Slack's Web API.", "method", "outcome")
        self._call = self._histogram(
            "slack_call_seconds", "One call of Slack's Web API, answered or not.", "method", buckets=_CALLS
        )
        self._limited = self._counter("slack_rate_limited_total", "Calls that Slack answered with 429.", "method")
        self._limited_for = self._counter(
            "slack_retry_after_seconds_total", "For how long Slack closed a method with its 429s.", "method"
        )
        self._paced = self._counter(
            "slack_pace_wait_seconds_total", "How long calls waited for their turn under our own pace.", "method"
        )
        self._messages = self._counter("messages_total", "Messages brought into Slack, or not.", "kind", "outcome")
        self._handings = self._counter(
            "handings_total", "Attempts to hand on what became of approvals.", "kind", "outcome"
        )
        self._read_backs = self._counter(
            "read_backs_total", "Messages looked for in Slack because nobody knew whether they are there.", "outcome"
        )

    def called(self, method: str, outcome: str, seconds: float) -> None:
        """Slack was called: "ok", or what the failure means."""
        known = method_label(method)
        self._calls.labels(known, outcome).inc()
        self._call.labels(known).observe(seconds)

    def limited(self, method: str, seconds: float) -> None:
        """Slack said 429, and for how long it wants to be left alone."""
        known = method_label(method)
        self._limited.labels(known).inc()
        self._limited_for.labels(known).inc(seconds)

    def paced(self, method: str, seconds: float) -> None:
        """A call waited for its turn."""
        self._paced.labels(method_label(method)).inc(max(0.0, seconds))

    def shown(self, kind: str, how: Shown) -> None:
        """A message of ours is in Slack now, or never will be."""
        self._messages.labels(kind_label(kind), how).inc()

    def read_back(self, *, found: bool) -> None:
        """A message was looked for; one that is found would have been posted twice."""
        self._read_backs.labels("found" if found else "absent").inc()

    def handed(self, kind: str, outcome: Outcome) -> None:
        """The receiver of approvals was sent one event of this kind (granted, withdrawn)."""
        self._handings.labels(event_label(kind), outcome).inc()

    # What comes round

    def _count_sweeps(self) -> None:
        self._sweeps = self._counter("sweeps_total", "Rounds of what comes round by the clock.", "name", "outcome")
        self._findings = self._counter("sweep_findings_total", "What sweeps found to do.", "name")
        self._swept_at = Gauge(
            "sweep_last_success_timestamp_seconds",
            "When a sweep last went well.",
            ("name",),
            namespace="countersign",
            registry=self.registry,
        )

    def swept(self, name: str, *, well: bool = True, found: int = 0) -> None:
        """A round of this name, which stands in the code, is over; `found` is how much there was to do."""
        self._sweeps.labels(name, "ok" if well else "failed").inc()
        self._findings.labels(name).inc(found)
        if well:
            self._swept_at.labels(name).set(time())
