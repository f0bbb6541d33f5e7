"""Where things are on the page, and the blocks that tests put there."""

from collections.abc import Callable
from typing import Any

from playwright.async_api import Locator, Page

from tests.browser.page_stub import ANN, LAUNCH, Json, PageStub

TITLE = {"type": "plain_text", "text": "Critique this"}


def message(page: Page, sent: Json, *, pane: str = "main") -> Locator:
    return page.locator(f'{pane} [data-ts="{sent["ts"]}"]')


def in_thread(page: Page, sent: Json) -> Locator:
    return message(page, sent, pane="aside")


def address(stub: PageStub, person: str = ANN, channel: str = LAUNCH, thread: str = "") -> str:
    return f"{stub.url}/#as={person}&channel={channel}" + (f"&thread={thread}" if thread else "")


def words(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def rich(*elements: Json) -> list[Json]:
    return [{"type": "rich_text", "elements": list(elements)}]


def section(*texts: str) -> Json:
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text} for text in texts]}


def listed(indent: int, *items: str, style: str = "bullet", offset: int = 0) -> Json:
    elements = [section(item) for item in items]
    return {"type": "rich_text_list", "style": style, "indent": indent, "offset": offset, "elements": elements}


async def until(page: Page, holds: Callable[[], Any]) -> None:
    """Waits until something came to be true on the server's side."""
    for _ in range(200):
        if holds():
            return
        await page.wait_for_timeout(25)
    raise AssertionError("it never happened")
