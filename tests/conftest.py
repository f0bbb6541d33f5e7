"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import Server, or_skipped, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for the whole session, started when first asked for."""
    with or_skipped(), server() as running:
        yield running
