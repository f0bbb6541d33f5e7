"""What people type after the bot's name, read as what they want."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.asking import Asked, means_approval, nearest, read_mention
from handlers.incoming import Verb
from handlers.stack import StageName


def stage(name: str, words: str = "", *, revises: bool = False) -> Asked:
    return Asked(verb=Verb.STAGE, stage=StageName(name), words=words, revises=revises)


def runs(name: str, words: str = "", *, start: str | None = None) -> Asked:
    return Asked(verb=Verb.STAGE, pipeline=name, words=words, start=StageName(start) if start else None)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("scout", stage("scout")),
        ("  Scan the market for cages", stage("scout", "the market for cages")),
        ("research: who else does this?", stage("scout", "who else does this?")),
        ("draft Announce that …", stage("draft", "Announce that …")),
        ("DRAFT, shorter", stage("draft", "shorter")),
        ("drafter", stage("draft")),
        ("`draft` with code marks", stage("draft", "with code marks")),
        ("*draft* in bold", stage("draft", "in bold")),
        ("/draft by habit", stage("draft", "by habit")),
        ("revise the ending", stage("draft", "the ending", revises=True)),
        ("critique be harsh", stage("critique", "be harsh")),
        ("critic pass on the tone", stage("critique", "on the tone")),
        ("critique this: the tone", stage("critique", "the tone")),
        ("criticise", stage("critique")),
        ("criticize – gently", stage("critique", "gently")),
        ("implement it", stage("implement", "it")),
        ("code", stage("implement")),
        ("polish this", stage("polish")),
        ("polish paragraph two", stage("polish", "paragraph two")),
        ("final", stage("final")),
        ("final owner", stage("final")),
        ("final owner: mind the tone", stage("final", "mind the tone")),
        ("finalise", stage("final")),
        ("finalize, please", stage("final", "please")),
        ("run draft", stage("draft")),
        ("please run the critique", stage("critique")),
        ("please run the critic", runs("critic")),
        ("run content", runs("content")),
        ("`run content from critique`", runs("content", start="critique")),
        ("*run content* be brief", runs("content", "be brief")),
        ("Run the content pipeline: be brief", runs("content", "be brief")),
        ("please run `team/content.v2`, be brief", runs("team/content.v2", "be brief")),
        ("run content from critique be harsh", runs("content", "be harsh", start="critique")),
        ("run content from the critic: be harsh", runs("content", "from the critic: be harsh")),
        ("run content from critic", runs("content", start="critique")),
        ("run content <https://a.example|link> x", runs("content", "<https://a.example|link> x")),
        ("run again", Asked(verb=Verb.AGAIN)),
        ("run", Asked(verb=Verb.HELP, words="run")),
        ("pls do a draft about cages", stage("draft", "about cages")),
        ("draft\nin\nlines", stage("draft", "in\nlines")),
        ("draft <https://example.com|example>", stage("draft", "<https://example.com|example>")),
        ("again", Asked(verb=Verb.AGAIN)),
        ("send back", Asked(verb=Verb.SEND_BACK)),
        ("please send back: too long", Asked(verb=Verb.SEND_BACK, words="too long")),
        ("Send back polish: shorter", Asked(verb=Verb.SEND_BACK, words="polish: shorter")),
        ("send it to the press", Asked(verb=Verb.HELP, words="send it to the press")),
        ("again but shorter", Asked(verb=Verb.AGAIN, words="but shorter")),
        ("retry", Asked(verb=Verb.AGAIN)),
        ("second opinion", Asked(verb=Verb.SECOND_OPINION)),
        ("Second opinion: on the tone", Asked(verb=Verb.SECOND_OPINION, words="on the tone")),
        ("a second-opinion, please", Asked(verb=Verb.SECOND_OPINION, words="please")),
        ("second thoughts", Asked(verb=Verb.HELP, words="second thoughts")),
        ("fresh", Asked(verb=Verb.FRESH)),
        ("start fresh", Asked(verb=Verb.FRESH)),
        ("fresh critique: be kind", Asked(verb=Verb.FRESH, stage=StageName.CRITIQUE, words="be kind")),
        ("fresh revise", Asked(verb=Verb.FRESH, stage=StageName.DRAFT, revises=True)),
        ("fresh, but shorter", Asked(verb=Verb.FRESH, words="but shorter")),
        ("status?", Asked(verb=Verb.STATUS, words="?")),
        ("context", Asked(verb=Verb.CONTEXT)),
        ("cancel", Asked(verb=Verb.CANCEL)),
        ("stop that", Asked(verb=Verb.CANCEL, words="that")),
        ("help", Asked(verb=Verb.HELP)),
        ("", Asked(verb=Verb.HELP)),
        ("   ", Asked(verb=Verb.HELP)),
        ("please", Asked(verb=Verb.HELP, words="please")),
        ("approve", Asked(verb=Verb.HELP, words="approve")),
        ("what do you do?", Asked(verb=Verb.HELP, words="what do you do?")),
        ("drafting is hard", Asked(verb=Verb.HELP, words="drafting is hard")),
        ("finally", Asked(verb=Verb.HELP, words="finally")),
        ("👋", Asked(verb=Verb.HELP, words="👋")),
    ],
)
def test_words_are_read_as_a_verb_a_stage_and_a_note(text: str, asked: Asked) -> None:
    assert read_mention(text) == asked


@given(st.sampled_from(list(StageName)), st.text())
def test_a_note_keeps_every_character_but_the_blanks_and_marks_around_it(name: StageName, note: str) -> None:
    asked = read_mention(f"{name}\n{note}")
    assert asked.verb is Verb.STAGE
    assert asked.stage is name
    assert note.strip().endswith(asked.words.strip())


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    assert read_mention(text).verb in set(Verb)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("critqiue be harsh", "critique"),
        ("please finl", "final"),
        ("Satus?", "status"),
        ("implment it", "implement"),
        ("nonsense", None),
        ("make me a sandwich", None),
        ("", None),
        ("…", None),
        ("final", "final"),
    ],
)
def test_a_slip_of_the_keyboard_is_recognised(typed: str, meant: str | None) -> None:
    assert nearest(typed) == meant


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("approve", True),
        ("Approved!", True),
        ("please approve this", True),
        ("LGTM 🎉", True),
        ("approval rates are low", False),
        ("not approved", False),
        ("", False),
    ],
)
def test_an_approval_in_words_is_recognised_as_a_guess(typed: str, *, means: bool) -> None:
    assert means_approval(typed) is means
