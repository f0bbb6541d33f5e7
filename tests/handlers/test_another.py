"""Who gives a second opinion: another model, of another family where there is one, within floor and policy."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.routing import NoRoute, Route, another
from handlers.stack import Gate, Stack, StageName
from tests.handlers.test_routing import a_model

FINAL, DRAFT = StageName.FINAL, StageName.DRAFT


def zoo(**tables: Any) -> Stack:
    """The hare and the fox are of one family, the owl of another, and nobody says whence the mule comes."""
    models = {
        "hare": a_model(id="hare-1", trust=2, family="Acme", jurisdiction="us"),
        "fox": a_model(id="fox-1", trust=4, family="acme", jurisdiction="eu"),
        "mule": a_model(id="mule-1", trust=5, jurisdiction="us"),
        "owl": a_model(id="owl-1", trust=3, family="Brand", jurisdiction="eu"),
    }
    return Stack.model_validate({"models": models, **tables})


def given(stack: Stack, stage: StageName = DRAFT, **more: Any) -> Route:
    found = another(stack, stage, "C0GAUL", **more)
    assert isinstance(found, Route), found
    return found


@pytest.mark.parametrize(
    ("than", "heard", "model", "fallbacks"),
    [
        ("hare", (), "owl", ()),  # another family comes before more trust
        ("owl", (), "fox", ("hare",)),
        ("mule", (), "fox", ("owl", "hare")),  # of what family nobody says: the most trusted
        ("hare", ("owl",), "mule", ("fox",)),  # who was heard comes last
        ("hare", ("owl", "mule", "fox"), "owl", ()),
        ("gone", (), "mule", ("fox", "owl", "hare")),  # a model the stack has no more
    ],
)
def test_the_furthest_model_is_asked_and_the_most_trusted_among_them(
    than: str, heard: tuple[str, ...], model: str, fallbacks: tuple[str, ...]
) -> None:
    route = given(zoo(), than=than, heard=heard)
    assert (route.model, route.fallbacks) == (model, fallbacks)


@pytest.mark.parametrize(
    ("tables", "model"),
    [
        ({"stages": {"draft": {"min_trust": 4}}}, "mule"),
        ({"channels": {"default": {"jurisdictions": ["us"]}}}, "mule"),
        ({"channels": {"C0GAUL": {"jurisdictions": ["eu"]}}}, "owl"),
    ],
)
def test_floor_and_policy_hold(tables: dict[str, Any], model: str) -> None:
    stack = zoo(**tables)
    route = given(stack, than="hare")
    assert route.model == model
    assert "hare" not in (route.model, *route.fallbacks)


def test_one_model_under_two_names_is_second_to_itself_only_where_nobody_else_is() -> None:
    models = {"quick": a_model(trust=2), "slow": a_model(trust=5), "other": a_model(id="other-1", trust=1)}
    assert given(Stack.model_validate({"models": models}), than="quick").model == "other"
    del models["other"]
    route = given(Stack.model_validate({"models": models}), than="quick")
    assert (route.model, route.reason) == ("slow", "separate model, though it serves the same model, separate context")


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            {"stages": {"final": {"min_trust": 5}}},
            (
                "Nobody can give a second opinion on this final: hare has trust 2, below the stage's floor of 5; fox "
                "has trust 4, below the stage's floor of 5; owl has trust 3, below the stage's floor of 5. "
                "It takes another model in the stack."
            ),
        ),
        ({"models": {"mule": a_model()}}, "on this final: the stack has no other model than mule. It takes"),
        ({"channels": {"default": {"jurisdictions": ["ch"]}}}, "hare is operated in us and this channel allows ch"),
    ],
)
def test_where_nobody_may_the_sentence_names_the_rule(tables: dict[str, Any], told: str) -> None:
    stack = Stack.model_validate({**zoo().model_dump(by_alias=True, exclude={"stages", "channels"}), **tables})
    found = another(stack, FINAL, "C0GAUL", than="mule")
    assert isinstance(found, NoRoute)
    assert told in found.sentence


def test_a_second_opinion_is_not_gated_and_says_of_another_family_only_where_it_is() -> None:
    assert (given(zoo(), FINAL, than="hare").gate, given(zoo(), FINAL, than="hare").reason) == (
        Gate.NONE,
        "separate model, of another family, separate context",
    )
    assert given(zoo(), than="mule").reason == "separate model, separate context"
