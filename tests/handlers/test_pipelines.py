"""Which pipeline somebody asks for: by `run NAME`, or by a stage command that ends so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.pipelines import Plan, meant
from handlers.stack import StageName
from tests.fakes import a_stack

CONTENT = ["scout", "draft", "critique", "final"]
STACK = a_stack(pipelines={"content": CONTENT, "code": {"stages": ["implement", "critique"], "revise_rounds": 2}})


def asks(words: str = "", **more: Any) -> Request:
    said: dict[str, Any] = {"entrance": Entrance.MENTION, "verb": Verb.STAGE, "key": "mention/1", "team": "T0PLAY"}
    said |= {"channel": "C0LAUNCH", "person": "U0ANN", "at": datetime(2026, 11, 3, tzinfo=UTC), "words": words}
    return Request(**(said | more))


def found(request: Request, stack: Any = STACK) -> tuple[str | None, str, str, tuple[str, int] | None]:
    request, plan = meant(request, stack)
    assert (request.pipeline, request.start) == ("", None)
    way = (plan.name, plan.place) if plan else None
    return request.stage, "revise" if request.revises else "", request.words, way


@pytest.mark.parametrize(
    ("pipeline", "start", "words", "comes_to"),
    [
        ("content", None, "be brief", ("scout", "", "be brief", ("content", 0))),
        ("Content", None, "", ("scout", "", "", ("content", 0))),
        ("content", "critique", "be harsh", ("critique", "", "be harsh", ("content", 2))),
        ("code", None, "the parser", ("implement", "", "the parser", ("code", 0))),  # a pipeline wins over a synonym
        ("critic", None, "pass on the tone", ("critique", "", "on the tone", None)),  # as before there were any
        ("critic", "draft", "on", ("critique", "", "from draft on", None)),
        ("revise", None, "the end", ("draft", "revise", "the end", None)),
    ],
)
def test_run_and_a_name_is_that_pipeline(
    pipeline: str, start: str | None, words: str, comes_to: tuple[Any, ...]
) -> None:
    request = asks(words, pipeline=pipeline, start=StageName(start) if start else None)
    assert found(request) == comes_to


def test_a_name_tells_upper_from_lower_case_where_it_must() -> None:
    stack = a_stack(pipelines={"News": ["draft"], "news": ["scout", "draft"]})
    assert found(asks(pipeline="news"), stack) == ("scout", "", "", ("news", 0))
    assert found(asks(pipeline="NEWS"), stack) == ("draft", "", "", ("News", 0))


def test_the_plan_holds_what_is_configured() -> None:
    _, plan = meant(asks(pipeline="code"), STACK)
    assert plan == Plan(name="code", pipeline=STACK.pipelines["code"], place=0)
    assert plan.pipeline.revise_rounds == 2
    assert STACK.pipelines["content"].revise_rounds == 0


@pytest.mark.parametrize(
    ("words", "entrance", "comes_to"),
    [
        ("Say hello run content", Entrance.COMMAND, ("draft", "", "Say hello", ("content", 1))),
        ("Say hello\nrun `content`", Entrance.MENTION, ("draft", "", "Say hello", ("content", 1))),
        ("run content", Entrance.COMMAND, ("draft", "", "", ("content", 1))),
        ("Say hello run content.", Entrance.COMMAND, ("draft", "", "Say hello run content.", None)),
        ("Say how to run marathons", Entrance.COMMAND, ("draft", "", "Say how to run marathons", None)),
        ("Say how we run node", Entrance.COMMAND, ("draft", "", "Say how we run node", None)),
        ("outrun content", Entrance.COMMAND, ("draft", "", "outrun content", None)),
        ("Run content is a phrase", Entrance.COMMAND, ("draft", "", "Run content is a phrase", None)),
        ("Say hello run content", Entrance.SEND_BACK, ("draft", "", "Say hello run content", None)),
    ],
)
def test_a_stage_command_that_ends_so_begins_the_pipeline_at_that_stage(
    words: str, entrance: Entrance, comes_to: tuple[Any, ...]
) -> None:
    assert found(asks(words, stage=StageName.DRAFT, entrance=entrance)) == comes_to


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (asks(pipeline="numbers"), "There is no pipeline `numbers`; there are `content` and `code`."),
        (
            asks(stage=StageName.SCOUT, words="Look at us run code"),
            (
                "Pipeline code has no scout; its stages are implement and critique. If `run code` belongs to your "
                "words, put a full stop after it."
            ),
        ),
        (
            asks(pipeline="content", start=StageName.POLISH),
            "Pipeline content has no polish; its stages are scout, draft, critique and final.",
        ),
        (
            asks("from critqiue please", pipeline="content"),
            "`from critqiue` names no stage. Did you mean `run content from critique`?",
        ),
        (
            asks("Say hello run contnet", stage=StageName.SCOUT, entrance=Entrance.COMMAND),
            (
                "There is no pipeline `contnet`; there are `content` and `code`. If `run contnet` belongs to your "
                "words, put a full stop after it."
            ),
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_can(request_: Request, sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        meant(request_, STACK)
    assert refused.value.sentence == sentence


def test_without_pipelines_there_is_none_to_run() -> None:
    with pytest.raises(Refusal, match="the stack has none"):
        meant(asks(pipeline="content"), a_stack())
    assert found(asks("Say how to run content", stage=StageName.DRAFT), a_stack())[3] is None


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.STAGE])
def test_only_a_request_for_work_names_a_pipeline(verb: Verb) -> None:
    request = asks("run content", verb=verb)
    assert meant(request, STACK) == (request, None)


def test_a_request_is_kept_with_what_is_to_be_run() -> None:
    request = asks("be brief", pipeline="content", start=StageName.CRITIQUE)
    assert Request.from_json(request.to_json()) == request
    older = {key: value for key, value in request.to_json().items() if key not in {"pipeline", "start"}}
    assert Request.from_json(older) == replace(request, pipeline="", start=None)
