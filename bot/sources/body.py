"""The bytes of a page within limits, whatever it says of their number, and their words in the charset it has."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from handlers.ports import SourceUnread
from storage.crashpoints import crashpoint

MOST_RAW: Final = 2 * 1024 * 1024
"""Bytes that may come over the wire."""
MOST_DECODED: Final = 4 * 1024 * 1024
"""Bytes they may become."""
_PIECE: Final = 64 * 1024
_ZLIB_OR_GZIP: Final = 47  # zlib's "either header" with the largest window
_TOO_LARGE: Final = f"it is larger than {MOST_RAW // 1024 // 1024} MiB"

_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_:.-]{2,40})|<\?xml[^>]{0,100}?encoding=[\"']([A-Za-z0-9_.-]{2,40})",
    re.IGNORECASE,
)
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LIKE_BROWSERS: Final = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
_CHARSETS: Final = frozenset(
    """
    utf-8 utf-16 utf-16-le utf-16-be cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874
    iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-13
    iso8859-14 iso8859-15 iso8859-16 koi8-r koi8-u mac-roman shift_jis cp932 euc_jp iso2022_jp gb18030 big5 euc_kr cp949
    """.split()  # noqa: SIM905  a table of words
)
"""What a page may be written in, by Python's names; its other codecs (rot13, unicode_escape, utf-7) are no charsets."""
_MOST_CONTROLS: Final = 0.01
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


async def whole_body(raw: AsyncIterator[bytes], *, encoding: str, announced: str | None) -> tuple[bytes, int]:
    """The decoded body, and how many bytes came. Stops reading at the first byte too many."""
    if announced is not None and announced.isdecimal() and (len(announced) > 9 or int(announced) > MOST_RAW):  # noqa: PLR2004  digits of a number far too large
        raise SourceUnread(_TOO_LARGE)
    unpack = _unpacking(encoding)
    came, body = 0, bytearray()
    async for data in raw:
        came += len(data)
        if came > MOST_RAW:
            raise SourceUnread(_TOO_LARGE)
        for piece in unpack(data):
            if len(body) + len(piece) > MOST_DECODED:
                raise SourceUnread(f"it unpacks to more than {MOST_DECODED // 1024 // 1024} MiB")
            body += piece
        crashpoint("cp12")
    unpack.end()
    return bytes(body), came


class _AsItIs:
    def __call__(self, data: bytes) -> Iterator[bytes]:
        yield data

    def end(self) -> None:
        pass


class _Inflate(_AsItIs):
    """Inflates at most a piece at a time, so that a bomb is met by the limit before it goes off."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._began = False

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)  # a gzip may have several members
            self._began = True
            try:
                piece = self._inflater.decompress(data, _PIECE)
            except zlib.error:
                raise SourceUnread("it cannot be unpacked") from None
            data = self._inflater.unconsumed_tail or self._inflater.unused_data
            yield piece

    def end(self) -> None:
        if self._began and not self._inflater.eof:
            raise SourceUnread("it broke off in the middle")


def _unpacking(encoding: str) -> _AsItIs:
    match encoding.strip().lower():
        case "" | "identity":
            return _AsItIs()
        case "gzip" | "x-gzip" | "deflate":
            return _Inflate()
        case _:
            raise SourceUnread("it came packed in a way that was not asked for")


def words_of(body: bytes, charset: str | None, *, is_markup: bool) -> str:
    """The body as text. Raises SourceUnread for what is none, whatever its headers say."""
    if body.lstrip()[:5] == b"%PDF-":
        raise SourceUnread("PDFs are not read yet")
    text = _decoded(body, charset, is_markup=is_markup)
    controls = len(_CONTROLS.findall(text[:_PIECE]))
    if "\x00" in text or controls > max(2, _MOST_CONTROLS * len(text[:_PIECE])):
        raise SourceUnread("it is not text")
    return text


def _decoded(body: bytes, charset: str | None, *, is_markup: bool) -> str:
    """Mark, then header, then what the markup says, then UTF-8 if it is that, else what the web was before it."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    if told := _known(charset):
        return body.decode(told, "replace").removeprefix("\ufeff")
    found = _DECLARED.search(body, 0, 2_048) if is_markup else None
    declared = _known((found[1] or found[2]).decode("ascii")) if found else None
    if declared and not declared.startswith("utf-16"):  # its own words were readable, so it is not in UTF-16
        return body.decode(declared, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _known(charset: str | None) -> str | None:
    try:
        name = codecs.lookup((charset or "").strip().strip("\"'")).name
    except (LookupError, ValueError):
        return None
    name = _LIKE_BROWSERS.get(name, name)
    return name if name in _CHARSETS else None
