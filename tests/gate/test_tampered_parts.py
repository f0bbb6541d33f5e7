"""Whatever single sign of a posted text is another one than was posted, nobody's approval counts."""

from __future__ import annotations

import random
import string

from handlers.context import digest
from storage.records import Answer, Kind
from tests.gate.hall import a_hall, at_once, go_back, keep, wait_for
from tests.handlers.house import ANN, RAE, SAM, House

THREE_PARTS = "## Decision\nready\n\n## Final text\nThe cage\n---\nis wide\n---\nopen.\n\n## Owner's notes\nnone"


def a_house_with_a_long_text() -> House:
    house = a_hall()
    house.models.scripts["careful"] = [THREE_PARTS]
    for who in (ANN, RAE, SAM):
        house.slack.knows(who)
    return house


def test_one_sign_changed_in_any_posted_part_is_refused_a_thousand_times_of_a_thousand() -> None:
    dice = random.Random(20_261_123)
    house = a_house_with_a_long_text()
    text = wait_for(house.final())
    parts = [one for one in wait_for(house.said(text.work_id, Kind.ANSWER)) if one.answer_id == text.id]
    assert len(parts) == 3
    moment = keep(house)
    for number in range(1_000):
        house, part = go_back(moment), dice.choice(parts)
        posted = str(part.body)
        at = dice.randrange(len(posted))
        other = dice.choice([sign for sign in string.printable if sign != posted[at]])
        house.slack.tampers(part.channel, str(part.ts), digest=digest(posted[:at] + other + posted[at + 1 :]))
        at_once(house.reacts(RAE, text, to=dice.choice([Kind.ANSWER, Kind.REVIEW])))
        assert at_once(house.state(text)) == "superseded", (number, part.slot, at, other)
        assert at_once(house.verdicts(text)) == [], (number, part.slot, at, other)
        [told] = at_once(house.told(RAE, text.work_id))
        assert "does not stand in the thread as it was posted, so your approval does not count" in told
        again = at_once(house.answers(text.work_id))[-1]
        assert (again.sha256, at_once(house.state(again))) == (text.sha256, "awaiting"), number


def test_a_text_that_nobody_touched_is_approved() -> None:
    house = a_house_with_a_long_text()
    text = wait_for(house.final())
    at_once(house.reacts(RAE, text))
    assert at_once(house.state(text)) == "approved"


def test_one_sign_changed_in_the_kept_text_is_refused_two_hundred_times_of_two_hundred() -> None:
    dice = random.Random(20_261_128)
    house = a_house_with_a_long_text()
    text = wait_for(house.final())
    moment = keep(house)
    for number in range(200):
        house = go_back(moment)
        at = dice.randrange(len(text.text))
        other = dice.choice([sign for sign in string.printable if sign != text.text[at]])
        at_once(is_kept_as(house, text, text.text[:at] + other + text.text[at + 1 :]))
        at_once(house.reacts(RAE, text, to=dice.choice([Kind.ANSWER, Kind.REVIEW])))
        assert (at_once(house.state(text)), at_once(house.verdicts(text))) == ("awaiting", []), (number, at, other)
        assert len(at_once(house.answers(text.work_id))) == 1, "what is not the text is not posted either"
        [told] = at_once(house.told(RAE, text.work_id))
        assert told.startswith(f"What is kept of text {text.sha256[:8]} is not what was made")


async def is_kept_as(house: House, text: Answer, words: str) -> None:
    async with house.storage.transaction() as saved:
        await saved.connection.exec_driver_sql("UPDATE answers SET text = ? WHERE id = ?", (words, text.id))
