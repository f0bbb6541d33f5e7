"""One page: what is read, what is refused and why, and how little a hostile server gets out of it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from bot.sources import pinned
from bot.sources.body import MOST_DECODED, MOST_RAW
from handlers.ports import SourceUnread
from tests.bot.sources.hostile_urls import SPELT
from tests.bot.sources.web import PUBLIC, Pieces, SmallWeb, moved, page

URL = "https://a.example/ants"


async def read(said: httpx.Response, *, seconds: float = 20.0) -> tuple[str, str]:
    """Kind and text of the page that answers like this."""
    found = await SmallWeb().holds(URL, said).room(seconds=seconds).read(URL)
    return found.kind, found.text


async def why_not(said: httpx.Response | Exception, *, seconds: float = 20.0) -> str:
    web = SmallWeb().holds(URL, said)
    with pytest.raises(SourceUnread) as unread:
        await web.room(seconds=seconds).read(URL)
    assert web.closed == web.opened
    return unread.value.sentence


async def test_a_page_is_read_with_its_title_its_kind_and_its_size() -> None:
    markup = "<title>Ants</title><p>They are small."
    found = await SmallWeb().holds(URL, page(markup)).room().read(URL)
    assert (found.url, found.title, found.text, found.kind) == (URL, "Ants", "They are small.", "html")
    assert found.fetched_bytes == len(markup)


# where it leads


async def test_redirects_are_followed_by_hand_and_the_last_address_is_told() -> None:
    web = SmallWeb().holds("http://a.example/", moved("https://b.example/one", 301))
    web.holds("https://b.example/one", moved("two?x#y", 308)).holds("https://b.example/two?x", page())
    found = await web.room().read("http://a.example/")
    assert found.url == "https://b.example/two?x"
    assert web.lookups == ["a.example", "b.example", "b.example"]
    assert (web.opened, web.closed) == (3, 3)


@pytest.mark.parametrize("forbidden", [url for url in SPELT if "://" in url][::9], ids=ascii)
async def test_a_redirect_to_a_forbidden_place_ends_there(forbidden: str) -> None:
    web = SmallWeb().holds(URL, page("", status=302, location=forbidden))
    with pytest.raises(SourceUnread):
        await web.room().read(URL)
    assert web.connected_to == [PUBLIC] * len(web.requests)
    assert {request.headers["host"] for request in web.requests} == {"a.example"}


async def test_a_redirect_never_gives_up_encryption() -> None:
    assert await why_not(moved("http://a.example/ants")) == "it leads from https to http"


async def test_a_redirect_that_goes_round_ends_after_five_hops() -> None:
    web = SmallWeb().holds(URL, lambda _: moved("/ants"))
    with pytest.raises(SourceUnread, match="more than 5 times"):
        await web.room().read(URL)
    assert len(web.requests) == 6


async def test_nothing_a_page_sets_is_carried_to_the_next_request_and_nothing_of_ours_is_told() -> None:
    web = SmallWeb().holds(URL, page("", status=302, location="/next", set_cookie="ant=queen"))
    web.holds("https://a.example/next", page())
    await web.room().read(URL)
    for request in web.requests:
        assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert request.headers["user-agent"].startswith("Countersign/")
        assert request.headers["accept-encoding"] == "identity"


# names


async def test_a_name_that_is_not_known_is_said_to_be() -> None:
    web = SmallWeb()

    async def nobody(host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, host)

    web.resolve = nobody  # type: ignore[method-assign]
    with pytest.raises(SourceUnread, match="its name is not known"):
        await web.room().read(URL)
    assert web.opened == 0


@pytest.mark.parametrize("answer", [[], [PUBLIC] * 65])
async def test_a_resolver_that_says_nothing_or_far_too_much_is_not_believed(answer: list[str]) -> None:
    web = SmallWeb().at("a.example", answer)
    with pytest.raises(SourceUnread, match="its name is not known"):
        await web.room().read(URL)


async def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned, "LOOKUP_SECONDS", 0.02)
    web = SmallWeb()

    async def hangs(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return [PUBLIC]

    web.resolve = hangs  # type: ignore[assignment,method-assign]
    with pytest.raises(SourceUnread, match="its name was not found within"):
        await web.room().read(URL)


async def test_of_several_addresses_the_next_is_tried_when_nobody_answers() -> None:
    web = SmallWeb().at("a.example", ["2606:4700:4700::1111", PUBLIC])

    def only_there(request: httpx.Request) -> httpx.Response:
        if request.url.host != PUBLIC:
            raise httpx.ConnectError("no route")
        return page()

    found = await web.holds(URL, only_there).room().read(URL)
    assert found.text == "ants"
    assert web.connected_to == ["2606:4700:4700::1111", PUBLIC]


# what it answers


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 403, 404, 410, 418, 429, 500, 503])
async def test_anything_but_a_page_is_told_by_its_number(status: int) -> None:
    assert await why_not(page(status=status)) == f"it answered HTTP {status}"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (httpx.ConnectError("refused"), "nobody answers there"),
        (httpx.ConnectTimeout("slow"), "nobody answers there"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] wrong host"), "its certificate is not valid"),
        (httpx.RemoteProtocolError("gibberish with secret words"), "does not speak HTTP"),
        (httpx.ReadError("reset"), "the connection broke"),
        (OSError("odd"), "the connection broke"),
        (ValueError("our bug"), "it could not be read"),
    ],
)
async def test_every_fault_is_a_sentence_and_never_another_error(problem: Exception, told: str) -> None:
    said = await why_not(problem)
    assert told in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("kind", "read_as"),
    [
        ("text/html", "html"),
        ("TEXT/HTML ; Charset=UTF-8", "html"),
        ("application/xhtml+xml", "html"),
        ("text/plain; charset=us-ascii", "text"),
        ("text/markdown; variant=GFM", "markdown"),
        ("application/json", "json"),
    ],
)
async def test_text_of_these_kinds_is_read(kind: str, read_as: str) -> None:
    assert await read(page("ants", kind)) == (read_as, "ants")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("application/pdf", "PDFs are not read yet"),
        ("image/png", "it is no page of text"),
        ("application/octet-stream", "it is no page of text"),
        ("application/zip", "it is no page of text"),
        ("text/css", "it is no page of text"),
        ("text/html, image/png", "it is no page of text"),
        ("multipart/mixed; boundary=x", "it is no page of text"),
        ("", "it does not say what it is"),
        (None, "it does not say what it is"),
    ],
)
async def test_other_kinds_are_refused_before_their_body_is_read(kind: str | None, told: str) -> None:
    body = Pieces([b"ants"])
    assert await why_not(page(body, kind)) == told
    assert body.taken == 0


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json", "text/plain; charset=utf-8"])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "PDFs are not read yet"),
        (b"\n  %PDF-1.4", "PDFs are not read yet"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "it is not text"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "it is not text"),
        (b"\x7fELF\x02\x01\x01\x00", "it is not text"),
        (b"GIF89a\x01\x00\x01\x00", "it is not text"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "it is not text"),
        (b"ants" * 900 + b"\x00", "it is not text"),
        (bytes(range(1, 32)) * 40, "it is not text"),
    ],
    ids=ascii,
)
async def test_what_only_calls_itself_text_is_refused(kind: str, body: bytes, told: str) -> None:
    assert await why_not(page(body, kind)) == told


@pytest.mark.parametrize("body", ["", "   \n", "<p hidden>ants</p>", "<script>ants</script>", "\u200b\ufeff"])
async def test_a_page_without_words_is_said_to_be_empty(body: str) -> None:
    assert await why_not(page(body)) == "it holds no text"


# how much, how long


async def test_an_endless_body_is_left_at_the_first_byte_too_many() -> None:
    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b"ants and " * 4_096

    body = Pieces(for_ever())
    assert await why_not(page(body)) == "it is larger than 2 MiB"
    assert MOST_RAW < body.taken <= MOST_RAW + 9 * 4_096


@pytest.mark.parametrize("announced", [str(MOST_RAW + 1), "9" * 30])
async def test_a_body_that_is_announced_too_large_is_not_begun(announced: str) -> None:
    body = Pieces([b"ants"])
    assert await why_not(page(body, content_length=announced)) == "it is larger than 2 MiB"
    assert body.taken == 0


async def test_a_body_just_within_the_limit_is_read() -> None:
    kind, text = await read(page(b"a" * MOST_RAW, "text/plain"))
    assert (kind, len(text)) == ("text", MOST_RAW)


async def test_a_slow_body_is_left_at_the_deadline() -> None:
    async def drips() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"a"

    assert "it took longer than" in await why_not(page(Pieces(drips())), seconds=0.2)


async def test_redirects_share_the_deadline() -> None:
    async def slowly() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    web = SmallWeb().holds(URL, moved("/b")).holds("https://a.example/b", page(Pieces(slowly())))
    with pytest.raises(SourceUnread, match="longer than"):
        await web.room(seconds=0.1).read(URL)
    assert (web.opened, web.closed) == (2, 2)


def bomb(encoding: str) -> bytes:
    """100 MiB of nothing, packed small."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    return b"".join([*(packer.compress(bytes(1024 * 1024)) for _ in range(100)), packer.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_met_by_the_limit_before_it_goes_off(encoding: str) -> None:
    packed = bomb(encoding)
    tracemalloc.start()
    try:
        told = await why_not(page(packed, content_encoding=encoding))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told == "it unpacks to more than 4 MiB"
    assert peak < 4 * MOST_DECODED


async def test_a_bomb_of_many_small_members_is_met_too() -> None:
    members = gzip.compress(bytes(100_000)) * 100
    assert await why_not(page(members, content_encoding="gzip")) == "it unpacks to more than 4 MiB"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"<p>ants", mtime=0)),
        ("x-gzip", gzip.compress(b"<p>an", mtime=0) + gzip.compress(b"ts", mtime=0)),
        ("deflate", zlib.compress(b"<p>ants")),
        ("identity", b"<p>ants"),
    ],
)
async def test_what_was_packed_unasked_is_unpacked(encoding: str, body: bytes) -> None:
    pieces = Pieces([body[at : at + 3] for at in range(0, len(body), 3)])
    assert await read(page(pieces, content_encoding=encoding)) == ("html", "ants")


@pytest.mark.parametrize(
    ("encoding", "body", "told"),
    [
        ("br", b"\x0b\x02\x80ants\x03", "packed in a way that was not asked for"),
        ("zstd", b"ants", "packed in a way that was not asked for"),
        ("gzip, gzip", b"ants", "packed in a way that was not asked for"),
        ("gzip", b"these are ants", "cannot be unpacked"),
        ("gzip", gzip.compress(b"ants" * 99, mtime=0)[:-12], "broke off in the middle"),
        ("gzip", gzip.compress(b"ants", mtime=0) + b"and more", "cannot be unpacked"),
        ("deflate", b"\x00ants", "cannot be unpacked"),
    ],
    ids=ascii,
)
async def test_what_cannot_be_unpacked_whole_is_refused(encoding: str, body: bytes, told: str) -> None:
    assert told in await why_not(page(body, content_encoding=encoding))


# charsets

WORDS = "Ameisen öfters größer als 5 €"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (WORDS.encode(), "text/html; charset=utf-8"),
        (WORDS.encode(), "text/html"),
        (WORDS.encode(), 'text/html; charset="UTF-8"'),
        (WORDS.encode(), "text/html; charset=nonsense"),
        (WORDS.encode(), "text/html; charset=utf-7"),
        (WORDS.encode(), "text/html; charset=rot13"),
        (WORDS.encode(), "text/html; charset=unicode_escape"),
        (WORDS.encode(), "text/html; charset=" + "x" * 900),
        (WORDS.encode(), "text/html; charset=a\\x00b"),
        (WORDS.encode("utf-8-sig"), "text/html; charset=iso-8859-1"),
        (WORDS.encode("cp1252"), "text/html; charset=iso-8859-1"),
        (WORDS.encode("cp1252"), "text/html; charset=ascii"),
        (WORDS.encode("cp1252"), "text/html"),
        (WORDS.encode("iso8859-15"), "text/html; charset=ISO-8859-15"),
        (WORDS.encode("utf-16"), "text/html"),
        (b"\xfe\xff" + WORDS.encode("utf-16-be"), "text/html; charset=utf-8"),
        (WORDS.encode("utf-16-le"), "text/html; charset=utf-16le"),
        (b'<meta charset="iso-8859-15">' + WORDS.encode("iso8859-15"), "text/html"),
        (b"<META http-equiv=x content='text/html; CHARSET=cp1252'>" + WORDS.encode("cp1252"), "text/html"),
        (b"<?xml version='1.0' encoding='iso-8859-15'?>" + WORDS.encode("iso8859-15"), "application/xhtml+xml"),
        (b"<meta charset=utf-16>" + WORDS.encode(), "text/html"),
        (b"<meta charset=hex>" + WORDS.encode(), "text/html"),
    ],
    ids=ascii,
)
async def test_words_come_out_whatever_charset_they_are_in(body: bytes, kind: str) -> None:
    assert (await read(page(body, kind)))[1] == WORDS


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("蟻は小さい".encode("shift_jis"), "text/plain; charset=Shift_JIS", "蟻は小さい"),
        ("蚂蚁很小".encode("gb18030"), "text/plain; charset=gb2312", "蚂蚁很小"),
        ("муравьи".encode("koi8-r"), "text/plain; charset=koi8-r", "муравьи"),
        (b"ants \xff\xfe are small", "text/plain; charset=utf-8", "ants \ufffd\ufffd are small"),
    ],
)
async def test_other_scripts_and_broken_bytes_are_read_as_far_as_they_go(body: bytes, kind: str, text: str) -> None:
    assert (await read(page(body, kind)))[1] == text
