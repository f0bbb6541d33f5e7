"""Watches what a process does to its database's files, by strace, so that power losses can be made up afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.disk import Create, Event, Remove, Resize, Sync, Write
from tests.faults.nursery import Life

NAME = "countersign.db"
NAMES = (NAME, f"{NAME}-wal", f"{NAME}-journal")
_CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename"

_LINE = re.compile(r"(\d+)\s+(\d+\.\d+) (.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_OF = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")


def strace() -> str:
    """Where strace is; skips the test that cannot do without, except where all must be run."""
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed, and nothing may be skipped here: apt-get install strace")
        pytest.skip("strace is not installed, so no power loss can be made up (Debian's package is strace)")
    return found


class Recorder:
    """Attached to a life that waits to be watched; lets it go."""

    def __init__(self, life: Life, folder: Path, names: Sequence[str] = NAMES) -> None:
        self._life, self._folder, self.names = life, folder, names
        self._log = folder / f"strace.{life.pid}"
        self._process: subprocess.Popen[bytes] | None = None

    async def attach(self, *options: str) -> None:
        """Miss nothing: the process begins once it is watched."""
        paths = [part for name in ("", *self.names) for part in ("-P", str(self._folder / name).rstrip("/"))]
        watched = ["-f", "-qq", "-ttt", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}", "-e", "signal=none"]
        await self._status("State:\tT")
        self._begin([strace(), *watched, *options, *paths, "-o", str(self._log), "-p", str(self._life.pid)])
        await self._status("TracerPid:\t[1-9]")
        self._life.send_signal(signal.SIGCONT)

    def _begin(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    async def _status(self, expected: str) -> None:
        async with asyncio.timeout(20):
            while not re.search(expected, self._life.status):  # noqa: ASYNC110  other processes do it
                await asyncio.sleep(0.002)

    def events(self) -> list[Event]:
        """What was done, in order; to be asked for when the process is no more."""
        assert self._process is not None
        self._process.wait(20)
        return list(_read(self._log, self._folder))


def _read(log: Path, folder: Path) -> Iterator[Event]:
    begun: dict[str, tuple[str, str]] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            task, at, said = found.groups()
            if said.endswith(_UNFINISHED):
                begun[task] = at, said.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(said):
                at, before = begun.pop(task)
                said = before + resumed[1]
            if call := _CALL.match(said):
                yield from _meaning(float(at), call[1], call[2], int(call[3]), folder)
    for at, said in begun.values():  # it died inside: a write may have been done
        if said.startswith("pwrite64("):
            yield from _meaning(float(at), "pwrite64", said.partition("(")[2], 0, folder)


def _meaning(at: float, call: str, arguments: str, result: int, folder: Path) -> Iterator[Event]:
    if result < 0:
        return
    opened = _OF.match(arguments)
    name = _name(opened[2], folder) if opened else None
    match call:
        case "openat" if "O_CREAT" in arguments:
            path = _TEXT.search(arguments)
            if path and (created := _name(path[1], folder)):
                yield Create(at, created)
        case "unlink" | "unlinkat":
            path = _TEXT.search(arguments)
            if path and (removed := _name(path[1], folder)):
                yield Remove(at, removed)
        case "fsync" | "fdatasync" if name is not None:
            yield Sync(at, name)
        case "pwrite64" if name:
            text = _TEXT.search(arguments)
            assert text is not None
            assert not text[2], "strace cut a write short"
            yield Write(at, name, int(arguments.rpartition(",")[2]), _bytes(text[1]))
        case "ftruncate" if name:
            yield Resize(at, name, int(arguments.rpartition(",")[2]))
        case "write" | "rename" if name:
            raise AssertionError(f"SQLite is not known to call {call} on {name}")
        case _:
            return


def _name(path: str, folder: Path) -> str | None:
    """A file of ours; the empty name is the folder; None is anything else."""
    there = Path(os.fsdecode(_bytes(path).removesuffix(b" (deleted)")))
    if there == folder:
        return ""
    return there.name if there.parent == folder and there.name in NAMES else None


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
