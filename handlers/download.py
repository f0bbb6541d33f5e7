"""The approved text as a file in its thread: exactly the bytes that the approval names."""

from __future__ import annotations

import hashlib

from handlers import messages
from handlers.case import Case, load_case
from handlers.errors import Refusal
from handlers.figures import short
from handlers.incoming import Request
from handlers.judge import ReviewState
from handlers.material import title
from handlers.ports import Clock
from handlers.request import look_around, owed
from handlers.stack import Stack
from handlers.words import Body, Text, line
from storage.database import Database, Saved
from storage.records import Answer, Kind, Message, Work

ANOTHER_TEXT = "another_text"
"""Why a file was given up: what is kept is not what its digest is of."""
_DIGITS = 12  # as the ledger's heads have it: enough to compare by eye


async def somebody_downloads(request: Request, *, storage: Database, stack: Stack, now: Clock) -> None:
    """Owe the thread the file, once; who asks again is told where it is. Raises Refusal unless the text is approved."""
    async with storage.transaction() as saved:
        around = await look_around(saved, request)
        case = await load_case(around.target.id, saved) if around.target else None
        if case is None:
            raise Refusal("That text never waited for a reviewer, so there is no approved file of it.")
        _refuse_what_is_not_approved(case, stack, now)
        if await saved.inbox.handled(request.key, at=now(), outcome="download"):
            file = _file(case, now=now)
            if not await saved.outbox.plan(file) and not await saved.outbox.owe_again(file.slot):
                await saved.outbox.plan(_where_it_is(request, case.work, file, now=now))


def file_name(work: Work, answer: Answer) -> str:
    """The file's name: of which work, which version, which bytes. Its slot is found in Slack by it."""
    return f"{work.id}-{answer.stage}-{answer.number}-{answer.sha256[:_DIGITS]}.md"


def exact_bytes(answer: Answer) -> bytes | None:
    """The text in UTF-8, if that is what the digest is of."""
    content = answer.text.encode()
    return content if hashlib.sha256(content).hexdigest() == answer.sha256 else None


async def tell_that_slack_took_no_file(file: Message, work: Work, code: str, saved: Saved, *, now: Clock) -> None:
    """Say in the thread why the file did not come, and what to do."""
    told = messages.plain(_why_no_file(code), fallback="There is no file of the approved text")
    slot = f"no {file.slot.removeprefix(f'{work.id}/')}/{file.revision}"[:90]
    await saved.outbox.plan(owed(work, None, Kind.NOTICE, slot, told, now=now))


def _why_no_file(code: str) -> str:
    match code:
        case _ if code == ANOTHER_TEXT:
            return "What is kept of the text is not what was approved, so there is no file. Tell whoever runs the bot."
        case "missing_scope":
            return (
                "Slack did not take the file of the approved text: the app lacks the scope `files:write`. Ask whoever "
                "runs the bot for it, and press Download again then."
            )
        case _:
            return (
                f"Slack did not take the file of the approved text ({code}). Press Download again in a while; if that "
                "does not help, tell whoever runs the bot the word in brackets."
            )


def _refuse_what_is_not_approved(case: Case, stack: Stack, now: Clock) -> None:
    state = case.state(stack.review, now())
    if state is not ReviewState.APPROVED:
        raise Refusal(
            f"Text {short(case.answer.sha256)} is not approved ({state.replace('_', ' ')}), so there is no file of it."
        )
    if exact_bytes(case.answer) is None:
        raise Refusal(
            f"What is kept of {title(case.answer)} is not what was approved ({short(case.answer.sha256)}), so there is "
            "no file of it. Tell whoever runs the bot: `python -m bot verify` says more."
        )


def _file(case: Case, *, now: Clock) -> Message:
    name = file_name(case.work, case.answer)
    body = Body(
        lines=(line(Text(text=name)),),
        fallback=f"{title(case.answer)}, as approved",
        facts={"file": name},
    )
    return owed(case.work, None, Kind.FILE, f"file/{name}", body, now=now, answer=case.answer)


def _where_it_is(request: Request, work: Work, file: Message, *, now: Clock) -> Message:
    told = messages.plain(f"The approved text is in this thread already, as `{file.body['facts']['file']}`.")
    return owed(work, None, Kind.NOTICE, f"file again/{request.key}"[:90], told, now=now, person=request.person)
