"""Where no PostgreSQL can be started, a developer's tests are skipped by name; CI fails."""

from __future__ import annotations

import pytest

from tests.postgres import NoPostgreSQL, or_skipped


def test_a_developer_reads_why_tests_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no binaries"), or_skipped():
        raise NoPostgreSQL("no binaries")


def test_in_ci_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(NoPostgreSQL), or_skipped():
        raise NoPostgreSQL("no binaries")
