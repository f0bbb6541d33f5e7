"""What Slack gave up delivering while the bot was away is found again: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.metrics import Metrics
from bot.playground.delivery import Ack, Kind, Retry
from bot.playground.scripted import ScriptedModels
from bot.playground.server import Call, Fault, Message, Playground
from bot.repair import Repair
from bot.slack.backlog import Backlog
from bot.slack.calls import build_client, build_session
from bot.slack.door import Door
from bot.slack.pace import Pace
from handlers.repair import Sight
from handlers.review import meaning
from tests.stories import workspace
from tests.stories.oracles import nothing_is_wrong
from tests.stories.workspace import PATIENCE, REVIEWERS, STACK, Team, at_work

BRIEF = "Announce that Zantafio has given the crown back"
CHECK, CROSS = "white_check_mark", "x"
MARK = "SELECT at FROM marks WHERE name = 'repair/channel/T0PLAY/C0LAUNCH'"
NOBODY_HEARD: tuple[float, ...] = ()  # an event that is not taken at once is given up


@dataclass
class House:
    """A Slack that goes on while the bot comes and goes."""

    slack: Playground
    models: ScriptedModels
    folder: Path
    off: timedelta = timedelta()  # of the bot's clock, against Slack's

    @asynccontextmanager
    async def life(self, *, by_http: bool = False) -> AsyncIterator[Team]:
        async with at_work(self.slack, self.models, self.folder, by_http=by_http) as us:
            yield us
            await us.quiet()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Nobody takes what Slack has to tell."""
        self.slack.go_down()
        yield
        await self.slack.until(lambda: not self.slack._delivery._tasks)
        self.slack.come_back()

    def now(self) -> datetime:
        """The bot's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.slack.workspace.seconds_ahead) + self.off

    def goes_to(self, hours: float) -> None:
        """Slack's clock and the bot's stand so many hours before now."""
        self.slack.workspace.seconds_ahead = -hours * 3600


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """The bot does not look by itself, but where a test says so: then it does when it should."""
    async with ScriptedModels() as models, Playground(retry_delays=NOBODY_HEARD) as slack:
        slack.pace(enabled=False)
        text = STACK.format(wire="openai", url=models.openai_url, review=REVIEWERS, more="")
        (tmp_path / "stack.toml").write_text(text)
        here = House(slack=slack, models=models, folder=tmp_path)
        monkeypatch.setattr("bot.app.utc_now", here.now)
        monkeypatch.setattr("bot.clock.SharedClock.look", idle_once)  # the database's clock goes on as ever
        if "by_itself" not in request.fixturenames:
            monkeypatch.setattr(Repair, "run", idle)
        yield here
        async with here.life() as us:
            await nothing_is_wrong(slack, models, us.bot.storage)


@pytest.fixture(params=["sqlite", "postgresql"])
def both_databases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "postgresql":
        monkeypatch.setattr(workspace, "POSTGRESQL", request.getfixturevalue("postgres"))


@pytest.fixture
def by_itself() -> None:
    """The bot looks by itself."""


async def idle(_: Repair) -> None:
    await asyncio.Event().wait()


async def idle_once(_: object) -> None: ...


@asynccontextmanager
async def repair_of(us: Team, **how: Any) -> AsyncIterator[Repair]:
    """A repairer of its own, as another process would have."""
    async with build_session() as session:
        client = build_client(us.slack.bot_token, us.slack.api_url, session)
        yield a_repair(us, client, **how)


def a_repair(us: Team, client: Any, **how: Any) -> Repair:
    def door() -> Door:
        review = us.bot.live.stack.review
        return Door(
            bot_user="UBOT",
            team="T0PLAY",
            prefix="",
            means_something=lambda emoji: meaning(emoji, review) is not None,
            now=us.bot.now,
        )

    return Repair(
        storage=us.bot.storage,
        backlog=Backlog(client, Pace(tick=lambda: asyncio.get_running_loop().time() * 1000), sleep=hurried),
        stack=lambda: us.bot.live.stack,
        door=door,
        now=us.bot.now,
        sleep=hurried,
        **how,
    )


async def hurried(seconds: float) -> None:
    await asyncio.sleep(seconds / 100)


async def sweep(us: Team) -> bool:
    async with repair_of(us) as repair:
        whole = await repair.sweep()
    await us.quiet()
    return whole


async def letters(us: Team) -> list[tuple[str, str]]:
    """Kind and key of everything that came in, in order."""
    return [(str(row["kind"]), str(row["key"])) for row in await us.rows("SELECT kind, key FROM inbox ORDER BY seq")]


async def verdicts(us: Team) -> list[str]:
    rows = await us.rows("SELECT who, what FROM ledger WHERE answer_id IS NOT NULL ORDER BY seq")
    return [f"{row['who']} {row['what']}" for row in rows if row["what"] in {"approve", "send_back", "withdraw"}]


async def mark(us: Team) -> Any:
    rows = await us.rows(MARK)
    return rows[0]["at"] if rows else None


def states(us: Team, root: Message) -> list[str]:
    return [message.state for message in us.in_thread(root, "verdict")]


def stages(us: Team, root: Message) -> list[str]:
    return [str(message.payload["stage"]) for message in us.in_thread(root, "card")]


@pytest.mark.usefixtures("both_databases")
@pytest.mark.parametrize("hours", [1 / 6, 2, 24])
async def test_after_an_absence_of_any_length_every_mention_and_reaction_is_handled_once(
    house: House, hours: float
) -> None:
    house.goes_to(hours + 0.2)
    async with house.life() as us:
        assert await sweep(us)
        root = await us.starts("final", BRIEF)
        text, card = us.last(root, "answer"), us.last(root, "review")
        ann, sam = us.person("ann"), us.person("sam")
        question = await sam.says("What do we say about the crown?")
        await us.asks(root, "status")
    house.goes_to(hours * 0.99)
    async with house.away():
        asked = [
            await ann.replies(root, "<@UBOT> critique is it humble enough?"),
            await ann.says("<@UBOT> draft Say that Palombia has a king again", channel="docs"),
            await sam.replies(question, "<@UBOT> draft Say what we say about the crown"),
        ]
        house.goes_to(hours * 0.5)
        await us.person("rae").reacts(CHECK, text)
        await sam.reacts(CHECK, card)
        asked.append(await ann.replies(root, "<@UBOT> status"))
        house.goes_to(0.0)
    assert len(house.slack.given_up) >= 6
    async with house.life() as us:
        assert await sweep(us)
        keys = [key for _, key in await letters(us)]
        for one in asked:
            assert keys.count(f"mention/T0PLAY/{one.channel}/{one.ts}") == 1
        assert sorted(await verdicts(us)) == ["U0RAE approve", "U0SAM approve"]
        assert states(us, root) == ["approved"]
        assert stages(us, root) == ["final", "critique"]
        assert [stages(us, house.slack.now(one)) for one in asked[1:3]] == [["draft"]] * 2
        before = await letters(us), len(house.slack.everything())
        assert await sweep(us)
        assert (await letters(us), len(house.slack.everything())) == before


async def test_a_clock_that_is_half_an_hour_fast_passes_nothing_over(house: House) -> None:
    house.off = timedelta(minutes=30)
    house.goes_to(2)
    async with house.life() as us:
        await sweep(us)
        house.goes_to(1)
        root = await us.starts("draft", BRIEF)
        await sweep(us)
    async with house.away():
        await us.person("ann").replies(root, "<@UBOT> critique")
        house.goes_to(0.1)
    async with house.life() as us:
        await sweep(us)
        assert stages(us, root) == ["draft", "critique"]


async def test_a_thread_that_began_long_ago_is_read_where_we_spoke_lately(house: House) -> None:
    house.goes_to(10 * 24)
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
        house.goes_to(6 * 24)
        await us.asks(root, "status")
        house.goes_to(2)
        await sweep(us)
    async with house.away():
        await us.person("ann").replies(root, "<@UBOT> critique")
        house.goes_to(0)
    async with house.life() as us:
        await sweep(us)
        assert stages(us, root) == ["draft", "critique"]


async def test_a_thread_that_is_gone_keeps_the_rest_of_its_channel_from_nothing(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
    async with house.away():
        await us.person("ann").replies(root, "<@UBOT> critique")
        asked = await us.person("ann").says("<@UBOT> draft Something else")
    async with house.life() as us:
        house.slack.faults.add("conversations.replies", Fault.ERROR("thread_not_found"), when=is_a_sweeps)
        assert await sweep(us)
        assert stages(us, root) == ["draft"]
        assert stages(us, house.slack.now(asked)) == ["draft"]


async def test_what_was_missed_is_handled_in_slacks_own_order(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
    async with house.away():
        ann = us.person("ann")
        for stage in ("critique", "polish", "draft"):
            await ann.replies(root, f"<@UBOT> {stage}")
    async with house.life() as us:
        await sweep(us)
        assert stages(us, root) == ["draft", "critique", "polish", "draft"]


async def test_an_approval_taken_back_meanwhile_is_withdrawn_and_can_be_given_again(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
        await us.reacts(CHECK, text)
    async with house.away():
        await us.person("rae").unreacts(CHECK, text)
    async with house.life() as us:
        await sweep(us)
        assert states(us, root) == ["approved", "withdrawn"]
        assert us.last(root, "review").state == "withdrawn"
        await sweep(us)
        assert await verdicts(us) == ["U0RAE approve", "U0RAE withdraw"]
        await us.reacts(CHECK, text)
        assert states(us, root) == ["approved", "withdrawn", "approved"]


@pytest.mark.usefixtures("both_databases")
async def test_what_was_said_by_a_button_stands_although_no_reaction_shows_it(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        await us.clicks("approve", us.last(root, "review"), person="rae")
        await sweep(us)
        assert (await verdicts(us), states(us, root)) == (["U0RAE approve"], ["approved"])
        await us.reacts(CHECK, us.last(root, "review"), person="rae")
    async with house.away():
        await us.person("rae").unreacts(CHECK, us.last(root, "review"))
    async with house.life() as us:
        await sweep(us)
        assert await verdicts(us) == ["U0RAE approve", "U0RAE approve", "U0RAE withdraw"]
        assert states(us, root) == ["approved"], "only the reaction is gone"
        await us.clicks("withdraw", us.last(root, "review"), person="rae")
        assert states(us, root) == ["approved", "withdrawn"]


@pytest.mark.parametrize("in_words", [True, False], ids=["a reason", "none"])
async def test_a_reason_for_a_click_is_found_again_too(house: House, *, in_words: bool) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        await sweep(us)
        await us.clicks("send_back", us.last(root, "review"), person="rae")
    async with house.away():
        if in_words:
            await us.person("rae").replies(root, "Say who made the crown")
    async with house.life() as us:
        await sweep(us)
        assert stages(us, root) == ["final"] * (1 + in_words)


async def test_a_reaction_given_and_taken_back_meanwhile_never_was(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
    async with house.away():
        await us.person("rae").reacts(CHECK, text)
        await us.person("rae").unreacts(CHECK, text)
    async with house.life() as us:
        await sweep(us)
        assert (await verdicts(us), states(us, root)) == ([], [])


async def test_whoever_counts_already_is_not_counted_again(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text, card = us.last(root, "answer"), us.last(root, "review")
        await us.reacts(CHECK, text)
    async with house.away():
        await us.person("rae").reacts(CHECK, card)
        await us.person("stan").reacts(CHECK, card)
    async with house.life() as us:
        await sweep(us)
        await sweep(us)
        assert states(us, root) == ["approved"]
        assert await verdicts(us) == ["U0RAE approve"] * 2  # two reactions, each of which can be taken back
        assert len(us.whispers("stan")) == 1  # why it does not count
        await us.unreacts(CHECK, text)
        assert states(us, root) == ["approved"]
        await us.unreacts(CHECK, card)
        assert states(us, root) == ["approved", "withdrawn"]


async def test_a_delivery_that_comes_after_all_is_known_already(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
        house.slack._delivery.transport = held = Held()
        await us.person("rae").reacts(CHECK, text)
        asked = await us.person("ann").replies(root, "<@UBOT> critique")
        await house.slack.until(lambda: len(held.events) == 3)
        await sweep(us)
        house.slack._delivery.transport = house.slack
        said = await verdicts(us), states(us, root), stages(us, root)
        assert said == (["U0RAE approve"], ["approved"], ["final", "critique"])
        for payload in held.events:
            assert (await house.slack.attempt(Kind.EVENT, payload, Retry(attempt=3))).ok
            await us.quiet()
        assert (await verdicts(us), states(us, root), stages(us, root)) == said
        assert [key for _, key in await letters(us)].count(f"mention/T0PLAY/{asked.channel}/{asked.ts}") == 1
        await us.unreacts(CHECK, text)
        assert states(us, root) == ["approved", "withdrawn"]


class Held:
    """A way to the app on which everything gets stuck; acknowledged, so that nobody sends it again."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def attempt(self, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:  # noqa: ARG002  the port's shape
        self.events.append(payload)
        return Ack()


async def test_only_what_people_asked_and_still_stands_is_asked(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
    ann = us.person("ann")
    async with house.away():
        deleted = await ann.replies(root, "<@UBOT> critique")
        await ann.deletes(deleted)
        grave = await ann.says("<@UBOT> draft Something rash")
        await us.person("sam").replies(grave, "Are you sure?")
        await ann.deletes(grave)
        edited = await ann.replies(root, "<@UBOT> critque")
        await ann.edits(edited, "<@UBOT> polish")
        place = house.slack.channels["launch"]
        house.slack.workspace.post(place, text="<@UBOT> draft From a machine", bot_id="B0OTHER", subtype="bot_message")
        house.slack.workspace.post(
            place, text="<@UBOT> draft As ourselves", **house.slack.workspace.bot_fields(), thread_ts=root.ts
        )
        house.slack.workspace.post(place, text="<@UBOT> has joined the channel", user="UBOT", subtype="channel_join")
        house.slack.workspace.post(place, text="set the topic: <@UBOT> draft", user="U0ANN", subtype="channel_topic")
    async with house.life() as us:
        await sweep(us)
        assert stages(us, root) == ["draft", "polish"]
        assert len(await us.rows("SELECT 1 FROM works")) == 1


async def test_an_edit_made_while_we_listened_asks_for_nothing_later_either(house: House) -> None:
    async with house.life() as us:
        async with repair_of(us) as repair:
            await repair.sweep()
            root = await us.starts("draft", BRIEF)
            said = await us.person("ann").replies(root, "Shall we?")
            await us.person("ann").edits(said, "<@UBOT> critique")
            await us.quiet()
            assert await repair.sweep()
            await us.quiet()
        assert stages(us, root) == ["draft"]


async def test_what_is_told_while_we_look_is_told_once(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
        house.slack.workspace.react(house.slack.now(us.last(root, "review")), "UBOT", CHECK)
        house.slack.faults.add("reactions.get", Fault.SLOW(1.0), times=9)
        async with repair_of(us) as repair:
            house.slack._delivery.transport = held = Held()
            await us.person("rae").reacts(CHECK, text)
            await house.slack.until(lambda: held.events)
            house.slack._delivery.transport = house.slack
            sweeping = asyncio.create_task(repair.sweep())
            await house.slack.until(lambda: house.slack.calls_of("reactions.get"))
            payload = next(one for one in held.events if one["event"]["user"] == "U0RAE")
            assert (await house.slack.attempt(Kind.EVENT, payload, Retry())).ok
            assert await sweeping
        await us.quiet()
        assert [kind for kind, _ in await letters(us)] == ["request", "reaction"]
        assert await verdicts(us) == ["U0RAE approve"]


async def test_what_slack_has_just_told_us_is_not_gone_because_a_look_lags_behind(house: House) -> None:
    async with house.life() as us, repair_of(us) as repair:
        root = await us.starts("final", BRIEF)
        await us.reacts(CHECK, us.last(root, "answer"))
        look, looks = repair._backlog.reactions, 0

        async def lags(channel: str, ts: str) -> Sight:
            nonlocal looks
            looks += 1
            return Sight(standing=frozenset()) if looks == 1 else await look(channel, ts)

        repair._backlog.reactions = lags  # type: ignore[method-assign]
        assert await repair.sweep()
        await us.quiet()
        assert (looks, states(us, root)) == (3, ["approved"])


@pytest.mark.usefixtures("both_databases")
async def test_two_processes_that_look_at_once_write_everything_once(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
    async with house.away():
        await us.person("rae").reacts(CHECK, text)
        await us.person("ann").replies(root, "<@UBOT> critique")
    async with house.life() as us:
        async with repair_of(us) as one, repair_of(us) as other:
            assert all(await asyncio.gather(one.sweep(), other.sweep(), one.sweep()))
        await us.quiet()
        assert (await verdicts(us), stages(us, root)) == (["U0RAE approve"], ["final", "critique"])


async def test_among_thousands_of_messages_none_is_overlooked(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
    ann, sam = us.person("ann"), us.person("sam")
    async with house.away():
        house.slack.workspace.happened.clear()  # nobody is there to be told; it only takes time
        first = await ann.says("<@UBOT> draft The first of them")
        for number in range(1_000):
            await sam.says(f"Chatter {number}")
            await sam.replies(root, f"Chatter {number} in the thread")
            if number == 500:
                await ann.replies(root, "<@UBOT> critique")
        last = await ann.says("<@UBOT> draft The last of them")
        house.slack.workspace.happened.append(house.slack._delivery.event)
    async with house.life() as us:
        assert await sweep(us)
        assert stages(us, root) == ["draft", "critique"]
        assert [stages(us, house.slack.now(one)) for one in (first, last)] == [["draft"], ["draft"]]
        assert len([call for call in house.slack.calls_of("conversations.history") if call.args.get("cursor")]) >= 5


async def missed(house: House) -> Message:
    """A text that waits, an approval and a critique nobody heard of; returns the root."""
    async with house.life() as us:
        await us.person("sam").says("Good morning")
        await sweep(us)
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
    async with house.away():
        await us.person("rae").reacts(CHECK, text)
        await us.person("ann").replies(root, "<@UBOT> critique")
        for number in range(250):
            await us.person("sam").says(f"Chatter {number}")
    return root


METHODS = ("conversations.history", "conversations.replies", "reactions.get", "users.conversations")


async def test_while_slack_says_too_fast_it_is_asked_later(house: House) -> None:
    root = await missed(house)
    async with house.life() as us:
        for method in METHODS:
            house.slack.faults.add(method, Fault.RATE_LIMITED(1), times=3)
        assert await sweep(us)
        assert (await verdicts(us), stages(us, root)) == (["U0RAE approve"], ["final", "critique"])


def is_a_sweeps(call: Call) -> bool:
    """Not one of those that look for our own posts, or at a text before it is approved."""
    return "latest" not in call.args and "include_all_metadata" not in call.args


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "fault",
    [Fault.SERVER_ERROR_BEFORE, Fault.HTML, Fault.ERROR("fatal_error"), Fault.ERROR("news_to_us")],
    ids=lambda fault: fault.error or fault.happening.name,
)
async def test_a_reading_that_breaks_off_counts_as_none(house: House, method: str, fault: Fault) -> None:
    root = await missed(house)
    async with house.life() as us:
        before = await mark(us)
        house.slack.faults.add(method, fault, when=is_a_sweeps)
        assert not await sweep(us)
        if method != "reactions.get":
            assert await mark(us) == before
        assert await sweep(us)
        assert str(await mark(us)) > str(before)
        assert (await verdicts(us), stages(us, root)) == (["U0RAE approve"], ["final", "critique"])


def on_a_later_page(call: Call) -> bool:
    return bool(call.args.get("cursor"))


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("reactions.get", is_a_sweeps),
        ("conversations.history", on_a_later_page),
        ("conversations.replies", is_a_sweeps),
    ],
)
async def test_a_process_that_dies_while_it_reads_is_followed_by_one_that_reads_again(
    house: House, method: str, when: Callable[[Call], bool]
) -> None:
    root = await missed(house)
    async with house.life() as us:
        before = await mark(us)
        house.slack.faults.add(method, Fault.HANG, when=when)
        async with repair_of(us) as repair:
            sweeping = asyncio.create_task(repair.sweep())
            await house.slack.until(lambda: any(call.fault == "HANG" for call in house.slack.calls))
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
        assert await mark(us) == before
    async with house.life() as us:
        assert await sweep(us)
        assert (await verdicts(us), stages(us, root)) == (["U0RAE approve"], ["final", "critique"])


async def test_without_the_scope_the_promise_is_smaller_and_said_once(house: House) -> None:
    root = await missed(house)
    withheld = {"channels:history", "groups:history", "im:history"}
    async with house.life() as us, repair_of(us) as repair:
        house.slack.scopes.difference_update(withheld)
        with structlog.testing.capture_logs() as logged:
            assert await repair.sweep()
            assert await repair.sweep()
        said = [entry["means"] for entry in logged if entry["event"] == "slack withholds a scope"]
        assert [words.partition(" (")[0] for words in said] == [
            "mentions made while the bot is down are not found again"
        ]
        found = [key.partition("/")[0] for _, key in await letters(us)]
        assert found == ["command", "reaction"]
        house.slack.scopes.update(withheld)
        assert await repair.sweep()
        await us.quiet()
        assert (await verdicts(us), stages(us, root)) == (["U0RAE approve"], ["final", "critique"])


async def test_a_place_that_refuses_us_keeps_no_other_waiting(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        there = await us.starts("draft", BRIEF, channel="docs")
        root = await us.starts("draft", f"{BRIEF} to the people")
    async with house.away():
        for where in (there, root):
            await us.person("ann").replies(where, "<@UBOT> critique")
    house.slack.remove_bot("docs")
    async with house.life() as us:
        assert await sweep(us)
        assert stages(us, root) == ["draft", "critique"]
        house.slack.invite_bot("docs")
        assert await sweep(us)
        assert stages(us, there) == ["draft", "critique"]


async def test_where_slack_does_not_name_everybody_nothing_is_concluded(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
        await us.reacts(CHECK, text)
        await us.person("sam").reacts(CHECK, text)
        await us.quiet()
        house.slack.workspace.reactors_shown_in_full = 1
        assert await sweep(us)
        assert states(us, root) == ["approved"]
        house.slack.workspace.reactors_shown_in_full = 2
    async with house.away():
        await us.person("rae").unreacts(CHECK, text)
        await us.person("sam").unreacts(CHECK, text)
    async with house.life() as us:
        assert await sweep(us)
        assert states(us, root) == ["approved", "withdrawn"]


async def test_a_reason_given_meanwhile_starts_the_next_final_and_no_other_words_do(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("final", BRIEF)
        await us.person("sam").replies(root, "I am reading it")
        await us.reacts(CROSS, us.last(root, "answer"), person="sam")
    async with house.away():
        await us.person("rae").replies(root, "Not my business")
        await us.person("sam").replies(root, "The crown was silver")
        await us.person("sam").replies(root, "And heavy")
    async with house.life() as us:
        await sweep(us)
        await sweep(us)
        assert stages(us, root) == ["final", "final"]
        notes = [row["note"] for row in await us.rows("SELECT note FROM runs ORDER BY seq")]
        assert notes == ["", "The crown was silver"]


async def test_words_said_before_anybody_asked_why_are_no_reason(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("final", BRIEF)
    async with house.away():
        await us.person("sam").replies(root, "I am reading it")
        await us.person("sam").reacts(CROSS, us.last(root, "answer"))
    async with house.life() as us:
        await sweep(us)
        await sweep(us)
        assert states(us, root) == ["changes_requested"]
        assert stages(us, root) == ["final"]
        await us.person("sam").replies(root, "The crown was silver")
        await us.quiet()
        assert stages(us, root) == ["final", "final"]


async def test_an_emoji_that_means_something_only_since_then_approves_nothing(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("final", BRIEF)
        await us.reacts("tada", us.last(root, "answer"))
    stack = house.folder / "stack.toml"
    stack.write_text(stack.read_text().replace(REVIEWERS, f'{REVIEWERS}\napprove = ["{CHECK}", "tada"]'))
    async with house.life() as us:
        await sweep(us)
        await sweep(us)
        assert (await verdicts(us), states(us, root)) == ([], [])
        newer = await us.starts("final", f"{BRIEF} at last")
    async with house.away():
        await us.person("rae").reacts("tada", us.last(newer, "answer"))
    async with house.life() as us:
        await sweep(us)
        assert states(us, newer) == ["approved"]


async def test_a_cancel_that_comes_late_stops_nothing_that_was_asked_after_it(house: House) -> None:
    async with house.life() as us:
        await sweep(us)
        root = await us.starts("draft", BRIEF)
    async with house.away():
        await us.person("ann").replies(root, "<@UBOT> cancel")
    async with house.life() as us:
        house.models.pace = 30.0
        await us.person("ann").replies(root, "<@UBOT> critique")
        await house.slack.until(lambda: len(house.models.requests) == 2)
        async with repair_of(us) as repair:
            await repair.sweep()
        house.models.pace = 0.0
        assert not await us.rows("SELECT 1 FROM inbox WHERE CAST(body AS TEXT) LIKE '%cancel%'")
        await us.asks(root, "cancel")


async def test_a_bot_that_is_new_answers_nothing_from_before_its_time(house: House) -> None:
    async with house.away():
        await house.slack.as_person("ann").says("<@UBOT> draft Is anybody there?")
    async with house.life() as us:
        await sweep(us)
        await sweep(us)
        assert await letters(us) == []


async def first_look(us: Team) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await us.rows("SELECT 1 FROM marks WHERE name = 'repair/done'"):  # noqa: ASYNC110  a row has no event
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("by_itself")
@pytest.mark.parametrize("by_http", [False, True])
async def test_a_bot_that_comes_back_finds_what_it_missed(house: House, *, by_http: bool) -> None:
    async with house.life(by_http=by_http) as us:
        await first_look(us)
        root = await us.starts("final", BRIEF)
    async with house.away():
        await us.person("rae").reacts(CHECK, us.last(root, "answer"))
        await us.person("ann").replies(root, "<@UBOT> critique")
    async with house.life(by_http=by_http) as us:
        await house.slack.until(lambda: len(us.in_thread(root, "card")) == 2)
        await house.slack.until(lambda: us.in_thread(root, "verdict"))
        await us.quiet()
        assert (states(us, root), stages(us, root)) == (["approved"], ["final", "critique"])


@pytest.mark.usefixtures("by_itself", "both_databases")
async def test_a_connection_that_was_lost_for_a_while_is_a_reason_to_look(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        async with house.away():
            await us.person("rae").reacts(CHECK, us.last(root, "answer"))
            await us.person("ann").replies(root, "<@UBOT> critique")
        assert len(house.slack.given_up) >= 2
        await house.slack.until(lambda: us.in_thread(root, "verdict"), timeout=PATIENCE)
        await house.slack.until(lambda: len(us.in_thread(root, "card")) == 2)
        await us.quiet()
        assert (states(us, root), stages(us, root)) == (["approved"], ["final", "critique"])


async def test_what_was_never_delivered_is_counted_as_missed(house: House) -> None:
    house.goes_to(2)
    async with house.life() as us:
        assert await sweep(us)
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
    async with house.away():
        await us.person("ann").replies(root, "<@UBOT> status")
        await us.person("rae").reacts(CHECK, text)
        house.goes_to(0)
    metrics = Metrics()
    async with house.life() as us:
        async with repair_of(us, metrics=metrics) as repair:
            assert await repair.sweep()
        await us.quiet()
    for kind in ("request", "reaction"):
        labels = {"kind": kind, "outcome": "missed"}
        assert metrics.registry.get_sample_value("countersign_letters_kept_total", labels) == 1


async def test_what_was_deleted_meanwhile_is_missed_and_said_once(house: House) -> None:
    async with house.life() as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
    async with house.away():
        await us.person("ann").deletes(text)
    async with house.life() as us:
        assert await sweep(us)
        assert us.last(root, "notice").says("Somebody deleted a part of text")
        assert await sweep(us)
        (told,) = us.in_thread(root, "notice")
        await us.reacts(CHECK, us.last(root, "review"))
        assert states(us, root) == ["superseded"]
        assert us.slack.now(told).ts == told.ts
