# ruff: noqa: E501  golden texts stand as people read them
"""Every sentence the bot says in a thread, word for word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from handlers import messages
from handlers.words import Body, Who
from storage.records import Answer, Lane, Run, RunState, Work
from tests.fakes import FakeClock
from tests.handlers.house import ANN, RAE, SAM, words_of

NOW = FakeClock()()
WORK = Work(id="w-1", team="T0", channel="C0", brief="Announce the open cage", opened_by=ANN, opened_at=NOW)
RUN = Run(
    id="r-1",
    work_id="w-1",
    request_key="k",
    stage="draft",
    lane=Lane.CONTENT,
    state=RunState.QUEUED,
    asked_by=ANN,
    entrance="command",
    asked_at=NOW,
)
TEXT = Answer(
    id="a-1",
    work_id="w-1",
    run_id="r-1",
    stage="final",
    lane=Lane.CONTENT,
    number=1,
    text="The cage is open.",
    sha256="8c1f04be" + "0" * 56,
    made_at=NOW,
)
OUTCOME = messages.Outcome(
    model="kimi-k2",
    seconds=6.2,
    tokens=1_240,
    estimated=False,
    usd=0.002,
    why="fast pass: first drafts reward speed and cheap iteration",
    read="brief",
)


def card(state: str, **more: Any) -> Body:
    said: dict[str, Any] = {
        "state": state,
        "reviewers": [RAE, SAM],
        "groups": [],
        "approve": "✅",
        "send_back": "❌",
        "asked_by": ANN,
        "solo": False,
        "quorum": 1,
        "approved_by": [],
        "spent": 0.05,
    }
    return messages.review_card(TEXT, **(said | more))


def test_a_root() -> None:
    assert words_of(messages.root(WORK, RUN)) == snapshot("""\
Announce the open cage
draft for @U0ANN\
""")


def test_a_root_of_a_long_brief_says_that_all_of_it_crosses() -> None:
    told = words_of(messages.root(replace(WORK, brief="tail " * 600), RUN))
    assert len(told) < 2_600
    assert told.endswith(" …\ndraft for @U0ANN · the brief is longer than shown here; all of it crosses")


def test_cards_from_the_queue_to_the_end() -> None:
    beat = messages.working(RUN, word="drafting", model="kimi-k2", seconds=4, why=OUTCOME.why, read="brief")
    cards = [
        messages.queued(RUN),
        messages.queued(RUN, ahead=1),
        messages.queued(RUN, ahead=2),
        beat,
        messages.answered(RUN, OUTCOME),
        messages.answered(RUN, replace(OUTCOME, estimated=True, usd=None, remark="The answer was cut.", read="")),
        messages.answered(RUN, replace(OUTCOME, tokens=None, instead_of="glm-5", because="glm-5 refused (429) twice.")),
        messages.answered(replace(RUN, stage="final"), replace(OUTCOME, done="ready")),
        messages.failed(RUN, "kimi-k2 did not answer in 60 s, tried 3 times."),
        messages.failed(RUN, messages.broke("cafe1234")),
        messages.refused(replace(RUN, revises=True), "A revision reworks a text; there is none in this thread yet."),
        messages.cancelled(RUN, RAE),
    ]
    assert [words_of(one) for one in cards] == snapshot(
        [
            "draft · queued · starting",
            "draft · queued · after 1 run of this thread",
            "draft · queued · after 2 runs of this thread",
            """\
draft · drafting · kimi-k2, 4 s so far
fast pass: first drafts reward speed and cheap iteration · read: brief\
""",
            """\
draft · answered · kimi-k2 in 6 s · 1,240 tokens, about $0.002
fast pass: first drafts reward speed and cheap iteration · read: brief\
""",
            """\
draft · answered · kimi-k2 in 6 s · about 1,240 tokens
The answer was cut.
fast pass: first drafts reward speed and cheap iteration\
""",
            """\
draft · answered · kimi-k2 for glm-5 in 6 s · about $0.002
glm-5 refused (429) twice.
fast pass: first drafts reward speed and cheap iteration · read: brief\
""",
            """\
final · ready · kimi-k2 in 6 s · 1,240 tokens, about $0.002
fast pass: first drafts reward speed and cheap iteration · read: brief\
""",
            "draft · failed · kimi-k2 did not answer in 60 s, tried 3 times.",
            "draft · failed · Something broke on our side (reference cafe1234). Nothing was lost: `@Countersign again`, or tell the operator the reference.",
            "revise · not started · A revision reworks a text; there is none in this thread yet.",
            "draft · cancelled by @U0RAE",
        ]
    )
    assert [one.facts["state"] for one in cards] == [
        *["queued"] * 3,
        "running",
        *["answered"] * 4,
        *["failed"] * 2,
        "refused",
        "cancelled",
    ]


def test_review_cards_in_each_state() -> None:
    cards = [
        card("awaiting"),
        card("awaiting", quorum=2, approved_by=[RAE]),
        card("awaiting", solo=True, spent=None),
        card("awaiting", reviewers=[], groups=["S0DESK"]),
        card("awaiting", groups=["S0DESK", "S0LAW"], remark="The owner gave no decision on this text: look twice."),
        card("approved", approved_by=[RAE]),
        card("approved", approved_by=[RAE, SAM], quorum=2),
        card("changes_requested"),
        card("withdrawn"),
        card("superseded"),
        card("expired"),
    ]
    assert [words_of(one) for one in cards] == snapshot(
        [
            """\
Waiting for a reviewer · text 8c1f04be · thread so far about $0.05
✅ approves this text, ❌ sends it back. Reviewers: @U0RAE, @U0SAM. @U0ANN asked for it and cannot approve it.\
""",
            """\
Waiting for a reviewer · text 8c1f04be · thread so far about $0.05
1 of 2 approvals: @U0RAE
✅ approves this text, ❌ sends it back. Reviewers: @U0RAE, @U0SAM. 2 of them must agree. @U0ANN asked for it and cannot approve it.\
""",
            """\
Waiting for a reviewer · text 8c1f04be
✅ approves this text, ❌ sends it back. Reviewers: @U0RAE, @U0SAM. Solo mode: a reviewer may approve what they asked for.\
""",
            """\
Waiting for a reviewer · text 8c1f04be · thread so far about $0.05
✅ approves this text, ❌ sends it back. Reviewers: members of the user group S0DESK. @U0ANN asked for it and cannot approve it.\
""",
            """\
Waiting for a reviewer · text 8c1f04be · thread so far about $0.05
The owner gave no decision on this text: look twice.
✅ approves this text, ❌ sends it back. Reviewers: @U0RAE, @U0SAM, members of the user groups S0DESK, S0LAW. @U0ANN asked for it and cannot approve it.\
""",
            "Approved by @U0RAE · text 8c1f04be · thread so far about $0.05",
            "Approved by @U0RAE and @U0SAM · text 8c1f04be · thread so far about $0.05",
            "Sent back · text 8c1f04be · thread so far about $0.05",
            """\
Approval withdrawn, waiting for a reviewer · text 8c1f04be · thread so far about $0.05
✅ approves this text, ❌ sends it back. Reviewers: @U0RAE, @U0SAM. @U0ANN asked for it and cannot approve it.\
""",
            "Superseded by a newer final · text 8c1f04be · thread so far about $0.05",
            "Expired without a decision · text 8c1f04be · thread so far about $0.05",
        ]
    )


def test_verdicts() -> None:
    said = [
        messages.approved_by(TEXT, [RAE], NOW, "5d02c9aa41e7ffff", solo=False),
        messages.approved_by(TEXT, [RAE, SAM], NOW, "5d02c9aa41e7ffff", solo=False),
        messages.approved_by(TEXT, [ANN], NOW, "5d02c9aa41e7ffff", solo=True),
        messages.approved_by(TEXT, [RAE], NOW, "5d02c9aa41e7ffff", solo=False, freed_by=SAM),
        messages.sent_back(TEXT, SAM),
        messages.sent_back(TEXT, SAM, said_why=True),
        messages.took_back(TEXT, "withdrawn", RAE, "the approval", waits=True),
        messages.took_back(TEXT, "expired", RAE, "the approval", waits=False),
        messages.took_back(TEXT, "awaiting", SAM, "the send-back", waits=True),
        messages.plain(messages.lapsed([RAE, SAM], "No longer among the reviewers.")),
    ]
    assert [words_of(one) for one in said] == snapshot(
        [
            "Approved by @U0RAE: text 8c1f04be, 14:32 UTC. Ledger 5d02c9aa41e7.",
            "Approved by @U0RAE and @U0SAM: text 8c1f04be, 14:32 UTC. Ledger 5d02c9aa41e7.",
            "Approved by @U0ANN: text 8c1f04be, 14:32 UTC. Solo mode: approved by who asked for it. Ledger 5d02c9aa41e7.",
            "@U0SAM withdrew the send-back. Approved by @U0RAE: text 8c1f04be, 14:32 UTC. Ledger 5d02c9aa41e7.",
            "Sent back by @U0SAM: text 8c1f04be. Reply here with the reason: the next final starts at once, with it as its note; `polish: …` or `revise: …` sends it to that stage instead. Or anybody may ask with `@Countersign final …`.",
            "Sent back by @U0SAM: text 8c1f04be. What they said becomes the note of the next run.",
            "@U0RAE withdrew the approval. Waiting for a reviewer again.",
            "@U0RAE withdrew the approval.",
            "@U0SAM withdrew the send-back. Waiting for a reviewer again.",
            "The approvals by @U0RAE and @U0SAM do not count any more. No longer among the reviewers.",
        ]
    )


def test_status_and_help() -> None:
    runs = [(replace(RUN, state=RunState.ANSWERED, model="kimi-k2"), 6.2), (replace(RUN, stage="critique"), 75.0)]
    said = [
        messages.status(runs, ["final 1 · text 8c1f04be · awaiting"], "thread so far about $0.05"),
        messages.status([], [], ""),
        messages.help_text(""),
        messages.help_text("cs-"),
    ]
    assert [words_of(one) for one in said] == snapshot(
        [
            """\
draft · answered · kimi-k2 · 6 s
critique · queued · no model yet · 1 min
final 1 · text 8c1f04be · awaiting
thread so far about $0.05\
""",
            "Nothing has been asked for in this thread yet. Try `@Countersign draft …`.",
            """\
Start work in a channel: `/draft <brief>` (also scout, implement, final)
In a thread, mention me: `@Countersign critique be harsh about the second paragraph`
Stages: scout, draft, revise, critique, implement, polish, final.
A reviewer may send a final back in words: `@Countersign send back <reason>`.
Also: second opinion, fresh, again, status, context, cancel, raise, help.
Any message can be criticised: its menu, Critique this.
Not sure which stage? `/route` asks four questions. Who does what: `/stack`.
A final text counts only after a reviewer's reaction on exactly that text.\
""",
            """\
Start work in a channel: `/cs-draft <brief>` (also scout, implement, final)
In a thread, mention me: `@Countersign critique be harsh about the second paragraph`
Stages: scout, draft, revise, critique, implement, polish, final.
A reviewer may send a final back in words: `@Countersign send back <reason>`.
Also: second opinion, fresh, again, status, context, cancel, raise, help.
Any message can be criticised: its menu, Critique this.
Not sure which stage? `/cs-route` asks four questions. Who does what: `/cs-stack`.
A final text counts only after a reviewer's reaction on exactly that text.\
""",
        ]
    )


def test_what_is_said_of_our_own_faults() -> None:
    assert [messages.broke("cafe1234"), messages.not_handled("cafe1234")] == snapshot(
        [
            "Something broke on our side (reference cafe1234). Nothing was lost: `@Countersign again`, or tell the operator the reference.",
            "Something broke on our side, so nothing was started (reference cafe1234). Ask again in a minute, or tell the operator the reference.",
        ]
    )


def test_a_long_thread_shows_its_newest_runs() -> None:
    many = [(replace(RUN, stage="scout" if number < 8 else "draft"), 1.0) for number in range(20)]
    assert words_of(messages.status(many, [], "")).count("draft") == 12


def test_parts_and_notes_are_labelled_and_the_last_part_carries_the_buttons() -> None:
    blocks = [{"type": "rich_text"}]
    only = messages.part(TEXT, blocks, number=1, of=1, buttons=True)
    assert (words_of(only), [button.label for button in only.buttons]) == (
        "",
        ["Critique", "Revise", "Final", "To code", "Second opinion", "What did it see?"],
    )
    first = messages.part(TEXT, blocks, number=1, of=2, buttons=False)
    assert (words_of(first), first.buttons) == ("final 1, part 1 of 2", ())
    assert words_of(messages.notes(TEXT, blocks, number=1, of=1)) == "owner's notes · not part of the text"
    assert {button.value for button in only.buttons} == {"a-1"}


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"stage": "draft"}, "Critique, Revise, Final, To code, Second opinion, What did it see?"),
        (
            {"stage": "implement", "lane": Lane.CODE},
            "Critique, Revise, Final, To content, Second opinion, What did it see?",
        ),
        (
            {"stage": "final", "lane": Lane.CODE},
            "Critique, Revise, Final, To content, Second opinion, What did it see?",
        ),
        ({"stage": "scout"}, "Critique, Second opinion, What did it see?"),
        ({"stage": "critique"}, "Second opinion, What did it see?"),
        ({"stage": "draft", "run_id": None}, "Critique, Revise, Final, To code"),  # it came along from another thread
        ({"stage": "scout", "run_id": None}, "Critique"),
        ({"stage": "critique", "run_id": None}, ""),
    ],
)
def test_under_an_answer_stands_what_can_be_done_with_it(changes: dict[str, Any], labels: str) -> None:
    body = messages.part(replace(TEXT, **changes), [], number=1, of=1, buttons=True)
    assert ", ".join(button.label for button in body.buttons) == labels


def test_a_second_opinion_is_called_one_wherever_its_run_is_named() -> None:
    second = replace(RUN, second_to="a-1")
    assert words_of(messages.queued(second)) == "draft (second opinion) · queued · starting"
    assert messages.name_of(replace(second, revises=True)) == "revise (second opinion)"
    noted = messages.notes(replace(TEXT, stage="draft", second_to="a-1"), [], number=1, of=1)
    assert words_of(noted) == "beside the first · not part of the text"


def test_a_fresh_start_says_whence_it_comes_with_and_without_an_address() -> None:
    old = replace(WORK, id="w-0", thread_ts=f"{NOW.timestamp():.6f}")
    linked = messages.fresh_root(WORK, RUN, old, TEXT, link="https://zoo.slack.com/archives/C0/p1")
    *_, whence = words_of(linked).splitlines()
    assert whence == (
        f"fresh start, draft for @{WORK.opened_by} from [another thread](https://zoo.slack.com/archives/C0/p1) · "
        f"came along: brief and final 1 ({TEXT.sha256[:8]}), nothing else"
    )
    bare = messages.fresh_root(replace(WORK, brief=""), None, old, TEXT, link=None)
    assert words_of(bare) == (
        f"A fresh start without a brief\nfresh start for @{WORK.opened_by} from the thread of 3 Nov 2026, 14:32 UTC · "
        f"came along: final 1 ({TEXT.sha256[:8]}), nothing else"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [("white_check_mark", "✅"), ("x", "❌"), ("leftwards_arrow_with_hook", "↩️"), ("party_parrot", ":party_parrot:")],
)
def test_an_emoji_is_shown_as_people_see_it(name: str, shown: str) -> None:
    assert messages.glyph(name) == shown


def test_the_fallback_never_holds_words_of_a_model_or_a_brief() -> None:
    for body in (messages.root(WORK, RUN), messages.part(TEXT, [], number=1, of=1, buttons=True), card("awaiting")):
        assert "cage" not in body.fallback
        assert body.fallback


def test_people_are_mentioned_only_where_the_code_says_so() -> None:
    told = messages.refused(RUN, "<@U0EVIL> <!channel>")
    assert not any(isinstance(span, Who) for line in told.lines for span in line.spans)


# over all sentences there are

ROOT = Path(__file__).parents[2]
SPEAKING = [*ROOT.glob("handlers/*.py"), ROOT / "bot/intake.py", *ROOT.glob("bot/slack/*.py")]
FIELDS = re.compile(
    r"\b(thread_ts|event_ts|message_ts|action_ts|trigger_id|response_url|channel_id|user_id|team_id|callback_id|"
    r"private_metadata|event_id|item_user|action_id|block_id|view_id|subtype|envelope_id)\b"
)


def sentences(file: Path) -> Iterator[str]:
    """String constants that speak: what is given to a Refusal or a ModelFailed, and whatever messages.py says."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        speaks = isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
            "Refusal",
            "ModelFailed",
            "plain",
            "line",
        }
        if speaks or file.name == "messages.py":
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value:
                    yield part.value


@pytest.mark.parametrize("file", SPEAKING, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_sentence_names_a_field_of_slack_or_shouts(file: Path) -> None:
    for said in sentences(file):
        assert not FIELDS.search(said), said
        assert "!" not in said, said
        assert not re.search(r"\b(please|sorry|oops|unfortunately|simply|just)\b", said, re.IGNORECASE), said
