"""A real Chromium for the tests of the playground's page."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

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


@asynccontextmanager
async def opened_browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()


@asynccontextmanager
async def desk(browser: Browser) -> AsyncIterator[Page]:
    """A page of 1280 by 800. Leaving it fails if the page threw, or broke its own policy."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    async with _watched(context) as opened:
        yield opened


@asynccontextmanager
async def phone(browser: Browser) -> AsyncIterator[Page]:
    """A page of 390 by 844, touched instead of pointed at."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="en-GB", has_touch=True, is_mobile=True
    )
    async with _watched(context) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with opened_browser() as opened:
        yield opened


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with desk(browser) as opened:
        yield opened


@pytest.fixture
async def phone_page(browser: Browser) -> AsyncIterator[Page]:
    async with phone(browser) as opened:
        yield opened


@asynccontextmanager
async def _watched(context: BrowserContext) -> AsyncIterator[Page]:
    """The context's page; what it complains of are exceptions, and console errors other than a failed request."""
    page = await context.new_page()
    troubles: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        if said.type == "error" and "Failed to load resource" not in said.text and "ERR_" not in said.text:
            troubles.append(said.text)

    page.on("pageerror", lambda problem: troubles.append(str(problem)))
    page.on("console", heard)
    try:
        yield page
    finally:
        await context.close()
    assert troubles == []
