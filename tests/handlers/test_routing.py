from __future__ import annotations

from typing import Any

import pytest

from handlers.routing import QUESTIONS, NoRoute, Route, assigned_model, route
from handlers.stack import Gate, Posture, Priority, Stack, StageName


def a_model(**said: Any) -> dict[str, Any]:
    return {"wire": "openai", "id": "llama-of-peru", "base_url": "http://127.0.0.1:9/v1", **said}


def a_stack(**tables: Any) -> Stack:
    models = {"hare": a_model(trust=2), "owl": a_model(trust=5), "fox": a_model(trust=3)}
    return Stack.model_validate({"models": models, "review": {"reviewers": ["U0OBELIX"]}, **tables})


def routed(stack: Stack, stage: StageName, channel: str = "C0GAUL", **more: Any) -> Route:
    found = route(stack, stage, channel, **more)
    assert isinstance(found, Route), found
    return found


def refused(stack: Stack, stage: StageName, channel: str = "C0GAUL", **more: Any) -> NoRoute:
    found = route(stack, stage, channel, **more)
    assert isinstance(found, NoRoute), found
    return found


@pytest.mark.parametrize(
    ("stage", "model"),
    [
        (StageName.SCOUT, "hare"),
        (StageName.DRAFT, "hare"),
        (StageName.IMPLEMENT, "hare"),
        (StageName.CRITIQUE, "owl"),
        (StageName.POLISH, "owl"),
        (StageName.FINAL, "owl"),
    ],
)
def test_a_stage_that_names_no_model_takes_the_contracts_default(stage: StageName, model: str) -> None:
    assert assigned_model(a_stack(), stage) == model


@pytest.mark.parametrize("stage", list(StageName))
def test_the_only_model_does_every_stage(stage: StageName) -> None:
    assert assigned_model(a_stack(models={"mule": a_model()}), stage) == "mule"


@pytest.mark.parametrize("stage", list(StageName))
def test_the_files_word_beats_the_default(stage: StageName) -> None:
    assert assigned_model(a_stack(stages={stage: {"model": "fox"}}), stage) == "fox"


@pytest.mark.parametrize("stage", list(StageName))
def test_ties_go_by_the_order_in_the_file(stage: StageName) -> None:
    twins = {"castor": a_model(trust=4), "pollux": a_model(trust=4)}
    expected = "pollux" if stage is StageName.CRITIQUE else "castor"
    assert assigned_model(a_stack(models=twins), stage) == expected


def test_the_critic_is_the_most_trusted_that_does_not_draft() -> None:
    assert assigned_model(a_stack(stages={"draft": {"model": "owl"}}), StageName.CRITIQUE) == "fox"


def test_a_default_keeps_the_stages_floor_where_a_model_can() -> None:
    assert assigned_model(a_stack(stages={"scout": {"min_trust": 3}}), StageName.SCOUT) == "fox"


def test_a_stack_without_models_routes_nothing() -> None:
    with pytest.raises(LookupError, match="no model"):
        assigned_model(Stack(), StageName.SCOUT)
    assert refused(Stack(), StageName.SCOUT).sentence == (
        "scout cannot run here: the stack names no model. No other stage works here."
    )


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        (StageName.SCOUT, "fast pass: scanning rewards speed and breadth"),
        (StageName.DRAFT, "fast pass: first drafts reward speed and cheap iteration"),
        (StageName.CRITIQUE, "fast pass: a critique rewards skepticism and an eye for structure"),
        (StageName.IMPLEMENT, "fast pass: code work rewards fit with the workflow"),
        (StageName.POLISH, "fast pass: polish rewards trust and clarity"),
        (StageName.FINAL, "final owner: what goes out rewards trust and caution"),
    ],
)
def test_a_route_says_why_in_one_sentence(stage: StageName, reason: str) -> None:
    assert routed(a_stack(), stage).reason == reason


def test_only_final_is_a_gated_final_owner_unless_the_file_says_otherwise() -> None:
    stack = a_stack()
    assert {stage: (stack.posture(stage), stack.gate(stage)) for stage in StageName} == {
        **dict.fromkeys(StageName, (Posture.FAST_PASS, Gate.NONE)),
        StageName.FINAL: (Posture.FINAL_OWNER, Gate.REVIEW),
    }
    open_final = routed(a_stack(stages={"final": {"gate": "none", "posture": "fast-pass"}}), StageName.FINAL)
    gated_polish = routed(a_stack(stages={"polish": {"gate": "review", "posture": "final-owner"}}), StageName.POLISH)
    assert (open_final.posture, open_final.gate) == (Posture.FAST_PASS, Gate.NONE)
    assert (gated_polish.posture, gated_polish.gate) == (Posture.FINAL_OWNER, Gate.REVIEW)


def test_the_files_answers_to_the_four_questions_stand_in_the_route() -> None:
    said = {"job": "fetch menhirs", "priority": ["caution"], "context": "the quarry only"}
    found = routed(a_stack(stages={"scout": said}), StageName.SCOUT)
    assert (found.job, found.priority, found.boundary) == ("fetch menhirs", (Priority.CAUTION,), "the quarry only")
    assert found.reason == "fast pass: scanning rewards caution"


def test_every_stage_has_an_answer_to_every_question() -> None:
    assert set(QUESTIONS) == set(StageName)
    assert all(one.job and one.subject and one.priority and one.boundary for one in QUESTIONS.values())


JURISDICTIONS = {
    "hare": a_model(trust=2, jurisdiction="us"),
    "owl": a_model(trust=5, jurisdiction="EU"),
    "mole": a_model(trust=4),
}


@pytest.mark.parametrize(
    ("allowed", "model", "fallbacks"),
    [
        (None, "hare", ("owl", "mole")),
        (["us"], "hare", ()),
        (["US", "eu"], "hare", ("owl",)),
        (["eu"], "owl", ()),
        (["ch"], None, ()),
        ([], None, ()),
    ],
)
def test_only_models_of_the_channels_jurisdictions_may_work_and_an_unknown_one_may_not(
    allowed: list[str] | None, model: str | None, fallbacks: tuple[str, ...]
) -> None:
    policy = {} if allowed is None else {"jurisdictions": allowed}
    stages = {"scout": {"model": "hare", "fallbacks": ["owl", "mole"]}}
    stack = a_stack(models=JURISDICTIONS, stages=stages, channels={"C0GAUL": policy})
    found = route(stack, StageName.SCOUT, "C0GAUL")
    seen = (found.model, found.fallbacks) if isinstance(found, Route) else (None, ())
    assert seen == (model, fallbacks)


def test_a_channel_is_judged_by_its_own_policy_and_the_rest_by_default() -> None:
    channels = {"default": {"jurisdictions": ["eu"]}, "C0ROME": {"jurisdictions": ["us"]}}
    stack = a_stack(models=JURISDICTIONS, channels=channels)
    assert routed(stack, StageName.SCOUT, "C0ROME").model == "hare"
    assert routed(stack, StageName.FINAL, "C0ANYWHERE").model == "owl"
    assert refused(stack, StageName.SCOUT, "C0ANYWHERE").still_work


def test_a_refusal_names_the_rule_and_the_stages_that_still_work() -> None:
    stack = a_stack(models=JURISDICTIONS, channels={"default": {"jurisdictions": ["eu"]}})
    found = refused(stack, StageName.DRAFT)
    assert found.still_work == (StageName.CRITIQUE, StageName.POLISH, StageName.FINAL)
    assert found.sentence == (
        "draft cannot run here: hare is operated in us and this channel allows eu. "
        "critique, polish and final still work here."
    )


def test_a_refusal_says_that_an_unknown_jurisdiction_denies() -> None:
    stack = a_stack(
        models=JURISDICTIONS, stages={"scout": {"model": "mole"}}, channels={"default": {"jurisdictions": ["eu", "us"]}}
    )
    assert refused(stack, StageName.SCOUT).sentence.startswith(
        "scout cannot run here: mole names no jurisdiction and this channel allows eu and us. "
    )


def test_a_refusal_where_one_other_or_no_other_stage_works() -> None:
    stages: dict[str, Any] = {stage: {"model": "hare"} for stage in StageName}
    one = a_stack(
        models=JURISDICTIONS,
        stages=stages | {"final": {"model": "owl"}},
        channels={"default": {"jurisdictions": ["eu"]}},
    )
    none = a_stack(models=JURISDICTIONS, stages=stages, channels={"default": {"jurisdictions": []}})
    assert refused(one, StageName.SCOUT).sentence.endswith("allows eu. final still works here.")
    assert refused(none, StageName.SCOUT).sentence.endswith("allows none. No other stage works here.")


def test_no_fallback_falls_below_the_stages_floor() -> None:
    stages = {"final": {"model": "owl", "fallbacks": ["hare", "fox"], "min_trust": 3}}
    assert routed(a_stack(stages=stages), StageName.FINAL).fallbacks == ("fox",)


def test_an_assigned_model_below_its_floor_does_not_work() -> None:
    found = refused(a_stack(stages={"final": {"model": "hare", "min_trust": 4}}), StageName.FINAL)
    assert "hare has trust 2, below the stage's floor of 4" in found.sentence


def test_a_fallback_that_takes_over_by_policy_is_said_in_the_reason() -> None:
    stack = a_stack(
        models=JURISDICTIONS,
        stages={"scout": {"model": "hare", "fallbacks": ["owl"]}},
        channels={"default": {"jurisdictions": ["eu"]}},
    )
    assert routed(stack, StageName.SCOUT).reason == (
        "fast pass: scanning rewards speed and breadth; hare is operated in us and this channel allows eu"
    )


def test_excluded_models_are_left_out_and_said() -> None:
    stack = a_stack(stages={"scout": {"model": "hare", "fallbacks": ["fox", "hare", "owl"]}})
    assert routed(stack, StageName.SCOUT).fallbacks == ("fox", "owl")
    found = routed(stack, StageName.SCOUT, exclude={"hare"})
    assert (found.model, found.fallbacks) == ("fox", ("owl",))
    assert found.reason.endswith("; hare was left out")
    assert "scout still" not in refused(stack, StageName.SCOUT, exclude=("hare", "fox", "owl")).sentence


def test_a_route_carries_the_digest_of_its_stack_and_a_swapped_model_changes_it() -> None:
    before, after = a_stack(), a_stack(stages={"scout": {"model": "fox"}})
    assert routed(before, StageName.SCOUT).stack_digest == a_stack().digest
    assert routed(after, StageName.SCOUT).stack_digest != before.digest
