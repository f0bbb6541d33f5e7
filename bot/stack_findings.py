"""What is wrong with a stack file, as `path:line: CODE sentence`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType

from bot.one_line import one_line
from bot.token_shapes import TOKEN_SHAPES
from handlers import lint, published, soundness
from handlers.remarks import Level

CODES: Mapping[str, str] = MappingProxyType(
    {
        "E001": "The file cannot be read.",
        "E002": "The file is too large to be a stack.",
        "E003": "The file is not UTF-8 text.",
        "E004": "The file is not TOML.",
        "E101": "A key, table or stage is unknown.",
        "E102": "A value cannot be used.",
        "E103": "A key is missing.",
        "E104": "A secret stands in the file.",
        "E105": "A stage's instructions_file cannot be used.",
        **soundness.CODES,
        **lint.CODES,
        **published.CODES,
    }
)
"""Every code and what it means. E is an error, W a warning, N a note; the codes are stable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One finding at one line, counted from 1; printing it never shows a token or a control character."""

    path: FilePath
    line: int
    code: str
    sentence: str
    level: Level

    def __str__(self) -> str:
        return one_line(TOKEN_SHAPES.sub("[secret]", f"{self.path}:{self.line}: {self.code} {self.sentence}"))


class StackErrors(Exception):  # noqa: N818  it carries many
    """The file cannot be used: everything that is wrong with it, at once, and the files it depends on."""

    def __init__(self, findings: Iterable[Finding], *, watched: tuple[FilePath, ...] = ()) -> None:
        self.findings = tuple(findings)
        self.watched = watched
        super().__init__("\n".join(map(str, self.findings)))

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level is Level.ERROR)
