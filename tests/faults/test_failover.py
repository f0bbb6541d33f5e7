"""PostgreSQL goes away for good and another server takes its place: the bot goes on by itself, and nothing is lost."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.playground.server import Message
from tests.faults.process import PATIENCE, Host, host
from tests.postgres import Server, _give, or_skipped, server

FINAL = [
    ("root", "final", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "awaiting"),
]
APPROVED = [*FINAL[:-1], ("review", "final", "approved"), ("verdict", "final", "approved")]
NOT_TAKEN = "could not be stored"
RETRIES = (0.2, 0.5, *(1.0,) * 100)
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
SEVERAL = {"web": "web", "worker1": "worker", "worker2": "worker"}
_AWAY = 3.0  # seconds without any server
_SWEEP = 80.0  # seconds after which the sweep has found what could not be put in line meanwhile
_ENOUGH = 3  # requests of each person, before and after


@dataclass
class Pair:
    """A server, and one that repeats all it writes. People reach them at an address that can be moved."""

    first: Server
    second: Server
    address: Path

    def leads_to(self, one: Server) -> None:
        self.address.unlink(missing_ok=True)
        self.address.symlink_to(one.folder)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.address}"

    def waits_for_the_second(self) -> None:
        """From now on nothing is committed that is not on both."""
        with self.first.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        self.second._run("pg_ctl", "promote", "-D", str(self.second.data), "-w")


@contextmanager
def pair() -> Iterator[Pair]:
    with server(**DURABLE) as first, tempfile.TemporaryDirectory(prefix="countersign-pg-") as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "second"
        folder.mkdir()
        _give(folder)
        second = Server(first.binaries, folder, DURABLE)
        copied = ["-D", str(second.data), "-h", str(first.folder), "-U", "postgres"]
        second._run("pg_basebackup", *copied, "--checkpoint=fast", "--no-sync", "--write-recovery-conf")
        second.start()
        both = Pair(first, second, Path(name) / "address")
        both.leads_to(first)
        try:
            yield both
        finally:
            second.stop("immediate")


@pytest.fixture
def servers() -> Iterator[Pair]:
    with or_skipped(), pair() as running:
        yield running


class Person:
    """Asks for one thing after the other, and knows what was taken."""

    def __init__(self, us: Host, name: str) -> None:
        self._us, self._name = us, name
        self.accepted: list[str] = []
        self.refused: list[str] = []

    async def goes_on(self, ended: asyncio.Event) -> None:
        asking = self._us.slack.as_person(self._name)
        while not ended.is_set():
            brief = f"Say that {self._name} saw {len(self.accepted) + len(self.refused) + 1} Fantacoptères"
            answered = await asking.command("/final", brief)
            taken = answered.ok and NOT_TAKEN not in answered.text
            (self.accepted if taken else self.refused).append(brief)
            await asyncio.sleep(0.2)


async def have_asked(us: Host, people: list[Person]) -> None:
    """Wait until each has been taken at their word some times more."""
    before = {person: len(person.accepted) for person in people}
    await us.slack.until(
        lambda: all(len(person.accepted) >= before[person] + _ENOUGH for person in people), timeout=PATIENCE
    )


@pytest.mark.parametrize("roles", [{"run": "run"}, SEVERAL], ids=["one process", "several"])
async def test_another_server_takes_over_and_nothing_that_was_accepted_is_lost(
    roles: dict[str, str], servers: Pair, tmp_path: Path
) -> None:
    """The first dies at once and never comes back; the second becomes what it was some seconds later."""
    url = servers.url(await asyncio.to_thread(servers.first.create))
    more = {"PORT": "0"} if len(roles) > 1 else {}
    async with host(tmp_path, database_url=url, roles=roles, more=more, retries=RETRIES) as us:
        await us.start()
        await asyncio.to_thread(servers.waits_for_the_second)
        people, ended = [Person(us, name) for name in ("ann", "stan", "sam")], asyncio.Event()
        async with asyncio.TaskGroup() as at_work:
            for person in people:
                at_work.create_task(person.goes_on(ended))
            await have_asked(us, people)
            (approved, *_) = await us.slack.until(lambda: us.slack.by_bot("review"), timeout=PATIENCE)
            await asyncio.to_thread(servers.first.stop, "immediate")
            answer = next(one for one in us.slack.by_bot("answer") if one.thread_ts == approved.thread_ts)
            await us.slack.as_person("rae").reacts("white_check_mark", answer)
            await us.slack.until(lambda: any(person.refused for person in people), timeout=PATIENCE)
            await asyncio.sleep(_AWAY)
            await us.storage.close()
            await asyncio.to_thread(servers.promote)
            servers.leads_to(servers.second)
            await have_asked(us, people)
            ended.set()
        await us.quiet(_SWEEP + PATIENCE)
        assert us.dead is None
        assert us.begun == len(roles)
        for person in people:
            for brief in person.accepted:
                (root,) = roots(us, brief)
                assert us.said_in(root) == (APPROVED if root.ts == approved.thread_ts else FINAL)
            for brief in person.refused:
                assert len(roots(us, brief)) <= 1


def roots(us: Host, brief: str) -> list[Message]:
    return [root for root in us.slack.by_bot("root") if brief in root.visible]
