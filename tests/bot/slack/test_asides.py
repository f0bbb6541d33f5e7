"""What is said beside the outbox: statuses, private answers, modals; at best once."""

from __future__ import annotations

from typing import Any

import pytest

from bot.fence import fenced
from bot.playground.server import Fault
from bot.slack.calls import build_client
from handlers.words import Body, Who, line
from tests.bot.slack.desk import LAUNCH, Desk, said


async def test_a_status_is_shown_and_taken_away(desk: Desk) -> None:
    work = await desk.work("heron")
    await desk.delivers()
    work = await desk.again(work)
    assert work.thread_ts
    await desk.chat.show_status(work, "is thinking")
    assert desk.slack.status("launch", work.thread_ts) == "is thinking"
    await desk.chat.show_status(work, "")
    assert desk.slack.status("launch", work.thread_ts) == ""


async def test_a_status_finds_a_thread_that_began_after_it_was_asked_for(desk: Desk) -> None:
    work = await desk.work("dugong")
    await desk.delivers()
    await desk.chat.show_status(work, "is thinking")
    assert desk.slack.calls_of("assistant.threads.setStatus")[-1].args["status"] == "is thinking"


async def test_whoever_lost_the_run_shows_no_status_and_breaks_nothing(desk: Desk) -> None:
    async def lost() -> bool:
        return False

    work = await desk.work("serval", thread_ts="1793717320.000100")
    with fenced(lost):
        await desk.chat.show_status(work, "is drafting")
    assert desk.slack.calls_of("assistant.threads.setStatus") == []


async def test_where_statuses_are_refused_we_stop_asking_for_a_while(desk: Desk) -> None:
    work = await desk.work("bittern")
    await desk.delivers()
    work = await desk.again(work)
    method = "assistant.threads.setStatus"
    desk.slack.faults.add(method, Fault.ERROR("missing_scope"))
    for _ in range(3):
        await desk.chat.show_status(work, "is thinking")
    assert len(desk.slack.calls_of(method)) == 1
    await desk.time.sleep(700)
    await desk.chat.show_status(work, "is thinking")
    assert len(desk.slack.calls_of(method)) == 2


async def test_a_private_answer_goes_by_the_commands_address_where_the_bot_is_no_member(desk: Desk) -> None:
    address = desk.slack._response_urls.new("U0ANN", "C0QUIET")
    body = Body(lines=(line("I am not in this channel, ", Who(person="U0ANN"), "."),), fallback="Not in this channel")
    await desk.chat.answer_privately(reply_url=address, channel="C0QUIET", person="U0ANN", thread_ts=None, body=body)
    [told] = desk.slack.ephemerals("ann")
    assert (told.channel, told.visible) == ("C0QUIET", "I am not in this channel, <@U0ANN>.")


@pytest.mark.parametrize("address", [None, "http://evil.example/reply", "spent"])
async def test_a_private_answer_without_a_usable_address_goes_to_the_channel(desk: Desk, address: str | None) -> None:
    spent = f"{desk.slack.url}/respond/nonesuch"
    asked = await desk.slack.as_person("ann").says("Anybody here?")
    await desk.chat.answer_privately(
        reply_url=spent if address == "spent" else address,
        channel=LAUNCH, person="U0ANN", thread_ts=asked.ts, body=said("Only me."),
    )  # fmt: skip
    [told] = desk.slack.ephemerals("ann")
    assert (told.visible, told.thread_ts) == ("Only me.", asked.ts)


class Lines:
    """A log that is read."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warning(self, event: str, **_: Any) -> None:
        self.warned.append(event)


@pytest.mark.parametrize("why", ["half an hour is over", "five answers were given"])
async def test_a_private_answer_whose_address_was_used_up_in_an_outage_goes_to_the_channel(
    desk: Desk, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = desk.slack._response_urls
    address = addresses.new("U0ANN", LAUNCH)
    if why.startswith("half"):
        later = addresses.clock() + 31 * 60
        monkeypatch.setattr(addresses, "clock", lambda: later)
    else:
        for number in range(5):
            addresses.answer(address.rpartition("/")[2], {"text": f"Answer {number}"})
    await desk.chat.answer_privately(
        reply_url=address, channel=LAUNCH, person="U0ANN", thread_ts=None, body=said("Late, but here.")
    )
    assert [told.visible for told in desk.slack.ephemerals("ann")][-1] == "Late, but here."
    assert len(desk.slack.calls_of("chat.postEphemeral")) == 1


async def test_a_private_answer_that_has_neither_address_nor_channel_any_more_is_given_up_with_a_line(
    desk: Desk,
) -> None:
    lines = Lines()
    await desk.another_chat(log=lines).answer_privately(
        reply_url=f"{desk.slack.url}/respond/nonesuch",
        channel="C0QUIET",
        person="U0ANN",
        thread_ts=None,
        body=said("Nobody hears this."),
    )
    assert lines.warned == ["the reply address was refused", "may not have been told"]
    assert desk.slack.ephemerals("ann") == []


async def test_a_private_answer_that_cannot_be_given_is_only_logged(desk: Desk) -> None:
    desk.slack.go_down()
    await desk.chat.answer_privately(
        reply_url=None, channel=LAUNCH, person="U0ANN", thread_ts=None, body=said("Hello?")
    )
    assert desk.slack.ephemerals("ann") == []


async def test_a_modal_opens_once_and_says_so(desk: Desk) -> None:
    trigger = desk.slack.workspace.views.new_trigger("U0ANN").id
    text = {"type": "section", "text": {"type": "plain_text", "text": "What did it see?"}}
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Context"}, "blocks": [text]}
    assert await desk.chat.open_view(trigger, view) is True
    assert await desk.chat.open_view(trigger, view) is True  # a second delivery of the click finds it open
    assert len(desk.slack.workspace.views._views) == 1


async def test_a_client_sends_everything_once_and_knows_no_proxy(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = build_client("xoxb-marsupilami", desk.slack.api_url, desk.session)
    assert (client.retry_handlers, client.proxy) == ([], None)
