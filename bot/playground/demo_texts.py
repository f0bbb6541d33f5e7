"""The words of the scripted demo: each stage at its best, for a brief about asking a reviewer before publishing."""

from __future__ import annotations

SCOUT = """\
## Findings
- The bot now asks a reviewer before anything is published; that is the whole of the news. (1)
- "Anything" is the brief's own word: it makes no exception for small or urgent texts. (1)
- The brief names the reader of the change nowhere; "announce" suggests the people who publish through the bot. (1)
- It says that a reviewer is asked, not who that is, how many have to agree, or how they do it. (1)

## Patterns
- News about a new step is read for one question first: what do I have to do differently, and from when?
- The people who wait for a text and the people who review it need different sentences.

## Tensions
- Care against speed: a text that waits for a person is safer and later, and the announcement has to own both.
- "Asks a reviewer" sounds like a courtesy; "before anything is published" makes it a condition.

## Open questions
- Who are the reviewers, and where can a reader see it?
- What happens to a text nobody reviews?
- From which day does it hold, and for texts already under way too?

## Not found
- Figures about mistakes or delays, before or after the change. Nothing here supports a claim about either.

## Sources
1. The brief of this work, in this thread
"""

DRAFT = """\
# Nothing goes out before somebody has read it

Our bot now asks a reviewer before anything is published. Whatever it writes, a person reads it first, and it goes \
out only after that person has agreed.

**What changes for you.** You ask for a text as before. When the final version stands in the thread, the bot names \
the reviewers and waits. A reviewer who agrees puts a check mark on that message; without it, nothing is published.

**Why we do this.** The bot writes so well that people stopped reading closely. With this step, mistakes can no \
longer reach our readers.

**How long it takes.** The review costs almost no time, so nobody needs to plan for it.

**When something is wrong.** The reviewer sends the text back with a reason, and the bot uses that reason for its \
next version.

**Who reviews.** [needs: the names of the reviewers]
"""

REVISED = """\
# Nothing goes out before somebody has read it

Our bot now asks a reviewer before anything is published. A person reads the exact text, and it goes out only after \
that person has agreed to it.

**What changes for you.** You ask for a text as before. When the final version stands in the thread, the bot names \
the reviewers and waits. A check mark from a reviewer on that message is the agreement. If the text changes \
afterwards, the new version needs its own.

**What to plan for.** A text waits until a reviewer answers, and the bot never answers for them. If something must \
go out at a fixed hour, ask for it early enough that a person can read it.

**When something is wrong.** The reviewer sends the text back with a reason. The bot takes that reason into its next \
version, and the next version is reviewed again.

**Why we do this.** A text can be fluent and wrong at the same time. Now each one has been read by somebody who put \
their name to it.

**Who reviews.** [needs: the names of the reviewers, or where they are listed]
"""

FINAL = """\
# Nothing goes out before somebody has read it

Our bot now asks a reviewer before anything is published. A person reads the exact text, and it goes out only after \
that person has agreed to it.

**What changes for you.** You ask for a text as before. When the final version stands in the thread, the bot says \
who may review it and waits. A check mark from a reviewer on that message is the agreement. If the text changes \
afterwards, the new version needs its own.

**What to plan for.** A text waits until a reviewer answers, and the bot never answers for them. If something must \
go out at a fixed hour, ask for it early enough that a person can read it.

**When something is wrong.** The reviewer sends the text back with a reason. The next version takes it up and is \
reviewed again.

**Why we do this.** A text can be fluent and wrong at the same time. Now each one has been read by somebody who put \
their name to it.
"""

# The same at a glance: for a brief that asks for a number of sentences.

SHORT_DRAFT = """\
Our bot now asks a reviewer before anything is published. With this step, mistakes can no longer reach our readers. \
The review costs almost no time, so nobody needs to plan for it.
"""

SHORT_FINAL = """\
Our bot now asks a reviewer before anything is published: a person reads the exact text, and it goes out only after \
that person has agreed to it. A text waits until a reviewer answers, so ask early if it has to go out at a fixed \
hour. A text that is sent back comes with a reason; the next version takes it up and is reviewed again.
"""

SHORT_CHANGED = """\
## Changed
- Took back the promise that no mistake can get through: a review makes one less likely, and that is all it does.
- Turned "almost no time" into what people have to know: a text waits until somebody answers.
"""

CHANGED = """\
## Changed
- Took back the promise that no mistake can get through: a review makes one less likely, and that is all it does.
- Turned "almost no time" into what people have to know: a text waits until somebody answers.
- Left out the remark about people who stopped reading; the brief says nothing of the kind.
- Added that a changed text is reviewed again, because it follows from "before anything is published".
- Left open who the reviewers are; the brief does not say.
"""

# What a critic says of certain words, for as long as they stand in the text it was given.
FINDINGS: tuple[tuple[str, str, str, str], ...] = (
    (
        "major",
        "mistakes can no longer reach our readers",
        "a review makes a mistake less likely and rules none out; the first that slips through is quoted back at us",
        "promise what is certain: a person has read each text and agreed to it",
    ),
    (
        "major",
        "almost no time, so nobody needs to plan for it",
        "nothing carries this, and it hides what readers with a deadline ask: what happens until somebody answers",
        "say that a text waits for its reviewer, and ask people to leave time for that",
    ),
    (
        "minor",
        "people stopped reading closely",
        "it blames the readers of this note for something the brief does not say",
        "give the reason without a culprit",
    ),
    (
        "minor",
        "A reviewer who agrees puts a check mark on that message",
        "it leaves open whether the agreement still holds when the text is changed afterwards",
        "say that a new version needs a check mark of its own",
    ),
    (
        "major",
        "if not approvals:",
        "any approval lets any text pass, also one that was given for an earlier version",
        "compare the digest that was approved with the digest of what is about to go out",
    ),
    (
        "minor",
        "def test_a_text_nobody_reviewed_stays_here",
        "only the refusal is tested; a gate that refuses everything would pass",
        "add the case of a reviewed text that does go out",
    ),
)

DECISIONS: dict[str, str] = {
    "mistakes can no longer reach our readers": "accepted · the text promises a reading, not freedom from mistakes",
    "almost no time, so nobody needs to plan for it": "accepted · it says that a text waits, and to ask early",
    "people stopped reading closely": "accepted · the reason stands without a culprit",
    "A reviewer who agrees puts a check mark": "accepted · a changed text needs its own check mark, and it says so",
    "if not approvals:": "accepted · the gate compares digests now",
    "def test_a_text_nobody_reviewed": "accepted · the other case is tested too",
}

OWNERS_REMARKS = """\
Remaining risk: the text says nothing about texts that were under way before the change; the brief does not either.
Please look at: "waits until a reviewer answers". If there is a time limit, it belongs there.
"""

PATCH = """\
## Plan
1. One place decides whether a text may go out: `may_go_out`.
2. It asks for an approval by a reviewer; without one it raises, so that forgetting to ask cannot publish.
3. A test shows that a text nobody reviewed stays here.
4. Callers change in a second patch, one line each, once this one is agreed.

## Patch
```diff
--- /dev/null
+++ b/publishing/gate.py
@@ -0,0 +1,11 @@
+\"\"\"Whether a text may go out: only after a reviewer has agreed to it.\"\"\"
+
+
+class NotReviewed(Exception):
+    \"\"\"Nobody who may has agreed to this text yet.\"\"\"
+
+
+def may_go_out(text: str, approvals: list[str]) -> str:
+    if not approvals:
+        raise NotReviewed("This text waits for a reviewer.")
+    return text
--- /dev/null
+++ b/tests/test_gate.py
@@ -0,0 +1,8 @@
+import pytest
+
+from publishing.gate import NotReviewed, may_go_out
+
+
+def test_a_text_nobody_reviewed_stays_here():
+    with pytest.raises(NotReviewed):
+        may_go_out("Hello, readers", approvals=[])
```

## Tests
One test in the patch: a text without an approval is refused. Untested: who may approve, and the callers. Nothing was \
run for this answer.

## How to verify
`python -m pytest tests/test_gate.py` should report one test passed.

## Risks
- The paths are assumed: no repository was part of this request.
- Until the callers use it, the gate changes nothing.
"""

MENDED_PATCH = """\
Publishing asks the gate first, and the gate compares what was approved with what is about to go out.

```diff
--- /dev/null
+++ b/publishing/gate.py
@@ -0,0 +1,14 @@
+\"\"\"Whether a text may go out: only after a reviewer has agreed to exactly that text.\"\"\"
+
+from hashlib import sha256
+
+
+class NotReviewed(Exception):
+    \"\"\"Nobody who may has agreed to this text yet.\"\"\"
+
+
+def may_go_out(text: str, approved: set[str]) -> str:
+    \"\"\"The text, if the digest of exactly this text is among the approved ones.\"\"\"
+    if sha256(text.encode()).hexdigest() not in approved:
+        raise NotReviewed("This text waits for a reviewer.")
+    return text
--- /dev/null
+++ b/tests/test_gate.py
@@ -0,0 +1,19 @@
+from hashlib import sha256
+
+import pytest
+
+from publishing.gate import NotReviewed, may_go_out
+
+
+def test_a_text_nobody_reviewed_stays_here():
+    with pytest.raises(NotReviewed):
+        may_go_out("Hello, readers", approved=set())
+
+
+def test_a_reviewed_text_goes_out_and_a_changed_one_does_not():
+    approved = {sha256(b"Hello, readers").hexdigest()}
+
+    assert may_go_out("Hello, readers", approved) == "Hello, readers"
+
+    with pytest.raises(NotReviewed):
+        may_go_out("Hello, reader", approved)
```
"""
