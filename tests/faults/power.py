"""Power losses: a bot's life is watched, and its database found again as the disk could have kept it."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bot.playground.delivery import Kind
from tests.faults.disk import Disk, Event, Fate
from tests.faults.process import Acked, Host
from tests.faults.recorder import NAME, NAMES, Recorder

_QUICK = "/dev/shm"
_FATES = tuple(Fate)


class Lost(AssertionError):  # noqa: N818  reads as a fact
    """Somebody was told that a request is taken, and it is nowhere."""


class Power:
    """What keeps the disk of a host's only process spinning."""

    def __init__(self, us: Host, dice: random.Random) -> None:
        self._us, self._dice = us, dice
        self._watched: tuple[Disk, Recorder] | None = None
        self.images = 0

    async def start(self) -> None:
        """A new life under watch."""
        await self._watch(NAMES)

    async def start_to_die_in_a_checkpoint(self, nth: int) -> None:
        """A new life that ends with its nth write to the database's own file, where only checkpoints write."""
        await self._watch((NAME,), "-e", f"inject=pwrite64:signal=SIGKILL:when={nth}")

    async def _watch(self, names: Sequence[str], *options: str) -> None:
        (name,) = self._us.roles
        disk = Disk.of(self._us.folder, NAMES)
        recorder = Recorder(self._us.begin(name, waits=True), self._us.folder, names)
        self._watched = disk, recorder
        await recorder.attach(*options)

    def holds(self) -> None:
        """When the life is over, nothing was lost but the life."""
        assert self._watched is not None
        (_, recorder), self._watched = self._watched, None
        recorder.events()

    async def fails(self, *, images: int) -> None:
        """When the life is over: look at some losses at any moment of it, then let the last moment have been one."""
        assert self._watched is not None
        (disk, recorder), self._watched = self._watched, None
        everything = recorder.names == NAMES
        events = recorder.events()
        self.images += look_at_losses(disk, events, self._us.witness.acked, self._dice, most=images * everything)
        if not everything:  # of the log, each commit was synced; the last test of test_power.py is about that
            disk.hold({path.name: path.read_bytes() for path in self._us.folder.glob(f"{NAME}-wal")})
        fate = self._dice.choice(_FATES)
        left = disk.image(fate, self._dice)
        check(left, self._us.witness.acked)
        await self._us.storage.close()  # who has a file open would not see that it is another one
        for path in self._us.folder.glob(f"{NAME}*"):
            if not path.name.endswith(".lock"):
                path.unlink()
        put(left, self._us.folder, self._dice)


def look_at_losses(
    disk: Disk, events: Sequence[Event], acked: Sequence[Acked], dice: random.Random, *, most: int
) -> int:
    """Let the disk see all that was done, and check what it could have been after some of it; how many images."""
    drawn = Counter(dice.choices(range(len(events)), k=most)) if events else Counter[int]()
    for place, event in enumerate(events):
        disk.see(event)
        ends = events[place + 1].at if place + 1 < len(events) else float("inf")
        for _ in range(drawn[place]):
            check(disk.image(dice.choice(_FATES), dice), [one for one in acked if one.at < ends], dice)
    return drawn.total()


def check(image: Mapping[str, bytes], acked: Sequence[Acked], dice: random.Random | None = None) -> None:
    """It opens, is whole, and holds everything that was acknowledged."""
    quick = _QUICK if Path(_QUICK).is_dir() else None
    with tempfile.TemporaryDirectory(dir=quick) as name:
        put(image, Path(name), dice or random.Random(0))
        with closing(sqlite3.connect(Path(name) / NAME)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            has_inbox = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'inbox'").fetchone()
            keys = [key for (key,) in connection.execute("SELECT key FROM inbox")] if has_inbox else []
    lost = [mark for mark in map(_mark, acked) if mark and not any(mark in key for key in keys)]
    if lost:
        raise Lost(f"{len(lost)} of {len(acked)} acknowledged deliveries are not on the disk: {lost[:3]}")


def _mark(acked: Acked) -> str:
    """What the inbox's key of a delivery holds; nothing for one that asks nothing."""
    match acked.kind, acked.payload.get("event", {}):
        case Kind.COMMAND, _:
            return str(acked.payload["trigger_id"])
        case Kind.EVENT, {"type": "app_mention", "ts": ts}:
            return str(ts)
        case Kind.EVENT, {"type": "reaction_added" | "reaction_removed", "reaction": "white_check_mark"}:
            return str(acked.payload["event_id"])
        case _:
            return ""


def put(image: Mapping[str, bytes], folder: Path, dice: random.Random) -> None:
    """The files; the index of the write-ahead log is never synced and may be anything, or missing."""
    for name, content in image.items():
        (folder / name).write_bytes(content)
    match dice.randrange(3):
        case 0:
            (folder / f"{NAME}-shm").write_bytes(dice.randbytes(32_768))
        case 1:
            (folder / f"{NAME}-shm").write_bytes(bytes(32_768))
        case _:
            return
