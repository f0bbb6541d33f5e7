"""A message's words are values that survive the database, and nothing people write becomes more than words."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from handlers.words import Body, Button, Line, Link, Text, Who, bold, code, line, people, storable

ANY_TEXT = st.text(max_size=40)
SPANS = st.one_of(
    st.builds(Text, text=ANY_TEXT, style=st.sampled_from(["plain", "bold", "code", "quiet"])),
    st.builds(Who, person=ANY_TEXT),
    st.builds(Link, url=ANY_TEXT, label=ANY_TEXT),
)
BODIES = st.builds(
    Body,
    lines=st.lists(st.builds(Line, spans=st.lists(SPANS, max_size=4).map(tuple), small=st.booleans())).map(tuple),
    answer=st.lists(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2), max_size=2).map(tuple),
    buttons=st.lists(st.builds(Button, action=ANY_TEXT, label=ANY_TEXT, value=ANY_TEXT), max_size=3).map(tuple),
    fallback=ANY_TEXT,
    facts=st.dictionaries(ANY_TEXT, st.one_of(ANY_TEXT, st.integers()), max_size=3),
)


@given(BODIES)
def test_a_body_comes_back_from_json_as_it_was(body: Body) -> None:
    assert Body.from_json(json.loads(json.dumps(body.to_json()))) == body


def test_strings_are_plain_words_and_people_are_the_only_mentions() -> None:
    spoken = line("<@U0ANN> ", bold("*loud*"), code("`x`"), Who(person="U0RAE"), small=True)
    assert spoken == Line(
        spans=(
            Text(text="<@U0ANN> "),
            Text(text="*loud*", style="bold"),
            Text(text="`x`", style="code"),
            Who(person="U0RAE"),
        ),
        small=True,
    )


def test_people_stand_with_words_between_them() -> None:
    assert people([]) == []
    assert people(["U1"]) == [Who(person="U1")]
    assert people(["U1", "U2"], between=" or ") == [Who(person="U1"), " or ", Who(person="U2")]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_words_that_can_be_stored_stay_as_they_are(text: str) -> None:
    assert storable(text) == text


def test_what_no_database_takes_becomes_visible() -> None:
    assert storable("a\ud800b\udc00c") == "a\ufffdb\ufffdc"
    assert storable("tail\x00tuft") == "tail␀tuft"
    assert storable("") == ""


@given(st.text(alphabet=st.characters()))
def test_any_text_becomes_one_that_can_be_stored(text: str) -> None:
    kept = storable(text)
    assert "\x00" not in kept
    assert len(kept.encode()) >= len(kept)
    assert storable(kept) == kept
