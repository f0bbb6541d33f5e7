"""What Slack says of people, places and messages; any doubt is "not known", never "fine"."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.playground.server import Fault, Message
from bot.slack.lookup import Lookup
from bot.slack.pace import Pace
from bot.slack.seen import digest_of
from handlers.ports import LookupFailed, Person, Place
from storage.records import Kind
from tests.bot.slack.desk import LAUNCH, Desk
from tests.bot.slack.test_chat import answer_of
from tests.fakes import open_database


@pytest.fixture
def lookup(desk: Desk) -> Lookup:
    pace = Pace(tick=desk.time.tick, sleep=desk.time.sleep)
    return Lookup(client=desk.client, pace=pace, tick=desk.time.tick, patience=10)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("U0ANN", Person(id="U0ANN")),
        ("U0GUS", Person(id="U0GUS", is_guest=True)),
        ("U0DEE", Person(id="U0DEE", is_deactivated=True)),
        ("U0ZOE", Person(id="U0ZOE", is_external=True)),
        ("UBOT", Person(id="UBOT", is_bot=True)),
    ],
)
async def test_a_person_is_who_slack_says(lookup: Lookup, who: str, expected: Person) -> None:
    assert await lookup.person(who) == expected


@pytest.mark.parametrize("code", ["user_not_found", "user_not_visible"])
async def test_a_person_whom_slack_never_shows_us_decides_nothing(desk: Desk, lookup: Lookup, code: str) -> None:
    desk.slack.faults.add("users.info", Fault.ERROR(code), times=1)
    assert await lookup.person("U0NOBODY") == Person(id="U0NOBODY", is_deactivated=True)


async def test_a_person_is_asked_for_each_time(desk: Desk, lookup: Lookup) -> None:
    assert (await lookup.person("U0RAE")).is_guest is False
    desk.slack.change_person("rae", is_ultra_restricted=True)
    assert (await lookup.person("U0RAE")).is_guest is True


KNOWN = {
    "id": "U0RAE", "team_id": "T0PLAY", "deleted": False, "is_bot": False, "is_restricted": False,
    "is_ultra_restricted": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"user": None},
        {"user": {"id": "U0SAM"}},
        {"user": {"id": "U0RAE", "team_id": "T0PLAY"}},
        {"user": {**KNOWN, "team_id": ""}},
        {"user": {**KNOWN, "deleted": "no"}},
        {"user": {**KNOWN, "is_restricted": None}},
    ],
)
async def test_a_person_half_told_is_not_known(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    await lookup.person("U0RAE")

    async def ask(*_: Any, **__: Any) -> dict[str, Any]:
        return {"ok": True, **answer}

    monkeypatch.setattr(lookup._calls, "ask", ask)
    with pytest.raises(LookupFailed):
        await lookup.person("U0RAE")


async def test_a_colleague_of_another_workspace_of_the_grid_is_one_of_us(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lookup.person("U0RAE")
    user = {
        "id": "U0FAR", "team_id": "T0FAR", "deleted": False, "is_bot": False, "is_restricted": False,
        "is_ultra_restricted": False, "enterprise_user": {"teams": ["T0FAR", "T0PLAY"]},
    }  # fmt: skip

    async def ask(*_: Any, **__: Any) -> dict[str, Any]:
        return {"ok": True, "user": user}

    monkeypatch.setattr(lookup._calls, "ask", ask)
    assert (await lookup.person("U0FAR")).is_external is False


FAILURES = {
    "lost": Fault.LOSE_REPLY,
    "hangs": Fault.HANG,
    "500": Fault.SERVER_ERROR_BEFORE,
    "HTML": Fault.HTML,
    "missing scope": Fault.ERROR("missing_scope"),
    "unheard of": Fault.ERROR("wrong_kind_of_leaves"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_whatever_goes_wrong_nothing_is_known(desk: Desk, failure: str) -> None:
    desk.slack.faults.add("*", FAILURES[failure], times=99)
    lookup = Lookup(client=desk.client, pace=Pace(), patience=0.3 if failure == "hangs" else 10)
    for question in (
        lookup.person("U0RAE"),
        lookup.members_of("S0REVIEW"),
        lookup.place(LAUNCH),
        lookup.message(LAUNCH, "1.000001"),
        lookup.messages(LAUNCH, "1.000001", ["1.000002"]),
    ):
        with pytest.raises(LookupFailed):
            await question


async def test_a_429_is_obeyed(desk: Desk, lookup: Lookup) -> None:
    desk.slack.faults.add("conversations.info", Fault.RATE_LIMITED(17))
    assert await lookup.place(LAUNCH) == Place(id=LAUNCH)
    assert any(seconds == pytest.approx(17, abs=1) for seconds in desk.time.asked)


async def test_a_429_is_not_waited_for_without_end(desk: Desk) -> None:
    desk.slack.faults.add("conversations.info", Fault.RATE_LIMITED(3_000))
    lookup = Lookup(client=desk.client, pace=Pace(), patience=0.2)
    with pytest.raises(LookupFailed):
        await lookup.place(LAUNCH)


async def test_the_members_of_a_group_are_kept_for_five_minutes_at_most(desk: Desk, lookup: Lookup) -> None:
    assert await lookup.members_of("S0REVIEW") == {"U0RAE", "U0SAM"}
    desk.slack.groups["S0REVIEW"] = ["U0RAE"]
    assert await lookup.members_of("S0REVIEW") == {"U0RAE", "U0SAM"}
    await desk.time.sleep(300)
    assert await lookup.members_of("S0REVIEW") == {"U0RAE"}


async def test_a_group_that_changed_is_asked_for_again(desk: Desk, lookup: Lookup) -> None:
    await lookup.members_of("S0REVIEW")
    desk.slack.groups["S0REVIEW"] = ["U0SAM"]
    await lookup.forget_group("S0REVIEW")
    assert await lookup.members_of("S0REVIEW") == {"U0SAM"}


async def test_a_group_that_changes_while_it_is_asked_for_is_asked_for_again(desk: Desk, lookup: Lookup) -> None:
    ask = lookup._ask

    async def while_it_changes(method: str, **arguments: str) -> dict[str, Any]:
        answer = await ask(method, **arguments)
        desk.slack.groups["S0REVIEW"] = ["U0SAM"]
        await lookup.forget_group("S0REVIEW")
        return answer

    lookup._ask = while_it_changes  # type: ignore[method-assign]  # as the test says
    assert await lookup.members_of("S0REVIEW") == {"U0RAE", "U0SAM"}
    lookup._ask = ask  # type: ignore[method-assign]
    assert await lookup.members_of("S0REVIEW") == {"U0SAM"}


async def test_what_one_process_hears_of_a_group_the_others_know(desk: Desk, tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        hears, decides = (Lookup(client=desk.client, pace=Pace(), storage=storage) for _ in range(2))
        assert await decides.members_of("S0REVIEW") == {"U0RAE", "U0SAM"}
        for left in (["U0SAM"], []):
            desk.slack.groups["S0REVIEW"] = left
            await hears.forget_group("S0REVIEW")
            assert await decides.members_of("S0REVIEW") == set(left)
        asked = len(desk.slack.calls_of("usergroups.users.list"))
        assert await decides.members_of("S0REVIEW") == set()
        assert len(desk.slack.calls_of("usergroups.users.list")) == asked, "what nobody changed is kept"


async def test_a_group_slack_does_not_tell_of_has_no_members_we_know(desk: Desk, lookup: Lookup) -> None:
    with pytest.raises(LookupFailed, match="no_such_subteam"):
        await lookup.members_of("S0NOBODY")
    desk.slack.plan_allows_groups = False
    with pytest.raises(LookupFailed, match="plan_upgrade_required"):
        await lookup.members_of("S0REVIEW")


async def test_a_place_is_what_slack_says(desk: Desk, lookup: Lookup) -> None:
    assert await lookup.place("C0PARTNERS") == Place(id="C0PARTNERS", is_external=True)
    assert await lookup.place("C0QUIET") == Place(id="C0QUIET", is_member=False)
    desk.slack.channels["docs"].is_archived = True
    assert await lookup.place("C0DOCS") == Place(id="C0DOCS", is_archived=True)
    direct = desk.slack.workspace.direct_message("U0ANN").id
    assert await lookup.place(direct) == Place(id=direct)


async def test_a_place_slack_does_not_show_us_is_one_we_are_not_in(lookup: Lookup) -> None:
    assert await lookup.place("C0SECRET") == Place(id="C0SECRET", is_member=False)


async def test_many_who_ask_for_an_ordinary_place_ask_slack_once_in_half_a_minute(desk: Desk, lookup: Lookup) -> None:
    places = await asyncio.gather(*(lookup.place(LAUNCH) for _ in range(40)))
    assert places == [Place(id=LAUNCH)] * 40
    await desk.time.sleep(29)
    desk.slack.channels["launch"].is_archived = True
    assert await lookup.place(LAUNCH) == Place(id=LAUNCH)
    await desk.time.sleep(1)
    assert await lookup.place(LAUNCH) == Place(id=LAUNCH, is_archived=True)
    assert len(desk.slack.calls_of("conversations.info")) == 2


async def test_who_needs_to_know_a_place_as_it_is_now_hears_nothing_older_than_five_seconds(
    desk: Desk, lookup: Lookup
) -> None:
    assert await lookup.place(LAUNCH) == Place(id=LAUNCH)
    desk.slack.channels["launch"].is_archived = True
    await desk.time.sleep(4.9)
    assert await lookup.place(LAUNCH, now=True) == Place(id=LAUNCH)
    await desk.time.sleep(0.1)
    assert await lookup.place(LAUNCH, now=True) == Place(id=LAUNCH, is_archived=True)
    assert len(desk.slack.calls_of("conversations.info")) == 2


@pytest.mark.parametrize("kind", [{}, {"is_channel": "yes"}, {"is_channel": False, "is_canvas": True}])
async def test_a_place_of_no_kind_we_know_is_strange(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch, kind: dict[str, Any]
) -> None:
    async def ask(*_: Any, **__: Any) -> dict[str, Any]:
        return {"channel": {"id": LAUNCH, "is_member": True, "is_archived": False, **kind}}

    monkeypatch.setattr(lookup._calls, "ask", ask)
    assert (await lookup.place(LAUNCH)).is_strange


@pytest.mark.parametrize("channel", ["C0PARTNERS", "C0QUIET", "C0DOCS"])
async def test_a_place_shared_archived_or_without_us_is_asked_for_each_time(
    desk: Desk, lookup: Lookup, channel: str
) -> None:
    desk.slack.channels["docs"].is_archived = True
    for _ in range(3):
        assert await lookup.place(channel) != Place(id=channel)
    assert len(desk.slack.calls_of("conversations.info")) == 3


async def test_a_place_slack_did_not_tell_of_is_asked_for_again(desk: Desk, lookup: Lookup) -> None:
    desk.slack.faults.add("conversations.info", Fault.ERROR("fatal_error"), times=1)
    with pytest.raises(LookupFailed):
        await lookup.place(LAUNCH)
    assert await lookup.place(LAUNCH) == Place(id=LAUNCH)


@pytest.mark.parametrize("sign", ["is_ext_shared", "is_shared", "is_pending_ext_shared"])
async def test_any_sign_of_sharing_makes_a_place_external(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    async def ask(*_: Any, **__: Any) -> dict[str, Any]:
        return {"channel": {"id": LAUNCH, "is_member": True, "is_archived": False, sign: True}}

    monkeypatch.setattr(lookup._calls, "ask", ask)
    assert (await lookup.place(LAUNCH)).is_external is True


@pytest.mark.parametrize("missing", ["id", "is_member", "is_archived"])
async def test_a_place_half_told_is_not_known(lookup: Lookup, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    told = {"id": LAUNCH, "is_member": True, "is_archived": False}
    del told[missing]

    async def ask(*_: Any, **__: Any) -> dict[str, Any]:
        return {"channel": told}

    monkeypatch.setattr(lookup._calls, "ask", ask)
    with pytest.raises(LookupFailed):
        await lookup.place(LAUNCH)


# Messages


async def test_a_message_is_found_alone_in_a_thread_and_without_knowing_the_thread(desk: Desk, lookup: Lookup) -> None:
    ann = desk.slack.as_person("ann")
    root = await ann.says("What of the <@U0RAE> & the `tapir`?")
    for number in range(3):
        await ann.replies(root, f"tapirs &lt;{number}")
    reply = desk.slack.thread(LAUNCH, root.ts)[2]

    found = await lookup.message(LAUNCH, root.ts)
    assert found is not None
    assert (found.text, found.author) == ("What of the @U0RAE & the `tapir`?", "U0ANN")
    for thread_ts in (root.ts, None):
        found = await lookup.message(LAUNCH, reply.ts, thread_ts=thread_ts)
        assert found is not None
        assert (found.ts, found.thread_ts, found.edited) == (reply.ts, root.ts, False)


async def test_a_message_that_is_gone_is_none(desk: Desk, lookup: Lookup) -> None:
    ann = desk.slack.as_person("ann")
    root = await ann.says("Soon gone")
    reply = await ann.replies(root, "me too")
    await ann.deletes(reply)
    assert await lookup.message(LAUNCH, reply.ts, thread_ts=root.ts) is None
    assert await lookup.message(LAUNCH, reply.ts) is None
    await ann.replies(root, "stays")
    await ann.deletes(root)
    assert await lookup.message(LAUNCH, root.ts) is None
    assert await lookup.message(LAUNCH, "1.000001") is None


async def test_a_message_of_blocks_alone_is_read_as_words(desk: Desk, lookup: Lookup) -> None:
    blocks = [
        {"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [
                {"type": "text", "text": "Ask "},
                {"type": "user", "user_id": "U0RAE"},
                {"type": "text", "text": " at "},
                {"type": "link", "url": "https://tapir.example"},
            ]},
            {"type": "rich_text_list", "style": "bullet", "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "first"}]},
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "second"}]},
            ]},
        ]},
        {"type": "section", "text": {"type": "mrkdwn", "text": "A &amp; <https://b.example|B>"}},
    ]  # fmt: skip
    place = desk.slack.channels["launch"]
    said = desk.slack.workspace.post(place, user="U0ANN", text="", blocks=blocks)
    found = await lookup.message(LAUNCH, said.ts)
    assert found is not None
    assert found.text == "Ask @U0RAE at https://tapir.example\nfirst\nsecond\nA & B (https://b.example)"


async def answered(desk: Desk) -> Message:
    work = await desk.work("tapir")
    await desk.owes(work, "a1", answer_of("A tapir & its <snout>: https://tapir.example"), kind=Kind.ANSWER)
    await desk.delivers()
    [answer] = desk.slack.by_bot("answer")
    return answer


async def test_the_digest_is_the_same_in_the_posts_reply_and_in_a_later_look(desk: Desk, lookup: Lookup) -> None:
    answer = await answered(desk)
    await desk.slack.as_person("rae").reacts("white_check_mark", answer)
    wanted = [answer.ts, answer.root_ts, "1.000001"]
    found = await lookup.messages(LAUNCH, answer.root_ts, wanted)
    assert found.keys() == {answer.ts, answer.root_ts}
    assert found[answer.ts].digest == (await desk.row("tapir/a1")).digest
    assert found[answer.root_ts].digest == (await desk.row("tapir/root")).digest


def _other_text(message: Message) -> dict[str, Any]:
    return {"text": message.text + "."}


def _other_block(message: Message) -> dict[str, Any]:
    return {"blocks": [*message.blocks, {"type": "divider", "block_id": "d"}]}


def _another_leaf(message: Message) -> dict[str, Any]:
    leaf = {"type": "text", "text": "A tapir", "style": {"bold": True}}
    section = {"type": "rich_text_section", "elements": [leaf]}
    return {"blocks": [{**message.blocks[0], "elements": [section]}]}


def _an_unfurl(_: Message) -> dict[str, Any]:
    return {"attachments": [{"title": "Tapirs", "from_url": "https://tapir.example"}]}


def _a_file(_: Message) -> dict[str, Any]:
    return {"files": [{"id": "F0TAPIR", "name": "tapir.png"}]}


@pytest.mark.parametrize("change", [_other_text, _other_block, _another_leaf, _an_unfurl, _a_file])
async def test_the_digest_tells_whatever_changes_for_a_reader(desk: Desk, lookup: Lookup, change: Any) -> None:
    answer = await answered(desk)
    before = (await desk.row("tapir/a1")).digest
    desk.slack.workspace.edit(answer, by="U0ADMIN", **change(answer))
    found = (await lookup.messages(LAUNCH, answer.root_ts, [answer.ts]))[answer.ts]
    assert found.digest != before
    assert found.edited


def test_the_digest_overlooks_what_nobody_sees() -> None:
    plain = {"text": "hello", "blocks": [{"type": "divider", "block_id": "x"}], "ts": "1", "reactions": []}
    same = {"text": "hello", "blocks": [{"type": "divider", "block_id": "y", "border": 0}], "ts": "2", "reply_count": 3}
    assert digest_of(plain) == digest_of(same) != digest_of({"text": "hello"})


async def test_a_long_thread_is_paged_through(desk: Desk, lookup: Lookup) -> None:
    ann = desk.slack.as_person("ann")
    root = await ann.says("A long story")
    replies = [await ann.replies(root, f"chapter {number}") for number in range(450)]
    wanted = [replies[0].ts, replies[449].ts]
    found = await lookup.messages(LAUNCH, root.ts, wanted)
    assert [found[ts].text for ts in wanted] == ["chapter 0", "chapter 449"]


async def test_nothing_wanted_asks_nothing(desk: Desk, lookup: Lookup) -> None:
    assert await lookup.messages(LAUNCH, "1.000001", []) == {}
    assert desk.slack.calls == []
