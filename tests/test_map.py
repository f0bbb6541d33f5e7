"""The map of handlers/ names every module once, and no other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import handlers

HERE = Path(handlers.__file__).parent


def test_the_map_names_every_module_once() -> None:
    assert handlers.__doc__ is not None
    named = Counter(name for name in re.findall(r"`(\w+)`", handlers.__doc__))
    modules = {path.stem for path in HERE.glob("*.py")} - {"__init__"}
    assert named == Counter(modules)
    assert "`stages/`" in handlers.__doc__
