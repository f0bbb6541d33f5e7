"""What people type, read as what they want: a verb, a stage, and the words that go with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    "status": Verb.STATUS,
    "context": Verb.CONTEXT,
    "cancel": Verb.CANCEL,
    "stop": Verb.CANCEL,
    "help": Verb.HELP,
}
_SENDS_BACK = frozenset({"send", "sent"})
_FILLERS = frozenset({"please", "pls", "a", "the", "run", "do"})
_NEARLY = 0.75  # of the letters, in their order
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
    word, rest = _first_word(text)
    if word in _VERB_WORDS:
        verb = _VERB_WORDS[word]
        return Asked(verb=verb, words="" if verb is Verb.HELP else rest)
    if word in _SENDS_BACK and (back := _next_word(rest))[0] == "back":
        return Asked(verb=Verb.SEND_BACK, words=back[1].lstrip(" \t:,–—-"))
    stage = _STAGE_WORDS.get(word)
    if stage is None:
        return Asked(verb=Verb.HELP, words=text.strip())
    second, after = _next_word(rest)
    if second in _SECOND_WORDS.get(stage, ()):
        rest = after
    return Asked(verb=Verb.STAGE, stage=stage, revises=word == "revise", words=rest.lstrip(" \t:,–—-"))


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
