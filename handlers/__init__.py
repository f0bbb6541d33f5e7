"""What the bot does: decisions as pure functions over values, and short lists of effects through ports.

Where to begin, by what happens:

- somebody asks: `asking` (words become a wish), `incoming` (the values of all that comes in), `request` (a run in
  line, or one sentence why not); `pipelines` and `walk` (several stages in a row), `second_opinion`, `fresh`,
  `crossing` (from one lane to the other), `cancel`, `status`; `offer`, `advise`, `advised` (`/route`), `in_use`
  (`/stack`)
- a run: `run` from its beginning to its end; `still_allowed` (may the channel's words go out), `routing` and
  `permission` (whose job it is, and who may not have it), `material` and `unheard` (what crosses), `sources` (a
  scout's pages), `context` (what a model sees), `call` and `cooling` (who is asked, and who rests), `purse` and
  `budget` (what it may cost), `raising` (a limit, once); `stages/` says what each stage is
- an answer: `answers` reads it, with `sections`, `findings`, `verdict`, `finals` and `tally`; `result` remembers it
  and owes what is to be said of it; `beside` and `changes` (how versions differ), `swamp` (a thread that has become
  long)
- the gate: `opening` (a text begins to wait), `review` and `gate` (one word's way), `judge` (whose word counts, and
  what follows), `case` (what the gate looks at), `recheck` (people and text once more), `verdicts` and `told` (what
  is said of it), `buttons`, `send_back`, `posted_again`, `deletion`, `waiting`, `redraw`, `hours`
- afterwards: `handing`, `attempts` and `handed_on` (to a receiver outside), `download`, `home`, `export`, `audit`,
  `repair` (what Slack gave up telling)
- the stack: `stack` (its values), `soundness` and `lint` (its mistakes), with `lint_pairs`, `limits`, `smallest`,
  `published` and `remarks`; `stack_noted` (the ledger knows which one routes)
- words for all: `messages`, `words`, `figures`, `errors`, `ports`
"""
