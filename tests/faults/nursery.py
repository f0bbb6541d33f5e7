"""Processes of the bot that live after a moment: one that has imported everything forks one for each life.

Importing takes longer than all else a life does before it is killed. What is forked is the whole program, begun by its
own command line; only what no life can wait for is quicker: how long Slack may keep a message from being read back, and
how often it may be called, which the playground does not mind here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
_SOON, _SETTLE = 0.05, 0.2  # seconds; the playground shows at once what it took
_HASTE = 100


# The tests' side


@dataclass
class Life:
    """A process of the bot. Its last words are kept beside its exit code."""

    pid: int
    said: Path

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: below zero for a signal. None while it lives."""
        code = self.said.with_suffix(".code")
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(code.read_text())
        return None

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended, its code is being written
                os.kill(self.pid, number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Its exit code, once it has one."""
        async with asyncio.timeout(seconds):
            while (code := self.returncode) is None:  # noqa: ASYNC110  another process writes it
                await asyncio.sleep(0.005)
        return code

    def heeds(self, number: signal.Signals) -> bool:
        """Whether it has a say in what this signal does."""
        caught = next(line for line in self.status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)

    @property
    def status(self) -> str:
        """What the system tells of it."""
        return Path(f"/proc/{self.pid}/status").read_text()

    @property
    def last_words(self) -> str:
        return self.said.read_text(errors="replace")


class Nursery:
    """The tests' end of the pipe to the process that forks."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def begin(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, said: Path, waits: bool = False
    ) -> Life:
        """A new life. `waits`: it stands still until it gets a SIGCONT, so that it can be watched from the start."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            atexit.register(self.close)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wish = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "said": str(said),
            "waits": waits,
        }
        said.unlink(missing_ok=True)
        said.with_suffix(".code").unlink(missing_ok=True)
        self._process.stdin.write(json.dumps(wish).encode() + b"\n")
        self._process.stdin.flush()
        return Life(int(self._process.stdout.readline()), said)

    def close(self) -> None:
        """Whoever still lives ends with it."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(20)
            self._process.stdout.close()
            self._process = None


NURSERY = Nursery()


# The other side


def main() -> None:
    """Fork a life for each line on stdin, answer with its pid, and write down how each ended."""
    import bot.app
    import bot.cli  # noqa: F401  so that no life has to

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lives: dict[int, Path] = {}
    unread = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(lives)
        if 0 in ready:
            came = os.read(0, 65536)
            if not came:
                break
            *lines, unread = (unread + came).split(b"\n")
            for line in lines:
                wish = json.loads(line)
                lives[pid := _fork(wish)] = Path(wish["said"])
                os.write(1, f"{pid}\n".encode())
    for pid in lives:
        os.kill(pid, signal.SIGKILL)


def _bury(lives: dict[int, Path]) -> None:
    for pid in list(lives):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = lives.pop(pid).with_suffix(".code")
            code.with_suffix(".tmp").write_text(str(os.waitstatus_to_exitcode(status)))
            code.with_suffix(".tmp").rename(code)


def _fork(wish: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = _live(wish)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _live(wish: dict[str, Any]) -> int:
    from bot.cli import main as command
    from tests.faults.doom import heed

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(wish["folder"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, os.devnull, os.O_WRONLY), (2, wish["said"], None)):
        opened = os.open(path, flags if flags is not None else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    random.seed()
    if wish["waits"]:
        ctypes.CDLL(None).prctl(_PTRACER, _ANYBODY, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    heed(os.environ)
    _quicken(os.environ)
    return command(wish["arguments"])


def _quicken(environment: Mapping[str, str]) -> None:
    """What a test cannot wait for, and where its web is."""
    import bot.app
    from bot import distributed
    from bot.slack import pace, read_back
    from handlers import attempts, handing

    read_back._SOON, read_back._SETTLE = _SOON, _SETTLE
    for limits in (pace.LIMITS, pace.PER_CHANNEL):
        for name, limit in limits.items():
            limits[name] = pace.Limit(per_minute=limit.per_minute * _HASTE, burst=limit.burst * _HASTE)
    if heartbeat := environment.get("TEST_HEARTBEAT"):
        distributed.HEARTBEAT, distributed.LOST = float(heartbeat), 3 * float(heartbeat)
        distributed._POLL = min(1.0, float(heartbeat) / 2)
    handing.GRACE = timedelta(seconds=float(environment.get("TEST_GRACE", "10")))
    attempts.LEASE = timedelta(seconds=float(environment.get("TEST_LEASE", "60")))
    if port := environment.get("TEST_WEB_PORT"):
        from tests.bot.sources.test_over_sockets import Server, room

        vars(bot.app)["ReadingRoom"] = lambda: room(Server(port=int(port)))
    if pages := environment.get("TEST_CHECKPOINT_PAGES"):
        _checkpoint_every(int(pages))
    if synchronous := environment.get("TEST_SYNCHRONOUS"):
        _wait_for_the_disk(synchronous)


def _checkpoint_every(pages: int) -> None:
    """A checkpoint of SQLite's after so many pages; connections that only read turn it off themselves."""
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}").close()
        return connection

    vars(sqlite3)["connect"] = connected


def _wait_for_the_disk(how: str) -> None:
    """Otherwise than the program says."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *values: Any) -> Self:
            return super().execute(statement.replace("synchronous=FULL", f"synchronous={how}"), *values)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any, **__: Any) -> Any:
            return super().cursor(Cursor)

    vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=Connection)


if __name__ == "__main__":
    main()
