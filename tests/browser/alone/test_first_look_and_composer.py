"""What a newcomer sees, and how one writes."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.alone.parts import address
from tests.browser.page_stub import ANN, LAUNCH, PageStub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def test_a_newcomer_sees_who_they_are_what_answers_and_what_to_try(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await expect(page).to_have_title("#launch · Countersign playground")
    await expect(page.locator(".who")).to_contain_text("You are Ann Okafor")
    await expect(page.locator(".label")).to_contain_text("Scripted answers")
    await expect(page.locator(".connection")).to_have_text("Countersign is connected")
    await page.get_by_role("button", name="/scout What do teams fear").click()
    await expect(page.locator("#composer")).to_have_value("/scout What do teams fear when a bot writes in their name?")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("")
    assert stub.did("say") == [
        {
            "as": ANN,
            "do": "say",
            "channel": LAUNCH,
            "text": "/scout What do teams fear when a bot writes in their name?",
        }
    ]


async def test_the_page_says_when_the_bot_leaves(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await expect(page.locator(".connection")).to_have_text("Countersign is connected")
    stub.state["bot"]["connected"] = False
    stub.push({"type": "state"})
    await expect(page.locator(".connection")).to_have_text("Countersign is not connected")


async def test_a_slash_opens_the_commands_and_arrows_and_tab_complete_one(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await page.locator("main.channel-pane").wait_for()
    await page.keyboard.press("/")
    await expect(page.locator("#composer")).to_be_focused()
    await page.keyboard.type("/")
    options = page.get_by_role("option")
    await expect(options).to_have_count(4)
    await expect(options.nth(1)).to_contain_text("what to write")
    await page.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Tab")
    await expect(page.locator("#composer")).to_have_value("/draft ")
    await expect(page.locator("main .composer-hint")).to_contain_text("A first draft, cheap to revise")
    await page.keyboard.type("a bandicoot")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("in two lines")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("")
    assert stub.did("say")[0]["text"] == "/draft a bandicoot\nin two lines"


async def test_a_command_typed_out_is_sent_at_once_and_escape_closes_the_menu(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    composer = page.locator("#composer")
    await composer.fill("/sc")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    await composer.fill("/scout")
    await page.keyboard.press("Enter")
    await expect(composer).to_have_value("")
    assert [deed["text"] for deed in stub.did("say")] == ["/scout"]


async def test_in_a_thread_a_slash_becomes_the_mention_that_does_the_same(page: Page, stub: PageStub) -> None:
    root = stub.says("root", "The wombat launch")
    await page.goto(address(stub, thread=root["ts"]))
    composer = page.get_by_label("Reply in the thread")
    await expect(page.locator("aside .composer-hint")).to_contain_text("mention @Countersign")
    await composer.fill("/cri")
    await expect(page.get_by_role("listbox")).to_contain_text("no app commands inside threads")
    await page.keyboard.press("Enter")
    await expect(composer).to_have_value("@Countersign critique ")
    await page.keyboard.type("be harsh")
    await page.keyboard.press("Enter")
    await expect(page.locator("aside .message").last).to_contain_text("be harsh")
    assert stub.did("say")[0] | {"as": ""} == {
        "as": "", "do": "say", "channel": LAUNCH, "thread_ts": root["ts"], "text": "@Countersign critique be harsh",
    }  # fmt: skip


async def test_an_at_sign_offers_the_bot_and_the_people(page: Page, stub: PageStub) -> None:
    await page.goto(stub.url)
    await page.locator("#composer").fill("could @Ra")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer")).to_have_value("could @Rae ")
    await page.locator("#composer").fill("@c")
    await expect(page.get_by_role("option")).to_contain_text("@Countersign")


async def test_a_refusal_stands_beside_the_text_which_is_kept(page: Page, stub: PageStub) -> None:
    stub.answers["say"] = {"ok": False, "error": "/frobnicate is not a command here."}
    await page.goto(stub.url)
    await page.locator("#composer").fill("/frobnicate now")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert").filter(has_text="/frobnicate is not a command here.")).to_be_visible()
    await expect(page.locator("#composer")).to_have_value("/frobnicate now")
