"""The webhook's own part: what may sign, and receivers that hang, refuse or are not there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import webhook
from bot.webhook import NoSigner, Webhook, signer_of
from storage.records import Handing
from tests.fakes import FakeClock, a_stack
from tests.handlers.house import RAE, House, open_house
from tests.receiver import NAME, SECRET, Receiver, receiver


def secret(count: int) -> str:
    return "whsec_" + base64.b64encode(b"\xff" * count).decode()


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "   ",
        "whsec_",
        secret(23),
        secret(65),
        secret(32).removeprefix("whsec_"),
        secret(32)[:20] + "!" + secret(32)[20:],
        secret(32).rstrip("=")[:-1],
        "whsec_ümläüt" + "a" * 40,
    ],
)
def test_what_is_no_secret_is_said_without_repeating_it(told: str | None) -> None:
    with pytest.raises(NoSigner) as said:
        signer_of(NAME, told)
    assert str(said.value).startswith(NAME)
    assert str(said.value).endswith(".")
    key = (told or "").strip().removeprefix("whsec_")
    assert not key or key not in str(said.value)


@pytest.mark.parametrize("told", [secret(24), secret(64), f" {secret(32)}\n"])
def test_what_is_a_secret_signs(told: str) -> None:
    assert signer_of(NAME, told).sign("id", FakeClock()(), "{}").startswith("v1,")


@asynccontextmanager
async def scene(folder: Path, url: str, environment: Mapping[str, str]) -> AsyncIterator[tuple[House, Webhook]]:
    """An approval that is due. The house's clock is this machine's, for the receiver looks at the time."""
    rules = {"webhook_url": url, "webhook_secret_env": NAME}
    async with open_house(folder, a_stack(rules)) as house:
        house.now.time = datetime.now(UTC) - timedelta(minutes=1)
        text = await house.final()
        await house.reacts(RAE, text)
        house.now.goes_on(seconds=30)
        yield (
            house,
            Webhook(
                storage=house.storage,
                slack=house.slack,
                stack=lambda: house.stack,
                environment=environment,
                now=house.now,
            ),
        )


async def handing(house: House) -> Handing:
    async with house.storage.reading() as saved:
        (row,) = await saved.connection.exec_driver_sql("SELECT id FROM handings")
        found = await saved.handings.get(row[0])
    assert found is not None
    return found


@pytest.fixture
async def rome() -> AsyncIterator[Receiver]:
    async with receiver() as opened:
        yield opened


async def test_a_receiver_that_hangs_is_not_waited_for_long(
    rome: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_PATIENCE", 0.3)
    rome.holds = asyncio.Event()
    async with scene(tmp_path, rome.url, {NAME: SECRET}) as (house, hook):
        assert await hook.attempt()
        found = await handing(house)
        assert (found.status, found.error, found.claimed_until) == (None, "no answer within 0 s", None)
        rome.holds.set()


async def test_a_receiver_that_is_not_there_is_tried_again_later(rome: Receiver, tmp_path: Path) -> None:
    nobody = rome.url.replace(f":{rome.port}/", ":9/")
    async with scene(tmp_path, nobody, {NAME: SECRET}) as (house, hook):
        assert await hook.attempt()
        assert (await handing(house)).error == "it could not be reached: ConnectError"
        assert not await hook.attempt()
        assert (await handing(house)).due_at == house.now() + timedelta(seconds=5)


async def test_of_the_answer_nothing_but_its_status_is_read(tmp_path: Path) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nAve")  # and never the rest
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, scene(tmp_path, f"http://127.0.0.1:{port}/", {NAME: SECRET}) as (house, hook):
        assert await hook.attempt()
        assert (await handing(house)).handed_at == house.now()


async def test_a_secret_that_was_changed_signs_the_next_attempt(rome: Receiver, tmp_path: Path) -> None:
    environment = {NAME: secret(32)}
    rome.answers = [200]
    async with scene(tmp_path, rome.url, environment) as (house, hook):
        assert await hook.attempt()
        assert (await handing(house)).status == 500  # the receiver's verification broke
        environment[NAME] = SECRET
        house.now.goes_on(seconds=6)
        assert await hook.attempt()
        assert len(rome.got) == 1


async def test_what_breaks_once_does_not_end_the_loop(rome: Receiver, tmp_path: Path) -> None:
    async with scene(tmp_path, rome.url, {NAME: SECRET}) as (house, hook):
        stack, asked = house.stack, 0

        def breaks_at_first() -> object:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise ZeroDivisionError
            return stack

        hook._stack = breaks_at_first  # type: ignore[assignment]  # as the test says
        hook._sleep = lambda _: asyncio.sleep(0.01)
        task = asyncio.create_task(hook.run())
        async with asyncio.timeout(60):
            while not rome.got:  # noqa: ASYNC110  the receiver has no event
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
