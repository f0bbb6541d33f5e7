"""Somebody asks: a run in line with its card, or one sentence why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handlers.errors import Refusal
from handlers.incoming import Entrance, Reaction, Reason, Request, Verb
from handlers.ports import LookupFailed, Place
from handlers.request import Surroundings, again, check_place, decide
from handlers.stack import ChannelPolicy, StageName
from storage.records import Kind, Lane, Letter, RunState
from tests.fakes import FakeIds, a_model, a_stack, seen
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN, TAO, House, words_of


async def refusal(house: House, request: Request) -> str:
    with pytest.raises(Refusal) as refused:
        await house.takes(request)
    assert await house.outcome(request.key) is None  # whoever refuses it marks it
    return refused.value.sentence


def mention(stage: str | None, words: str = "", *, ts: str = "50.1", **more: Any) -> dict[str, Any]:
    return {"stage": stage, "words": words, "entrance": Entrance.MENTION, "thread_ts": ts, **more}


# opening work


async def test_a_command_opens_a_work_with_a_root_and_a_card(house: House) -> None:
    run = await house.asks("draft", "  Announce the open cage  ")
    work = await house.work(run.work_id)
    assert (work.brief, work.opened_by, work.thread_ts, work.in_human_thread) == (
        "Announce the open cage",
        ANN,
        None,
        False,
    )
    assert (run.state, run.note, run.target_id, run.lane) == (RunState.QUEUED, "", None, Lane.CONTENT)
    root, card = await house.said(run.work_id)
    assert (root.kind, card.kind) == (Kind.ROOT, Kind.CARD)
    assert words_of(root) == f"Announce the open cage\ndraft for @{ANN}"
    assert words_of(card) == "draft · queued · starting"


async def test_the_same_request_makes_one_run_however_often_it_is_delivered(house: House) -> None:
    request = house.request("draft", "Announce the open cage")
    for _ in range(3):
        await house.takes(request)
    runs = await house.runs()
    assert len(runs) == 1
    async with house.storage.reading() as saved:
        assert len(await saved.outbox.owed()) == 2
    assert await house.outcome(request.key) == f"run {runs[0].id}"


async def test_the_address_of_the_private_answer_is_forgotten_once_handled(house: House) -> None:
    request = house.request("draft", "Announce", reply_url="https://hooks.slack.com/commands/secret")
    await house.takes(request)
    async with house.storage.reading() as saved:
        kept = await saved.inbox.get(request.key)
    assert kept is not None
    assert "secret" not in str(kept.body)
    assert Request.from_json(kept.body) == replace(request, reply_url=None)


async def test_a_thread_that_may_be_ours_is_waited_for(house: House) -> None:
    run = await house.asks("draft", "Announce the open cage")
    ts = f"{house.now().timestamp() + 1:.6f}"  # of its root, which Slack shows before we know where it stands
    house.now.goes_on(minutes=1)
    asked = house.request("critique", "be harsh", entrance=Entrance.MENTION, thread_ts=ts)
    with pytest.raises(LookupFailed):
        await house.takes(asked)
    at_once = f"{house.now().timestamp() - 0.000_5:.6f}"  # half a millisecond before the reply: a program's
    with pytest.raises(LookupFailed):
        await house.takes(house.request(**mention("draft", "Say it at once", ts=at_once)))
    await house.takes(house.request(**mention("draft", "Say it shorter", ts="50.1")))  # began long before
    own = f"{house.now().timestamp():.6f}"
    await house.takes(house.request(**mention("draft", "Say it longer", ts=own)))  # begins with the mention itself
    async with house.storage.transaction() as saved:
        await saved.works.rooted(run.work_id, ts)
        await saved.outbox.sent(f"{run.work_id}/root", shown=1, ts=ts, digest=None, at=house.now())
    await house.takes(asked)
    assert {one.work_id for one in await house.runs() if one.request_key == asked.key} == {run.work_id}


async def test_a_mention_in_a_human_thread_opens_work_there_without_a_root(house: House) -> None:
    await house.takes(house.request(**mention("draft", "Say it shorter")))
    [run] = await house.runs()
    work = await house.work(run.work_id)
    assert (work.thread_ts, work.in_human_thread, work.brief) == ("50.1", True, "Say it shorter")
    assert [one.kind for one in await house.said(work.id)] == [Kind.CARD]
    assert run.note == ""  # the words are the brief already


async def test_a_second_mention_in_that_thread_is_a_note_to_the_same_work(house: House) -> None:
    await house.takes(house.request(**mention("draft", "Say it shorter")))
    await house.runs_all()
    await house.takes(house.request(**mention("critique", "be harsh", person=RAE)))
    first, second = await house.runs()
    assert second.work_id == first.work_id
    assert (second.note, second.asked_by) == ("be harsh", RAE)


async def test_a_second_run_waits_behind_the_first_and_its_card_says_so(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.posts()
    second = await house.asks("critique", work=await house.work(first.work_id))
    assert await house.card_of(second) == "critique · queued · after 1 run of this thread"


async def test_final_on_a_bare_brief_is_a_first_class_way(house: House) -> None:
    run = await house.asks("final", "Announce the open cage")
    assert run.state is RunState.QUEUED


# pointing at something


async def test_a_button_works_on_the_answer_it_stands_under(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    draft = await house.answer_of(first)
    work = await house.work(first.work_id)
    await house.asks("draft", work=work)
    await house.runs_all()
    run = await house.asks("critique", work=work, entrance=Entrance.BUTTON, target_id=draft.id)
    assert run.target_id == draft.id


async def test_pointing_at_a_text_and_asking_for_a_draft_is_a_revision(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    draft = await house.answer_of(first)
    run = await house.asks("draft", work=await house.work(first.work_id), target_id=draft.id, entrance=Entrance.BUTTON)
    assert run.revises


async def test_a_persons_message_crosses_when_somebody_points_at_it(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.2", "Every jungle will benefit.", author=STAN, thread_ts="60.1"))
    pointing = {"entrance": Entrance.SHORTCUT, "target_ts": "60.2", "thread_ts": "60.1"}
    await house.takes(house.request("critique", "be harsh", brief="For the jungle's newsletter", **pointing))
    [run] = await house.runs()
    work = await house.work(run.work_id)
    assert (work.brief, work.thread_ts) == ("For the jungle's newsletter", "60.1")
    assert run.note == "be harsh"
    [text] = await house.answers(work.id)
    assert (text.id, text.stage, text.text, text.author) == (
        run.target_id,
        "message",
        "Every jungle will benefit.",
        STAN,
    )

    await house.takes(house.request("critique", "again, please", **pointing))
    assert len(await house.answers(work.id)) == 1  # the same message is the same text


async def test_the_same_words_by_somebody_else_are_another_text(house: House) -> None:
    for ts, author in (("60.1", STAN), ("60.2", RAE), ("60.3", STAN)):
        house.slack.shows(seen(LAUNCH, ts, "Every jungle will benefit.", author=author, thread_ts="60.1"))
        await house.takes(house.request("critique", brief="x", target_ts=ts, thread_ts="60.1"))
    [first, *_] = await house.runs()
    assert [text.author for text in await house.answers(first.work_id)] == [STAN, RAE]


async def test_a_link_alone_opens_work_in_the_thread_it_leads_to(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.2", "Every jungle will benefit.", author=STAN, thread_ts="60.1"))
    house.slack.shows(seen(LAUNCH, "70.1", "Every river too.", author=STAN))
    await house.takes(house.request("critique", target_ts="60.2"))
    await house.takes(house.request("critique", target_ts="70.1"))
    works = [await house.work(run.work_id) for run in await house.runs()]
    assert [(work.thread_ts, work.in_human_thread, work.brief) for work in works] == [
        ("60.1", True, ""),
        ("70.1", True, ""),
    ]
    run = await house.asks("draft", "shorter", work=works[0])
    assert run.state is RunState.REFUSED
    assert "works from a brief" in (run.error or "")


async def test_a_link_to_a_message_in_a_works_thread_stays_in_that_work(house: House) -> None:
    await house.takes(house.request(**mention("draft", "Say it shorter", ts="60.1")))
    house.slack.shows(seen(LAUNCH, "60.7", "How about this?", author=STAN, thread_ts="60.1"))
    await house.takes(house.request("critique", "be harsh", target_ts="60.7"))
    first, second = await house.runs()
    assert second.work_id == first.work_id
    assert second.note == "be harsh"


@pytest.mark.parametrize("kind", [Kind.ROOT, Kind.CARD])
async def test_a_link_to_our_root_or_card_means_its_thread_and_not_its_words(house: House, kind: Kind) -> None:
    first = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    [message] = await house.said(first.work_id, kind)
    await house.takes(house.request("critique", "be harsh", target_ts=message.ts))
    _, run = await house.runs()
    assert (run.work_id, run.target_id, run.note) == (first.work_id, None, "be harsh")
    assert [answer.stage for answer in await house.answers(first.work_id)] == ["draft"]


async def test_a_link_to_an_answer_of_ours_means_that_answer(house: House) -> None:
    first = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    [part] = await house.said(first.work_id, Kind.ANSWER)
    await house.takes(house.request("critique", target_ts=part.ts))
    _, run = await house.runs()
    assert run.target_id == (await house.answer_of(first)).id


async def test_a_message_that_is_gone_is_said_to_be(house: House) -> None:
    told = await refusal(house, house.request("critique", target_ts="60.9"))
    assert told == "I cannot see that message any more. Point at one that is still there."


async def test_a_message_without_words_is_said_to_be(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.3", " \n"))
    told = await refusal(house, house.request("critique", target_ts="60.3"))
    assert told == "That message has no text that could be worked on. Point at one that has."


async def test_what_slack_cannot_store_is_made_visible(house: House) -> None:
    house.slack.shows(seen(LAUNCH, "60.4", "half a pair \ud83d and\x00nothing"))
    await house.takes(house.request("critique", brief="x", target_ts="60.4", thread_ts="60.4"))
    [run] = await house.runs()
    [text] = await house.answers(run.work_id)
    assert text.text == "half a pair \ufffd and␀nothing"


async def test_a_button_pressed_in_another_channel_is_refused(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    draft = await house.answer_of(first)
    request = house.request("critique", entrance=Entrance.BUTTON, channel="C0DOCS", target_id=draft.id, thread_ts="1.1")
    assert await refusal(house, request) == (
        "That message belongs to another channel. Ask there: what is said there stays there."
    )


async def test_a_button_that_names_nothing_of_ours_starts_nothing(house: House) -> None:
    request = house.request("critique", entrance=Entrance.BUTTON, target_id="a-forged", thread_ts="1.1")
    assert "`critique`" in await refusal(house, request)
    assert await house.runs() == []


# what is refused


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(id=LAUNCH, is_archived=True), "This channel is archived"),
        (Place(id=LAUNCH, is_external=True), "shared with another organisation"),
        (Place(id=LAUNCH, is_strange=True), "I do not know who reads along"),
        (Place(id=LAUNCH, is_member=False), "Invite me with `/invite @Countersign`"),
    ],
)
async def test_where_nothing_may_be_said_nothing_is_started(house: House, place: Place, says: str) -> None:
    house.slack.places[LAUNCH] = place
    assert says in await refusal(house, house.request("draft", "Announce"))
    assert await house.runs() == []


def test_a_shared_channel_is_open_where_the_operator_says_so() -> None:
    check_place(Place(id=LAUNCH, is_external=True), ChannelPolicy(external=True))


async def test_while_slack_does_not_say_nothing_is_started_nor_refused(house: House) -> None:
    house.slack.silent_about = {"place"}
    with pytest.raises(LookupFailed):
        await house.takes(house.request("draft", "Announce"))
    assert await house.runs() == []


@pytest.mark.parametrize("stage", ["critique", "polish"])
async def test_what_lacks_a_text_in_a_new_place_is_refused_with_a_way_out(house: House, stage: str) -> None:
    told = await refusal(house, house.request(stage, "Announce"))
    assert told.startswith(f"`{stage}` ")
    assert "Begin with a link to one" in told
    assert "`/draft …`" in told


async def test_what_lacks_a_text_in_a_work_is_a_refused_run_with_a_card(house: House) -> None:
    first = await house.asks("scout", "Announce")
    await house.runs_all()
    run = await house.asks("polish", work=await house.work(first.work_id))
    assert (run.state, run.ended_at) == (RunState.REFUSED, run.asked_at)
    assert (await house.card_of(run)).startswith("polish · not started · `polish` polishes a text; there is none")


async def test_a_text_that_is_still_being_made_is_waited_for(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.posts()
    run = await house.asks("critique", work=await house.work(first.work_id))
    assert run.state is RunState.QUEUED
    await house.runs_all()
    assert (await house.run(run)).state is RunState.ANSWERED


async def test_a_patch_that_is_still_being_made_is_no_text_of_the_content_lane(house: House) -> None:
    first = await house.asks("scout", "Announce")
    await house.runs_all()
    work = await house.work(first.work_id)
    await house.asks("implement", work=work)
    run = await house.asks("polish", work=work, entrance=Entrance.COMMAND)
    assert (run.lane, run.state) == (Lane.CONTENT, RunState.REFUSED)


@pytest.mark.parametrize(("of", "called"), [("scout", "scout"), ("critique", "critique")])
async def test_polish_and_final_take_texts_only(house: House, of: str, called: str) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    work = await house.work(first.work_id)
    other = await house.asks(of, work=work)
    await house.runs_all()
    run = await house.asks("final", work=work, entrance=Entrance.BUTTON, target_id=(await house.answer_of(other)).id)
    assert run.state is RunState.REFUSED
    assert f"`final` works on a text; a {called} is not one" in (run.error or "")


async def test_a_channel_that_allows_no_model_for_a_stage_says_which_rule(house: House) -> None:
    models = {"quick": a_model(jurisdiction="us"), "careful": a_model(trust=5, jurisdiction="cn")}
    house.stack = a_stack(models=models, channels={"default": {"jurisdictions": ["us"]}})
    told = await refusal(house, house.request("final", "Announce"))
    assert told.startswith("final cannot run here")
    assert (await house.asks("draft", "Announce")).state is RunState.QUEUED


async def test_a_brief_has_a_limit_and_says_it(house: House) -> None:
    told = await refusal(house, house.request("draft", "x" * 40_001))
    assert told == "That is 40,001 characters; a brief or note may have 40,000. Shorten it."
    assert (await house.asks("draft", "x" * 40_000)).state is RunState.QUEUED


async def test_a_request_without_a_stage_is_told_where_they_are_listed(house: House) -> None:
    told = await refusal(house, house.request(None, "hello"))
    assert told == "Say which stage you want: `@Countersign help` lists them."


async def test_two_who_open_one_thread_at_once_make_one_work(house: House) -> None:
    request = house.request(**mention("draft", "mine"))
    await house.keeps(Letter(key=request.key, kind="request", line="l", body={}, received_at=house.now()))
    opening = decide(request, Surroundings(work=None), None, house.stack, now=house.now, new_id=house.new_id)
    await house.takes(house.request(**mention("draft", "theirs", person=TAO)))
    from handlers.request import put_in_line

    async def late() -> None:
        async with house.storage.transaction() as saved:
            await put_in_line(opening, saved, ahead=0, now=house.now)

    with pytest.raises(Refusal, match="a moment ago"):
        await late()
    assert len(await house.runs()) == 1


# again


async def test_again_repeats_the_newest_request_in_the_name_of_who_says_so(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    work = await house.work(first.work_id)
    draft = await house.answer_of(first)
    await house.asks("critique", "be harsh", work=work, entrance=Entrance.BUTTON, target_id=draft.id)
    await house.runs_all()
    await house.takes(house.request(**mention(None, "and brief", ts=work.thread_ts or "", verb=Verb.AGAIN, person=RAE)))
    *_, run = await house.runs()
    assert (run.stage, run.note, run.asked_by, run.target_id) == ("critique", "be harsh\nand brief", RAE, draft.id)


async def test_again_repeats_a_run_that_failed_or_was_refused(house: House) -> None:
    first = await house.asks("scout", "Announce")
    await house.runs_all()
    work = await house.work(first.work_id)
    await house.asks("polish", work=work)
    await house.takes(house.request(**mention(None, ts=work.thread_ts or "", verb=Verb.AGAIN)))
    assert [run.stage for run in await house.runs()] == ["scout", "polish", "polish"]


async def test_a_note_asked_again_stays_its_writers_and_added_words_have_their_own(house: House) -> None:
    first = await house.asks("draft", "Announce")
    await house.runs_all()
    work = await house.work(first.work_id)
    await house.asks("critique", "mind the tail", work=work, person=RAE)
    await house.runs_all()
    for person, words in ((ANN, ""), (STAN, "and the ears")):
        await house.takes(
            house.request(**mention(None, words, ts=work.thread_ts or "", verb=Verb.AGAIN, person=person))
        )
    *_, repeated, longer = await house.runs()
    assert (repeated.asked_by, repeated.note, repeated.note_by) == (ANN, "mind the tail", (RAE,))
    assert (longer.note, longer.note_by) == ("mind the tail\nand the ears", (RAE, STAN))


async def test_whoever_has_a_sent_back_final_made_again_asked_for_it(house: House) -> None:
    text = await house.final()
    await house.reacts(RAE, text, "x")
    await house.says_why(RAE, text, "shorter")
    await house.runs_all()
    work = await house.work(text.work_id)
    await house.takes(house.request(**mention(None, ts=work.thread_ts or "", verb=Verb.AGAIN, person=SAM)))
    await house.runs_all()
    async with house.storage.reading() as saved:
        newest = (await saved.reviews.of_work(work.id))[-1]
    assert set(newest.authors) == {ANN, SAM}
    assert newest.asked_by == SAM


def test_again_where_nothing_was_asked_is_refused(house: House) -> None:
    with pytest.raises(Refusal, match="Nothing has been asked for in this thread yet"):
        again(house.request(None), Surroundings(work=None))


# values


def test_what_comes_in_survives_the_inbox(house: House) -> None:
    request = house.request("final", "ß", thread_ts="1.1", target_ts="1.2", target_id="a", brief="b", reply_url="u")
    assert Request.from_json(request.to_json()) == request
    assert Request.from_json(house.request(None).to_json()).stage is None
    reaction = Reaction(
        key="k", team="T", channel="C", message_ts="1.1", person="U", emoji="x", added=False, at=house.now()
    )
    assert Reaction.from_json(reaction.to_json()) == reaction
    reason = Reason(key="k", team="T", channel="C", thread_ts="1.1", person="U", words="w", at=house.now())
    assert Reason.from_json(reason.to_json()) == reason


def test_ids_and_times_are_the_callers(house: House) -> None:
    made = decide(
        house.request("draft", "Announce"), Surroundings(work=None), None, house.stack, now=house.now, new_id=FakeIds()
    )
    assert (made.work.id, made.run.id) == ("w000000000001", "r000000000002")
    assert made.run.asked_at == house.now()
    assert made.run.stage == StageName.DRAFT


# afresh


AFRESH: dict[str, Any] = {"verb": Verb.FRESH, "brief_alone": True}


async def test_a_fresh_start_begins_a_thread_of_its_own_from_the_brief_alone(house: House) -> None:
    first = await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    old = await house.work(first.work_id)
    run = await house.asks("draft", "be brief", thread_ts=old.thread_ts, person=RAE, **AFRESH)
    work = await house.work(run.work_id)
    assert work.id != old.id
    assert (work.brief, work.thread_ts, run.note) == ("Announce the open cage", None, "be brief")
    assert (work.opened_by, run.asked_by, run.note_by) == (RAE, RAE, (RAE,))
    assert work.carried is not None
    assert (work.carried.brief_by, ANN in work.carried.people) == (ANN, True), "the brief is still its author's"
    await house.runs_all()
    assert "The cage" not in house.models.asked[-1][1].user


async def test_a_fresh_start_where_there_is_no_work_begins_with_the_words(house: House) -> None:
    run = await house.asks("draft", "Announce the open cage", thread_ts="1790000000.000100", **AFRESH)
    work = await house.work(run.work_id)
    assert (work.brief, work.in_human_thread, work.opened_by, run.note) == ("Announce the open cage", False, ANN, "")
