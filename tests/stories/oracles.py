"""What must hold at the end of every story, whatever it was about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from sqlalchemy import text

from bot.playground.scripted import Recorded, ScriptedModels
from bot.playground.server import Playground
from handlers.case import load_case
from handlers.context import Manifest, digest, recompose
from handlers.judge import ReviewState, state_of
from handlers.material import _findings
from handlers.stages import Reads
from storage.database import Database, Saved
from storage.ledger import first_fault
from storage.records import Answer, Chained

TEAM = "T0PLAY"


async def nothing_is_wrong(
    slack: Playground, models: ScriptedModels, storage: Database, *, killed: bool = False
) -> None:
    """Nothing forbidden was said, every prompt is what its manifest says, and approvals and ledger agree.

    `killed`: processes were killed in mid-work, so that a run may have asked more than once, under another marker.
    """
    assert slack.violations == []
    nobody_reads_a_traceback(slack)
    no_slot_is_said_twice(slack)
    async with storage.reading() as saved:
        await every_prompt_is_what_its_manifest_says([] if killed else models.requests, saved)
        chain = [entry async for entry in saved.ledger.chain(TEAM)]
        assert first_fault(chain) is None
        await approvals_and_ledger_agree(slack, chain, saved)


def nobody_reads_a_traceback(slack: Playground) -> None:
    for message in [*slack.everything(), *slack.workspace.ephemerals]:
        assert "Traceback" not in json.dumps(message), message.visible


def no_slot_is_said_twice(slack: Playground) -> None:
    slots = [message.slot for message in slack.by_bot() if message.slot]
    assert sorted(slots) == sorted(set(slots))


async def every_prompt_is_what_its_manifest_says(requests: Sequence[Recorded], saved: Saved) -> None:
    """What went over the wire is stored, byte for byte, and comes back from the manifest and the texts it names."""
    stored = {}
    for run_id in await _ids(saved, "SELECT run_id FROM contexts"):
        run, context = await saved.runs.get(run_id), await saved.runs.context(run_id)
        assert run is not None
        assert context is not None
        manifest = Manifest.from_json(json.dumps(context.manifest))
        texts = await _texts_of(run.work_id, saved)
        again = recompose(manifest, {**texts, **_read_for(manifest, context.prompt)})
        assert (again.system, again.user) == (context.system, context.prompt)
        stored[context.system, context.prompt] = run_id
    for request in requests:
        assert (request.system, request.user) in stored, f"no run remembers having sent this:\n{request.user}"


async def _texts_of(work_id: str, saved: Saved) -> Mapping[str, str]:
    """Everything of one work that may cross into a context, by digest. Nothing of another work is among it."""
    work, answers = await saved.works.get(work_id), await saved.answers.of_work(work_id)
    assert work is not None
    notes = [run.note for run in await saved.runs.of_work(work_id)]
    return {digest(text): text for text in [work.brief, *notes, *(a.text for a in answers), *_open_findings(answers)]}


def _read_for(manifest: Manifest, prompt: str) -> Mapping[str, str]:
    """What was read for this run alone, by digest: the prompt is where it is kept."""
    fenced = re.findall(rf"<<<{manifest.marker} (.*?)>>>\n(.*?)\n<<<{manifest.marker} end>>>", prompt, re.DOTALL)
    read = {item.title for item in manifest.items if item.reads in {Reads.SOURCES, Reads.UNREAD}}
    return {digest(text): text for title, text in fenced if title in read}


def _open_findings(answers: Sequence[Answer]) -> list[str]:
    return [item.text for answer in answers if answer.stage == "critique" for item in _findings([answer])]


async def approvals_and_ledger_agree(slack: Playground, chain: Sequence[Chained], saved: Saved) -> None:
    """Each announced approval names the ledger entry that made it, and each such entry was announced."""
    approvals = [m.visible for m in slack.by_bot("verdict") if m.state == "approved"]
    announced = {head for said in approvals for head in re.findall(r"Ledger (\w+)\.", said) or [said]}
    made = set()
    for answer_id in await _ids(saved, "SELECT answer_id FROM reviews"):
        case = await load_case(answer_id, saved)
        assert case is not None
        before = ReviewState.AWAITING
        entries = {entry.seq: entry for entry in chain}
        for _, together in groupby(case.verdicts, key=lambda verdict: entries[verdict.ledger_seq].at):
            last = list(together)[-1]  # what was written in one transaction was never true in between
            said = [verdict for verdict in case.verdicts if verdict.seq <= last.seq]
            after = state_of(said, quorum=99, superseded=False, expires_at=None, now=last.at)
            if after is ReviewState.APPROVED and before is not ReviewState.APPROVED:
                entry = entries[last.ledger_seq]
                assert json.loads(entry.body)["sha256"] == case.answer.sha256 == digest(case.answer.text)
                made.add(entry.hash[:12])
            before = after
    assert announced == made


async def _ids(saved: Saved, statement: str) -> list[str]:
    return list((await saved.connection.execute(text(statement))).scalars())
