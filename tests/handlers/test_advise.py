"""The four questions: every combination of answers, and every rule."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from handlers.advise import NOT_ROUTED, Advice, Answers, Eyes, Job, Matters, Rule, Scene, Stakes, advise
from handlers.advised import advised
from handlers.routing import NoRoute, works
from handlers.stack import Gate, Posture, Stack, StageName
from tests.handlers.house import words_of

CHANNEL = "C0GAUL"
SCENES = [
    Scene(in_thread=thread, points=points, has_text=text) for thread, points, text in product((True, False), repeat=3)
]
EVERY = [
    Answers(job=job, matters=matters, stakes=stakes, eyes=eyes)
    for job, matters, stakes, eyes in product(Job, Matters, Stakes, Eyes)
]


def a_model(**said: Any) -> dict[str, Any]:
    return {"wire": "openai", "id": "llama-of-peru", "base_url": "http://127.0.0.1:9/v1", **said}


def a_stack(**tables: Any) -> Stack:
    models = {"hare": a_model(trust=2, jurisdiction="cn"), "owl": a_model(trust=5, jurisdiction="eu")}
    return Stack.model_validate({"models": models, "review": {"reviewers": ["U0OBELIX"]}, **tables})


STACKS = {
    "two models": a_stack(),
    "one model": a_stack(models={"mule": a_model()}),
    "no review": a_stack(stages={"final": {"gate": "none"}}),
    "nobody who may approve here": a_stack(channels={CHANNEL: {"reviewers": []}}),
    "no final owner": a_stack(stages={"final": {"posture": "fast-pass"}}),
    "regulated": a_stack(policy={"regulated": True}),
    "a channel for the owl": a_stack(channels={CHANNEL: {"jurisdictions": ["eu"]}}),
    "a channel for the hare": a_stack(channels={CHANNEL: {"jurisdictions": ["cn"]}}),
    "a channel for nobody": a_stack(channels={CHANNEL: {"jurisdictions": []}}),
    "a floor nobody keeps": a_stack(models={"hare": a_model(trust=2)}, stages={"final": {"min_trust": 4}}),
    "no model": Stack(),
}


@cache
def everywhere() -> list[tuple[Stack, Answers, Advice | NoRoute]]:
    """What each combination of answers comes to, in each scene, on each stack."""
    return [
        (stack, said, advise(said, stack, CHANNEL, scene))
        for stack in STACKS.values()
        for said in EVERY
        for scene in SCENES
    ]


def answers(job: Job, stakes: Stakes = Stakes.LOW, matters: Matters = Matters.SPEED, eyes: Eyes = Eyes.HERE) -> Answers:
    return Answers(job=job, matters=matters, stakes=stakes, eyes=eyes)


def told(said: Answers, stack: Stack | None = None, scene: Scene | None = None) -> Advice:
    found = advise(said, stack or a_stack(), CHANNEL, scene or Scene())
    assert isinstance(found, Advice), found
    return found


HIGH, LOW, SPEED, COST, TRUST = Stakes.HIGH, Stakes.LOW, Matters.SPEED, Matters.COST, Matters.TRUST
TABLE = [
    (Job.SOURCES, LOW, SPEED, StageName.SCOUT, Rule.JOB, ["draft"]),
    (Job.SOURCES, LOW, COST, StageName.SCOUT, Rule.JOB, ["draft"]),
    (Job.SOURCES, LOW, TRUST, StageName.SCOUT, Rule.JOB, ["draft", "critique", "final"]),
    (Job.SOURCES, HIGH, SPEED, StageName.SCOUT, Rule.JOB, ["draft", "critique", "final"]),
    (Job.FIRST_PASS, LOW, COST, StageName.DRAFT, Rule.JOB, []),
    (Job.FIRST_PASS, HIGH, COST, StageName.DRAFT, Rule.JOB, ["critique", "final"]),
    (Job.CRITIQUE, LOW, TRUST, StageName.CRITIQUE, Rule.JOB, ["final"]),
    (Job.CRITIQUE, LOW, COST, StageName.CRITIQUE, Rule.JOB, []),
    (Job.CHANGE, LOW, SPEED, StageName.IMPLEMENT, Rule.JOB, ["critique"]),
    (Job.CHANGE, HIGH, SPEED, StageName.IMPLEMENT, Rule.JOB, ["critique", "final"]),
    (Job.POLISH, LOW, TRUST, StageName.POLISH, Rule.JOB, []),
    (Job.POLISH, LOW, SPEED, StageName.POLISH, Rule.JOB, []),
    (Job.POLISH, HIGH, SPEED, StageName.FINAL, Rule.LAST_HANDS, []),
    (Job.OWNERSHIP, HIGH, COST, StageName.FINAL, Rule.CALL, []),
    (Job.OWNERSHIP, LOW, TRUST, StageName.FINAL, Rule.CALL, []),
    (Job.OWNERSHIP, LOW, SPEED, StageName.FINAL, Rule.SMALL, []),
    (Job.OWNERSHIP, LOW, COST, StageName.FINAL, Rule.SMALL, []),
    (Job.SIMPLE, LOW, SPEED, StageName.FINAL, Rule.SIMPLE, []),
    (Job.SIMPLE, HIGH, TRUST, StageName.FINAL, Rule.SIMPLE, []),
]


@pytest.mark.parametrize(("job", "stakes", "matters", "stage", "rule", "then"), TABLE)
def test_the_table(job: Job, stakes: Stakes, matters: Matters, stage: StageName, rule: Rule, then: list[str]) -> None:
    found = told(answers(job, stakes, matters))
    assert (found.stage, found.rule, list(found.then)) == (stage, rule, then)


@pytest.mark.parametrize(
    ("stack", "said", "why"),
    [
        ("regulated", answers(Job.SOURCES), "regulated, and controls that it must have are missing"),
        ("no review", answers(Job.FIRST_PASS, HIGH), "No review stands before what goes out"),
        ("no review", answers(Job.OWNERSHIP, LOW, TRUST), "No review stands before what goes out"),
        ("nobody who may approve here", answers(Job.POLISH, HIGH), "Nobody here may approve"),
        ("no final owner", answers(Job.CHANGE, HIGH), "No model of this stack is a final owner"),
    ],
)
def test_what_the_stack_lacks_is_a_reason_not_to_route(stack: str, said: Answers, why: str) -> None:
    found = told(said, STACKS[stack])
    assert found.rule is (Rule.CONTROLS if stack == "regulated" else Rule.OWNER)
    assert not found.is_routed
    assert why in found.reason


def test_what_the_stack_lacks_does_not_matter_to_what_is_early_and_cheap() -> None:
    for stack in ("no review", "nobody who may approve here", "no final owner"):
        assert told(answers(Job.SOURCES), STACKS[stack]).stage is StageName.SCOUT


def test_a_regulated_stack_with_its_controls_is_routed_like_any() -> None:
    price = {"input": 1.0, "output": 1.0, "checked": "2026-11-01"}
    stack = a_stack(
        models={"hare": a_model(jurisdiction="eu", price=price)},
        policy={"regulated": True},
        review={"reviewers": ["U0OBELIX", "U0ASTERIX"]},
        channels={"default": {"jurisdictions": ["eu"]}},
    )
    assert told(answers(Job.SOURCES), stack).rule is Rule.JOB


def test_every_rule_decides_somewhere() -> None:
    found = [one for _, _, one in everywhere()]
    assert {one.rule for one in found if isinstance(one, Advice)} == set(Rule)
    assert any(isinstance(one, NoRoute) for one in found)


def test_what_is_advised_can_run_there_and_so_can_all_that_comes_after() -> None:
    for stack, _, found in everywhere():
        if isinstance(found, NoRoute):
            assert not works(stack, found.stage, CHANNEL)
            assert found.sentence.startswith(f"{found.stage} cannot run here: ")
            continue
        assert found.route.stage is found.stage
        assert all(works(stack, stage, CHANNEL) for stage in (found.stage, *found.then))


def test_what_is_final_and_must_not_go_wrong_never_gets_a_fast_pass() -> None:
    for _, said, found in everywhere():
        if isinstance(found, NoRoute) or said.stakes is LOW or said.job not in {Job.POLISH, Job.OWNERSHIP}:
            continue
        assert found.stage is StageName.FINAL
        owned = found.route.posture is Posture.FINAL_OWNER and found.route.gate is Gate.REVIEW
        assert owned or not found.is_routed


def test_what_must_not_go_wrong_comes_to_an_owner_or_says_where_it_cannot() -> None:
    for _, said, found in everywhere():
        if isinstance(found, NoRoute) or said.stakes is LOW or found.stage is StageName.FINAL:
            continue
        assert found.then[-1:] == (StageName.FINAL,) or "`final` does not work in this channel" in found.reason


def test_not_to_route_is_always_one_final_and_nothing_after_it() -> None:
    for stack, _, found in everywhere():
        if isinstance(found, Advice) and found.rule in NOT_ROUTED:
            assert (found.stage, found.then) == (StageName.FINAL, ())
            assert "Do not route this: one clean pass and one human review · `final`" in words_of(advised(found, stack))


DECIDED = {
    Rule.SIMPLE: {"job": "one simple thing"},
    Rule.SMALL: {"job": "", "stakes": "A fast pass is enough", "matters": "{matters} matters most"},
    Rule.CALL: {"job": "the final call", "stakes": "", "matters": ""},
    Rule.LAST_HANDS: {"job": "the last to touch it", "stakes": "expensive to get wrong"},
    Rule.JOB: {"job": "The job right now is ", "stakes": "", "matters": ""},
}


def test_the_reason_names_what_decided_and_nothing_else_does() -> None:
    """Another answer to a question that the reason leaves out gives the same stage by the same rule."""
    for said in EVERY:
        found = told(said)
        named = DECIDED[found.rule]
        assert all(words.format(matters=said.matters) in found.reason for words in named.values())
        others: dict[str, Any] = {"job": Job, "matters": Matters, "stakes": Stakes, "eyes": Eyes}
        for question in others.keys() - named.keys():
            for other in others[question]:
                again = told(replace(said, **{question: other}))
                assert (again.stage, again.rule) == (found.stage, found.rule)


def test_a_reason_is_one_or_two_sentences() -> None:
    for _, _, found in everywhere():
        if isinstance(found, Advice):
            assert found.reason.endswith(".")
            assert 1 <= found.reason.count(". ") + 1 <= 2
            assert len(found.reason) <= 250


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (answers(Job.SOURCES, LOW, SPEED), "cheap to do again."),
        (answers(Job.SOURCES, LOW, TRUST), "Trust matters most, so a final owner comes after it."),
        (answers(Job.SOURCES, HIGH, SPEED), "so a final owner and a reviewer come after it."),
        (answers(Job.CRITIQUE, LOW, COST), "You put cost first, but this stage is chosen for skepticism and an eye"),
        (answers(Job.CHANGE, LOW, SPEED), "You put speed first, but this stage is chosen for fit with the workflow."),
    ],
)
def test_what_else_was_said_is_answered_too(said: Answers, more: str) -> None:
    assert more in told(said).reason


@pytest.mark.parametrize(
    ("said", "scene", "new", "fresh"),
    [
        (answers(Job.FIRST_PASS), Scene(), True, False),
        (answers(Job.FIRST_PASS, eyes=Eyes.FRESH), Scene(), True, False),
        (answers(Job.FIRST_PASS), Scene(in_thread=True), False, False),
        (answers(Job.FIRST_PASS, eyes=Eyes.FRESH), Scene(in_thread=True), True, True),
        (answers(Job.SOURCES, eyes=Eyes.FRESH), Scene(in_thread=True), True, True),
        (answers(Job.CHANGE, eyes=Eyes.FRESH), Scene(in_thread=True, has_text=True), True, True),
        (answers(Job.FIRST_PASS, eyes=Eyes.FRESH), Scene(in_thread=True, points=True), False, False),
        (answers(Job.CRITIQUE, eyes=Eyes.FRESH), Scene(in_thread=True, has_text=True), False, False),
        (answers(Job.OWNERSHIP, HIGH, eyes=Eyes.FRESH), Scene(in_thread=True), False, False),
        (answers(Job.OWNERSHIP, HIGH, eyes=Eyes.FRESH), Scene(in_thread=True, has_text=True), True, True),
        (answers(Job.POLISH, eyes=Eyes.FRESH), Scene(in_thread=True, has_text=True), True, True),
        (answers(Job.CRITIQUE), Scene(points=True), False, False),
    ],
)
def test_fresh_eyes_begin_a_thread_of_their_own_where_a_brief_is_all_it_takes(
    said: Answers, scene: Scene, *, new: bool, fresh: bool
) -> None:
    found = told(said, scene=scene)
    assert (found.in_new_thread, found.is_fresh) == (new, fresh)
    shown = words_of(advised(found, a_stack()))
    assert bool(re.search("nothing (else )?of this thread crosses", shown)) is fresh
    assert ("the brief and the newest text" in shown) is (fresh and found.takes_text)
    assert ("Where: a new thread in this channel" in shown) is new


def test_a_stage_that_works_on_a_text_says_when_there_is_none() -> None:
    for job, stage in ((Job.CRITIQUE, StageName.CRITIQUE), (Job.POLISH, StageName.POLISH)):
        for scene in SCENES:
            found = told(answers(job), scene=scene)
            assert found.stage is stage
            assert found.needs_text is not (scene.points or scene.has_text)
            assert ("a link to one" in words_of(advised(found, a_stack()))) is found.needs_text
    assert not told(answers(Job.SIMPLE)).needs_text


def test_an_advice_reads_like_this() -> None:
    stack = a_stack(stages={"draft": {"model": "hare", "fallbacks": ["owl"]}})
    assert words_of(advised(told(answers(Job.FIRST_PASS, HIGH, COST), stack), stack)) == (
        "draft by hare\n"
        "The job right now is a first pass: it wants momentum, and it is cheap to revise. "
        "It goes out or is expensive to get wrong, so a final owner and a reviewer come after it.\n"
        "\n"
        "Model: hare (llama-of-peru); if it fails, owl · fast pass: first drafts reward speed and cheap iteration\n"
        "It sees: the brief and the newest scout notes; earlier drafts only when revising\n"
        "Gate: none, for nothing goes out on it\n"
        "Where: a new thread in this channel\n"
        "After it: `critique`, then `final`"
    )


@pytest.mark.parametrize(
    ("stack", "gate"),
    [
        (a_stack(), "it counts only after a reviewer approves exactly this text"),
        (
            a_stack(review={"reviewers": ["U0OBELIX", "U0ASTERIX"], "quorum": 2}),
            "it counts only after 2 reviewers approve exactly this text",
        ),
        (STACKS["no review"], "none in this stack: read it yourself before it goes out"),
    ],
)
def test_the_gate_of_a_final_is_told_as_the_stack_has_it(stack: Stack, gate: str) -> None:
    assert f"Gate: {gate}\n" in words_of(advised(told(answers(Job.SIMPLE), stack), stack))
