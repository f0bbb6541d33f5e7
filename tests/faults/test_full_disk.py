"""SQLite on a disk that is really full, or may take no more of our file: no ack, one notice, and on by itself."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bot.playground.delivery import Kind
from tests.faults.process import PATIENCE, Host, host

FINAL = [
    ("root", "final", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "awaiting"),
]
BRIEF = "Say how much the Fantacoptère can carry"
LONG = f"Never {'w' * 2_500}"
NOT_TAKEN = "could not be stored"
BEGAN = "the database cannot be used; nothing is acknowledged and nothing begun until it can"
RETRIES = (0.5,) * 200
_SIZE = 4 * 1024 * 1024

Change = Callable[[Host], None]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own with little room; skips the test where none may be mounted."""
    place = folder / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(place)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_on_a_full_disk_nothing_is_promised_and_nothing_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path) as place:
        ballast = place / "ballast"

        def fill(_: Host) -> None:
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(512))

        def empty(_: Host) -> None:
            ballast.unlink()

        await told(tmp_path, place, fill, empty)


async def test_where_our_file_may_not_grow_nothing_is_promised_and_nothing_lost(tmp_path: Path) -> None:
    """What an operator's quota or ulimit does: the write itself is refused."""

    def limit(us: Host) -> None:
        assert us.life is not None
        resource.prlimit(us.life.pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))

    def lift(us: Host) -> None:
        assert us.life is not None
        resource.prlimit(us.life.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    await told(tmp_path, tmp_path, limit, lift)


async def told(folder: Path, place: Path, begins: Change, ends: Change) -> None:
    """Somebody asks by a command and somebody reviews while there is no room; then there is again."""
    async with host(folder, database_url=f"sqlite:///{place / 'countersign.db'}", retries=RETRIES) as us:
        await us.start()
        ann, rae = us.slack.as_person("ann"), us.slack.as_person("rae")
        assert (await ann.command("/final", BRIEF)).ok
        await us.quiet()
        root, acked = await us.root_of(BRIEF), len(us.witness.acked)
        begins(us)
        answered = await ann.command("/final", LONG)
        assert not answered.ok or NOT_TAKEN in answered.text
        await rae.reacts("white_check_mark", us.slack.by_bot("answer")[0])
        await asyncio.sleep(2.0)
        assert us.slack._delivery._tasks, "a reaction was acknowledged that nobody had kept"
        assert {one.kind for one in us.witness.acked[acked:]} <= {Kind.COMMAND}
        assert us.said_in(root) == FINAL
        ends(us)
        await us.slack.until(lambda: us.slack.by_bot("verdict"), timeout=PATIENCE)
        assert (await ann.command("/final", f"{BRIEF} again")).ok
        await us.quiet()
        assert us.said_in(root)[-2:] == [("review", "final", "approved"), ("verdict", "final", "approved")]
        assert us.said_in(await us.root_of(f"{BRIEF} again")) == FINAL
        assert await us.rows("SELECT id FROM works WHERE brief LIKE 'Never%'") == []
        assert us.begun == 1
        assert us.life is not None
        assert us.life.last_words.count(BEGAN) == 1
        (whole,) = await us.rows("PRAGMA integrity_check")
        assert list(whole.values()) == ["ok"]
