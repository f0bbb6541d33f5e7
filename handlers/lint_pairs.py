"""Models that should be two and are one: a critic who is the author, one model under two names."""

from __future__ import annotations

from handlers.remarks import Path, Remark, Remarks
from handlers.routing import assigned_model, same_family
from handlers.stack import Stack, StageName

_CRITIC = StageName.CRITIQUE


def at_model(stack: Stack, stage: StageName) -> Path:
    """Where the file says who does a stage; where it does not say, the models."""
    if stack.rules(stage).model is not None:
        return ("stages", stage, "model")
    return ("models", assigned_model(stack, stage))


def one_model(stack: Stack, one: str, other: str) -> bool:
    """Whether two names mean one model at one address."""
    return stack.models[one].endpoint == stack.models[other].endpoint


def critics(stack: Stack) -> Remarks:
    critic, author = assigned_model(stack, _CRITIC), assigned_model(stack, StageName.DRAFT)
    at = at_model(stack, _CRITIC)
    if not one_model(stack, critic, author):
        yield from _related(stack, critic, author)
        yield from _own_patches(stack, critic)
    elif other := next((key for key in stack.models if not one_model(stack, key, author)), None):
        who = f"{critic} drafts" if critic == author else f"{critic} is {author} by another name, who drafts"
        sentence = f"{who} and criticises; give critique to another model, such as {other}."
        yield Remark(code="W404", at=at, sentence=sentence)
    else:
        sentence = f"{critic} criticises its own drafts, in a fresh context; a second model would doubt more."
        yield Remark(code="N405", at=at, sentence=sentence)


def _related(stack: Stack, critic: str, author: str) -> Remarks:
    if same_family(stack.models[critic], stack.models[author]):
        sentence = (
            f"The critic {critic} and the drafter {author} are of the family {stack.models[critic].family}, "
            "which tends to share blind spots; a critic of another family sees other things."
        )
        yield Remark(code="N406", at=at_model(stack, _CRITIC), sentence=sentence)


def _own_patches(stack: Stack, critic: str) -> Remarks:
    coder = assigned_model(stack, StageName.IMPLEMENT)
    if one_model(stack, critic, coder):
        sentence = f"{critic} criticises the patches it makes itself; give implement or critique to another model."
        yield Remark(code="N428", at=at_model(stack, _CRITIC), sentence=sentence)


def stand_ins(stack: Stack) -> Remarks:
    """A fallback by which, on a bad day, the critic is the author after all."""
    for stage, partner, words in (
        (_CRITIC, StageName.DRAFT, "the critic is the author"),
        (StageName.DRAFT, _CRITIC, "the author is the critic"),
    ):
        owner, opposite = assigned_model(stack, stage), assigned_model(stack, partner)
        if one_model(stack, owner, opposite):
            continue
        for nth, key in enumerate(stack.rules(stage).fallbacks):
            if key in stack.models and one_model(stack, key, opposite):
                sentence = (
                    f"{key} may stand in for {owner} at {stage} and owns {partner}, so on a bad day {words}; "
                    "name a third model, or none."
                )
                yield Remark(code="N424", at=("stages", stage, "fallbacks", nth), sentence=sentence)


def names(stack: Stack) -> Remarks:
    first: dict[str, str] = {}
    for key, model in stack.models.items():
        before = first.setdefault(model.endpoint, key)
        if before != key:
            sentence = f"{key} and {before} are one model at one address; what one of them writes, the other wrote."
            yield Remark(code="N426", at=("models", key), sentence=sentence)
