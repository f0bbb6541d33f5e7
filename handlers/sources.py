"""The pages a scout reads: those whose addresses people wrote into its brief or note, and no others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from handlers.context import Item, estimate_tokens
from handlers.figures import count
from handlers.material import stage_of
from handlers.ports import Source, Sources, SourceUnread
from handlers.stages import Reads
from handlers.words import storable
from storage.records import Run, Work

MOST = 5
"""Addresses that one run reads; the others are said to be unread."""
LONGEST = 20_000
"""Characters of one page that cross."""
_LEAST_TOKENS = 200  # less of a page than this tells nothing
_TOKENS_AROUND = 120  # the fence, the title and the cut's own words
_LONGEST_NAME = 60

_ADDRESS = re.compile(r"(?<![\w.+-])https?://[^\s<>\"|]+", re.IGNORECASE)
_AFTER_AN_ADDRESS = frozenset(".,;:!?'*`…»”’")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One address by its number in the brief and the note, and what came of it: a page, or why there is none."""

    number: int
    url: str
    page: Source | None = None
    why_not: str = ""

    @property
    def name(self) -> str:
        return f"Source {self.number} ({_host(self.url)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """What came of each address that was read, and how many more were named."""

    read: tuple[Reading, ...] = ()
    more: int = 0


NOTHING_READ = Readings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """What of the readings crosses, and what people are told of the rest."""

    items: tuple[Item, ...] = ()
    remarks: tuple[str, ...] = ()


def addresses_in(*texts: str) -> tuple[str, ...]:
    """The web addresses that stand in these texts, in order, each once, without the punctuation around them."""
    found = (_without_punctuation(match[0]) for text in texts for match in _ADDRESS.finditer(text))
    return tuple(dict.fromkeys(found))


async def read_sources(run: Run, work: Work, *, sources: Sources) -> Readings:
    """Read what the brief and the note of a scout's run name, all at once. Every other stage reads nothing."""
    if Reads.SOURCES not in stage_of(run).reads:
        return NOTHING_READ
    pages: dict[str, str] = {}
    for url in addresses_in(work.brief, run.note):
        pages.setdefault(url.partition("#")[0], url)
    named = list(pages.values())
    read = await asyncio.gather(*(_read(number, url, sources) for number, url in enumerate(named[:MOST], 1)))
    return Readings(read=tuple(read), more=len(named) - len(read))


async def _read(number: int, url: str, sources: Sources) -> Reading:
    try:
        return Reading(number=number, url=url, page=await sources.read(url))
    except SourceUnread as unread:
        return Reading(number=number, url=url, why_not=unread.sentence)


def hand_over(readings: Readings, *, room: int) -> Handed:
    """The pages as items, within `room` tokens together: short ones whole, long ones cut at a paragraph."""
    texts = {reading.number: _written(reading.url, reading.page) for reading in readings.read if reading.page}
    shares = _shares(texts, room - _TOKENS_AROUND * (len(readings.read) + 1))
    items, missed, told = [], list[str](), list[str]()
    for reading in readings.read:
        text = _fitting(texts.get(reading.number, ""), shares.get(reading.number, 0))
        if not text:
            why = reading.why_not or "the model has no room left for it"
            missed.append(f"{reading.name} was not read: {why}.")
            told.append(missed[-1])
            continue
        items.append(Item(reads=Reads.SOURCES, title=f"source {reading.number}: {_place(reading.url)}", text=text))
        if text != texts[reading.number]:
            told.append(f"Of {reading.name.lower()} only the beginning was read.")
    if readings.more:
        missed.append(
            f"{count(readings.more, 'more address', 'more addresses')} not read: a scout reads {MOST} at most."
        )
        told.append(missed[-1])
    if missed:
        items.append(Item(reads=Reads.UNREAD, title="sources that were not read", text="\n".join(missed)))
    return Handed(items=tuple(items), remarks=tuple(told))


def _written(url: str, page: Source) -> str:
    """A page as the model sees it: what it is called, where it was found, what it says."""
    head = [f"Title: {page.title}"] if page.title else []
    head.append(f"Address: {url}")
    if _host(page.url) != _host(url):
        head.append(f"It led on to: {page.url}")
    return storable("\n".join(head) + f"\n\n{page.text}")


def _shares(texts: Mapping[int, str], room: int) -> dict[int, int]:
    """Tokens for each text: those that need little get it whole, the others equal parts of what is left."""
    wanted = {number: estimate_tokens(text[:LONGEST]) for number, text in texts.items()}
    shares: dict[int, int] = {}
    for waiting, number in zip(range(len(wanted), 0, -1), sorted(wanted, key=wanted.__getitem__), strict=True):
        shares[number] = min(wanted[number], max(0, room - sum(shares.values())) // waiting)
    return shares


def _fitting(text: str, tokens: int) -> str:
    """As much of the text as its share holds, whole paragraphs if it can be; empty if that is too little to tell."""
    length = min(len(text), LONGEST)
    while (piece := _cut(text, length)) and (needed := estimate_tokens(text[:length])) > tokens:
        if tokens < _LEAST_TOKENS:
            return ""
        length = min(length - 1, length * tokens // needed)
    return piece


def _cut(text: str, length: int) -> str:
    if length >= len(text):
        return text
    ends = (text.rfind(mark, length // 2, length) for mark in ("\n\n", "\n", " "))
    end = next((end for end in ends if end > 0), length)
    return f"{text[:end].rstrip()}\n\n[cut here: these are the first {end:,} of {len(text):,} characters]"


def _without_punctuation(url: str) -> str:
    """The address without what a sentence puts behind it; a bracket stays where its opening one is part of it."""
    unopened = {closing: url.count(closing) - url.count(opening) for closing, opening in _BRACKETS.items()}
    end = len(url)
    while end and (url[end - 1] in _AFTER_AN_ADDRESS or unopened.get(url[end - 1], 0) > 0):
        end -= 1
        if url[end] in unopened:
            unopened[url[end]] -= 1
    return url[:end]


def _host(url: str) -> str:
    """Who is asked, for a card: never a user name or a password, and no more than a line holds."""
    authority = re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]
    return _short(authority.rpartition("@")[2].lower())


def _place(url: str) -> str:
    """Host and path, for a title."""
    path, query, _ = url.partition("://")[2].partition("#")[0].partition("?")
    return _short(_host(url) + (path[path.index("/") :].rstrip("/") if "/" in path else "") + ("?…" if query else ""))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
