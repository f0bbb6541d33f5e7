"""When a model gives no usable answer: one sentence with the stage, the model and a way out, and nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.playground.scripted import Fault, Recorded, Reply, demo_answers
from handlers.ports import StopReason
from tests.stories.workspace import team

AGAIN = "`@Countersign again`"
ANOTHER_MODEL = "pick another model"


@dataclass(kw_only=True)
class Trouble:
    """An endpoint that is told what to answer by a word in the brief, until it is mended."""

    replies: dict[str, Reply]
    is_mended: bool = False
    seen: dict[str, int] = field(default_factory=dict)

    def __call__(self, asked: Recorded) -> Reply | str:
        word = next((word for word in self.replies if word in asked.user), "")
        if not word or self.is_mended:
            well = demo_answers()(asked)
            assert isinstance(well, Reply)
            return well
        self.seen[word] = self.seen.get(word, 0) + 1
        return self.replies[word]


TROUBLES = {
    "badkey": (Reply(status=401, error="no such key"), ["quick", ANOTHER_MODEL]),
    "badword": (Reply(status=400, error="no such model"), ["quick", ANOTHER_MODEL]),
    "toomany": (Reply(status=429), ["quick", "tried", AGAIN]),
    "broken": (Reply(status=500), ["quick", "tried", AGAIN]),
    "cutoff": (Reply(text="Half an answer is none", fault=Fault.CUT_BEFORE_FINISH), ["quick", "tried", AGAIN]),
    "nostop": (Reply(text="Half an answer is none", fault=Fault.NO_STOP_REASON), ["quick", "tried", AGAIN]),
    "silent": (Reply(fault=Fault.HANG_BEFORE_BYTES), ["quick", "1 s", AGAIN]),
    "refuses": (Reply(text="I would rather not", stop=StopReason.REFUSAL), ["quick refused", "change the brief"]),
    "filtered": (Reply(text="Som", stop=StopReason.CONTENT_FILTER), ["content filter of quick", "change the brief"]),
    "nothing": (Reply(text=" \n"), ["quick", AGAIN]),
    "webpage": (Reply(fault=Fault.HTML), ["quick", AGAIN]),
    "garbage": (Reply(text="Half", fault=Fault.MALFORMED_CHUNK), ["quick", AGAIN]),
}


async def test_each_trouble_is_one_sentence_and_again_works_once_it_is_over(tmp_path: Path) -> None:
    trouble = Trouble(replies={word: reply for word, (reply, _) in TROUBLES.items()})
    async with team(tmp_path, answers=trouble, more="[stages.draft]\ntimeout_seconds = 1") as us:
        await asyncio.gather(*(us.commands("draft", f"Write of {word}") for word in TROUBLES))
        await us.quiet()
        roots = {word: await us.root_of(f"Write of {word}") for word in TROUBLES}
        for word, root in roots.items():
            assert us.states(root) == [("draft", "failed")], word
            told = us.card(root)
            assert told.startswith("draft · failed"), told
            assert [words for words in TROUBLES[word][1] if words not in told] == [], told
            assert us.in_thread(root, "answer") == [], word
        trouble.is_mended = True
        await asyncio.gather(*(us.person("ann").replies(root, "<@UBOT> again") for root in roots.values()))
        await us.quiet()
        for word, root in roots.items():
            assert us.states(root) == [("draft", "failed"), ("draft", "answered")], word


async def test_a_passing_429_is_waited_out_and_not_worth_a_word(tmp_path: Path) -> None:
    seen = []

    def busy(asked: Recorded) -> Reply | str:
        seen.append(asked)
        return Reply(status=429, headers={"Retry-After": "1"}) if len(seen) < 3 else "Here it is."

    async with team(tmp_path, answers=busy) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert us.states(root) == [("draft", "answered")]
        assert len(seen) == 3
        assert (await us.rows("SELECT attempts FROM runs"))[0]["attempts"] == 3


async def test_an_answer_cut_at_its_limit_is_posted_and_said_to_be_cut(tmp_path: Path) -> None:
    async with team(tmp_path, answers=lambda _: Reply(text="Once upon a", stop=StopReason.LENGTH)) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert us.last(root, "answer").says("Once upon a")
        assert "cut at the output limit; it is not whole" in us.card(root)


FALLBACK = '[stages.draft]\nmodel = "quick"\nfallbacks = ["careful"]'


async def test_a_fallback_that_answers_is_said_aloud(tmp_path: Path) -> None:
    def one_is_down(asked: Recorded) -> Reply | str:
        return Reply(status=503) if asked.model == "quick-1" else "The careful one wrote this."

    async with team(tmp_path, answers=one_is_down, more=FALLBACK) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert us.card(root).startswith("draft · answered · careful for quick")
        assert "3 times" in us.card(root)
        assert us.last(root, "answer").says("The careful one wrote this.")
        await us.asks(root, "status")
        assert us.last(root, "notice").says("answered · careful")


WALK = """
[models.crane]
wire = "openai"
id = "crane-1"
base_url = "http://127.0.0.1:9/v1"
trust = 4
jurisdiction = "cn"

[models.mole]
wire = "openai"
id = "mole-1"
base_url = "http://127.0.0.1:9/v1"
trust = 1
jurisdiction = "us"

[models.hare]
wire = "openai"
id = "hare-1"
base_url = "http://127.0.0.1:9/v1"
trust = 3
jurisdiction = "us"

[channels.default]
jurisdictions = ["us", "eu"]

[stages.draft]
model = "hare"
fallbacks = ["crane", "mole", "careful"]
min_trust = 2
"""


async def test_one_is_down_one_forbidden_here_one_below_the_floor_and_the_thread_hears_all_of_it(
    tmp_path: Path,
) -> None:
    async with team(tmp_path, more=WALK) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert us.states(root) == [("draft", "failed")]
        told = us.card(root)
        assert "hare could not be reached (connection refused), tried 3 times" in told, told
        assert "crane is operated in cn and this channel allows us and eu" in told
        assert "mole has trust 1, below the stage's floor of 2" in told
        assert "careful names no jurisdiction and this channel allows us and eu" in told
        assert "Nothing was lost: @Countersign again, or pick another model in the stack." in told.replace("`", "")
        assert us.models.requests == []


async def test_an_endpoint_that_fails_twice_rests_and_the_next_run_is_answered_by_another(tmp_path: Path) -> None:
    async with team(tmp_path, answers=lambda _: Reply(status=503)) as us:
        root = await us.starts("draft", "Write of Champignac")
        await us.asks(root, "again")
        asked = len(us.models.requests)
        stack = us.folder / "stack.toml"
        before = us.bot.live.stack
        stack.write_text(stack.read_text() + FALLBACK)
        await us.slack.until(lambda: us.bot.live.stack is not before)
        us.models.answers = lambda _: "The careful one wrote this."
        await us.asks(root, "again")
        assert [one.model for one in us.models.requests[asked:]] == ["careful-1"]
        assert "careful for quick" in us.card(root)
        assert "it answered HTTP 503, 2 times in a row" in us.card(root)


async def test_when_all_fail_each_is_named(tmp_path: Path) -> None:
    async with team(tmp_path, answers=lambda _: Reply(status=401), more=FALLBACK) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert us.states(root) == [("draft", "failed")]
        assert "quick" in us.card(root)
        assert "Then: careful" in us.card(root)


async def test_a_model_served_under_another_name_is_shown_with_it(tmp_path: Path) -> None:
    async with team(tmp_path, answers=lambda _: Reply(text="Fine.", served_id="quick-1-2026-10")) as us:
        root = await us.starts("draft", "Write of Champignac")
        assert "quick (served by quick-1-2026-10)" in us.card(root)


async def test_a_bug_of_ours_is_told_with_a_reference_and_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret Traceback words")

    async with team(tmp_path) as us:
        monkeypatch.setattr("handlers.run.prepare", broken)
        root = await us.starts("draft", "Write of Champignac")
        assert us.states(root) == [("draft", "failed")]
        assert "Something broke on our side (reference " in us.card(root)
        assert "secret" not in us.card(root)
        monkeypatch.undo()
        await us.asks(root, "again")
        assert us.states(root)[-1] == ("draft", "answered")
