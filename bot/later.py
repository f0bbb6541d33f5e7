"""What an attendant raises that cannot go on now and lets others have its place."""

from __future__ import annotations


class Later(Exception):  # noqa: N818  reads as a fact
    """The errand is handed back and comes again after so many seconds, doubted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:g} s")
        self.seconds = seconds
