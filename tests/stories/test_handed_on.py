"""An approval reaches whoever waits for it outside, signed, after ten seconds in which it can be taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.audit import export, verify
from bot.playground.server import Message
from bot.settings import Settings
from tests.receiver import NAME, SECRET, Receiver, receiver
from tests.stories.workspace import PATIENCE, REVIEWERS, Team, database_url, team

CHECK = "white_check_mark"
BRIEF = "Announce that the marsupilami is out"


class Grace:
    """The time by which approvals are handed on; it runs ahead when told, and far behind until then."""

    def __init__(self, us: Team) -> None:
        self._now, self._ahead = us.bot.now, timedelta(hours=-1)
        us.bot.webhook.now = lambda: self._now() + self._ahead

    def goes_by(self, seconds: float = 11) -> None:
        self._ahead = max(self._ahead, timedelta()) + timedelta(seconds=seconds)


@asynccontextmanager
async def scene(folder: Path, *answers: int, secret: str = SECRET) -> AsyncIterator[tuple[Team, Receiver, Grace]]:
    async with receiver(answers or (200,)) as rome:
        review = f"{REVIEWERS}\n{rome.review}"
        async with team(folder, review=review, environment={NAME: secret} if secret else {}) as us:
            yield us, rome, Grace(us)


async def approved(us: Team) -> tuple[Message, Message]:
    root = await us.starts("final", BRIEF)
    text = us.last(root, "answer")
    await us.reacts(CHECK, text)
    assert us.last(root, "review").state == "approved"
    return root, text


async def until_settled(us: Team, count: int = 1) -> None:
    """So many events have an end."""
    ended = "SELECT count(*) AS ended FROM handings WHERE handed_at IS NOT NULL OR given_up_at IS NOT NULL"

    async def is_so() -> bool:
        return bool((await us.rows(ended))[0]["ended"] == count)

    await us.slack.until(is_so, timeout=PATIENCE)
    await us.quiet()


def notices(us: Team, root: Message) -> list[str]:
    return [one.visible for one in us.in_thread(root, "notice")]


async def test_an_approval_is_handed_on_and_the_export_shows_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (us, rome, grace):
        root, text = await approved(us)
        assert not await us.bot.webhook.attempt()
        before = len(us.thread(root))
        grace.goes_by()
        await until_settled(us)
        (got,) = rome.got
        assert got.type == "approval.granted"
        (answer,) = await us.rows("SELECT text, sha256, work_id, run_id FROM answers")
        assert {key: got.data[key] for key in ("text", "sha256", "work", "run")} == {
            "text": answer["text"],
            "sha256": text.payload["sha256"],
            "work": answer["work_id"],
            "run": answer["run_id"],
        }
        assert [verdict["who"] for verdict in got.data["verdicts"]] == ["U0RAE"]
        assert f"Ledger {got.data['ledger_head'][:12]}" in us.last(root, "verdict").visible
        assert len(us.thread(root)) == before
        settings = Settings().with_database(database_url(tmp_path))
        told = json.loads(await export(settings, answer["work_id"], stack_path=tmp_path / "stack.toml", as_json=True))
        assert [(one["webhook_id"], one["attempts"], one["status"]) for one in told["handed_on"]] == [(got.id, 1, 200)]
        assert told["ledger"][-1]["what"] == "handed_on"
        page = await export(settings, answer["work_id"], stack_path=tmp_path / "stack.toml", as_json=False)
        assert f"- granted, `{got.id}`, planned at" in page
        assert (await verify(settings, [got.data["ledger_head"][:12]])).is_well
        assert us.bot.metrics.registry.get_sample_value(
            "countersign_handings_total", {"kind": "granted", "outcome": "accepted"}
        )


async def test_taken_back_within_the_grace_nobody_outside_hears_of_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (us, rome, grace):
        root, text = await approved(us)
        await us.unreacts(CHECK, text)
        grace.goes_by()
        assert not await us.bot.webhook.attempt()
        assert rome.got == []
        assert notices(us, root) == []


async def test_taken_back_later_the_thread_and_the_receiver_hear_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as (us, rome, grace):
        root, text = await approved(us)
        grace.goes_by()
        await until_settled(us)
        await us.unreacts(CHECK, text)
        await until_settled(us, 2)
        assert rome.types == ["approval.granted", "approval.withdrawn"]
        assert rome.got[1].data["approval"] == rome.got[0].id != rome.got[1].id
        (told,) = notices(us, root)
        assert "had been handed on at" in told
        assert us.last(root, "verdict").state == "withdrawn"


async def test_until_it_is_accepted_the_same_bytes_come_under_the_same_id(tmp_path: Path) -> None:
    async with scene(tmp_path, 500, 302, 200) as (us, rome, grace):
        root, _ = await approved(us)
        for number, wait in enumerate((11, 6, 31), 1):
            grace.goes_by(wait)
            if number < 3:
                await _failed(us, number)
                assert len(rome.got) == number
        await until_settled(us)
        assert len(set(rome.got)) == 1
        assert rome.elsewhere == []
        assert notices(us, root) == []


async def _failed(us: Team, attempts: int) -> None:
    async def is_remembered() -> bool:
        (row,) = await us.rows("SELECT attempts, claimed_until FROM handings")
        return bool(row["attempts"] == attempts and row["claimed_until"] is None)

    await us.slack.until(is_remembered, timeout=PATIENCE)


async def test_a_receiver_that_is_gone_is_asked_once_and_the_thread_hears_it(tmp_path: Path) -> None:
    async with scene(tmp_path, 410) as (us, rome, grace):
        root, _ = await approved(us)
        grace.goes_by()
        await until_settled(us)
        grace.goes_by(200)
        assert not await us.bot.webhook.attempt()
        assert len(rome.got) == 1
        (told,) = notices(us, root)
        assert "gone for good (HTTP 410)" in told


@pytest.mark.parametrize("secret", ["", "whsec_c2hvcnQ=", "whsec_not base64 at all, but long enough"])
async def test_without_a_secret_it_waits_and_the_log_says_so_once(
    tmp_path: Path, secret: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with scene(tmp_path, secret=secret) as (us, rome, grace):
        await approved(us)
        grace.goes_by()
        for _ in range(3):
            assert not await us.bot.webhook.attempt()
        logged = caplog.text + "".join(capsys.readouterr())
        assert logged.count(NAME) == 1
        assert not secret or secret not in logged
        assert rome.got == []
        us.bot._environment[NAME] = SECRET
        await until_settled(us)
        assert rome.types == ["approval.granted"]


async def test_where_the_stack_has_no_webhook_any_more_it_waits_without_a_word(tmp_path: Path) -> None:
    async with scene(tmp_path) as (us, rome, grace):
        await approved(us)
        stack = tmp_path / "stack.toml"
        whole = stack.read_text()
        stack.write_text(whole.replace(rome.review, ""))
        await us.slack.until(lambda: us.bot.live.stack.review.webhook_url is None, timeout=PATIENCE)
        grace.goes_by()
        assert not await us.bot.webhook.attempt()
        stack.write_text(whole)
        await until_settled(us)
        assert rome.types == ["approval.granted"]


async def test_of_two_at_once_one_makes_the_attempt(tmp_path: Path) -> None:
    async with scene(tmp_path) as (us, rome, grace):
        await approved(us)
        grace.goes_by()
        made = await asyncio.gather(*(us.bot.webhook.attempt() for _ in range(5)))
        await until_settled(us)
        assert sum(made) <= 1
        assert rome.types == ["approval.granted"]
