"""Takes the README's pictures of the scripted demo: `python -m tests.browser.pictures`, or `make pictures`."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, FloatRect, Locator, Page

from tests.browser.conftest import opened_browser
from tests.browser.visitor import ROOT, Demo, Visitor, demo_in, visiting
from tests.stories.workspace import free_port

FOLDER = ROOT / "docs" / "pictures"
BRIEF = "Announce in three sentences that our bot now asks a reviewer before anything is published"
LARGEST = 400_000  # bytes


async def take() -> None:
    """All pictures, in workspaces that fill as they are taken."""
    tour = (_the_channel_before, _the_thread, _the_page, _the_phone, _the_questions, _the_stack)
    # The last two each in a workspace of their own: they take the same brief.
    for walks in (tour, (_a_second_opinion,), (_a_pipeline,)):
        with TemporaryDirectory() as folder:
            options = ("--scripted", "--pace", "3")
            async with opened_browser() as browser, demo_in(Path(folder), free_port(), *options) as demo:
                for walk in walks:
                    await walk(browser, demo)
    for picture in sorted(FOLDER.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture.relative_to(ROOT)}: {size // 1000} kB{', too large' if size > LARGEST else ''}")


@asynccontextmanager
async def _sitting(browser: Browser, demo: Demo, width: int, height: int, **more: Any) -> AsyncIterator[Visitor]:
    # Finer than this, the large ones would be more than anybody wants to load with a README.
    fine = {"device_scale_factor": 1.5, "locale": "en-GB", **more}
    context = await browser.new_context(viewport={"width": width, "height": height}, **fine)
    async with visiting(await context.new_page(), demo) as visitor:
        yield visitor
    await context.close()


async def _the_channel_before(browser: Browser, demo: Demo) -> None:
    """What the team did before: somebody scouted, somebody said a word, and a text was approved."""
    async with _sitting(browser, demo, 1280, 800) as visitor:
        await visitor.becomes("sam")
        await visitor.starts("/scout What do teams fear when a bot writes in their name?")
        await visitor.answered("scout")
        await visitor.becomes("rae")
        await visitor.says("I am at my desk until four today, if a text has to go out.")
        await visitor.becomes("ann")
        await visitor.starts("/final Thank the beta testers, and tell them when the beta ends")
        await visitor.answered("final")
        review = await visitor.review()
        await visitor.becomes("rae")
        await visitor.reacts("white_check_mark", review)
        await visitor.review(state="approved")


async def _the_thread(browser: Browser, demo: Demo) -> None:
    """A thread from its brief to its approval."""
    async with _sitting(browser, demo, 724, 2400) as visitor:
        await visitor.starts(f"/draft {BRIEF}")
        await visitor.answered("draft")
        await visitor.asks("critique be harsh about the promises")
        await visitor.answered("critique")
        await visitor.asks("final")
        await visitor.answered("final")
        review = await visitor.review()
        await visitor.becomes("rae")
        await visitor.reacts("white_check_mark", review)
        await visitor.review(state="approved")
        await visitor.kind("verdict").wait_for()
        await _shoot(visitor.page, "thread", await _down_to(visitor.kind("verdict").last, visitor.thread))


async def _the_page(browser: Browser, demo: Demo) -> None:
    async with _sitting(browser, demo, 1280, 800) as visitor:
        await visitor.page.locator("main .message").filter(has_text=BRIEF).locator(".thread-link").click()
        await visitor.review(state="approved")
        async with _sitting(browser, demo, 1280, 800) as somebody:
            await somebody.becomes("stan")
            await somebody.goes_to("docs")
            await somebody.says("Where do we say who reviews what?")
        await visitor.page.locator(".unread").wait_for()
        await _shoot(visitor.page, "page")


async def _the_phone(browser: Browser, demo: Demo) -> None:
    async with _sitting(browser, demo, 390, 844, device_scale_factor=2, has_touch=True, is_mobile=True) as visitor:
        await visitor.becomes("rae")
        await visitor.page.locator("main .message").filter(has_text=BRIEF).locator(".thread-link").tap()
        await visitor.review(state="approved")
        await _shoot(visitor.page, "phone")


async def _the_questions(browser: Browser, demo: Demo) -> None:
    """The four questions, answered, and what they come to."""
    async with _sitting(browser, demo, 724, 1000) as visitor:
        page = visitor.page
        await page.locator("#composer").fill("/route Tell our customers why the export was down on Tuesday")
        await page.keyboard.press("Enter")
        form = page.get_by_role("dialog", name="Four questions")
        await form.locator("select").select_option("ownership")
        for choice in ("Trust", "A final owner", "Fresh eyes"):
            await form.get_by_role("radio", name=choice).check()
        await _shoot(page, "questions", await _around(form))
        await form.get_by_role("button", name="Advise me").click()
        advice = page.get_by_role("dialog", name="How to run it")
        await advice.wait_for()
        await _shoot(page, "advice", await _around(advice))


async def _the_stack(browser: Browser, demo: Demo) -> None:
    async with _sitting(browser, demo, 760, 1400) as visitor:
        told = await visitor.says("/stack")
        await _shoot(visitor.page, "stack", await _around(told))


async def _a_second_opinion(browser: Browser, demo: Demo) -> None:
    """Two answers to one brief, and neither has seen the other."""
    async with _sitting(browser, demo, 724, 2400) as visitor:
        await visitor.starts(f"/draft {BRIEF}")
        await visitor.answered("draft")
        await visitor.asks("second opinion")
        second = await visitor.answered("draft", 2)
        await _shoot(visitor.page, "second-opinion", await _down_to(second, visitor.thread))


async def _a_pipeline(browser: Browser, demo: Demo) -> None:
    """From a brief to a review card without another word."""
    async with _sitting(browser, demo, 724, 4200, device_scale_factor=1) as visitor:
        await visitor.starts(f"/draft {BRIEF} run content")
        await visitor.answered("final")
        review = await visitor.review()
        await _shoot(visitor.page, "pipeline", await _down_to(review, visitor.thread))


async def _around(part: Locator) -> FloatRect:
    box = await part.bounding_box()
    assert box is not None
    return FloatRect(x=box["x"] - 8, y=box["y"] - 8, width=box["width"] + 16, height=box["height"] + 16)


async def _down_to(last: Locator, pane: Locator) -> FloatRect:
    """A pane from its top to this message; what is empty below is left out."""
    message, whole = await last.bounding_box(), await pane.bounding_box()
    assert message is not None
    assert whole is not None
    return FloatRect(
        x=whole["x"],
        y=whole["y"],
        width=whole["width"],
        height=message["y"] + message["height"] + 16 - whole["y"],
    )


async def _shoot(page: Page, name: str, part: FloatRect | None = None) -> None:
    """What stands there at rest: nothing pointed at, nothing blinking."""
    await page.mouse.move(2, 2)
    await page.evaluate("document.activeElement?.blur()")
    taken = await page.screenshot(clip=part, animations="disabled", caret="hide")
    (FOLDER / f"{name}.png").write_bytes(_packed(taken))


def _packed(png: bytes) -> bytes:
    """The same picture, its data packed as tightly as it goes: a browser packs in a hurry."""
    kept, data, at = [png[:8]], b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
        if name == b"IDAT":
            data += body
            continue
        if name == b"IEND":
            kept.append(_chunk(b"IDAT", zlib.compress(zlib.decompress(data), 9)))
        kept.append(_chunk(name, body))
    return b"".join(kept)


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


if __name__ == "__main__":
    asyncio.run(take())
