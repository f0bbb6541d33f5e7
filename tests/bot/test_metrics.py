"""What is counted, and that no label ever holds what somebody outside may choose."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metric_labels import ModelLabels
from bot.metrics import Delivered, Handled, Kept, Metrics, Shown
from bot.metrics_now import page
from bot.readiness import Health
from handlers.handed_on import Outcome
from storage.gauges import Gauges, OpenRuns
from storage.records import RunState
from tests.storage.records import NOON, at, run

ODD = "C0SECRETS xoxb-1-2 Dear <@U0ANN>"
LABELS = {"kind", "outcome", "stage", "state", "model", "direction", "method", "name", "part", "owed", "le"}
OF_THE_PROCESS = {
    "role",
    "intake",
    "database",
    "implementation",
    "major",
    "minor",
    "patchlevel",
    "version",
    "generation",
}


def counted(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"countersign_{name}", labels)


def now(health: Health, name: str, /, **labels: str) -> float | None:
    """A gauge as it stands on the page."""
    for family in text_string_to_metric_families(page(Metrics(), health, now=at(10)).decode()):
        for sample in family.samples:
            if sample.name == f"countersign_{name}" and sample.labels == labels:
                return sample.value
    return None


def do_everything(metrics: Metrics, word: str) -> None:
    """All there is to be counted, with this word wherever one is given."""
    for outcome in Delivered:
        metrics.delivered("event", outcome, 0.1)
    metrics.kept(word, Kept.NEW)
    for handled, shown in product(Handled, Shown):
        metrics.handled(word, handled)
        metrics.shown(word, shown)
    metrics.ended(run(stage=word, state=RunState.ANSWERED, started_at=at(1), ended_at=at(2), input_tokens=7))
    metrics.attempted(word, "fast", word, 0.1)
    metrics.attempted(word, "fast", "answered", 0.1)
    metrics.retried(word, "fast")
    metrics.called(word, "ok", 0.1)
    metrics.limited(word, 3)
    metrics.paced(word, 2)
    metrics.read_back(found=True)
    metrics.handed(word, Outcome.AGAIN)
    metrics.is_a("run", intake="socket", database="sqlite")
    metrics.swept("tidy")


def test_two_lives_of_the_bot_in_one_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.read_back(found=True)
    assert counted(one, "read_backs_total", outcome="found") == 1
    assert counted(other, "read_backs_total", outcome="found") is None


def test_no_word_from_outside_becomes_a_label() -> None:
    metrics = Metrics()
    do_everything(metrics, ODD)
    text = page(metrics, Health(gauges=Gauges(runs=(_open(stage=ODD),))), now=at(10)).decode()
    assert ODD not in text
    assert "xoxb" not in text
    names = {label for f in text_string_to_metric_families(text) for sample in f.samples for label in sample.labels}
    assert names <= LABELS | OF_THE_PROCESS
    for name, label in (
        ("slack_calls_total", "method"),
        ("model_retries_total", "stage"),
        ("messages_total", "kind"),
        ("handings_total", "kind"),
    ):
        found = {s.labels[label] for f in metrics.registry.collect() for s in f.samples if s.name.endswith(name)}
        assert found == {"other"}


def _open(**said: object) -> OpenRuns:
    told = {
        "stage": "draft",
        "state": RunState.QUEUED,
        "model": None,
        "count": 2,
        "asked_at": at(1),
        "started_at": None,
    }
    return OpenRuns(**(told | said))  # type: ignore[arg-type]  # as the test says


def test_models_of_a_hundred_stacks_are_told_apart_and_further_ones_are_not() -> None:
    label = ModelLabels()
    assert [label(f"model-{n}") for n in range(100)] == [f"model-{n}" for n in range(100)]
    assert label("one too many") == "other"
    assert label("model-7") == "model-7"
    assert label(None) == "none"


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("answered", "answered"),
        ("cancelled", "cancelled"),
        ("timeout", "timeout"),
        ("http_429", "http_429"),
        ("http_418", "http_4xx"),
        ("http_503", "http_5xx"),
        ("http_999", "other"),
        ("broken", "other"),
    ],
)
def test_what_came_of_an_attempt_is_counted_by_its_code(code: str, label: str) -> None:
    metrics = Metrics()
    metrics.attempted("draft", "fast", code, 2.0)
    assert counted(metrics, "model_attempts_total", stage="draft", model="fast", outcome=label) == 1
    timed = counted(metrics, "model_seconds_count", stage="draft", model="fast")
    assert timed == (1 if code == "answered" else None)


def test_an_ended_run_tells_its_waits_tokens_and_cost() -> None:
    metrics = Metrics()
    ended = run(
        stage="final",
        state=RunState.ANSWERED,
        model="trusted",
        asked_at=NOON,
        started_at=NOON + timedelta(seconds=3),
        ended_at=NOON + timedelta(seconds=45),
        input_tokens=1_200,
        output_tokens=340,
        cost_usd=0.25,
    )
    metrics.ended(ended)
    metrics.ended(ended)
    of = {"stage": "final", "model": "trusted"}
    assert counted(metrics, "runs_ended_total", state="answered", **of) == 2
    assert counted(metrics, "run_wait_seconds_sum", stage="final") == 6
    assert counted(metrics, "run_seconds_sum", stage="final", state="answered") == 84
    assert counted(metrics, "model_tokens_total", direction="input", **of) == 2_400
    assert counted(metrics, "model_tokens_total", direction="output", **of) == 680
    assert counted(metrics, "model_cost_usd_total", **of) == 0.5


def test_a_run_cancelled_in_line_has_no_model_and_took_no_time() -> None:
    metrics = Metrics()
    metrics.ended(run(state=RunState.CANCELLED, ended_at=at(1)))
    assert counted(metrics, "runs_ended_total", stage="draft", state="cancelled", model="none") == 1
    assert counted(metrics, "run_seconds_count", stage="draft", state="cancelled") is None


def test_clocks_that_disagree_cost_no_run() -> None:
    metrics = Metrics()
    metrics.ended(run(state=RunState.FAILED, asked_at=at(2), started_at=at(1), ended_at=at(0)))
    metrics.paced("chat.postMessage", -1)
    assert counted(metrics, "run_wait_seconds_sum", stage="draft") == 0
    assert counted(metrics, "runs_ended_total", stage="draft", state="failed", model="none") == 1


def test_a_sweep_is_counted_by_how_it_went_and_what_it_found() -> None:
    metrics = Metrics()
    metrics.swept("tidy", found=3)
    metrics.swept("tidy", found=4)
    metrics.swept("repair", well=False)
    assert counted(metrics, "sweep_findings_total", name="tidy") == 7
    assert counted(metrics, "sweeps_total", name="tidy", outcome="ok") == 2
    assert counted(metrics, "sweeps_total", name="repair", outcome="failed") == 1
    assert counted(metrics, "sweep_last_success_timestamp_seconds", name="tidy")
    assert counted(metrics, "sweep_last_success_timestamp_seconds", name="repair") is None


def test_what_is_open_is_shown_with_its_age() -> None:
    gauges = Gauges(
        runs=(
            _open(),
            _open(model="fast", state=RunState.RUNNING, count=1, started_at=at(9)),
            _open(stage="scout", count=1, asked_at=at(4)),
        ),
        letters=5,
        letter_due_at=at(8),
        posts=3,
        edits=4,
        post_planned_at=at(7),
        rests=(at(9), at(10), at(12)),
    )
    health = Health(gauges=gauges)
    assert now(health, "runs_open", stage="draft", state="queued", model="none") == 2
    assert now(health, "runs_open", stage="draft", state="running", model="fast") == 1
    assert now(health, "queue_age_seconds") == 9 * 60
    assert now(health, "running_age_seconds") == 60
    assert (now(health, "inbox_length"), now(health, "inbox_age_seconds")) == (5, 120)
    assert (now(health, "outbox_length", owed="post"), now(health, "outbox_length", owed="edit")) == (3, 4)
    assert now(health, "outbox_age_seconds") == 180
    assert now(health, "endpoints_resting") == 1
    assert (now(health, "database_up"), now(health, "ready")) == (1, 1)


def test_a_letter_put_off_until_later_has_no_age() -> None:
    assert now(Health(gauges=Gauges(letters=1, letter_due_at=at(11))), "inbox_age_seconds") == 0


def test_without_the_database_its_part_is_missing_and_the_rest_is_there() -> None:
    health = Health(missing={"database": "It does not answer."}, warnings={"stack": "It is broken."})
    assert (now(health, "database_up"), now(health, "ready")) == (0, 0)
    assert now(health, "queue_age_seconds") is None
    troubles = {part: now(health, "trouble", part=part) for part in ("database", "stack", "slack")}
    assert troubles == {"database": 1, "stack": 1, "slack": 0}
