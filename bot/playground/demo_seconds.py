"""The scripted demo's other voice: what the model says that is asked for a second opinion, plainer and shorter."""

from __future__ import annotations

import re

SCOUT = """\
## Findings
- One thing changes: a person reads before anything goes out. The brief says no more than that. (1)
- Whom it concerns first is left open: those who ask the bot for texts, or those who read what it publishes. (1)

## Patterns
- An announcement of a rule is asked two things by its readers: does it hold for me, and what does it cost me?

## Tensions
- "Anything" is a large word. Either it is meant, or the exceptions belong into the announcement.

## Open questions
- Who reviews when the reviewer is away?
- Is there something the bot publishes by itself today that stops with this?

## Not found
- The reason for the change. The brief gives none, and a text that supplies one makes it up.

## Sources
1. The brief of this work, in this thread
"""

DRAFT = """\
From now on a person reads every text before our bot publishes it.

If you ask the bot for a text, nothing changes until the end. Then it waits, in the same thread, until one of the \
reviewers puts a check mark on exactly that text. No check mark, no publication: the bot cannot give it, and neither \
can you for a text you asked for.

Leave time for this. A reviewer may be in a meeting, and a text that is late is still a text that somebody has read.

If a reviewer sends a text back, they say why, and the next version starts from that.

[needs: who the reviewers are]
"""

SHORT_DRAFT = """\
From now on a person reads every text before our bot publishes it. The bot waits in the thread until a reviewer puts a \
check mark on exactly that text, so leave time for it. What is sent back comes with a reason, and the next version \
starts from that.
"""

FINDINGS: tuple[tuple[str, str, str, str], ...] = (
    (
        "major",
        "a person reads it first, and it goes out",
        "who that person is decides whether this is a review; it could be whoever asked for the text",
        "say that it is somebody else than the one who asked",
    ),
    (
        "minor",
        "You ask for a text as before.",
        "the one thing that changes for the reader comes third; most will have stopped by then",
        "begin with the wait, then say that the rest stays as it was",
    ),
    (
        "major",
        "mistakes can no longer reach our readers",
        "it promises what a check mark cannot keep",
        "say what happens, and let readers draw the conclusion",
    ),
    (
        "minor",
        "goes out only after",
        "it does not say what happens to a text nobody answers for",
        "add one sentence on texts that wait",
    ),
    (
        "major",
        "approvals: list[str]",
        "an empty string counts as an approval here",
        "take the reviewers' ids and compare them with those who may approve",
    ),
)

PATCH = """\
## Plan
1. The gate asks for the reviewer who agreed, and to which text.
2. Without both it raises.
3. One test for each way to fail.

## Patch
```diff
--- /dev/null
+++ b/publishing/agreed.py
@@ -0,0 +1,5 @@
+\"\"\"A text goes out when a reviewer has agreed to exactly that text.\"\"\"
+
+
+def has_agreed(text: str, agreed: dict[str, str], reviewers: set[str]) -> bool:
+    return any(who in reviewers and what == text for who, what in agreed.items())
--- /dev/null
+++ b/tests/test_agreed.py
@@ -0,0 +1,9 @@
+from publishing.agreed import has_agreed
+
+
+def test_nobody_has_agreed():
+    assert not has_agreed("Hello", {}, {"rae"})
+
+
+def test_who_is_no_reviewer_does_not_count():
+    assert not has_agreed("Hello", {"ann": "Hello"}, {"rae"})
```

## Tests
Two tests in the patch: nobody agreed, and somebody who may not. Untested: a text that was changed after the \
agreement. Nothing was run for this answer.

## How to verify
`python -m pytest tests/test_agreed.py` should report two tests passed.

## Risks
- The texts themselves are compared; a digest would do, and would be shorter to keep.
"""

OTHER_SCOUT = """\
## Findings
- The brief asks for one thing: {subject}. (1)

## Patterns
- none: there is one source

## Tensions
- It can be read as an order or as an offer; the two want different words.

## Open questions
- What should be different a week after this was read?

## Not found
- Anything that would have to be looked up. No page was named.

## Sources
1. The brief of this work, in this thread
"""

OTHER_DRAFT = """\
{subject}. That is the news; the rest of this note is what follows from it.

Look whether it concerns you. If it does, say so by tomorrow, and say what you need. If it does not, there is \
nothing to do.

[needs: who answers questions about this]
"""

OTHER_PATCH = """\
## Plan
1. Put the wish where the next person looks first.

## Patch
```diff
--- /dev/null
+++ b/NEXT.md
@@ -0,0 +1,1 @@
+{subject}
```

## Tests
None. Nothing was run for this answer.

## How to verify
Read `NEXT.md`.

## Risks
- It states the change and makes none: no repository was part of this request.
"""

PATCHED = "What was approved is compared with what goes out, by digest; the gate knows nothing else."

CHANGED = """\
## Changed
- Took out headings and bold type: the text is short enough without them.
- Left every claim as it was; what it promises is not a matter of wording.
"""

REMARKS = """\
Remaining risk: I would have cut it further; nothing in it is wrong.
Please look at: whether its first sentence alone would do.
"""


def is_another_voice(stage: str, model: str) -> bool:
    """Whether a stage was asked of the model that does not own it in the demo's stack."""
    owner = "quick" if stage in {"scout", "draft", "implement"} else "careful"
    return model.startswith("scripted-") and model != f"scripted-{owner}"


def plainer(text: str) -> str:
    """A text without its headings and its bold type; code stays as it is."""
    if "```" in text:
        return text
    body = re.sub(r"^#{1,6} [^\n]*\n+", "", text, flags=re.MULTILINE)
    return body.replace("**", "").strip()
