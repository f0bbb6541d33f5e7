"""Which addresses a scout's run reads, what of their pages crosses, and what people are told of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.context import estimate_tokens
from handlers.ports import Source
from handlers.sources import LONGEST, MOST, Reading, Readings, addresses_in, hand_over
from handlers.stages import Reads
from storage.records import Kind, RunState
from tests.fakes import a_model, a_stack
from tests.handlers.house import LAUNCH, House, open_house

ANTS, BEES = "https://a.example/ants", "https://b.example/bees?all=1"
PLENTY = 1_000_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no address: a.example, www.a.example, ftp://a.example", []),
        ("https://a.example", ["https://a.example"]),
        ("HTTP://A.example/X and http://b.example.", ["HTTP://A.example/X", "http://b.example"]),
        (
            "(see https://a.example/x), <https://b.example/y>; “https://c.example/z”!",
            ["https://a.example/x", "https://b.example/y", "https://c.example/z"],
        ),
        ("the ants (https://a.example/Ant_(insect)) walk", ["https://a.example/Ant_(insect)"]),
        (
            "[ants](https://a.example/x) *https://b.example* `https://c.example`",
            ["https://a.example/x", "https://b.example", "https://c.example"],
        ),
        (
            "https://a.example/x?y=1&z=[2]#part, https://a.example/x",
            ["https://a.example/x?y=1&z=[2]#part", "https://a.example/x"],
        ),
        ("https://a.example https://a.example", ["https://a.example"]),
        ("Ants:https://a.example/x\nhttps://b.example|label", ["https://a.example/x", "https://b.example"]),
        ("xhttps://a.example", []),
        ("https://a.example/" + ")" * 50_000, ["https://a.example/"]),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_addresses_are_found_where_people_write_them(text: str, found: list[str]) -> None:
    assert list(addresses_in(text)) == found


def page(text: str, url: str = ANTS, *, title: str = "") -> Source:
    return Source(url=url, title=title, text=text, kind="html", fetched_bytes=len(text))


def read(*found: Source | str, more: int = 0) -> Readings:
    """Readings of n.example, in order: a page, or why there is none."""
    return Readings(
        read=tuple(
            Reading(
                number=n,
                url=f"https://n{n}.example/x",
                page=one if isinstance(one, Source) else None,
                why_not=one if isinstance(one, str) else "",
            )
            for n, one in enumerate(found, 1)
        ),
        more=more,
    )


def test_a_short_page_crosses_whole_with_its_title_and_address() -> None:
    readings = Readings(read=(Reading(number=1, url=BEES, page=page("They hum.", BEES, title="Bees")),))
    (item,) = hand_over(readings, room=PLENTY).items
    assert (item.reads, item.title) == (Reads.SOURCES, "source 1: b.example/bees?…")
    assert item.text == f"Title: Bees\nAddress: {BEES}\n\nThey hum."


def test_a_page_that_led_elsewhere_says_where() -> None:
    readings = Readings(read=(Reading(number=1, url=ANTS, page=page("x", "https://c.example/new")),))
    (item,) = hand_over(readings, room=PLENTY).items
    assert "It led on to: https://c.example/new\n" in item.text
    assert item.title == "source 1: a.example/ants"


def test_a_long_page_is_cut_at_a_paragraph_and_both_readers_are_told() -> None:
    text = "\n\n".join(f"{number} ants walk in a line and carry leaves." for number in range(1_000))
    handed = hand_over(read(page(text)), room=PLENTY)
    (item,) = handed.items
    kept, _, told = item.text.rpartition("\n\n")
    assert LONGEST // 2 < len(kept) <= LONGEST
    assert kept.endswith("carry leaves.")
    assert told.startswith(f"[cut here: these are the first {len(kept):,} of ")
    assert handed.remarks == ("Of source 1 (n1.example) only the beginning was read.",)


@pytest.mark.parametrize("text", ["x" * 90_000, "蟻" * 90_000, "1" * 90_000, "a\n" * 45_000, "\n\n" + "a " * 45_000])
@pytest.mark.parametrize("room", [3_000, 20_000, PLENTY])
def test_pages_stay_within_the_room_there_is(text: str, room: int) -> None:
    handed = hand_over(read(page(text), page("short"), page(text), "it answered HTTP 404"), room=room)
    assert sum(estimate_tokens(item.title + item.text) for item in handed.items) <= room
    assert all(len(item.text) <= LONGEST + 100 for item in handed.items)
    assert any(item.text.endswith("short") for item in handed.items)


def test_a_short_page_leaves_its_room_to_the_long_ones() -> None:
    long = "ants walk " * 3_000
    alone = hand_over(read(page(long), page(long)), room=4_000).items
    beside = hand_over(read(page(long), page("short"), page("short")), room=4_000).items
    assert len(beside[0].text) > 1.5 * len(alone[0].text)


def test_where_there_is_no_room_a_page_is_said_to_be_unread() -> None:
    handed = hand_over(read(page("ants " * 900)), room=-5_000)
    assert [item.reads for item in handed.items] == [Reads.UNREAD]
    assert handed.remarks == ("Source 1 (n1.example) was not read: the model has no room left for it.",)


def test_the_model_is_told_in_a_line_each_which_could_not_be_read() -> None:
    handed = hand_over(read("it answered HTTP 404", page("ants"), "PDFs are not read yet", more=2), room=PLENTY)
    source, unread = handed.items
    assert source.title == "source 2: n2.example/x"
    assert unread.reads is Reads.UNREAD
    assert (
        tuple(unread.text.split("\n"))
        == handed.remarks
        == (
            "Source 1 (n1.example) was not read: it answered HTTP 404.",
            "Source 3 (n3.example) was not read: PDFs are not read yet.",
            f"2 more addresses not read: a scout reads {MOST} at most.",
        )
    )


def test_no_card_repeats_a_password_or_a_line_without_end() -> None:
    for url in ("https://ann:secret@a.example/x", "https://ann:secret@" + "a" * 300 + ".example/" + "x" * 300):
        unread = hand_over(Readings(read=(Reading(number=1, url=url, why_not="it is refused"),)), room=PLENTY)
        found = hand_over(Readings(read=(Reading(number=1, url=url, page=page("x")),)), room=PLENTY)
        for said in (*unread.remarks, found.items[0].title):
            assert "secret" not in said
            assert len(said) < 120


# the whole run, in a house without Slack


async def test_a_scout_reads_what_brief_and_note_name_each_once_and_at_most_five(house: House) -> None:
    for number in range(1, 8):
        house.sources.holds(f"https://n{number}.example/", f"Ants of field {number}.")
    brief = " ".join(f"https://n{number}.example/" for number in (1, 2, 1, 3))
    run = await house.asks("scout", f"Read {brief} and https://n1.example/#part")
    await house.runs_all()
    assert house.sources.asked == [f"https://n{number}.example/" for number in (1, 2, 3)]

    work = await house.work(run.work_id)
    again = await house.asks(
        "scout", "https://n4.example/ https://n5.example/, https://n6.example/ https://n7.example/", work=work
    )
    house.sources.asked.clear()
    await house.runs_all()
    assert house.sources.asked == [f"https://n{number}.example/" for number in (1, 2, 3, 4, 5)]
    assert "2 more addresses not read: a scout reads 5 at most." in await house.card_of(again)
    _, prompt = house.models.asked[-1]
    assert [f"Ants of field {number}." in prompt.user for number in range(1, 8)] == [True] * 5 + [False] * 2


@pytest.mark.parametrize("stage", ["draft", "critique", "implement", "polish", "final"])
async def test_no_other_stage_reads_anything(house: House, stage: str) -> None:
    first = await house.asks("draft", f"Write about {ANTS}")
    await house.runs_all()
    await house.asks(stage, f"mind {BEES}", work=await house.work(first.work_id))
    await house.runs_all()
    assert house.sources.asked == []


async def test_addresses_that_models_write_are_never_read(house: House) -> None:
    house.models.scripts["quick"] = [f"## Findings\nRead {BEES} [1]"]
    house.sources.holds(ANTS, f"More at {BEES}.")
    run = await house.asks("scout", f"Read {ANTS}")
    await house.runs_all()
    for stage in ("draft", "scout"):
        await house.asks(stage, "go on", work=await house.work(run.work_id))
        await house.runs_all()
    assert set(house.sources.asked) == {ANTS}


async def test_what_was_read_is_in_the_manifest_and_what_was_not_is_on_the_card(house: House) -> None:
    house.sources.holds(ANTS, "They are small.", title="Ants")
    run = await house.asks("scout", f"Compare {ANTS} with {BEES}")
    await house.runs_all()
    card = await house.card_of(run)
    assert "Source 2 (b.example) was not read: it answered HTTP 404." in card
    assert "read: brief, source 1: a.example/ants" in card
    async with house.storage.reading() as saved:
        context = await saved.runs.context(run.id)
    assert context is not None
    assert [item["title"] for item in context.manifest["items"]] == [
        "brief",
        "source 1: a.example/ants",
        "sources that were not read",
    ]
    assert "They are small." in context.prompt


async def test_nothing_is_read_where_no_model_may_do_the_stage_any_more(house: House) -> None:
    run = await house.asks("scout", f"Read {ANTS}")
    house.stack = a_stack(channels={LAUNCH: {"jurisdictions": ["marsupilami"]}})
    await house.runs_all()
    assert (await house.run(run)).state is RunState.REFUSED
    assert house.sources.asked == []


async def test_a_small_model_gets_as_much_as_it_can_hold(tmp_path: Path) -> None:
    stack = a_stack(models={"quick": a_model(context_tokens=4_000)}, stages={"scout": {"max_output_tokens": 500}})
    async with open_house(tmp_path, stack) as house:
        house.sources.holds(ANTS, "Ants walk in a line. " * 5_000)
        run = await house.asks("scout", f"Read {ANTS}")
        await house.runs_all()
        assert "Of source 1 (a.example) only the beginning was read." in await house.card_of(run)
        _, prompt = house.models.asked[-1]
        assert "[cut here" in prompt.user
        assert estimate_tokens(prompt.system + prompt.user) + 500 <= 4_000


async def test_addresses_of_the_brief_and_of_the_note_may_be_links_in_that_runs_answer(house: House) -> None:
    run = await house.asks("draft", f"Write about {ANTS}")
    await house.runs_all()
    noted = await house.asks("draft", f"mind {BEES}", work=await house.work(run.work_id))
    await house.runs_all()
    said = await house.said(run.work_id, Kind.ANSWER)
    linkable = {message.run_id: message.body["answer"][0]["linkable"] for message in said}
    assert linkable == {run.id: [ANTS], noted.id: [ANTS, BEES]}
