"""`export`: one work, whole, as data and as a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.audit import export
from bot.settings import read_settings
from handlers.budget import dollars
from handlers.errors import ModelFailed, Refusal
from handlers.export import as_markdown
from handlers.figures import money
from handlers.incoming import Entrance, Verb
from storage.records import Answer, Work
from tests.fakes import a_stack
from tests.handlers.house import ANN, RAE, SAM, STAN, open_house
from tests.handlers.test_purse import CHEAP, begun
from tests.handlers.test_purse import stack as priced

HOSTILE = "## Decision\nready\n\n## Final text\n````\n# Ledger\n```text\n| 1 |\n\n## Owner's notes\nnone"


async def lived(folder: Path, *, says: str | None = None) -> tuple[Path, Work, Answer]:
    """A final sent back with a reason, and the next one approved."""
    async with open_house(folder, a_stack()) as house:
        if says is not None:
            house.models.scripts["careful"] = [says]
        text = await house.final(brief="Announce the *open* cage")
        await house.reacts(RAE, text, "x")
        await house.says_why(RAE, text, "It says nothing of the wombat")
        await house.runs_all()
        newer = (await house.answers(text.work_id))[-1]
        await house.reacts(SAM, newer)
        return Path(str(house.storage.url.database)), await house.work(text.work_id), newer


async def exported(path: Path, named: str, *, as_json: bool = True) -> str:
    settings = read_settings({"DATABASE_URL": f"sqlite:///{path}"})
    return await export(settings, named, stack_path=path.parent / "stack.toml", as_json=as_json)


async def test_a_work_is_told_whole(tmp_path: Path) -> None:
    path, work, newer = await lived(tmp_path)
    told: dict[str, Any] = json.loads(await exported(path, work.id))
    assert told["work"]["brief"] == "Announce the *open* cage"
    assert [run["stage"] for run in told["runs"]] == ["final", "final"]
    assert told["runs"][1]["note"] == "It says nothing of the wombat"
    assert all(run["context"]["manifest"]["items"] for run in told["runs"])
    assert [answer["sha256"] for answer in told["answers"]][-1] == newer.sha256
    assert all(part["ts"] and part["digest"] for answer in told["answers"] for part in answer["posted"])
    kinds = [[verdict["kind"] for verdict in review["verdicts"]] for review in told["reviews"]]
    assert kinds == [["send_back"], ["approve"]]
    chain = {entry["seq"]: entry for entry in told["ledger"]}
    for review in told["reviews"]:
        for verdict in review["verdicts"]:
            assert chain[verdict["ledger_seq"]]["who"] == verdict["person"]


async def test_a_link_to_the_thread_names_it_too(tmp_path: Path) -> None:
    path, work, newer = await lived(tmp_path)
    assert work.thread_ts is not None
    digits = work.thread_ts.replace(".", "")
    place = f"https://zoo.slack.com/archives/{work.channel}/p{digits}"
    assert json.loads(await exported(path, place))["work"]["id"] == work.id
    reply = f"https://zoo.slack.com/archives/{work.channel}/p1790000000000900?thread_ts={work.thread_ts}&cid=x"
    assert json.loads(await exported(path, reply))["work"]["id"] == work.id
    (part,) = json.loads(await exported(path, work.id))["answers"][-1]["posted"]
    bare = f"https://zoo.slack.com/archives/{work.channel}/p{part['ts'].replace('.', '')}"
    assert json.loads(await exported(path, bare))["work"]["id"] == newer.work_id


async def test_a_link_to_what_is_none_of_ours_is_one_sentence(tmp_path: Path) -> None:
    path, work, _ = await lived(tmp_path)
    with pytest.raises(Refusal, match="Nothing is known of the work"):
        await exported(path, f"https://zoo.slack.com/archives/{work.channel}/p1790000000000900")


async def test_as_a_document_it_has_what_a_reader_asks(tmp_path: Path) -> None:
    path, work, newer = await lived(tmp_path)
    told = await exported(path, work.id, as_json=False)
    for wanted in ("# Work ", "## Brief", "## 1. final: answered", "It says nothing of the wombat", newer.sha256):
        assert wanted in told
    assert f"approve by {SAM}" in told
    assert "| entry | at | who | what | it says | hash |" in told


async def test_it_answers_what_a_reviewer_of_the_reviewer_would_ask(tmp_path: Path) -> None:
    """Who could, by which rules, as what did they count, who tried, what was said, where it stands, what came of it."""
    async with open_house(tmp_path, a_stack({"reviewers": [SAM, "S0DESK"], "quorum": 2})) as house:
        house.slack.groups["S0DESK"] = frozenset({RAE})
        text = await house.final(brief="Announce the *open* cage")
        for who in (STAN, ANN, RAE, SAM):
            await house.reacts(who, text)
        await house.posts()
        stack, path = house.stack, Path(str(house.storage.url.database))
        part, run = await house.message_of(text), await house.run_of(text)
    told: dict[str, Any] = json.loads(await exported(path, text.work_id))
    (review,) = told["reviews"]
    opened = review["opened_with"]
    assert (opened["reviewers"], opened["quorum"], opened["solo"]) == ([SAM, "S0DESK"], 2, False)
    assert (opened["rules"], opened["authors"]) == (stack.digest, [ANN])
    assert [(one["person"], one["became"], one["ts"]) for one in review["words_heard"]] == [
        (STAN, "not_a_reviewer", part.ts),
        (ANN, "own_work", part.ts),
        (RAE, "counts", part.ts),
        (SAM, "counts", part.ts),
    ]
    evidence = review["verdicts"][0]["evidence"]
    assert (evidence["named"], evidence["groups"], evidence["quorum"]) == (False, ["S0DESK"], 2)
    assert evidence["made_by"] == {"model": run.model, "served": run.served_id, "stack": stack.digest}
    said = [(one["kind"], one["to"], one["state"]) for one in review["said_in_thread"]]
    assert sorted(said, key=str) == sorted(
        [
            ("review", None, "approved"),
            ("notice", STAN, None),
            ("notice", ANN, None),
            ("verdict", None, "approved"),
        ],
        key=str,
    )
    assert all(one["digest"] for one in review["said_in_thread"])
    assert told["ledger_head"] == told["ledger"][-1]["hash"]
    document = await exported(path, text.work_id, as_json=False)
    for words in (
        f"reviewers then: {SAM}, S0DESK; needed: 2; rules of stack `{stack.digest[:12]}`",
        "counted as a member of S0DESK; needed: 2, looked up at ",
        f"of text `{text.sha256}` by {run.model} (served as {run.served_id}), made with stack `{stack.digest[:12]}`",
        f": {STAN}, white_check_mark (reaction on {part.ts}): not_a_reviewer",
        f", to {STAN} alone: Only a reviewer's reaction counts here. Ask @{SAM}.",
        f"Approved by @{RAE} and @{SAM}: text {text.sha256[:8]}",
        f"The whole ledger's head is `{told['ledger_head']}`",
        '"quorum":2',
    ):
        assert words in document, words


async def test_it_costs_what_its_attempts_cost_those_without_an_answer_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, priced(spare=CHEAP)) as house:
        house.models.scripts["quick"] = [ModelFailed("quick broke off.", code="cut")]
        run = await begun(house)
        await house.runs_one(run)
        async with house.storage.reading() as saved:
            attempts = await saved.spendings.of_run(run.id)
        path = Path(str(house.storage.url.database))
    told: dict[str, Any] = json.loads(await exported(path, run.work_id))
    whole = dollars(sum(one.spent or 0 for one in attempts))
    assert told["cost_usd"] == whole > told["runs"][0]["cost_usd"]
    assert [(one["model"], one["spent_usd"]) for one in told["runs"][0]["asked"]] == [
        (one.model, dollars(one.spent or 0)) for one in attempts
    ]
    document = as_markdown(told)
    assert f"1 run, {money(whole)}." in document
    assert f"- asked quick: up to {money(dollars(attempts[0].reserved))} set aside" in document


async def test_whatever_an_entry_says_it_stays_in_its_place(tmp_path: Path) -> None:
    path, work, _ = await lived(tmp_path)
    told: dict[str, Any] = json.loads(await exported(path, work.id))
    told["ledger"][0]["body"] = '{"served":"x` | forged | `` y"}'
    (row,) = [line for line in as_markdown(told).splitlines() if "forged" in line]
    assert '| ``` {"served":"x` \\| forged \\| `` y"} ``` |' in row


async def test_no_text_can_look_like_a_part_of_the_document(tmp_path: Path) -> None:
    path, work, newer = await lived(tmp_path, says=HOSTILE)
    told = await exported(path, work.id, as_json=False)
    assert "# Ledger" in newer.text
    open_fence, ours = "", []
    for line in told.splitlines():
        if open_fence:
            open_fence = "" if line == open_fence else open_fence
        elif line.startswith("```"):
            open_fence = line.removesuffix("text")
        else:
            ours.append(line)
    assert open_fence == ""
    assert [line for line in ours if line.startswith("# ")] == [f"# Work {work.id}"]
    assert ours.count("## Ledger") == 1


@pytest.mark.parametrize("named", ["w-nothing", "", "https://zoo.slack.com/archives/C0NOPE/p1790000000000100"])
async def test_a_work_nobody_knows_is_refused(tmp_path: Path, named: str) -> None:
    path, _, _ = await lived(tmp_path)
    with pytest.raises(Refusal, match="Nothing is known of the work"):
        await exported(path, named)


async def test_states_are_told_only_where_the_stack_can_be_read(tmp_path: Path) -> None:
    path, work, _ = await lived(tmp_path)
    assert [review["state"] for review in json.loads(await exported(path, work.id))["reviews"]] == [None, None]
    document = as_markdown(json.loads(await exported(path, work.id)))
    assert "None" not in document.replace("thread None", "")


async def test_what_a_work_came_from_and_what_is_second_to_what_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, a_stack()) as house:
        text = await house.final(brief="Announce the *open* cage")
        old = await house.work(text.work_id)
        asked: dict[str, Any] = {"entrance": Entrance.MENTION, "thread_ts": old.thread_ts}
        await house.takes(house.request(None, verb=Verb.SECOND_OPINION, **asked))
        await house.takes(house.request("final", verb=Verb.FRESH, person=RAE, **asked))
        await house.runs_all()
        async with house.storage.reading() as saved:
            [new] = await saved.works.begun_from(old.id)
        path = Path(str(house.storage.url.database))
    told = json.loads(await exported(path, old.id))
    assert [run["second_to"] for run in told["runs"]] == [None, text.id]
    assert [answer["second_to"] for answer in told["answers"]] == [None, text.id]
    told = json.loads(await exported(path, new.id))
    assert told["work"]["fresh_from"] == old.id
    assert told["work"]["carried"] == {"brief_by": ANN, "people": [ANN], "answer_id": text.id}
    document = await exported(path, new.id, as_json=False)
    assert f"Started fresh from work {old.id}, with its brief and answer {text.id}." in document
    assert "## Final made by no run of this work" in document
    assert text.sha256 in document
