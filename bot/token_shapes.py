"""What secrets look like: one list for refusing them in files and for removing them from logs."""

from __future__ import annotations

import math
import re
from collections import Counter

TOKEN_SHAPES = re.compile(
    r"""
      \bxox[a-z]-[\w.-]{6,} | \bxoxe\.xox[a-z]-[\w.-]{6,} | \bxapp-[\w-]{6,}        # Slack
    | \bsk-[A-Za-z0-9_-]{16,} | \b[spr]k_(?:live|test)_\w{10,}                       # OpenAI, Anthropic, Stripe
    | \bgh[opsur]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bglpat-[\w-]{16,}      # code hosts
    | \b(?:gsk_|hf_|r8_|fw_|nvapi-|xai-|csk-)[A-Za-z0-9_]{24,}                       # other model hosts
    | \bAIza[\w-]{30,} | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                              # clouds
    | \bwhsec_[A-Za-z0-9+/=]{16,}                                                   # Standard Webhooks
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                                             # JSON Web Tokens
    | -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----[A-Za-z0-9+/=\s\\]*                   # with its escaped lines
    | \b(?i:bearer)\s+[A-Za-z0-9._~+/=-]{16,}
    | hooks\.slack\.com/(?:services|commands|actions)/[\w/-]{8,} | [?&]ticket=[\w.%-]{8,}
    """,
    re.VERBOSE,
)
_UNBROKEN = re.compile(r"[A-Za-z0-9+/_=-]{32,}")
_LONG_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_KEY_NAME = re.compile(r"(?:^|[_-])(?:api_?key|apikey|key|token|secret|passw(?:or)?d|credentials?)$", re.IGNORECASE)
_WORD = 20
_BITS_OF_CHANCE = 3.5  # of 20 letters and digits drawn by chance nearly all are above


def names_a_secret(key: str) -> bool:
    """Whether a key of a file asks for a secret as its value; `key_env` does not."""
    return _KEY_NAME.search(key) is not None


def has_token(text: str) -> bool:
    """Whether a known kind of token stands in the text."""
    return TOKEN_SHAPES.search(text) is not None


def looks_random(text: str) -> bool:
    """Whether the text is one long word that chance seems to have made: a hex or base64 key of unknown kind."""
    word = text.strip()
    if _LONG_HEX.fullmatch(word):
        return len(set(word)) > 5 and any(map(str.isdigit, word))  # noqa: PLR2004  "aaaa…" is no key
    if not _UNBROKEN.fullmatch(word):
        return False
    longest = max(re.split("[-_]", word), key=len)  # what people name is made of short words
    return len(longest) >= _WORD and any(map(str.isdigit, longest)) and _entropy(longest) > _BITS_OF_CHANCE


def _entropy(word: str) -> float:
    return -sum(times / len(word) * math.log2(times / len(word)) for times in Counter(word).values())
