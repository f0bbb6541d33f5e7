"""What people type, read as what they want: a verb, a stage, and the words that go with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from handlers.incoming import Verb
from handlers.stack import StageName

_STAGE_WORDS = {
    "scout": StageName.SCOUT,
    "scan": StageName.SCOUT,
    "research": StageName.SCOUT,
    "draft": StageName.DRAFT,
    "drafter": StageName.DRAFT,
    "revise": StageName.DRAFT,
    "critique": StageName.CRITIQUE,
    "critic": StageName.CRITIQUE,
    "criticise": StageName.CRITIQUE,
    "criticize": StageName.CRITIQUE,
    "implement": StageName.IMPLEMENT,
    "implementer": StageName.IMPLEMENT,
    "code": StageName.IMPLEMENT,
    "polish": StageName.POLISH,
    "final": StageName.FINAL,
    "finalise": StageName.FINAL,
    "finalize": StageName.FINAL,
}
_VERB_WORDS = {
    "again": Verb.AGAIN,
    "retry": Verb.AGAIN,
    "fresh": Verb.FRESH,
    "second-opinion": Verb.SECOND_OPINION,
    "status": Verb.STATUS,
    "context": Verb.CONTEXT,
    "cancel": Verb.CANCEL,
    "stop": Verb.CANCEL,
    "help": Verb.HELP,
    "raise": Verb.RAISE,
    "route": Verb.ROUTE,
    "stack": Verb.STACK,
}
_APPROVES = frozenset({"approve", "approved", "approves", "lgtm"})
_SENDS_BACK = frozenset({"send", "sent"})
_FILLERS = frozenset({"please", "pls", "a", "the", "run", "do", "start"})
_RUN = re.compile(
    r"\s*[`/*_]*(?:(?:please|pls|do)\s+)*run\s+(?:(?:please|pls|do|a|the|run)\s+)*"
    r"[`*_]*(?P<name>[a-z0-9](?:[a-z0-9._/-]{0,58}[a-z0-9_/-])?)[`*_]*(?:\s+pipeline\b)?[.:,;–—-]*(?!\S)\s*",
    re.IGNORECASE | re.ASCII,
)
_FROM = re.compile(r"from\s+[`*_]*(?P<stage>[a-z]+)[`*_]*[.:,;–—-]*(?!\S)\s*", re.IGNORECASE)
_NEARLY = 0.75  # of the letters, in their order
_SECOND_WORDS = {StageName.FINAL: {"owner"}, StageName.CRITIQUE: {"pass", "this"}, StageName.POLISH: {"this"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a line of words asks for.

    `pipeline` is the name after `run`, where that is no stage's own, and `start` the stage it is to be run from.
    """

    verb: Verb
    stage: StageName | None = None
    revises: bool = False
    words: str = ""
    pipeline: str = ""
    start: StageName | None = None


def read_mention(text: str) -> Asked:
    """Read the words after the bot's name. Words that name no stage, no verb and nothing to run ask for help."""
    word, rest = _first_word(text)
    if word != "fresh":
        return _read(text)
    there = _read(rest)
    return replace(there, verb=Verb.FRESH) if there.verb is Verb.STAGE else Asked(verb=Verb.FRESH, words=rest)


def _read(text: str) -> Asked:
    asked, run = read_stage(text), _RUN.match(text)
    if run is None or asked.verb not in {Verb.STAGE, Verb.HELP} or is_taken(run["name"]):
        return asked
    words = text[run.end() :]
    since = _FROM.match(words)
    start = _STAGE_WORDS.get(since["stage"].lower()) if since else None
    if since and start:
        words = words[since.end() :]
    return Asked(verb=Verb.STAGE, pipeline=run["name"], start=start, words=words.strip())


def is_taken(name: str) -> bool:
    """Whether `run` and this word mean something whatever pipelines there are."""
    return name.lower() in {*StageName, *_VERB_WORDS, *_FILLERS}


def nearly_a_stage(words: str) -> str | None:
    """The stage that was probably meant by words that begin with `from` and nearly its name."""
    since = _FROM.match(words)
    found = get_close_matches(since["stage"].lower(), [*StageName], n=1, cutoff=_NEARLY) if since else []
    return found[0] if found else None


def read_stage(text: str) -> Asked:
    """Read words in which `run` is mere filling."""
    word, rest = _first_word(text)
    if word == "second" and (after := _next_word(rest))[0] == "opinion":
        word, rest = "second-opinion", after[1]
    if word in _VERB_WORDS:
        verb = _VERB_WORDS[word]
        return Asked(verb=verb, words="" if verb is Verb.HELP else rest)
    if word in _SENDS_BACK and (back := _next_word(rest))[0] == "back":
        return Asked(verb=Verb.SEND_BACK, words=back[1].lstrip(" \t:,–—-"))
    stage = _STAGE_WORDS.get(word)
    if stage is None:
        return Asked(verb=Verb.HELP, words=text.strip())
    second, behind = _next_word(rest)
    if second in _SECOND_WORDS.get(stage, ()):
        rest = behind
    return Asked(verb=Verb.STAGE, stage=stage, revises=word == "revise", words=rest.lstrip(" \t:,–—-"))


def means_approval(text: str) -> bool:
    """Whether somebody tries to approve in words, which approve nothing."""
    return _first_word(text)[0] in _APPROVES


def nearest(text: str) -> str | None:
    """The word that was probably meant by one that is nearly it, such as "critique" for "critqiue"."""
    word = _first_word(text)[0]
    found = get_close_matches(word, (*_STAGE_WORDS, *_VERB_WORDS), n=1, cutoff=_NEARLY)
    return found[0] if found else None


def _first_word(text: str) -> tuple[str, str]:
    """The first word that is no mere filling, and what comes after it."""
    word, rest = _next_word(text.strip())
    while word in _FILLERS and rest:
        word, rest = _next_word(rest)
    return word, rest


def _next_word(text: str) -> tuple[str, str]:
    match = re.match(r"\s*[`/*_]*([\w'’-]+)[`*_]*[:,.]?\s*", text)
    return (match.group(1).lower(), text[match.end() :]) if match else ("", text)
