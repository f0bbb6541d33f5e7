"""What people type, read as what they want: a verb, a stage, and the words that go with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    "status": Verb.STATUS,
    "context": Verb.CONTEXT,
    "cancel": Verb.CANCEL,
    "stop": Verb.CANCEL,
    "help": Verb.HELP,
}
_FILLERS = frozenset({"please", "pls", "a", "the", "run", "do"})
_SECOND_WORDS = {StageName.FINAL: {"owner"}, StageName.CRITIQUE: {"pass", "this"}, StageName.POLISH: {"this"}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a line of words asks for."""

    verb: Verb
    stage: StageName | None = None
    revises: bool = False
    words: str = ""


def read_mention(text: str) -> Asked:
    """Read the words after the bot's name. Words that name no stage and no verb ask for help."""
    rest = text.strip()
    word, rest = _next_word(rest)
    while word in _FILLERS and rest:
        word, rest = _next_word(rest)
    if word in _VERB_WORDS:
        verb = _VERB_WORDS[word]
        return Asked(verb=verb, words="" if verb is Verb.HELP else rest)
    stage = _STAGE_WORDS.get(word)
    if stage is None:
        return Asked(verb=Verb.HELP, words=text.strip())
    second, after = _next_word(rest)
    if second in _SECOND_WORDS.get(stage, ()):
        rest = after
    return Asked(verb=Verb.STAGE, stage=stage, revises=word == "revise", words=rest.lstrip(" \t:,–—-"))


def _next_word(text: str) -> tuple[str, str]:
    match = re.match(r"\s*[`/*_]*([\w'’-]+)[`*_]*[:,.]?\s*", text)
    return (match.group(1).lower(), text[match.end() :]) if match else ("", text)
