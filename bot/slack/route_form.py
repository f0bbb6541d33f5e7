"""The form of `/route`: the four questions over a brief, what they come to, and what people filled in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bot.slack.blocks import blocks_of
from bot.slack.plain import Pointer, take_permalink
from handlers.advise import Advice, Answers, Eyes, Job, Matters, Scene, Stakes
from handlers.offer import LONGEST
from handlers.stack import StageName
from handlers.words import Body, Line, storable

Payload = dict[str, Any]

ROUTE_FORM = "route_form"
ROUTE_ADVICE = "route_advice"
ROUTE_BUTTON = "route"
WORDS = "words"
UNREADABLE = "Slack delivered this form in a shape I cannot read, so nothing was started. Close it and ask again."

_JOBS = {
    Job.SOURCES: "Gather sources",
    Job.FIRST_PASS: "Write a first pass",
    Job.CRITIQUE: "Find what is weak",
    Job.CHANGE: "Change code or a system",
    Job.POLISH: "Polish the wording",
    Job.OWNERSHIP: "Make the final call",
    Job.SIMPLE: "One simple thing, start to end",
}
_MATTERS = {Matters.SPEED: "Speed and breadth", Matters.COST: "Cost", Matters.TRUST: "Trust"}
_STAKES = {
    Stakes.HIGH: ("A final owner", "Others will see it, or a mistake is expensive"),
    Stakes.LOW: ("A fast pass", "It is early, or cheap to do again"),
}
_EYES = {
    Eyes.HERE: ("Go on from here", "It may use what the thread has made"),
    Eyes.FRESH: ("Fresh eyes", "It sees the brief, the text if it needs one, and no more"),
}
_OFFERED: dict[str, tuple[str, ...]] = {
    "job": tuple(Job),
    "matters": tuple(Matters),
    "stakes": tuple(Stakes),
    "eyes": tuple(Eyes),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Where the form was asked for, and what is there.

    Attributes:
        thread_ts: the thread in which the run would land; None: it begins one.
        has_work: the thread has a brief already, so that the words are a note.
        has_text: the thread has a text that could be worked on.
    """

    channel: str
    thread_ts: str | None = None
    has_work: bool = False
    has_text: bool = False

    def scene(self, words: str) -> Scene:
        points = take_permalink(words)[0] is not None
        return Scene(in_thread=self.thread_ts is not None, points=points, has_text=self.has_text)

    def to_json(self) -> Payload:
        return {
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "has_work": self.has_work,
            "has_text": self.has_text,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Opener:
    """Somebody who wants to see the form, by a command or a button.

    Attributes:
        words: what they said already; a button's are remembered with the letter `said_in`.
        reply_url: where they can be told that no form opens.
        again: how to ask once more, as a clause.
    """

    team: str
    channel: str
    person: str
    trigger_id: str
    thread_ts: str | None
    words: str
    said_in: str | None
    reply_url: str | None
    again: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What "Run it" starts; `target` is the message that the words began with a link to."""

    spot: Spot
    stage: StageName
    words: str
    is_fresh: bool
    takes_text: bool
    target: Pointer | None


class Faulty(Exception):  # noqa: N818  reads as a fact
    """What a person must mend in the form before it is taken: a sentence by the field it belongs to."""

    def __init__(self, **faults: str) -> None:
        super().__init__(*faults.values())
        self.faults = faults


# What people see


def questions(spot: Spot, words: str, *, said: Line | None = None) -> Payload:
    """The form; `said` stands above it, where the answers came to nothing."""
    told = blocks_of(Body(lines=(said,)), "said") if said else []
    return _view(
        ROUTE_FORM,
        spot.to_json(),
        title="Four questions",
        submit="Advise me",
        blocks=[
            *told,
            _select("job", "What is the job right now?", "This step, not the whole project.", _JOBS),
            _radio("matters", "What matters most?", {one: (text, "") for one, text in _MATTERS.items()}),
            _radio("stakes", "A final owner, or a fast pass?", _STAKES),
            _radio("eyes", "Is a clean context part of the quality?", _EYES),
            _words(spot, words),
        ],
    )


def answer(advice: Advice, body: Body, spot: Spot, words: str) -> Payload:
    """What the answers came to, with the words once more: they may still be mended before they are run."""
    kept = {
        **spot.to_json(),
        "stage": advice.stage.value,
        "is_fresh": advice.is_fresh,
        "takes_text": advice.takes_text,
        "needs_text": advice.needs_text,
    }
    blocks = [*blocks_of(body, "advice"), {"type": "divider", "block_id": "line"}, _words(spot, words)]
    return _view(ROUTE_ADVICE, kept, title="How to run it", submit="Run it", blocks=blocks)


def _view(name: str, kept: Payload, *, title: str, submit: str, blocks: list[Payload]) -> Payload:
    return {
        "type": "modal",
        "callback_id": name,
        "private_metadata": json.dumps(kept),
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain("Not now"),
        "blocks": blocks,
    }


def _words(spot: Spot, words: str) -> Payload:
    label, hint = "The brief", "What is wanted, for whom. It may begin with a link to a message (its menu, Copy link)."
    if spot.has_work:
        label, hint = "A note to this run", "The brief of this thread crosses by itself."
    element: Payload = {"type": "plain_text_input", "action_id": WORDS, "multiline": True, "max_length": LONGEST}
    if words:
        element["initial_value"] = words
    return {**_input(WORDS, label, element, hint=hint), "optional": spot.has_work}


def _select(name: str, label: str, hint: str, options: dict[Job, str]) -> Payload:
    element = {
        "type": "static_select",
        "action_id": name,
        "placeholder": _plain("Choose one"),
        "options": [_option(value, text) for value, text in options.items()],
    }
    return _input(name, label, element, hint=hint)


def _radio(name: str, label: str, options: dict[Any, tuple[str, str]]) -> Payload:
    made = [_option(value, text, about) for value, (text, about) in options.items()]
    return _input(name, label, {"type": "radio_buttons", "action_id": name, "options": made})


def _option(value: str, text: str, about: str = "") -> Payload:
    option: Payload = {"text": _plain(text), "value": str(value)}
    return {**option, "description": _plain(about)} if about else option


def _input(name: str, label: str, element: Payload, *, hint: str = "") -> Payload:
    block: Payload = {"type": "input", "block_id": name, "label": _plain(label), "element": element}
    return {**block, "hint": _plain(hint)} if hint else block


def _plain(text: str) -> Payload:
    return {"type": "plain_text", "text": text}


# What they filled in


def read_answers(view: Payload) -> tuple[Answers, Spot, str]:
    """The four answers, where they belong, and the words.

    Raises:
        Faulty: something is missing, or was never offered, or the words are none or too many.
    """
    spot, values = _spot(_kept(view)), _values(view)
    said = {name: _chosen(values, name) for name in _OFFERED}
    faults = {name: "Choose one of these." for name, value in said.items() if value not in _OFFERED[name]}
    words = _typed(values)
    if fault := _fault_of(words, spot):
        faults[WORDS] = fault
    if faults:
        raise Faulty(**faults)
    answers = Answers(
        job=Job(said["job"]), matters=Matters(said["matters"]), stakes=Stakes(said["stakes"]), eyes=Eyes(said["eyes"])
    )
    return answers, spot, words


def read_wanted(view: Payload) -> Wanted:
    """What to run. Raises Faulty when it cannot be started so."""
    kept, words = _kept(view), _typed(_values(view))
    spot = _spot(kept)
    if fault := _fault_of(words, spot):
        raise Faulty(words=fault)
    if kept.get("stage") not in list(StageName):
        raise Faulty(words=UNREADABLE)
    target, rest = take_permalink(words)
    if kept.get("needs_text") is True and target is None:
        raise Faulty(words=f"{kept['stage']} works on a text: begin with a link to one (its menu, Copy link).")
    return Wanted(
        spot=spot,
        stage=StageName(kept["stage"]),
        words=rest,
        is_fresh=kept.get("is_fresh") is True and target is None,
        takes_text=kept.get("takes_text") is True,
        target=target,
    )


def _fault_of(words: str, spot: Spot) -> str:
    if len(words) > LONGEST:
        return f"That is {len(words):,} characters; this field takes {LONGEST:,}. Shorten it."
    if not words and not spot.has_work:
        return "Say what is wanted: a line is enough."
    pointer, _ = take_permalink(words)
    if pointer and pointer.channel != spot.channel:
        return "That link leads to another channel. Ask there: what is said there stays there."
    return ""


def _kept(view: Payload) -> Payload:
    """What the form was opened with."""
    try:
        kept = json.loads(view["private_metadata"])
        if isinstance(kept, dict) and isinstance(kept["channel"], str) and kept["channel"]:
            return kept
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    raise Faulty(words=UNREADABLE)


def _spot(kept: Payload) -> Spot:
    thread_ts = kept.get("thread_ts")
    return Spot(
        channel=kept["channel"],
        thread_ts=thread_ts if isinstance(thread_ts, str) and thread_ts else None,
        has_work=kept.get("has_work") is True,
        has_text=kept.get("has_text") is True,
    )


def _values(view: Payload) -> Payload:
    state = view.get("state")
    values = state.get("values") if isinstance(state, dict) else None
    return values if isinstance(values, dict) else {}


def _field(values: Payload, name: str) -> Payload:
    block = values.get(name)
    field = block.get(name) if isinstance(block, dict) else None
    return field if isinstance(field, dict) else {}


def _chosen(values: Payload, name: str) -> str:
    option = _field(values, name).get("selected_option")
    value = option.get("value") if isinstance(option, dict) else None
    return value if isinstance(value, str) else ""


def _typed(values: Payload) -> str:
    value = _field(values, WORDS).get("value")
    return storable(value).strip() if isinstance(value, str) else ""
