"""The page over a stand-in server: one browser for all tests here, since starting it takes longer than most of them."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.conftest import desk, opened_browser, phone
from tests.browser.page_stub import PageStub


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with opened_browser() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with desk(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def phone_page(browser: Browser) -> AsyncIterator[Page]:
    async with phone(browser) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def stub() -> AsyncIterator[PageStub]:
    async with PageStub() as running:
        yield running
