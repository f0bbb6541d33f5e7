"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgres import NoPostgreSQL, Server, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for the whole session, started when first asked for."""
    try:
        with server() as running:
            yield running
    except NoPostgreSQL as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL can be started here: {problem}")
