"""A visitor of the demo: starts it by its command, and uses its page with the mouse, a finger and the keyboard only."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Locator, Page, expect

ROOT = Path(__file__).parents[2]
START_SECONDS = 150.0  # the embedded model has to be loaded, on a machine that may be busy
END_SECONDS = 40.0
STAGE_SECONDS = 240.0
NAMES = {"ann": "Ann Okafor", "rae": "Rae Lindqvist", "sam": "Sam Duarte", "stan": "Stan Petrov"}

_NOT_A_STRANGERS = (
    "PORT",
    "DATABASE_URL",
    "STACK_FILE",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
)
_ADDRESS = re.compile(r"Countersign is at work:\s+(http://127\.0\.0\.1:\d+)")
_OVER = re.compile("answered|failed|refused|cancelled")


@dataclass(kw_only=True)
class Demo:
    """A running `python -m bot demo`, and what it has printed so far."""

    process: asyncio.subprocess.Process
    printed: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def output(self) -> str:
        return "".join(self.printed)

    async def ends(self, how: signal.Signals = signal.SIGINT) -> int:
        """Tell it to stop, as Ctrl-C does; its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(END_SECONDS):
            return await self.process.wait()

    def children(self) -> list[int]:
        """The processes it has started, where the system tells (Linux)."""
        return [pid for pid, parent in _processes() if parent == self.process.pid]


def alive(pids: Sequence[int]) -> list[int]:
    """Those of them that still run."""
    running = {pid for pid, _ in _processes()}
    return [pid for pid in pids if pid in running]


def _processes() -> list[tuple[int, int]]:
    """Each process with its parent; a dead one that nobody has buried is none."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it has just ended
        if state != "Z":
            found.append((int(stat.parent.name), int(parent)))
    return found


@asynccontextmanager
async def process(*options: str) -> AsyncIterator[Demo]:
    """`python -m bot demo` with these options, from the moment it is started; killed if the block leaves it running."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", *options),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in _NOT_A_STRANGERS},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    demo = Demo(process=child)
    reading = asyncio.create_task(_read(demo))
    try:
        yield demo
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await reading


async def _read(demo: Demo) -> None:
    assert demo.process.stdout is not None
    async for line in demo.process.stdout:
        demo.printed.append(line.decode())
        if found := _ADDRESS.search(demo.printed[-1]):
            demo.url = found.group(1)


@asynccontextmanager
async def demo_in(folder: Path, port: int, *options: str) -> AsyncIterator[Demo]:
    """The demo at work, its address read from what it prints; stopped with Ctrl-C, and that must go well."""
    async with process("--folder", str(folder), "--port", str(port), *options) as demo:
        async with asyncio.timeout(START_SECONDS):
            while not demo.url:
                assert demo.process.returncode is None, f"the demo did not start:\n{demo.output}"
                await asyncio.sleep(0.05)
        yield demo
        assert await demo.ends() == 0, demo.output
        assert "Traceback" not in demo.output, demo.output


class Visitor:
    """Somebody in front of the page, who may put on each person in turn."""

    def __init__(self, page: Page, demo: Demo, *, patience: float = STAGE_SECONDS) -> None:
        self.page, self.demo, self.patience = page, demo, patience
        self.thread = page.get_by_role("complementary", name="Thread")

    async def arrives(self) -> None:
        await self.page.goto(self.demo.url)
        await expect(self.page.locator(".connection")).to_have_text("Countersign is connected")

    async def becomes(self, person: str) -> None:
        """Put on another person, by the switcher above."""
        await self.page.locator(".who").click()
        await self.page.get_by_role("menuitemradio", name=NAMES[person]).click()
        await expect(self.page.locator(".who")).to_contain_text(NAMES[person])

    async def goes_to(self, channel: str) -> None:
        await self.page.locator(".sidebar").get_by_role("button", name=channel).click()

    async def says(self, words: str) -> Locator:
        """Write in the channel; what is said there last, after it was said."""
        before = await self.page.locator("main .message").count()
        await self.page.locator("#composer").fill(words)
        await self.page.keyboard.press("Enter")
        new = self.page.locator("main .message").nth(before)
        await expect(new).to_be_visible(timeout=60_000)
        return new

    async def starts(self, words: str) -> None:
        """Begin a work with a slash command, and open its thread."""
        root = await self.says(words)
        await root.locator(".thread-link").click(timeout=60_000)
        await expect(self.thread).to_be_visible()

    async def replies(self, words: str) -> None:
        composer = self.page.get_by_label("Reply in the thread")
        await composer.fill(words)
        await composer.press("Enter")
        await expect(composer).to_have_value("")

    async def asks(self, words: str) -> None:
        await self.replies(f"@Countersign {words}")

    # What the thread shows

    def kind(self, kind: str, stage: str = "") -> Locator:
        """The thread's messages of a kind, oldest first."""
        of_stage = f'[data-stage="{stage}"]' if stage else ""
        return self.thread.locator(f'.message[data-kind="{kind}"]{of_stage}')

    async def answered(self, stage: str, number: int = 1) -> Locator:
        """Wait until the stage's card says answered; gives the last message of the answer, with its buttons."""
        card = self.kind("card", stage).nth(number - 1)
        await expect(card).to_have_attribute("data-state", _OVER, timeout=self.patience * 1000)
        await expect(card).to_have_attribute("data-state", "answered")
        answer = self.kind("answer", stage).filter(has=self.page.get_by_role("button", name="What did it see?"))
        await expect(answer).to_have_count(number, timeout=60_000)
        return answer.nth(number - 1)

    async def review(self, number: int = 1, state: str = "awaiting") -> Locator:
        """The review card of the number-th final, once it says this state."""
        card = self.kind("review").nth(number - 1)
        await expect(card).to_have_attribute("data-state", state, timeout=60_000)
        return card

    async def whispered(self, words: str) -> Locator:
        """Wait for what only this person sees."""
        told = self.thread.locator(".message[data-ephemeral]").filter(has_text=words)
        await expect(told.last).to_be_visible(timeout=60_000)
        return told.last

    # Hands

    async def reacts(self, emoji: str, message: Locator) -> None:
        """By the toolbar that shows when one points at a message."""
        await message.scroll_into_view_if_needed()
        await message.hover()
        await message.locator(f'.toolbar [data-react="{emoji}"]').click()
        own = message.locator(f'.reactions [data-reaction="{emoji}"]')
        await expect(own).to_have_attribute("aria-pressed", "true")

    async def takes_back(self, emoji: str, message: Locator) -> None:
        """By pressing one's own reaction again."""
        await message.locator(f'.reactions [data-reaction="{emoji}"]').click()

    async def told(self) -> str:
        """The thread as this person reads it, and what the demo printed: for a test that failed."""
        shown = "\n---\n".join(await self.thread.locator(".message").all_inner_texts())
        return f"THE THREAD\n{shown}\n\nTHE DEMO\n{self.demo.output}"


@asynccontextmanager
async def visiting(page: Page, demo: Demo, *, patience: float = STAGE_SECONDS) -> AsyncIterator[Visitor]:
    """A visitor who has arrived; whatever goes wrong, the thread is shown."""
    visitor = Visitor(page, demo, patience=patience)
    try:
        await visitor.arrives()
        yield visitor
    except BaseException:
        print(await visitor.told())
        raise
