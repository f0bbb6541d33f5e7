"""What is measured of a large place: several processes, a channel at Slack's limit, years of stored work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.playground.pace import POST_BURST, POSTS_A_SECOND
from bot.settings import async_database_url
from storage.database import Database
from tests.bench.fill import fill
from tests.bench.rounds import Both, Round, alone, at_once
from tests.bench.scene import Facts, Process, at_work
from tests.postgres import Server, server

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@contextmanager
def postgresql() -> Iterator[Server]:
    """One that keeps what it says it keeps; raises NoPostgreSQL."""
    with server(**DURABLE) as started:
        yield started


@dataclass(kw_only=True)
class Team:
    """One web and some workers on PostgreSQL, beside the bare listener.

    Attributes:
        alone: one request after the other, from which the service times are taken.
        each: what each process spent in `instant`, the web first.
        here_seconds: processor time of what stands around them, Slack and the model endpoint, in `alone`.
    """

    workers: int
    alone: Round
    each: Sequence[Facts]
    here_seconds: float
    postgres_seconds: float
    instant: Both
    slow: Both | None = None

    @property
    def alone_locked(self) -> float:
        """Seconds a lone run holds the writers' lock, all its writes together."""
        return (self.alone.after.locked_seconds - self.alone.before.locked_seconds) / len(self.alone.timings)

    @property
    def alone_writes(self) -> float:
        return (self.alone.after.locked - self.alone.before.locked) / len(self.alone.timings)

    @property
    def alone_cpu(self) -> float:
        return (self.alone.after.cpu_seconds - self.alone.before.cpu_seconds) / len(self.alone.timings)


async def teams(
    one: Server, folder: Path, *, workers: Sequence[int], count: int, model_seconds: float, times: int
) -> AsyncIterator[Team]:
    """The same crowd for each number of workers; the bare listener has its turn beside each."""
    async with AsyncExitStack() as scene:
        bare = await scene.enter_async_context(at_work("bare", made(folder / "bare"), roles=["bare"]))
        await alone(bare, "draft", 2)
        for number in workers:
            roles = ["web", *["worker"] * number]
            url = await asyncio.to_thread(one.fresh)
            place = made(folder / f"team{number}")
            async with at_work(f"team{number}n", place, roles=roles, database_url=url) as team:
                yield await _one_team(one, team, bare, number, count, model_seconds, times)


async def _one_team(
    one: Server, team: Process, bare: Process, workers: int, count: int, model_seconds: float, times: int
) -> Team:
    await at_once(team, "draft", 4 * workers)  # whatever is done only once
    here, postgres = time.process_time(), _cpu_of(one)
    lone = await alone(team, "draft", times)
    here, postgres = time.process_time() - here, _cpu_of(one) - postgres
    before = await team.facts_of_each()
    instant = Both(bare=await at_once(bare, "draft", count), bot=await at_once(team, "draft", count))
    after = await team.facts_of_each()
    done = Team(
        workers=workers,
        alone=lone,
        each=[_since(was, is_) for was, is_ in zip(before, after, strict=True)],
        here_seconds=here,
        postgres_seconds=postgres,
        instant=instant,
    )
    if model_seconds:
        for process in (team, bare):
            process.models.pace = model_seconds
        done.slow = Both(bare=await at_once(bare, "draft", count), bot=await at_once(team, "draft", count))
        bare.models.pace = 0.0
    return done


def _since(was: Facts, is_: Facts) -> Facts:
    return Facts(
        rss_kib=is_.rss_kib,
        cpu_seconds=is_.cpu_seconds - was.cpu_seconds,
        transactions=is_.transactions - was.transactions,
        locked=is_.locked - was.locked,
        locked_seconds=is_.locked_seconds - was.locked_seconds,
    )


def _cpu_of(one: Server) -> float:
    """Seconds that PostgreSQL's processes have used, those that ended too; 0 where there is no /proc."""
    assert one.process is not None
    root, ticks = str(one.process.pid), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if told[1] == root or stat.parent.name == root:
            ticks += sum(map(int, told[11:15] if stat.parent.name == root else told[11:13]))
    return ticks / 100


@dataclass(kw_only=True)
class Channel:
    """A channel in which more is asked for at once than Slack lets us say in a minute."""

    name: str
    asked: int
    answered: int
    refused_429: int
    share: float  # of the posts that Slack's limit allows after the first burst
    seconds: float
    posts: int


async def channels(one: Server, folder: Path, *, waiting: int, workers: int) -> list[Channel]:
    """The same channel with one process on SQLite and with several on PostgreSQL, side by side."""
    url = await asyncio.to_thread(one.fresh)
    places = [made(folder / "lone"), made(folder / "several")]
    found = await asyncio.gather(
        _channel("one process, SQLite", places[0], ["run"], waiting, None),
        _channel(f"web + {workers} workers, PostgreSQL", places[1], ["web", *["worker"] * workers], waiting, url),
    )
    return list(found)


async def _channel(name: str, folder: Path, roles: Sequence[str], waiting: int, url: str | None) -> Channel:
    async with at_work("channel", folder, roles=roles, as_shipped=True, database_url=url) as process:
        process.patience = 60.0 + 5 * waiting
        timings = await asyncio.gather(*(process.command("draft") for _ in range(waiting)))
        posts = [call for call in process.slack.calls if call.method == "chat.postMessage"]
        times = [call.at for call in posts if call.ok]
        return Channel(
            name=name,
            asked=waiting,
            answered=sum(not timing.problem and timing.last > 0 for timing in timings),
            refused_429=sum(call.status == 429 for call in process.slack.calls),
            share=share_of_limit(times),
            seconds=times[-1] - times[0],
            posts=len(times),
        )


def share_of_limit(times: Sequence[float]) -> float:
    """Posts a second over what Slack allows in a channel in the long run, once its burst is used up; 0 if it is not."""
    sustained = sorted(times)[POST_BURST:]
    return (len(sustained) - 1) / (sustained[-1] - sustained[0]) / POSTS_A_SECOND if len(sustained) > 1 else 0.0


@dataclass(kw_only=True)
class Stored:
    """One request at a time, on a database that holds so many runs already."""

    database: str
    rounds: dict[int, Round] = field(default_factory=dict)
    bare: Round | None = None
    mib: dict[int, float] = field(default_factory=dict)


async def stored(name: str, folder: Path, urls: Mapping[int, str], *, times: int) -> Stored:
    """Fill a database for each size, then ask by turns."""
    told = Stored(database=name)
    for count, url in urls.items():
        async with Database(url) as database:
            await fill(database, count)
            told.mib[count] = await _mib(database)
    async with AsyncExitStack() as scene:
        houses: dict[int, Process] = {}
        for count, url in urls.items():
            place = made(folder / f"{name}{count}")
            roles = ["run"] if name == "SQLite" else ["web", "worker"]
            houses[count] = await scene.enter_async_context(
                at_work(f"stored{count}n", place, roles=roles, database_url=url)
            )
        bare = await scene.enter_async_context(at_work("bare", made(folder / f"{name}bare"), roles=["bare"]))
        for process in (*houses.values(), bare):
            await alone(process, "draft", 2)
        turns = [
            {key: await alone(house, "draft", 1) for key, house in {**houses, 0: bare}.items()} for _ in range(times)
        ]
        joined = {key: _joined([turn[key] for turn in turns]) for key in turns[0]}
        told.bare = joined.pop(0)
        told.rounds = joined
    return told


async def _mib(database: Database) -> float:
    size = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if database.is_sqlite
        else "SELECT pg_database_size(current_database())"
    )
    async with database.reading() as saved:
        return float((await saved.connection.exec_driver_sql(size)).scalar_one()) / 2**20


def _joined(rounds: Sequence[Round]) -> Round:
    return Round(
        timings=[timing for one in rounds for timing in one.timings],
        seconds=sum(one.seconds for one in rounds),
        before=rounds[0].before,
        after=rounds[-1].after,
    )


async def ready(folder: Path, new_url: Callable[[], str] | None, counts: Sequence[int]) -> dict[int, float]:
    """Seconds from the beginning of the program to a connection to Slack, with so many open runs in its database."""
    found = {}
    for count in counts:
        place = made(folder / f"ready{count}")
        url = await asyncio.to_thread(new_url) if new_url else sqlite_url(place)
        async with Database(url) as database:
            await fill(database, count, state="")
        roles = ["web", "worker"] if new_url else ["run"]
        async with at_work("ready", place, roles=roles, database_url=url, clean_end=False) as process:
            found[count] = process.ready_seconds
    return found


def sqlite_url(folder: Path) -> str:
    return async_database_url(f"sqlite:///{folder / 'countersign.db'}")


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
