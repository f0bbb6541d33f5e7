"""One suite for each port, passed by the original and by its fake: what the handlers' tests rely on is so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from bot.app import new_id
from bot.clock import utc_now
from bot.models.assigned import AssignedModels
from bot.playground.scripted import Reply, ScriptedModels
from bot.slack.lookup import Lookup
from bot.slack.pace import Pace
from handlers.errors import ModelFailed
from handlers.ports import Assignment, Clock, LookupFailed, Models, NewId, Person, Place, Prompt, Slack, StopReason
from handlers.stack import Model
from tests.bot.slack.desk import LAUNCH, open_desk
from tests.fakes import FakeClock, FakeIds, FakeModels, FakeSlack, a_model, an_answer, at_no_cost, seen

BOTH = ["original", "fake"]


# Slack


@dataclass
class Workspace:
    """A Slack to look things up in, and what stands in it."""

    slack: Slack
    root: str
    reply: str


@pytest.fixture(params=BOTH)
async def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workspace]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            fake = FakeSlack("U0ANN", Person(id="U0GUS", is_guest=True), Person(id="U0DEE", is_deactivated=True))
            fake.groups = {"S0REVIEW": frozenset({"U0RAE", "U0SAM"})}
            fake.places = {LAUNCH: Place(id=LAUNCH)}
            fake.shows(seen(LAUNCH, "10.1", "Where is the marsupilami?"))
            fake.shows(seen(LAUNCH, "10.2", "In Palombia.", author="U0RAE", thread_ts="10.1"))
            yield Workspace(fake, "10.1", "10.2")
            return
        desk = await stack.enter_async_context(open_desk(tmp_path / "outbox.db", seconds=10))
        root = await desk.slack.as_person("ann").says("Where is the marsupilami?")
        reply = await desk.slack.as_person("rae").replies(root, "In Palombia.")
        pace = Pace(tick=desk.time.tick, sleep=desk.time.sleep)
        yield Workspace(Lookup(client=desk.client, pace=pace), root.ts, reply.ts)


@pytest.mark.parametrize(
    ("who", "is_guest", "is_deactivated"), [("U0ANN", False, False), ("U0GUS", True, False), ("U0DEE", False, True)]
)
async def test_a_person_is_told_with_their_traits(
    workspace: Workspace, who: str, *, is_guest: bool, is_deactivated: bool
) -> None:
    assert await workspace.slack.person(who) == Person(id=who, is_guest=is_guest, is_deactivated=is_deactivated)


async def test_the_members_of_a_group_are_told(workspace: Workspace) -> None:
    assert await workspace.slack.members_of("S0REVIEW") >= {"U0RAE", "U0SAM"}


async def test_a_place_is_told(workspace: Workspace) -> None:
    assert await workspace.slack.place(LAUNCH) == Place(id=LAUNCH)


async def test_a_place_slack_does_not_show_us_is_one_we_are_not_in(workspace: Workspace) -> None:
    assert await workspace.slack.place("C0SECRET") == Place(id="C0SECRET", is_member=False)


async def test_whom_nobody_knows_counts_as_gone(workspace: Workspace) -> None:
    assert await workspace.slack.person("U0NOBODY") == Person(id="U0NOBODY", is_deactivated=True)


async def test_the_members_of_a_group_that_nobody_knows_are_not_told(workspace: Workspace) -> None:
    with pytest.raises(LookupFailed):
        await workspace.slack.members_of("S0NOBODY")


async def test_a_message_is_found_by_its_place_in_or_out_of_a_thread(workspace: Workspace) -> None:
    root = await workspace.slack.message(LAUNCH, workspace.root)
    reply = await workspace.slack.message(LAUNCH, workspace.reply, thread_ts=workspace.root)
    assert root is not None
    assert reply is not None
    assert (root.text, root.author, root.channel, root.edited) == ("Where is the marsupilami?", "U0ANN", LAUNCH, False)
    assert (reply.text, reply.author, reply.thread_ts) == ("In Palombia.", "U0RAE", workspace.root)
    assert root.digest != reply.digest


async def test_a_message_that_is_not_there_is_none(workspace: Workspace) -> None:
    assert await workspace.slack.message(LAUNCH, "10.999999") is None


async def test_of_the_messages_wanted_those_that_stand_there_are_shown(workspace: Workspace) -> None:
    wanted = [workspace.reply, "10.999999"]
    found = await workspace.slack.messages(LAUNCH, workspace.root, wanted)
    assert {ts: one.text for ts, one in found.items()} == {workspace.reply: "In Palombia."}
    assert await workspace.slack.messages(LAUNCH, workspace.root, []) == {}


# the models


@dataclass
class Asked:
    models: Models
    url: str


@pytest.fixture(params=BOTH)
async def asked(request: pytest.FixtureRequest) -> AsyncIterator[Asked]:
    """Models of which `quick` answers, `cut` stops at its limit, and `broken` refuses to serve."""
    if request.param == "fake":
        failure = ModelFailed("broken refused the request (400).", code="bad_request")
        cut = an_answer("Once upon", "cut-1", stop=StopReason.LENGTH)
        yield Asked(FakeModels(quick="Houba.", cut=cut, broken=failure), "http://127.0.0.1:9/v1")
        return

    def answers(ask: Any) -> Reply | str:
        match ask.model:
            case "broken-1":
                return Reply(status=400)
            case "cut-1":
                return Reply(text="Once upon", stop=StopReason.LENGTH)
            case _:
                return "Houba."

    async with ScriptedModels(answers=answers) as endpoint:
        models = AssignedModels(environment={}, random=lambda: 0.0)
        yield Asked(models, endpoint.openai_url)
        await models.aclose()


def assignment(asked: Asked, key: str) -> Assignment:
    model = Model.model_validate(a_model(id=f"{key}-1", base_url=asked.url))
    return Assignment(key=key, model=model, timeout_seconds=20)


PROMPT = Prompt(system="Stage: draft", user="About marsupials", max_output_tokens=300)


async def test_a_model_answers_whole(asked: Asked) -> None:
    answer = await asked.models.ask(assignment(asked, "quick"), PROMPT, before=at_no_cost)
    assert (answer.text, answer.stop, answer.served_id) == ("Houba.", StopReason.FINISHED, "quick-1")
    assert answer.attempts == 1
    assert answer.usage.input_tokens is not None


async def test_a_model_that_stopped_at_its_limit_says_so(asked: Asked) -> None:
    answer = await asked.models.ask(assignment(asked, "cut"), PROMPT, before=at_no_cost)
    assert (answer.text, answer.stop) == ("Once upon", StopReason.LENGTH)


async def test_a_model_that_gave_nothing_is_one_sentence_with_its_name(asked: Asked) -> None:
    with pytest.raises(ModelFailed) as failed:
        await asked.models.ask(assignment(asked, "broken"), PROMPT, before=at_no_cost)
    assert "broken" in failed.value.sentence
    assert failed.value.code


# the clock and ids


@pytest.mark.parametrize("now", [utc_now, FakeClock()], ids=BOTH)
def test_now_has_its_zone(now: Clock) -> None:
    assert now().tzinfo is UTC
    assert now() <= now()


@pytest.mark.parametrize("make", [new_id, FakeIds()], ids=BOTH)
def test_ids_are_new_and_as_long_as_the_database_and_a_marker_want_them(make: NewId) -> None:
    made = [make("r") for _ in range(100)]
    assert len(set(made)) == 100
    assert all(one.startswith("r") and one.isalnum() and 8 <= len(one) <= 20 for one in made)
