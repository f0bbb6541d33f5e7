"""A real Chromium for the tests of the playground's page."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=10_000)


def chromium() -> str:
    """Where the machine's own Chromium is; skips without one, and fails where the tests must not be skipped."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        why = f"no Chromium on this machine (looked for {', '.join(NAMES)})"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on a desk: 1280 by 800. The test fails if the page throws, or its policy is broken."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    opened = await context.new_page()
    troubles = _watched(opened)
    yield opened
    await context.close()
    assert troubles == []


@pytest.fixture
async def phone_page(browser: Browser) -> AsyncIterator[Page]:
    """A page on a phone: 390 by 844, touched instead of pointed at."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="en-GB", has_touch=True, is_mobile=True
    )
    opened = await context.new_page()
    troubles = _watched(opened)
    yield opened
    await context.close()
    assert troubles == []


def _watched(page: Page) -> list[str]:
    """What the page complains of: exceptions, and console errors other than a request that failed."""
    troubles: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text and "ERR_" not in message.text:
            troubles.append(message.text)

    page.on("pageerror", lambda problem: troubles.append(str(problem)))
    page.on("console", heard)
    return troubles
