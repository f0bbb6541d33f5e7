"""What an operator sees of a team at work: /metrics and /readyz over real HTTP, and a log that names its threads."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from bot import logs
from bot.playground.faults import Call, Fault
from bot.playground.scripted import Recorded, Reply, demo_answers
from bot.settings import read_settings
from tests.fakes import until
from tests.stories.workspace import Team, team

BRIEF = "Announce that the Palombian expedition found a nest"
CHECK = "white_check_mark"


class Page:
    """One reading of /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def sum(self, name: str, /, **labels: str) -> float:
        """All samples of a metric that bear these labels, added up."""
        found = [
            s.value for s in self._samples if s.name == f"countersign_{name}" and labels.items() <= s.labels.items()
        ]
        return sum(found)

    def by(self, label: str, name: str, /, **labels: str) -> dict[str, float]:
        """What each value of a label counts."""
        values = {s.labels[label] for s in self._samples if s.name == f"countersign_{name}"}
        return {value: self.sum(name, **{label: value}, **labels) for value in values}


async def asked(us: Team, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{us.bot._port}{path}")


async def page(us: Team) -> Page:
    return Page((await asked(us, "/metrics")).text)


def out_of_order_once() -> Any:
    """Models as ever, but the first request for a draft is answered with 503."""
    failed = False
    well = demo_answers()

    def answer(request: Recorded) -> Any:
        nonlocal failed
        if request.system.startswith("Stage: draft") and not failed:
            failed = True
            return Reply(status=503)
        return well(request)

    return answer


def is_an_answer(call: Call) -> bool:
    return bool(call.args["metadata"]["event_payload"]["kind"] == "answer")


async def a_morning(us: Team) -> None:
    """A scan, a draft at the second try, a critique, a final and its approval."""
    root = await us.starts("scout", BRIEF)
    for words in ("draft", "critique be harsh", "final"):
        await us.asks(root, words)
    await us.reacts(CHECK, us.last(root, "answer", stage="final"))
    assert us.states(root, "verdict") == [("final", "approved")]


async def test_what_was_done_and_what_is_open_can_be_read_over_http(tmp_path: Path) -> None:
    async with team(tmp_path, by_http=True, repeat=2, answers=out_of_order_once()) as us:
        us.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY, when=is_an_answer)
        await a_morning(us)
        seen = await page(us)
        stages = ("scout", "draft", "critique", "final")
        assert seen.by("stage", "runs_ended_total", state="answered") == dict.fromkeys(stages, 1)
        assert seen.sum("run_wait_seconds_count") == seen.sum("run_seconds_count", state="answered") == 4
        assert seen.sum("model_attempts_total", stage="draft", model="quick", outcome="http_5xx") == 1
        assert seen.sum("model_attempts_total", outcome="answered") == seen.sum("model_seconds_count") == 4
        assert seen.sum("model_retries_total") == seen.sum("model_retries_total", stage="draft") == 1
        ((spent,),) = [tuple(row.values()) for row in await us.rows("SELECT sum(cost_usd) FROM runs")]
        assert seen.sum("model_cost_usd_total") == pytest.approx(spent)
        assert seen.sum("model_tokens_total", direction="output", model="quick") > 0

        said = len(us.slack.by_bot())
        assert seen.sum("messages_total", outcome="posted") == said - 1
        assert seen.sum("messages_total", outcome="found") == seen.sum("read_backs_total", outcome="found") == 1
        assert seen.by("outcome", "slack_calls_total", method="chat.postMessage") | {"ok": said - 1, "unknown": 1} == (
            seen.by("outcome", "slack_calls_total", method="chat.postMessage")
        )
        kept = seen.by("outcome", "letters_kept_total")
        assert kept["new"] == kept["known"] == seen.sum("letters_handled_total", outcome="done") == 5
        assert seen.sum("ack_seconds_count", kind="command") == 2
        assert seen.sum("deliveries_total", outcome="acknowledged") == seen.sum("ack_seconds_count") >= 10

        for gauge in (
            "runs_open",
            "inbox_length",
            "outbox_length",
            "queue_age_seconds",
            "outbox_age_seconds",
            "trouble",
        ):
            assert seen.sum(gauge) == 0, gauge
        assert seen.sum("database_up") == seen.sum("ready") == 1


async def test_no_metric_names_a_thread_a_person_a_channel_or_a_word(tmp_path: Path) -> None:
    async with team(tmp_path, by_http=True) as us:
        await a_morning(us)
        text = (await page(us)).text
        (work,) = await us.rows("SELECT id, channel, team, opened_by FROM works")
        ids = [*work.values(), *(row["id"] for row in await us.rows("SELECT id FROM runs")), "Palombian", "U0RAE"]
        assert [one for one in ids if one in text] == []


async def test_by_socket_deliveries_are_timed_to_their_acknowledgement_too(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await us.starts("scout", BRIEF)
        counted = us.bot.metrics.registry.get_sample_value
        await until(lambda: counted("countersign_ack_seconds_count", {"kind": "command"}) == 1)
        labels = {"kind": "command", "outcome": "acknowledged"}
        assert counted("countersign_deliveries_total", labels) == 1


async def test_when_the_database_fails_the_rest_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def gone() -> AsyncIterator[Any]:
        raise OSError("no such device")
        yield

    async with team(tmp_path, by_http=True) as us:
        await us.starts("scout", BRIEF)
        assert (await asked(us, "/readyz")).json() == {"ready": True, "missing": {}, "warnings": {}}
        with monkeypatch.context() as broken:
            broken.setattr(us.bot.storage, "reading", gone)
            reply, seen = await asked(us, "/readyz"), await page(us)
        assert reply.status_code == 503
        assert reply.json()["missing"]["database"].startswith("The database does not answer (OSError).")
        assert seen.sum("database_up") == seen.sum("ready") == 0
        assert seen.sum("trouble", part="database") == 1
        assert "countersign_outbox_age_seconds" not in seen.text
        assert seen.sum("runs_ended_total", state="answered") == 1
        assert (await asked(us, "/readyz")).status_code == 200
        assert (await page(us)).sum("database_up") == 1


async def test_a_stack_file_that_was_broken_is_told_until_it_is_mended(tmp_path: Path) -> None:
    async with team(tmp_path, by_http=True) as us:
        stack = tmp_path / "stack.toml"
        good = stack.read_text()
        stack.write_text(good + "\nmagic = 1\n")
        await until(lambda: bool(us.bot.live.problems))
        reply = await asked(us, "/readyz")
        assert reply.status_code == 200
        assert "the old stack stays in use" in reply.json()["warnings"]["stack"]
        assert str(tmp_path) not in reply.text
        assert (await page(us)).sum("trouble", part="stack") == 1
        stack.write_text(good)
        await until(lambda: not us.bot.live.problems)
        assert (await asked(us, "/readyz")).json()["warnings"] == {}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged, as JSON, at its most talkative."""
    root, stream = logging.getLogger(), io.StringIO()
    level, handlers = root.level, root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in logs.QUIETEST}
    logs.set_up_logging(read_settings({"LOG_FORMAT": "json", "LOG_LEVEL": "debug"}), stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


async def test_each_line_names_what_it_is_about_and_none_repeats_what_people_or_models_wrote(
    tmp_path: Path, lines: io.StringIO
) -> None:
    async with team(tmp_path, answers=out_of_order_once()) as us:
        us.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY, when=is_an_answer)
        await a_morning(us)
        (work,) = await us.rows("SELECT id FROM works")
        (draft,) = await us.rows("SELECT id FROM runs WHERE stage = 'draft'")
        texts = [row["text"] for row in await us.rows("SELECT text FROM answers")]
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    again = next(line for line in told if line["event"] == "model is asked again")
    assert (again["work"], again["run"], again["stage"]) == (work["id"], draft["id"], "draft")
    delivered = [line for line in told if line["event"] in {"not delivered yet", "found in Slack"}]
    assert delivered
    assert all(line["work"] == work["id"] and line["slot"] for line in delivered)
    assert BRIEF not in lines.getvalue()
    assert not [text for text in texts if text[:40] in lines.getvalue()]


async def test_what_comes_round_by_the_clock_is_counted(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        sweeps = {"repair"} if us.bot.storage.is_sqlite else {"repair", "rescue", "reconcile"}
        counted = us.bot.metrics.registry.get_sample_value
        well = [{"name": name, "outcome": "ok"} for name in sweeps]
        await until(lambda: all(counted("countersign_sweeps_total", labels) for labels in well))
        assert all(counted("countersign_sweep_last_success_timestamp_seconds", {"name": name}) for name in sweeps)
