"""Keys, phones, and colours one can read."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.alone.parts import address, in_thread, message, rich, section
from tests.browser.page_stub import DOCS, RAE, PageStub

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="package")]


async def test_the_keyboard_reaches_everything(page: Page, stub: PageStub) -> None:
    first, root = stub.post(RAE, "first"), stub.says("root", "second")
    await page.goto(address(stub))
    await message(page, root).focus()
    await page.keyboard.press("ArrowUp")
    await expect(message(page, first)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await expect(message(page, root).get_by_role("button", name="React with white check mark")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(message(page, root).locator('[data-reaction="white_check_mark"]')).to_be_visible()
    await message(page, root).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Reply in the thread")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("aside.thread-pane")).to_be_hidden()
    await expect(message(page, root)).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_phone_shows_one_thing_at_a_time_and_no_more_than_fits(phone_page: Page, stub: PageStub) -> None:
    page = phone_page
    await page.set_viewport_size({"width": 360, "height": 740})
    root = stub.says("root", "The phascogale text")
    code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x" * 400}]}
    answer = stub.says("answer", "long", thread=root["ts"], blocks=rich(section("y" * 300), code))
    await page.goto(address(stub))
    await message(page, root).locator(".thread-link").tap()
    await expect(in_thread(page, answer)).to_be_visible()
    await expect(page.locator("main.channel-pane")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await in_thread(page, answer).get_by_role("button", name="Show actions").tap()
    await in_thread(page, answer).get_by_role("button", name="React with x").tap()
    await expect(in_thread(page, answer).locator('[data-reaction="x"]')).to_be_visible()
    await page.get_by_role("button", name="Back to the channel", exact=True).tap()
    await page.get_by_role("button", name="Back to the channels").tap()
    await page.locator(f'[data-channel="{DOCS}"]').tap()
    await expect(page.get_by_role("heading", name="docs")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360


INKS = ("ink", "ink-2", "ink-3", "accent", "good", "warn", "bad", "code-ink")
GROUNDS = ("paper", "page", "raised", "sunken", "hover")
PAIRS = [
    *((ink, ground) for ink in INKS for ground in GROUNDS),
    *((tone, f"{tone}-soft") for tone in ("accent", "good", "warn", "bad")),
    *((ink, "accent-soft") for ink in ("ink", "ink-2", "code-ink")),
    ("accent-ink", "accent"),
    ("paper", "bad"),
    ("paper", "ink"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_ink_can_be_read_on_every_ground(page: Page, stub: PageStub, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.goto(stub.url)
    names = sorted({name for pair in PAIRS for name in pair})
    read = "name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"
    colours = {name: await page.evaluate(read, name) for name in names}
    pale = {pair: round(_contrast(*(colours[name] for name in pair)), 2) for pair in PAIRS}
    assert {pair: ratio for pair, ratio in pale.items() if ratio < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    low, high = sorted(_luminance(colour.strip()) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
