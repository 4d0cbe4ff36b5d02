"""Bodies that are compressed, cut, too large, or of an odd shape."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import raw
from bench import LARGEST, Bench, Input, Judge, input_row, one_whole, refused, refused_or, settled
from process import chat_body
from table import Outcome, Row, must

CHAT = "/v1/chat/completions"
BODY = chat_body("hello")
BOMB = 64 << 20  # what a bomb comes to: far beyond the limit, and small enough to make here


def deflate(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 9)


CODINGS = [
    "gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity", "compress", "gzip, gzip", "gzip,identity", "identity, gzip", "unknown", "", "gzip;q=1", "*", "aes128gcm",
]  # fmt: skip


def compressed() -> dict[str, tuple[str, bytes]]:
    """Returns bodies by name, each with the coding that it says."""
    whole = packed(BODY)
    cut, bad_sum = whole[: len(whole) // 2], whole[:-8] + b"\x00" * 8
    bomb = chat_body("x")[:-1] + b', "a": "' + b"0" * BOMB + b'"}'
    forms: list[tuple[str, bytes]] = [
        ("gzip", whole), ("zlib", deflate(BODY)), ("bare deflate", bare(BODY)), ("plain", BODY), ("gzip cut", cut), ("gzip with a wrong sum", bad_sum), ("gzip and bytes behind", whole + b"EXTRA"),
        ("gzip of gzip", packed(whole)), ("two members", packed(BODY[:20]) + packed(BODY[20:])), ("a second body as a member", whole + packed(BODY)), ("nothing", b""), ("garbage", b"\x1f\x8b" + b"\xff" * 100), ("a header of gzip alone", whole[:10]),
    ]  # fmt: skip
    found = {f"{name}, said {coding or 'nothing'!r}": (coding, data) for name, data in forms for coding in CODINGS}
    found |= {
        f"a bomb as {name}": (coding, pack(bomb))
        for name, coding, pack in (
            ("gzip", "gzip", packed),
            ("zlib", "deflate", deflate),
            ("bare deflate", "deflate", bare),
        )
    }
    found["a bomb in a bomb"] = ("gzip, gzip", packed(packed(bomb)))
    found["a bomb of blanks"] = ("gzip", packed(b" " * BOMB))
    found["a bomb of members"] = ("gzip", packed(b" " * 65536) * 1000)
    return found


def held(check: Judge) -> Judge:
    """Returns a judge that asks for the memory back, too."""

    def judge(on: Bench, seen: raw.Seen) -> str:
        said = check(on, seen)
        must(settled(on), "bytes of bodies stay in flight")
        return said

    return judge


def shapes() -> dict[str, tuple[raw.Parts, Judge]]:
    filled = chat_body("x" * (LARGEST - len(chat_body(""))))
    head = "content-type: application/json"
    right = refused_or(one_whole(BODY))
    open_end = raw.head("POST", CHAT, head, f"content-length: {len(BODY)}")
    chunks = raw.head("POST", CHAT, head, "transfer-encoding: chunked")
    return {
        "as large as allowed": (raw.post(CHAT, filled), refused_or(one_whole(filled))),
        "a byte too large": (raw.post(CHAT, filled + b" "), refused(413)),
        "a byte too large, in chunks": (chunks + b"%x\r\n%s\r\n0\r\n\r\n" % (len(filled) + 1, filled + b" "), refused(413)),
        "says a terabyte": (raw.head("POST", CHAT, head, "content-length: 1099511627776") + BODY, refused(413)),
        "says a terabyte and waits to be asked": (raw.head("POST", CHAT, head, "content-length: 1099511627776", "expect: 100-continue"), refused(413, 417)),
        "a chunk of a terabyte": (chunks + b"10000000000\r\n" + BODY, refused(413, 408, 400)),
        "in two pieces": ([open_end + BODY[:5], 0.3, BODY[5:]], right),
        "its header in pieces": ([open_end[:20], 0.2, open_end[20:] + BODY], right),
        "waits to be asked": ([raw.head("POST", CHAT, head, f"content-length: {len(BODY)}", "expect: 100-continue"), 0.3, BODY], right),
        "never comes": (open_end, refused(408, 400)),
        "never ends": (open_end + BODY[:-1], refused(408, 400)),
        "chunks that never end": (chunks + b"5\r\nhello\r\n", refused(408, 400)),
        "a form with a file": (raw.post(CHAT, b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n', kind="multipart/form-data; boundary=x"), refused(400, 415)),
        "a form with fields": (raw.post(CHAT, b"model=auto&messages=x", kind="application/x-www-form-urlencoded"), refused(400, 415)),
        "lines of JSON": (raw.post(CHAT, BODY + b"\n" + BODY), refused(400)),
        "ranges": (raw.post(CHAT, BODY, "content-range: bytes 0-9/100", "range: bytes=0-1"), right),
        "a body with GET": (raw.post(CHAT, BODY).replace(b"POST", b"GET", 1), refused_or(lambda *_: None)),
    }  # fmt: skip


def by_uploads() -> dict[str, raw.Parts]:
    """Returns bodies that pass unread, with what is odd about them."""
    data = bytes(range(256)) * 400
    return {
        "bytes": raw.post("/v1/files", data, kind="application/octet-stream"),
        "larger than bodies that are read": raw.post("/v1/files", data * 20, kind="application/octet-stream"),
        "nothing": raw.post("/v1/files", b"", kind="application/octet-stream"),
        "chunks": raw.head("POST", "/v1/files", "transfer-encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
        "a form without its end": raw.post(
            "/v1/files",
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb',
            kind="multipart/form-data; boundary=x",
        ),
        "a form without a boundary": raw.post("/v1/files", b"--x\r\n", kind="multipart/form-data"),
    }


def many_bombs(on: Bench) -> Callable[[], Outcome]:
    """Returns a check of twenty bombs, one behind the other: memory comes back."""

    def check() -> Outcome:
        with on.lock:
            bomb = raw.post(CHAT, packed(b" " * BOMB), "content-encoding: gzip")
            on.send(bomb)
            before = on.gateway.usage().rss_kib
            for _ in range(20):
                seen = on.send(bomb)
                must(seen.final and seen.final[0] in (400, 413), f"{seen.final}")
            grown = on.gateway.usage().rss_kib - before
            must(grown < 32 * 1024, f"memory grew by {grown} KiB")
            on.holds()
            on.serves()
            return Outcome(f"memory {grown:+} KiB", 21, 0)

    return check


def rows(on: Bench) -> list[Row]:
    made = []
    holds = "4xx, or served with what it says, whole; memory comes back"
    for name, (coding, data) in compressed().items():
        sent = raw.post(CHAT, data, f"content-encoding: {coding}")
        judge = refused(400, 413, 415) if "bomb" in name else refused_or(right_body)
        made.append(input_row(on, Input("compression", name, holds, sent), held(judge)))
    made.append(Row("compression", "twenty bombs", "refused, memory comes back", many_bombs(on)))
    for name, (parts, judge) in shapes().items():
        made.append(input_row(on, Input("bodies", name, "refused in time, or passed on whole", parts), held(judge)))
    for name, parts in by_uploads().items():
        made.append(
            input_row(
                on,
                Input("bodies", f"passed unread: {name}", "passed on whole, or refused", parts),
                held(refused_or(lambda *_: None)),
            )
        )
    return made


def right_body(on: Bench, seen: raw.Seen) -> None:
    """Raises unless the body that arrived is the one that was meant, and not read as something else."""
    for request in on.one.requests + on.two.requests:
        if not request.get("content-encoding"):
            must(request.body.startswith(b'{"model": "up-small"'), f"arrived: {request.body[:80]!r}")
    must(len(seen.final) == 1, f"{seen.final}")
