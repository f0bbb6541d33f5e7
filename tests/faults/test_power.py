"""The disk may lose power at any moment: what was acknowledged is on it, and the database opens whole."""

from __future__ import annotations

import os
import random
import secrets
from pathlib import Path

import pytest

from tests.faults.disk import Create, Disk, Event, Fate, Resize, Sync, Write
from tests.faults.power import Lost, look_at_losses
from tests.faults.process import Host, host
from tests.faults.recorder import NAME, NAMES, Recorder

IMAGES = int(os.environ.get("IMAGES", "500"))
BRIEF = "Say that the Palombian flag was found"


def drawn() -> random.Random:
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    print(f"SEED={seed}")
    return random.Random(seed)


async def watched(us: Host, requests: int) -> list[Event]:
    """What a life does to its disk from its very first start, with people asking and reviewing, until it is killed."""
    recorder = Recorder(us.begin("run", waits=True), us.folder)
    await recorder.attach()
    await us.connected()
    for number in range(requests):
        assert (await us.slack.as_person("ann").command("/final", f"{BRIEF} {number}")).ok
    await us.quiet()
    for answer in us.slack.by_bot("answer"):
        await us.slack.as_person("rae").reacts("white_check_mark", answer)
    await us.quiet()
    await us.kill()
    return recorder.events()


async def test_a_loss_at_any_moment_keeps_everything_that_was_acknowledged(tmp_path: Path) -> None:
    async with host(tmp_path, more={"TEST_CHECKPOINT_PAGES": "60"}) as us:
        events = await watched(us, 4)
        checkpoints = sum(isinstance(event, Sync) and event.name == NAME for event in events)
        assert checkpoints > 2
        assert look_at_losses(Disk(), events, us.witness.acked, drawn(), most=IMAGES) == IMAGES


async def test_the_recorder_sees_all_that_is_done(tmp_path: Path) -> None:
    async with host(tmp_path, more={"TEST_CHECKPOINT_PAGES": "60"}) as us:
        disk = Disk()
        for event in await watched(us, 2):
            disk.see(event)
        assert disk.image(Fate.KEPT, drawn()) == {
            name: (us.folder / name).read_bytes() for name in NAMES if (us.folder / name).exists()
        }


async def test_a_database_that_does_not_wait_for_its_disk_is_found_out(tmp_path: Path) -> None:
    async with host(tmp_path, more={"TEST_SYNCHRONOUS": "NORMAL"}) as us:
        events = await watched(us, 2)
        with pytest.raises(Lost):
            look_at_losses(Disk(), events, us.witness.acked, drawn(), most=500)


@pytest.mark.parametrize(
    ("fate", "found"),
    [(Fate.LOST, b"abcd"), (Fate.KEPT, b"aXYd"), (Fate.PREFIX, None), (Fate.SUBSET, None), (Fate.TORN, None)],
)
def test_what_was_synced_stays_and_what_was_not_may_go(fate: Fate, found: bytes | None) -> None:
    disk = Disk()
    for event in (Create(0, "a"), Write(1, "a", 0, b"abcd"), Sync(2, "a"), Sync(3, ""), Write(4, "a", 1, b"XY")):
        disk.see(event)
    seen = {disk.image(fate, random.Random(seed))["a"] for seed in range(50)}
    assert seen == ({found} if found else {b"abcd", b"aXYd"})


def test_a_torn_write_keeps_some_of_its_sectors() -> None:
    disk = Disk({"a": bytes(8192)})
    disk.see(Write(1, "a", 0, b"x" * 8192))
    seen = [disk.image(Fate.TORN, random.Random(seed))["a"] for seed in range(50)]
    assert any(0 < content.count(b"x") < 8192 for content in seen)
    assert all(content.count(b"x") % 512 == 0 for content in seen)


def test_a_name_is_sure_once_its_folder_was_synced() -> None:
    disk = Disk()
    disk.see(Create(0, "a"))
    disk.see(Sync(1, "a"))
    assert {"a" in disk.image(Fate.SUBSET, random.Random(seed)) for seed in range(50)} == {True, False}
    disk.see(Sync(2, ""))
    assert {"a" in disk.image(Fate.LOST, random.Random(seed)) for seed in range(50)} == {True}


def test_a_file_that_was_cut_may_have_its_old_end() -> None:
    disk = Disk({"a": b"marsupilami"})
    disk.see(Resize(1, "a", 4))
    assert {disk.image(Fate.SUBSET, random.Random(seed))["a"] for seed in range(50)} == {b"mars", b"marsupilami"}
