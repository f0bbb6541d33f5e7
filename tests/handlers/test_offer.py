"""A mention asks for the four questions: a button offers them, in the thread or to one person alone."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.offer import LONGEST, somebody_wants_questions
from handlers.words import Body
from storage.records import Kind, Letter
from tests.handlers.house import House, words_of


async def kept(house: House, thread_ts: str, **more: Any) -> Request:
    said = {"entrance": Entrance.MENTION, "verb": Verb.ROUTE, "thread_ts": thread_ts, **more}
    request = house.request(None, key="mention/T0PLAY/C0LAUNCH/1790000000.000300", **said)
    await house.keeps(
        Letter(key=request.key, kind="request", line="l", body=request.to_json(), received_at=house.now())
    )
    return request


async def test_in_a_works_thread_it_is_a_notice_with_a_button_said_once(house: House) -> None:
    text = await house.final()
    thread_ts = (await house.work(text.work_id)).thread_ts or ""
    request = await kept(house, thread_ts)
    for _ in range(2):
        assert await somebody_wants_questions(request, storage=house.storage, now=house.now) is None
    [notice] = await house.said(text.work_id, Kind.NOTICE)
    assert words_of(notice) == "Which stage should own this? Four questions tell."
    [button] = Body.from_json(notice.body).buttons
    assert (button.action, button.label) == ("route", "Answer four questions")
    assert button.value == f"{thread_ts}/1790000000.000300"
    assert await house.outcome(request.key) == "offered the questions"


async def test_where_there_is_no_work_it_is_for_whoever_asked_alone(house: House) -> None:
    body = await somebody_wants_questions(await kept(house, "1.1"), storage=house.storage, now=house.now)
    assert body is not None
    assert body.buttons[0].value == "1.1/1790000000.000300"
    assert await house.runs() == []


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
async def test_what_the_form_cannot_hold_is_refused_before_it_is_offered(house: House, length: int) -> None:
    request = await kept(house, "1.1", words="x" * length)
    if length <= LONGEST:
        assert await somebody_wants_questions(request, storage=house.storage, now=house.now)
        return
    with pytest.raises(Refusal, match=r"That is 3,001 characters; the four questions take 3,000\. Shorten it\."):
        await somebody_wants_questions(request, storage=house.storage, now=house.now)
