"""Chooses the scripted demo's answers: by the stage that asks, from the brief and the text it was really handed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from bot.playground import demo_seconds as seconds
from bot.playground import demo_texts as texts
from bot.playground.scripted_reply import Answers, Recorded, Reply

_STAGE = re.compile(r"Stage:\s*(\w+)")
_ITEM = re.compile(r"<<<(\S+) ([^>\n]*)>>>\n(.*?)\n<<<\1 end>>>", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]{20,}[.!?]")
_LONGEST_SUBJECT = 90
_QUOTED_WORDS = 9
_BESIDE_IT = ("brief", "note", "test evidence")
_ABOUT_IT = ("critique", "findings", "scout notes")

Items = Mapping[str, str]


def demo_answers() -> Answers:
    """Answers for the scripted demo: written for its own brief, and fitted to any other one.

    A second opinion has another voice: that of the model that does not own the stage there.
    """

    def answer(recorded: Recorded) -> Reply:
        named = _STAGE.match(recorded.system)
        stage = named.group(1).lower() if named else ""
        others = _OTHERS if seconds.is_another_voice(stage, recorded.model) else _WRITERS
        writes = others.get(stage, _plain)
        return Reply(text=writes(_items(recorded.user), recorded))

    return answer


def _items(user: str) -> Items:
    """What crossed, by its title, in its order; the whole request as a brief where nothing is fenced."""
    found = {title: text for _, title, text in _ITEM.findall(user)}
    return MappingProxyType(found or {"brief": user})


def _brief(items: Items) -> str:
    return next((text for title, text in items.items() if title.startswith("brief")), next(iter(items.values()), ""))


def _text(items: Items, *, beside: tuple[str, ...] = (*_BESIDE_IT, *_ABOUT_IT)) -> tuple[str, str]:
    """What the one text a stage works on is called, and its words; nothing where none was handed over."""
    return next(((title, text) for title, text in items.items() if not title.startswith(beside)), ("", ""))


def _is_the_demo(brief: str) -> bool:
    words = brief.lower()
    return "reviewer" in words and ("publish" in words or "announc" in words)


def _is_short(brief: str) -> bool:
    return "sentence" in brief.lower()


def _subject(brief: str) -> str:
    """The brief's first sentence, short enough for a heading."""
    line = re.split(r"(?<=[.!?])\s|\n", " ".join(brief.split()), maxsplit=1)[0].strip(" .!?#*") or "This request"
    short = line if len(line) <= _LONGEST_SUBJECT else line[:_LONGEST_SUBJECT].rsplit(" ", 1)[0] + " …"
    return short[0].upper() + short[1:]


def _scout(items: Items, _: Recorded) -> str:
    brief = _brief(items)
    return texts.SCOUT if _is_the_demo(brief) else _OTHER_SCOUT.format(subject=_subject(brief))


def _draft(items: Items, recorded: Recorded) -> str:
    brief = _brief(items)
    old = _text(items)[1]
    revises = "This run is a revision" in recorded.system
    if _is_the_demo(brief) and _is_short(brief):
        return texts.SHORT_FINAL if revises else texts.SHORT_DRAFT
    if _is_the_demo(brief):
        return texts.REVISED if revises else texts.DRAFT
    return _mended(old) if revises and old else _OTHER_DRAFT.format(subject=_subject(brief))


def _critique(items: Items, _: Recorded) -> str:
    title, text = _text(items, beside=_BESIDE_IT)
    found = [finding for finding in texts.FINDINGS if finding[1] in text]
    if (
        not found
        and not re.search(r" [2-9]$|^polish|^final", title)
        and not text.startswith((texts.REVISED[:300], texts.SHORT_FINAL[:200]))
    ):
        found = _other_findings(text)
    lines = [f"{n}. {grade} · “{words}” · {why} · {mend}" for n, (grade, words, why, mend) in enumerate(found, start=1)]
    verdict = "Verdict: revise" if found else "Verdict: nothing serious found"
    return "\n".join([*lines, "", verdict] if lines else [verdict])


def _other_findings(text: str) -> list[tuple[str, str, str, str]]:
    """Findings about the first sentences of a text we have not written, quoted as they stand."""
    remarks = (
        ("major", "it is said as a fact and nothing here carries it", "say where it comes from, or say less"),
        ("minor", "a reader cannot tell who does what, and when", "name the person and the day"),
    )
    holes = re.findall(r"\[needs: [^\]\n]+\]", text)
    found = [(grade, quoted, why, mend) for quoted, (grade, why, mend) in zip(_quotations(text), remarks, strict=False)]
    found += [("minor", hole, "the text cannot go out with this hole in it", "fill it or do without") for hole in holes]
    return found[:4]


def _quotations(text: str) -> list[str]:
    """The first words of a text's sentences, exactly as written."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", ">", "`", "|"))]
    sentences = _SENTENCE.findall("\n".join(line.replace("**", "\n") for line in lines)) or [text]
    starts = (" ".join(sentence.split()[:_QUOTED_WORDS]) for sentence in sentences)
    return [start for start in starts if start and start in text and "[" not in start]


def _implement(items: Items, _: Recorded) -> str:
    brief = _brief(items)
    return texts.PATCH if _is_the_demo(brief) else _OTHER_PATCH.format(subject=_subject(brief))


def _polish(items: Items, _: Recorded) -> str:
    text = _text(items)[1]
    if "```diff" in text:
        return f"{texts.MENDED_PATCH}\n{_PATCH_CHANGED}"
    brief = _brief(items)
    if _is_the_demo(brief) and _is_short(brief):
        return f"{texts.SHORT_FINAL}\n{texts.SHORT_CHANGED}"
    if _is_the_demo(brief):
        return f"{texts.REVISED}\n{texts.CHANGED}"
    return f"{_mended(text)}\n\n{_OTHER_CHANGED}"


def _final(items: Items, _: Recorded) -> str:
    title, text = _text(items)
    brief = _brief(items)
    if "```diff" in text:
        body = texts.MENDED_PATCH
    elif _is_the_demo(brief):
        body = texts.SHORT_FINAL if _is_short(brief) else texts.FINAL
    else:
        body = _mended(text or _OTHER_DRAFT.format(subject=_subject(brief)))
    remarks = texts.OWNERS_REMARKS if body in {texts.FINAL, texts.SHORT_FINAL} else _OTHER_REMARKS
    decided = _decided(items)
    if (reason := items.get("note")) and title.startswith("final"):
        body = f"{body.strip()}\n\n**Asked for in review.** {' '.join(reason.split())}"
        decided = ["The reviewer's reason is taken up at the end of the text."]
    notes = "\n".join([*decided, remarks])
    return f"## Decision\nready\n\n## Final text\n{body.strip()}\n\n## Owner's notes\n{notes}"


def _decided(items: Items) -> list[str]:
    """One line for each finding of each critique that crossed."""
    lines = []
    for title, critique in items.items():
        number = re.fullmatch(r"critique (\d+)", title)
        if number is None:
            continue
        found = re.findall(r"^(\d+)\. (.*)$", critique, re.MULTILINE)
        for nth, finding in found:
            label = f"C{number.group(1)}.{nth}"
            known = (said for words, said in texts.DECISIONS.items() if words in finding)
            lines.append(f"{label} {next(known, 'accepted · the passage says less, and says it plainly')}")
        if not found:
            lines.append(f"Critique {number.group(1)} found nothing serious.")
    return lines or ["No critique was part of this request: one clean pass, and the reviewer's eyes."]


def _mended(text: str) -> str:
    """A text without its open holes and the remarks that ask for them."""
    kept = [line for line in text.splitlines() if "[needs:" not in line and "[assumed:" not in line]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _another_scout(items: Items, _: Recorded) -> str:
    brief = _brief(items)
    return seconds.SCOUT if _is_the_demo(brief) else seconds.OTHER_SCOUT.format(subject=_subject(brief))


def _another_draft(items: Items, recorded: Recorded) -> str:
    brief, old = _brief(items), _text(items)[1]
    if "This run is a revision" in recorded.system and old:
        return seconds.plainer(_mended(old))
    if _is_the_demo(brief):
        return seconds.SHORT_DRAFT if _is_short(brief) else seconds.DRAFT
    return seconds.OTHER_DRAFT.format(subject=_subject(brief))


def _another_critique(items: Items, _: Recorded) -> str:
    text = _text(items, beside=_BESIDE_IT)[1]
    found = [finding for finding in seconds.FINDINGS if finding[1] in text] or _other_findings(text)[-1:]
    lines = [f"{n}. {grade} · “{words}” · {why} · {mend}" for n, (grade, words, why, mend) in enumerate(found, start=1)]
    is_serious = any(grade != "minor" for grade, *_ in found)
    return "\n".join([*lines, "", "Verdict: revise" if is_serious else "Verdict: nothing serious found"])


def _another_implement(items: Items, _: Recorded) -> str:
    brief = _brief(items)
    return seconds.PATCH if _is_the_demo(brief) else seconds.OTHER_PATCH.format(subject=_subject(brief))


def _another_polish(items: Items, _: Recorded) -> str:
    return f"{_another_version(items, texts.REVISED)}\n\n{seconds.CHANGED}"


def _another_version(items: Items, of_the_demo: str) -> str:
    """The text without its flaws, in the other voice."""
    brief, text = _brief(items), _text(items)[1]
    if "```diff" in text:
        _, _, patch = texts.MENDED_PATCH.partition("\n\n")
        return f"{seconds.PATCHED}\n\n{patch.strip()}"
    if _is_the_demo(brief):
        return seconds.SHORT_DRAFT.strip() if _is_short(brief) else seconds.plainer(of_the_demo)
    return seconds.plainer(_mended(text or seconds.OTHER_DRAFT.format(subject=_subject(brief))))


def _another_final(items: Items, _: Recorded) -> str:
    notes = "\n".join([*_decided(items), seconds.REMARKS])
    body = _another_version(items, texts.FINAL)
    return f"## Decision\nready\n\n## Final text\n{body}\n\n## Owner's notes\n{notes}"


def _plain(_: Items, recorded: Recorded) -> str:
    return f"A scripted answer to: {' '.join(recorded.user.split())[:200]}"


_WRITERS: Mapping[str, Callable[[Items, Recorded], str]] = MappingProxyType(
    {
        "scout": _scout,
        "draft": _draft,
        "critique": _critique,
        "implement": _implement,
        "polish": _polish,
        "final": _final,
    }
)

_OTHERS: Mapping[str, Callable[[Items, Recorded], str]] = MappingProxyType(
    {
        "scout": _another_scout,
        "draft": _another_draft,
        "critique": _another_critique,
        "implement": _another_implement,
        "polish": _another_polish,
        "final": _another_final,
    }
)

_OTHER_SCOUT = """\
## Findings
- What is wanted: {subject}. (1)
- The brief is all there is to go by here; it names no page or file to read. (1)

## Patterns
- The brief states an aim and leaves the way to whoever writes; a draft can decide the order, not the facts.

## Tensions
- none

## Open questions
- Who reads the result, and what should they know or do afterwards?
- By when is it needed, and who decides that it is good enough?

## Not found
- Figures, names and dates that a text about this could lean on. Nothing of the kind was handed over.

## Sources
1. The brief of this work, in this thread
"""

_OTHER_DRAFT = """\
# {subject}

This is about one thing: {subject}. Whoever reads only this paragraph should know what changes and what to do about \
it.

**What it means.** The request is settled as far as the brief settles it. What follows is for the people it concerns \
first, and for everybody else who will be asked about it.

**What to do.** Read it, say by tomorrow what is missing, and otherwise take it as agreed.

[needs: the day from which this holds]

[needs: whom to ask]
"""

_OTHER_PATCH = """\
## Plan
1. Write down what is asked for as a failing test: {subject}.
2. Make the smallest change that lets it pass.
3. Leave everything else as it is.

## Patch
```diff
--- /dev/null
+++ b/docs/asked-for.md
@@ -0,0 +1,3 @@
+# Asked for
+
+{subject}
```

## Tests
None: without the repository there is nothing to test against. Nothing was run for this answer.

## How to verify
Read `docs/asked-for.md` and say whether it states the change that is wanted.

## Risks
- No repository was part of this request, so the patch holds the wish and not yet its fulfilment.
"""

_OTHER_CHANGED = """\
## Changed
- Closed the holes by saying less, since the brief does not fill them.
- Left the order and the voice alone.
"""

_PATCH_CHANGED = """\
## Changed
- The gate compares the digest of the text with those approved, so that an old approval lets nothing new pass.
- Added the case of a reviewed text that goes out, and of a changed one that does not.
"""

_OTHER_REMARKS = """\
Remaining risk: nothing beyond the brief was at hand to check against.
Please look at: whether it promises anything that nobody has agreed to.
"""
