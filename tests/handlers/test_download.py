"""The file of an approved text: who presses Download gets exactly what was approved, once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text as sql

from handlers.download import exact_bytes, somebody_downloads
from handlers.errors import Refusal
from handlers.incoming import Entrance, Verb
from storage.records import Answer, Kind, Letter, Message
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, House


async def presses(house: House, answer: Answer, *, by: str = ANN, **more: Any) -> None:
    work = await house.work(answer.work_id)
    said: dict[str, Any] = {
        "entrance": Entrance.BUTTON,
        "verb": Verb.DOWNLOAD,
        "person": by,
        "thread_ts": work.thread_ts,
        "target_id": answer.id,
        "channel": LAUNCH,
    }
    request = house.request(None, **(said | more))
    body = request.to_json()
    await house.keeps(Letter(key=request.key, kind="request", line=request.key, body=body, received_at=house.now()))
    await somebody_downloads(request, storage=house.storage, stack=house.stack, now=house.now)


async def files(house: House, answer: Answer) -> list[Message]:
    return await house.said(answer.work_id, Kind.FILE)


async def approved(house: House) -> Answer:
    answer = await house.final()
    await house.reacts(RAE, answer)
    await house.posts()
    return answer


async def test_the_approval_offers_the_file_and_nothing_before_it_does(house: House) -> None:
    answer = await house.final()
    assert not [one for one in await house.said(answer.work_id) if "download" in str(one.body["buttons"])]
    await house.reacts(RAE, answer)
    (said,) = await house.said(answer.work_id, Kind.VERDICT)
    (button,) = said.body["buttons"]
    assert (button["action"], button["label"], button["value"]) == ("download", "Download", answer.id)


async def test_the_file_names_its_work_its_version_and_its_bytes(house: House) -> None:
    answer = await approved(house)
    await presses(house, answer)
    (file,) = await files(house, answer)
    assert file.body["facts"] == {"file": f"{answer.work_id}-final-1-{answer.sha256[:12]}.md"}
    assert (file.answer_id, file.channel) == (answer.id, LAUNCH)
    assert exact_bytes(answer) == answer.text.encode()


async def test_a_second_press_is_told_alone_where_it_is(house: House) -> None:
    answer = await approved(house)
    await presses(house, answer)
    await presses(house, answer, by=SAM)
    assert len(await files(house, answer)) == 1
    (told,) = await house.told(SAM, answer.work_id)
    assert (
        told == f"The approved text is in this thread already, as `{answer.work_id}-final-1-{answer.sha256[:12]}.md`."
    )
    assert await house.told(ANN, answer.work_id) == []


async def test_what_slack_did_not_take_is_owed_again(house: House) -> None:
    answer = await approved(house)
    await presses(house, answer)
    (file,) = await files(house, answer)
    async with house.storage.transaction() as saved:
        await saved.outbox.give_up(file.slot, "missing_scope")
    await presses(house, answer, by=SAM)
    (again,) = await files(house, answer)
    assert again.is_owed
    assert await house.told(SAM, answer.work_id) == []


async def test_a_text_that_waits_has_no_file(house: House) -> None:
    answer = await house.final()
    with pytest.raises(Refusal, match=r"is not approved \(awaiting\)"):
        await presses(house, answer)
    assert await files(house, answer) == []


async def test_a_text_whose_approval_was_taken_back_has_no_file(house: House) -> None:
    answer = await approved(house)
    await house.unreacts(RAE, answer)
    with pytest.raises(Refusal, match=r"is not approved \(withdrawn\)"):
        await presses(house, answer)
    assert await files(house, answer) == []


async def test_an_answer_that_never_waited_has_none(house: House) -> None:
    run = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    with pytest.raises(Refusal, match="never waited for a reviewer"):
        await presses(house, await house.answer_of(run))


async def test_a_text_that_was_changed_in_the_database_has_none(house: House) -> None:
    answer = await approved(house)
    async with house.storage.engine.begin() as connection:
        await connection.execute(sql("UPDATE answers SET text = text || '.'"))
    with pytest.raises(Refusal, match="is not what was approved"):
        await presses(house, answer)
    assert await files(house, answer) == []


async def test_from_another_channel_there_is_no_file(house: House) -> None:
    answer = await approved(house)
    with pytest.raises(Refusal, match="another channel"):
        await presses(house, answer, channel="C0DOCS")
    assert await files(house, answer) == []
