# ruff: noqa: ASYNC240  a test may wait for its own small files
from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.stack_file import LiveStack, Loaded, StackErrors
from tests.bot.test_stack_file import written_out

HARE = written_out("%MODELS\n%REVIEW\n")
OWL = HARE.replace("hare", "owl")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "stack.toml").write_text(HARE)
    return tmp_path / "stack.toml"


def models(live: LiveStack) -> list[str]:
    return list(live.stack.models)


async def looks(live: LiveStack, times: int = 2) -> None:
    for _ in range(times):
        await live.look()


def test_a_bad_file_never_starts(file: Path) -> None:
    file.write_text("models = 3")
    with pytest.raises(StackErrors):
        LiveStack(file)


async def test_a_good_file_replaces_the_stack_and_followers_hear_of_it(file: Path) -> None:
    live = LiveStack(file)
    heard: list[tuple[str, str]] = []

    async def follow(was: Loaded, now: Loaded) -> None:
        heard.append((was.digest, now.digest))

    live.on_change(follow)
    before = live.current.digest
    file.write_text(OWL)
    await looks(live)
    assert models(live) == ["owl"]
    await looks(live, 5)
    assert heard == [(before, live.current.digest)]


async def test_one_look_is_not_enough_for_a_file_may_still_be_written(file: Path) -> None:
    live = LiveStack(file)
    file.write_text(OWL)
    await live.look()
    assert models(live) == ["hare"]
    file.write_text(OWL.replace("owl", "eagle"))
    await live.look()
    assert models(live) == ["hare"]
    await live.look()
    assert models(live) == ["eagle"]


@pytest.mark.parametrize("broken", ["", "models = 3", HARE[:40], HARE + "magic = 1", "\x00"], ids=str)
async def test_a_bad_file_is_logged_with_its_findings_and_the_old_stack_stays(file: Path, broken: str) -> None:
    live = LiveStack(file)
    file.write_text(broken)
    with capture_logs() as logs:
        await looks(live, 6)
    assert models(live) == ["hare"]
    (record,) = logs
    assert record["log_level"] == "error"
    assert all(str(finding).startswith(f"{file}:") for finding in record["findings"])
    file.write_text(OWL)
    await looks(live)
    assert models(live) == ["owl"]


async def test_what_is_wrong_with_the_file_can_be_asked_for_until_it_is_mended(file: Path) -> None:
    live = LiveStack(file)
    assert live.problems == ()
    file.write_text("models = 3")
    await looks(live)
    assert live.problems
    await looks(live)
    assert live.problems
    file.write_text(HARE)
    await looks(live)
    assert live.problems == ()
    assert models(live) == ["hare"]


async def test_a_removed_file_leaves_the_old_stack_and_a_new_one_is_taken(file: Path) -> None:
    live = LiveStack(file)
    file.unlink()
    with capture_logs() as logs:
        await looks(live, 5)
    assert models(live) == ["hare"]
    assert "E001" in str(logs)
    assert len(logs) == 1
    file.write_text(OWL)
    await looks(live)
    assert models(live) == ["owl"]


async def test_an_editor_that_writes_by_rename_is_noticed_even_with_the_same_size_and_time(file: Path) -> None:
    live = LiveStack(file)
    stamp = file.stat()
    other = file.with_suffix(".new")
    other.write_text(HARE.replace("hare", "mole"))

    os.utime(other, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    other.rename(file)
    assert file.stat().st_size == stamp.st_size
    await looks(live)
    assert models(live) == ["mole"]


async def test_a_file_that_vanishes_for_a_moment_during_a_rename_changes_nothing(file: Path) -> None:
    live = LiveStack(file)
    aside = file.rename(file.with_suffix(".old"))
    with capture_logs() as logs:
        await live.look()
        aside.rename(file)
        await looks(live, 3)
    assert models(live) == ["hare"]
    assert not logs


async def test_a_changed_comment_tells_nobody(file: Path) -> None:
    live = LiveStack(file)

    async def follow(_was: Loaded, _now: Loaded) -> None:
        pytest.fail("nothing changed")

    live.on_change(follow)
    file.write_text(f"# A remark.\n{HARE}")
    await looks(live)
    assert {finding.line for finding in live.current.findings} == {2, 7}


async def test_a_followers_fault_does_not_stop_the_others(file: Path) -> None:
    live = LiveStack(file)
    heard: list[str] = []

    async def trips(_was: Loaded, _now: Loaded) -> None:
        raise RuntimeError("menhir")

    async def follow(_was: Loaded, now: Loaded) -> None:
        heard.append(now.digest)

    live.on_change(trips)
    live.on_change(follow)
    file.write_text(OWL)
    with capture_logs() as logs:
        await looks(live)
    assert heard == [live.current.digest]
    assert [record["log_level"] for record in logs] == ["info", "error"]


async def test_an_instructions_file_is_watched_too_even_while_it_is_missing(file: Path) -> None:
    scroll = file.with_name("scroll.md")
    scroll.write_text("Be kind.")
    file.write_text(f'{HARE}[stages.draft]\ninstructions_file = "scroll.md"\n')
    live = LiveStack(file)
    first = live.current.digest
    scroll.write_text("Be firm.")
    await looks(live)
    second = live.current.digest
    assert second != first
    scroll.unlink()
    with capture_logs() as logs:
        await looks(live)
    assert "E105" in str(logs)
    assert live.current.digest == second
    scroll.write_text("Be wise.")
    await looks(live)
    assert live.current.digest not in {first, second}


async def test_watching_looks_until_it_is_cancelled(file: Path) -> None:
    live = LiveStack(file)
    changed = asyncio.Event()

    async def follow(_was: Loaded, _now: Loaded) -> None:
        changed.set()

    live.on_change(follow)
    watching = asyncio.create_task(live.watch(interval=0.001))
    file.write_text(OWL)
    await changed.wait()
    assert models(live) == ["owl"]
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert watching.cancelled()
