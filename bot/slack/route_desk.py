"""`/route` from the form to the advice: opens the four questions, and answers them in the same modal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from bot.slack.chat import Chat
from bot.slack.door import Door
from bot.slack.lookup import Lookup
from bot.slack.route_form import (
    UNREADABLE,
    Faulty,
    Opener,
    Spot,
    answer,
    questions,
    read_answers,
    read_wanted,
)
from handlers import messages
from handlers.advise import Advice, advise
from handlers.advised import advised
from handlers.errors import Refusal
from handlers.incoming import Request
from handlers.material import counts_as_text
from handlers.offer import LONGEST
from handlers.ports import LookupFailed
from handlers.request import check_place
from handlers.stack import Stack
from handlers.words import Body, Text, line
from storage.database import Database

log = structlog.get_logger(__name__)

_PLACE_SECONDS = 1.0
"""What a look at the channel may take of the three seconds in which a form can be opened."""
_GIVEN_BACK = 10_000
"""Characters of a brief that a private answer has room for."""
_NO_FORM = "Slack did not open the form in time, so nothing was started."
_NOT_READ = "I could not look into this thread, so nothing was started. Wait a minute."
_ELSEWHERE = "This app works for another workspace, so nothing was started."

Answered = dict[str, Any]
"""What a submitted form is acknowledged with."""


class RouteDesk:
    """Everything here is done within Slack's three seconds, and nothing of it starts a run."""

    def __init__(
        self,
        *,
        storage: Database,
        chat: Chat,
        lookup: Lookup | None,
        stack: Callable[[], Stack],
        door: Callable[[], Door],
    ) -> None:
        self._storage, self._chat, self._lookup = storage, chat, lookup
        self._stack, self._door = stack, door

    async def open(self, opener: Opener) -> None:
        """Show the four questions, with what was said already; or say privately why not."""
        if (refusal := await self._refusal(opener.channel)) is not None:
            await self._tell(opener, messages.plain(refusal, fallback=refusal))
            return
        try:
            spot, words = await self._look(opener)
        except Exception:
            log.exception("what is in a thread could not be read; no form was opened")
            sentence = f"{_NOT_READ} {opener.again}"
            await self._tell(opener, messages.plain(sentence, fallback=sentence))
            return
        if len(words) > LONGEST:
            await self._tell(opener, _too_long(words))
        elif not await self._chat.open_view(opener.trigger_id, questions(spot, words)):
            sentence = f"{_NO_FORM} {opener.again}"
            await self._tell(opener, messages.plain(sentence, fallback=sentence))

    def advise(self, body: dict[str, Any]) -> Answered:
        """What four answers come to, shown where they were asked; where nobody may do it, above the questions."""
        if not self._door().is_ours(body):
            return _errors(words=_ELSEWHERE)
        try:
            answers, spot, words = read_answers(body["view"])
        except Faulty as faulty:
            return _errors(**faulty.faults)
        stack = self._stack()
        found = advise(answers, stack, spot.channel, spot.scene(words))
        if not isinstance(found, Advice):
            return _shows(questions(spot, words, said=line(found.sentence)))
        return _shows(answer(found, advised(found, stack), spot, words))

    def taken(self, body: dict[str, Any]) -> Answered:
        """What "Run it" is acknowledged with: nothing where its letter is kept by now, else what to mend."""
        door = self._door()
        if door.letters(body):
            return {}
        if not door.is_ours(body):
            return _errors(words=_ELSEWHERE)
        try:
            read_wanted(body["view"])
        except Faulty as faulty:
            return _errors(**faulty.faults)
        return _errors(words=UNREADABLE)

    async def _refusal(self, channel: str) -> str | None:
        """Why nothing could be posted there; as long as Slack does not say, the request itself asks again."""
        if self._lookup is None:
            return None
        try:
            async with asyncio.timeout(_PLACE_SECONDS):
                check_place(await self._lookup.place(channel), self._stack().policy(channel))
        except Refusal as refusal:
            return refusal.sentence
        except (LookupFailed, TimeoutError):
            pass
        return None

    async def _look(self, opener: Opener) -> tuple[Spot, str]:
        """What is there where the form was asked for, and what they said before they pressed a button."""
        if opener.thread_ts is None:
            return Spot(channel=opener.channel), opener.words
        async with self._storage.reading() as saved:
            letter = await saved.inbox.get(opener.said_in) if opener.said_in else None
            words = Request.from_json(letter.body).words if letter and letter.kind == "request" else opener.words
            work = await saved.works.in_thread(opener.team, opener.channel, opener.thread_ts)
            answers = await saved.answers.of_work(work.id) if work else []
        spot = Spot(
            channel=opener.channel,
            thread_ts=opener.thread_ts,
            has_work=work is not None,
            has_text=any(map(counts_as_text, answers)),
        )
        return spot, words

    async def _tell(self, opener: Opener, body: Body) -> None:
        await self._chat.answer_privately(
            reply_url=opener.reply_url,
            channel=opener.channel,
            person=opener.person,
            thread_ts=opener.thread_ts,
            body=body,
        )


def _too_long(words: str) -> Body:
    """The form cannot hold it, so it is given back: a slash command is not to be found again."""
    sentence = f"That is {len(words):,} characters; the form takes {LONGEST:,}, so it was not opened. Shorten it."
    given_back = [line(Text(text=words))] if len(words) <= _GIVEN_BACK else []
    return messages.plain(sentence, *given_back, fallback=sentence)


def _errors(**faults: str) -> Answered:
    return {"response_action": "errors", "errors": faults}


def _shows(view: dict[str, Any]) -> Answered:
    return {"response_action": "update", "view": view}
