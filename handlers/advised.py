"""An advice as people read it, before they run it."""

from __future__ import annotations

from handlers.advise import Advice
from handlers.figures import count
from handlers.stack import Gate, Stack
from handlers.words import Body, Line, bold, line


def advised(advice: Advice, stack: Stack) -> Body:
    """The stage and why, then the model, the boundary, the gate, the place, and what would come after."""
    route, model = advice.route, stack.models[advice.route.model]
    head = line(bold(advice.stage), " by ", bold(route.model))
    if not advice.is_routed:
        head = line(bold("Do not route this: one clean pass and one human review"), " · `final`")
    served = f" ({model.id})" if model.id != route.model else ""
    instead = f"; if it fails, {' or '.join(route.fallbacks)}" if route.fallbacks else ""
    lines = [
        head,
        line(advice.reason),
        Line(spans=()),
        _row("Model", f"{route.model}{served}{instead} · {route.reason}"),
        _row("It sees", _boundary(advice)),
        _row("Gate", _gate(advice, stack)),
        _row("Where", "a new thread in this channel" if advice.in_new_thread else "the thread you asked in"),
    ]
    if advice.then:
        lines.append(_row("After it", ", then ".join(f"`{stage}`" for stage in advice.then)))
    if advice.needs_text:
        lines.append(line("It works on a text: begin the line below with a link to one (its menu, Copy link)."))
    return Body(lines=tuple(lines), fallback=f"Advice: {advice.stage}")


def _row(name: str, said: str) -> Line:
    return line(bold(f"{name}:"), f" {said}")


def _boundary(advice: Advice) -> str:
    if advice.is_fresh and advice.takes_text:
        return "the brief and the newest text; nothing else of this thread crosses"
    if advice.is_fresh:
        return "the brief alone; nothing of this thread crosses"
    return advice.route.boundary


def _gate(advice: Advice, stack: Stack) -> str:
    if advice.route.gate is Gate.REVIEW:
        quorum = stack.review.quorum
        who = "a reviewer" if quorum == 1 else count(quorum, "reviewer")
        return f"it counts only after {who} approve{'s' * (quorum == 1)} exactly this text"
    if advice.is_routed:
        return "none, for nothing goes out on it"
    return "none in this stack: read it yourself before it goes out"
