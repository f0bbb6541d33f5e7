"""`/route` asks four questions and runs what they come to; `/stack` shows who does what, and how it is doing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.playground.shapes import View
from storage.records import Cooldown
from tests.stories.workspace import Team, link, team

BRIEF = "Tell the team that the marsupilami has moved to Palombia"
FIRST_PASS = {"job": "first_pass", "matters": "speed", "stakes": "fast_pass", "eyes": "here"}
SIMPLE = {**FIRST_PASS, "job": "simple"}
ONLY_EU = """
[channels.C0LAUNCH]
jurisdictions = ["eu"]
"""


async def opens(us: Team, words: str = BRIEF, *, person: str = "ann", prefix: str = "") -> View:
    """`/route` with these words; the form that opens."""
    await us.commands(f"{prefix}route", words, person=person)
    return await form_of(us, person)


async def form_of(us: Team, person: str) -> View:
    found = await us.slack.until(lambda: us.person(person).view)
    assert isinstance(found, View)
    return found


async def advised(us: Team, form: View, answers: dict[str, Any], *, person: str = "ann") -> View:
    """Sends the four answers off; the same modal, with what they come to."""
    answered = await us.person(person).submits(form, answers)
    assert answered.ok, answered
    assert answered.view is not None
    assert answered.view.id == form.id
    return answered.view


def text_of(view: View) -> str:
    return str(view.blocks[0]["text"]["text"]).replace("*", "")


async def test_what_the_four_answers_come_to_is_run_by_one_click_and_once(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        ann = us.person("ann")
        form = await opens(us)
        advice = await advised(us, form, FIRST_PASS)
        assert text_of(advice).startswith("draft by quick\nThe job right now is a first pass")
        assert us.slack.by_bot() == [], "nothing starts before somebody says so"
        await asyncio.gather(*(ann.submits(advice) for _ in range(3)))
        await us.quiet()
        root = await us.root_of(BRIEF)
        assert us.states(root) == [("draft", "answered")]
        assert us.card(root).startswith("draft · answered · quick in ")
        assert len(us.said("root")) == 1
        assert ann.view is None


async def test_a_simple_job_is_not_routed_but_made_final_at_once(tmp_path: Path) -> None:
    async with team(tmp_path, more='[commands]\nprefix = "cs-"') as us:
        advice = await advised(us, await opens(us, "", prefix="cs-"), {**SIMPLE, "words": BRIEF})
        assert text_of(advice).startswith("Do not route this: one clean pass and one human review")
        assert (await us.person("ann").submits(advice)).ok
        await us.quiet()
        root = await us.root_of(BRIEF)
        assert us.states(root) == [("final", "answered")]
        assert us.card(root).startswith("final · ready · careful in ")
        review = us.last(root, "review")
        await us.reacts("white_check_mark", review)
        assert us.last(root, "review").state == "approved"


async def test_what_the_channel_forbids_is_said_with_the_stages_that_still_work(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        file = tmp_path / "stack.toml"
        file.write_text(file.read_text().replace("trust = 5", 'trust = 5\njurisdiction = "eu"') + ONLY_EU)
        await us.slack.until(lambda: us.bot.live.stack.policy("C0LAUNCH").jurisdictions is not None)
        form = await opens(us)
        again = await advised(us, form, FIRST_PASS)
        assert text_of(again).startswith(
            "draft cannot run here: quick names no jurisdiction and this channel allows eu"
        )
        assert "final still work here" in text_of(again)
        advice = await advised(us, again, SIMPLE)
        assert (await us.person("ann").submits(advice)).ok
        await us.quiet()
        assert us.states(await us.root_of(BRIEF)) == [("final", "answered")]


async def test_in_a_thread_a_mention_offers_the_questions_and_the_run_lands_there(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        await us.asks(root, "route be harsh about the ending", person="rae")
        await us.clicks("route", us.last(root, "notice"), person="rae")
        form = await form_of(us, "rae")
        critique = {**FIRST_PASS, "job": "critique", "eyes": "fresh"}
        advice = await advised(us, form, critique, person="rae")
        assert (await us.person("rae").submits(advice)).ok
        await us.quiet()
        assert us.states(root) == [("draft", "answered"), ("critique", "answered")]
        assert "draft 1" in us.card(root)
        assert "be harsh about the ending" in us.prompts("critique")[-1]


async def test_fresh_eyes_on_a_brief_begin_a_thread_of_their_own(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("scout", BRIEF)
        await us.asks(root, "route keep it short", person="stan")
        await us.clicks("route", us.last(root, "notice"), person="stan")
        fresh = {**FIRST_PASS, "eyes": "fresh"}
        advice = await advised(us, await form_of(us, "stan"), fresh, person="stan")
        assert "nothing of this thread crosses" in text_of(advice)
        assert (await us.person("stan").submits(advice)).ok
        await us.quiet()
        assert us.states(root) == [("scout", "answered")]
        roots = us.said("root")
        assert [one.says(BRIEF) for one in roots] == [True, True]
        assert "read: brief, your note" in us.card(roots[-1])


async def test_in_a_human_thread_the_offer_is_for_whoever_asked_alone(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        talk = await us.person("stan").says("Has anybody seen Spirou?")
        await us.person("stan").replies(talk, f"<@UBOT> route {BRIEF}")
        await us.told("stan", "Which stage should own this?")
        await us.quiet()
        assert us.slack.by_bot() == []
        await us.clicks("route", us.slack.ephemerals("stan")[-1], person="stan")
        form = await form_of(us, "stan")
        advice = await advised(us, form, FIRST_PASS, person="stan")
        assert (await us.person("stan").submits(advice)).ok
        await us.quiet()
        assert us.states(talk) == [("draft", "answered")]
        assert BRIEF in us.prompts("draft")[-1]
        assert "Spirou" not in us.prompts("draft")[-1]


async def test_a_critique_needs_a_text_and_takes_a_link_to_one(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        essay = await us.person("stan").says("The marsupilami is the best animal.")
        advice = await advised(us, await opens(us, "a page for children"), {**FIRST_PASS, "job": "critique"})
        ann = us.person("ann")
        refused = await ann.submits(advice)
        assert refused.errors["words"].startswith("critique works on a text: begin with a link")
        assert ann.view is not None, "nothing is lost"
        assert (await ann.submits(advice, {"words": f"{link(essay)} a page for children"})).ok
        await us.quiet()
        assert us.states(essay) == [("critique", "answered")]
        assert "best animal" in us.prompts("critique")[-1]


async def test_the_stack_is_shown_to_whoever_asks_alone(tmp_path: Path) -> None:
    stale = "[models.old]\nwire = 'openai'\nid = 'old'\nbase_url = 'http://127.0.0.1:9/v1'\n"
    stale += "price = { input = 1.0, output = 2.0, checked = 2025-01-31 }\n"
    async with team(tmp_path, more=stale) as us:
        root = await us.starts("draft", BRIEF)
        careful, now = us.bot.live.stack.models["careful"], us.bot.now()
        until = now + timedelta(minutes=4)
        async with us.bot.storage.transaction() as saved:
            await saved.cooldowns.note(
                Cooldown(endpoint=careful.endpoint, failures=2, code="http_429", at=now, until=until)
            )
        await us.commands("stack", "", person="rae")
        await us.asks(root, "stack", person="stan")
        assert await us.told("rae", "Who does what in this channel") == await us.told("stan", "Who does what")
        told = (await us.told("stan", "Who does what in this channel")).replace("*", "")
        assert "final · careful · trust 5 · final owner, then a reviewer" in told
        assert (
            f"careful (careful-1) · cooling down until {until:%H:%M} UTC: answered HTTP 429, 2 times in a row" in told
        )
        assert "quick (quick-1) · answers · $0.50 / $1.50, " in told
        assert "100 % of runs, about $0.0" in told
        assert "old · answers · $1.00 / $2.00, stale: checked 31 Jan 2025 · no runs" in told
        assert us.in_thread(root, "notice") == []


async def test_the_form_runs_what_it_advised_though_the_brief_ends_with_a_pipelines_name(tmp_path: Path) -> None:
    async with team(tmp_path, more='[pipelines]\ncontent = ["draft", "critique"]') as us:
        for brief in ("Write down how our teams run content", "Write down how our teams run contnet"):
            advice = await advised(us, await opens(us, brief), FIRST_PASS)
            assert (await us.person("ann").submits(advice)).ok
            await us.quiet()
            assert us.states(await us.root_of(brief)) == [("draft", "answered")]


async def test_in_a_thread_of_code_the_form_criticises_the_patch(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("implement", BRIEF)
        await us.asks(root, "route", person="rae")
        await us.clicks("route", us.last(root, "notice"), person="rae")
        advice = await advised(us, await form_of(us, "rae"), {**FIRST_PASS, "job": "critique"}, person="rae")
        assert (await us.person("rae").submits(advice)).ok
        await us.quiet()
        assert us.states(root) == [("implement", "answered"), ("critique", "answered")]
        assert "patch 1" in us.card(root)
