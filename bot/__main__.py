"""`python -m bot <command>`."""

from __future__ import annotations

from bot.cli import main
from bot.leaving import leave

if __name__ == "__main__":
    leave(main())
