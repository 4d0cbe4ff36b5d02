"""Inputs that confuse where a request begins and ends: request lines, lengths, chunks and header fields."""

from __future__ import annotations

import raw
from bench import MARK, Bench, Input, input_row, one_whole, refused, refused_or
from process import chat_body
from table import Row

BODY = chat_body("hello")
NEXT = raw.head("GET", f"/v1/{MARK}", host="x")
PATH = "/v1/chat/completions"
SIZE = len(BODY)
HOLDS = "refused, or passed on framed once, with the same body; no smuggled request; no second answer"

LENGTHS = [
    f"+{SIZE}", f"-{SIZE}", f"{SIZE}, {SIZE}", f"{SIZE},{SIZE}", f"{SIZE}, {SIZE + 1}", f"0, {SIZE}", f"{SIZE} ", f" {SIZE}",
    f"\t{SIZE}", f"0{SIZE}", f"0x{SIZE:x}", f"{SIZE}.0", f"{SIZE}e0", f"{SIZE};a=b", f"{SIZE} {SIZE}", f"'{SIZE}'", f'"{SIZE}"',
    f"{SIZE}\x0b", f"{SIZE}\x00", f"{SIZE}_0", f"{SIZE}\xa0", "", " ", "nothing", "18446744073709551616", "9" * 40, "-0", "+0",
    f"\u0661{SIZE}".encode().decode("latin-1"),
]  # fmt: skip
CODINGS = [
    "chunked", "Chunked", "CHUNKED", "chunked ", " chunked", "\tchunked", "chunked\t", "chunked;q=1", "chunked, identity",
    "identity, chunked", "identity", "gzip, chunked", "gzip", "chunked, gzip", "chunked, chunked", "xchunked", "chunkedx",
    "x chunked", '"chunked"', "'chunked'", "chunk", "chun ked", "chunked,", ",chunked", "\x0bchunked", "chunked\x0b",
    "chunked\x00", "\x00chunked", "", "deflate, identity", "trailers", "chunked\xa0",
]  # fmt: skip
CODING_NAMES = [
    "transfer-encoding", "Transfer-Encoding ", " Transfer-Encoding", "Transfer_Encoding", "Transfer-Encoding\t",
    "Transfer-Encoding\x00", "X\r\nTransfer-Encoding", "Transfer--Encoding", "\x0bTransfer-Encoding", "Transfer-Encodin\xc7",
]  # fmt: skip
SIZES = [
    "zz", "-1", "+{n}", "0x{n}", "{n};a=b", "{n};a=" + "b" * 500, "{n} ", " {n}", "{n}\t", "\t{n}", "{n}\x0b", "0{n}", "00000000000000000{n}",
    "f" * 16, "f" * 17, "1" * 400, "{n}, {n}", "{n};\n", "{n}\n", "{n}\r", "{n};a=\"\r\n\"", "", " ", ".", "{n}.0", "{n}h", "{n}_",
]  # fmt: skip
LONG = "x: " + "a" * 100_000
TRAILERS = [
    "content-length: 5", "transfer-encoding: chunked", "host: other", "authorization: Bearer x", "x-pointsman-model: frontier",
    " folded", "name with blank: a", "no colon", "x: a\x00b", LONG, "connection: close", "content-type: text/plain",
]  # fmt: skip
METHODS = [
    "get", "Post", "POST ", " POST", "PO ST", "POST\t", "", "\x00POST", "POST\x00", "PÖST", "P" * 5000, "CONNECT", "TRACE", "TRACK", "PRI",
    "OPTIONS", "DEBUG", "M-SEARCH", "PROPFIND", "{}", "POST:", "GET\r\nX:", "*",
]  # fmt: skip
VERSIONS = [
    "HTTP/0.9", "HTTP/1.0", "HTTP/1.2", "HTTP/1.10", "HTTP/2.0", "HTTP/2", "HTTP/9.9", "http/1.1", "HTTP/1,1", "HTTP/1.1 ", "HTTP/1.1 x",
    "HTTP/ 1.1", "HTTP/11", "HTTP/1.", "HTTP/.1", "HTTP/-1.1", "HTTP/1.1\x00", "ICY/1.1", "HTTPS/1.1", "", "HTTP/1.1\t",
]  # fmt: skip
TARGETS = [
    "*", "", "x", "v1/chat/completions", f"http://x{PATH}", f"HTTP://x{PATH}", f"https://x{PATH}", f"ftp://x{PATH}", f"http://other.example{PATH}",
    "http://", "http:///", f"//{PATH}", f"{PATH}#fragment", f"{PATH}\x00", f"{PATH}\x01", f"{PATH}\x7f", f"{PATH} x", f"{PATH}\tx", f"{PATH}?{'a' * 70_000}",
    "/" + "a" * 70_000, "\\v1\\chat\\completions", f"{PATH}\\..\\x", f"{PATH}?\r", "x:443", f"http://user:secret@x{PATH}", f"http://x:99999{PATH}",
    f"http://[::1{PATH}", "/v1/chat/completions\xff", "/%", "/%zz", "/%00", "/%0d%0ax-a:%20b", "/%0a", "/%ff%fe",
]  # fmt: skip
BAD_NAME_BYTES = [
    0,
    1,
    8,
    9,
    10,
    11,
    12,
    13,
    27,
    31,
    32,
    34,
    40,
    41,
    44,
    47,
    59,
    60,
    61,
    62,
    63,
    64,
    91,
    92,
    93,
    123,
    125,
    127,
    128,
    255,
]
BAD_VALUES = ["a\x00b", "a\rb", "a\nb", "a\r\n b", "a\r\n\tb", "\x01", "\x7f", "\x1b[31m", "a" * 70_000, "a" * 200_000]
HOSTS = [
    "",
    "x, y",
    "x y",
    "x:0",
    "x:99999",
    "x:-1",
    "x:a",
    "[::1",
    "[::1]:80",
    "x/../y",
    "x@y",
    "x\x00",
    "x?a",
    "x#a",
    "a" * 300,
    "\xff",
]
NAMED = ["content-length", "transfer-encoding", "host", "authorization", "content-type", "x-request-id", "connection", "keep-alive", "te", "upgrade", "close, content-length", "x-pointsman-session"]  # fmt: skip


def with_fields(*fields: str, body: bytes = BODY, host: str = "x") -> bytes:
    return raw.head("POST", PATH, "content-type: application/json", *fields, host=host) + body


def chunked(size: str, tail: bytes = b"0\r\n\r\n") -> bytes:
    sized = size.replace("{n}", f"{SIZE:x}").encode("latin-1")
    return with_fields("transfer-encoding: chunked", body=sized + b"\r\n" + BODY + b"\r\n" + tail)


def lengths() -> dict[str, bytes]:
    found = {f"length {value!r}": with_fields(f"content-length: {value}") for value in LENGTHS}
    found |= {
        "no length and no chunks": with_fields(body=NEXT),
        "two lengths that agree": with_fields(f"content-length: {SIZE}", f"Content-Length: {SIZE}"),
        "two lengths that differ": with_fields(f"content-length: {SIZE}", "content-length: 0"),
        "two lengths that differ, the first short": with_fields("content-length: 0", f"content-length: {SIZE}"),
        "a length too long": with_fields(f"content-length: {SIZE + 400}"),
        "a length named by Connection": with_fields(f"content-length: {SIZE}", "connection: content-length"),
        "a length with a blank before the colon": with_fields(f"content-length : {SIZE}"),
        "a length folded": with_fields(f"content-length:\r\n {SIZE}"),
        "a length under a name with an underscore": with_fields(f"content_length: {SIZE}", "content-length: 0"),
    }
    return found


def codings() -> dict[str, bytes]:
    zero = b"0\r\n\r\n" + NEXT
    found = {}
    for value in CODINGS:
        found[f"coding {value!r} and a length"] = with_fields(
            f"transfer-encoding: {value}", f"content-length: {len(zero)}", body=zero
        )
        found[f"coding {value!r} alone"] = with_fields(f"transfer-encoding: {value}", body=zero)
    for name in CODING_NAMES:
        found[f"coding under {name!r}"] = with_fields(f"{name}: chunked", f"content-length: {len(zero)}", body=zero)
    found["two codings"] = with_fields("transfer-encoding: chunked", "transfer-encoding: identity", body=zero)
    found["two codings, the last chunked"] = with_fields(
        "transfer-encoding: identity", "transfer-encoding: chunked", body=zero
    )
    found["chunks over HTTP/1.0"] = with_fields("transfer-encoding: chunked", body=zero).replace(
        b"HTTP/1.1", b"HTTP/1.0", 1
    )
    return found


def chunks() -> dict[str, bytes]:
    found = {f"chunk size {size[:30]!r}": chunked(size) for size in SIZES}
    found |= {
        trailer_name(trailer): chunked("{n}", f"0\r\n{trailer}\r\n\r\n".encode("latin-1")) for trailer in TRAILERS
    }
    found |= {
        "a chunk without its end": with_fields(
            "transfer-encoding: chunked", body=b"%x\r\n" % SIZE + BODY + b"0\r\n\r\n"
        ),
        "a chunk that ends in LF": with_fields(
            "transfer-encoding: chunked", body=b"%x\r\n" % SIZE + BODY + b"\n0\r\n\r\n"
        ),
        "chunk lines that end in LF": with_fields(
            "transfer-encoding: chunked", body=b"%x\n" % SIZE + BODY + b"\n0\n\n"
        ),
        "a chunk longer than it says": with_fields(
            "transfer-encoding: chunked", body=b"%x\r\n" % (SIZE - 3) + BODY + b"\r\n0\r\n\r\n"
        ),
        "a body behind the last chunk": chunked("{n}", b"0\r\n\r\n" + NEXT),
        "chunks of one byte": with_fields(
            "transfer-encoding: chunked", body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
        ),
    }
    return found


def trailer_name(trailer: str) -> str:
    return f"trailer {trailer[:30]!r} ({len(trailer)})"


def lines() -> dict[str, bytes]:
    tail = (
        f" {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {SIZE}\r\n\r\n".encode()
        + BODY
    )
    found = {f"method {method[:20]!r}": method.encode("utf-8") + tail for method in METHODS}
    fields = f"\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {SIZE}\r\n\r\n".encode() + BODY
    found |= {f"version {v!r}": f"POST {PATH} {v}".encode("latin-1") + fields for v in VERSIONS}
    found |= {f"target {t[:40]!r}": f"POST {t} HTTP/1.1".encode("latin-1") + fields for t in TARGETS}
    found |= {
        "empty lines first": b"\r\n" * 5 + raw.post(PATH, BODY),
        "a thousand empty lines first": b"\r\n" * 1000 + raw.post(PATH, BODY),
        "lines that end in LF": raw.post(PATH, BODY).replace(b"\r\n", b"\n"),
        "lines that end in CR": raw.post(PATH, BODY).replace(b"\r\n", b"\r"),
        "a blank before the first field": raw.post(PATH, BODY).replace(b"\r\nhost", b"\r\n host", 1),
        "a TLS greeting": bytes.fromhex("160301020001000001fc0303") + b"\x00" * 600,
        "another protocol": b"SSH-2.0-OpenSSH_9\r\n\r\n",
        "bytes of no text": bytes(range(256)) * 8,
        "one byte": b"P",
    }
    return found


def fields() -> dict[str, bytes]:
    found = {f"byte {byte} in a name": post_with(f"x{chr(byte)}y: a") for byte in BAD_NAME_BYTES}
    found |= {f"value {value[:12]!r} ({len(value)})": post_with(f"x-a: {value}") for value in BAD_VALUES}
    found |= {
        f"host {host[:20]!r}": raw.post(PATH, BODY).replace(b"host: x", b"host: " + host.encode("latin-1"), 1)
        for host in HOSTS
    }
    found |= {f"Connection names {name}": post_with(f"connection: {name}", "x-a: b") for name in NAMED}
    found |= {
        "no Host": raw.post(PATH, BODY).replace(b"host: x\r\n", b"", 1),
        "two Hosts": post_with("host: y"),
        "Host and an absolute target": raw.post(PATH, BODY).replace(PATH.encode(), f"http://y{PATH}".encode(), 1),
        "500 fields": post_with(*[f"x-{n}: a" for n in range(500)]),
        "5,000 fields": post_with(*[f"x-{n}: a" for n in range(5000)]),
        "the same field a thousand times": post_with(*["x-a: a"] * 1000),
        "a field without a name": post_with(": a"),
        "a field without a colon": post_with("nothing"),
        "Expect that nobody knows": post_with("expect: miracles"),
        "Expect twice": post_with("expect: 100-continue", "expect: 100-continue"),
        "an upgrade to h2c": post_with(
            "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"
        ),
        "an upgrade to a WebSocket": post_with(
            "connection: upgrade", "upgrade: websocket", "sec-websocket-key: x", "sec-websocket-version: 13"
        ),
        "TE that asks for trailers": post_with("te: trailers, chunked", "connection: te"),
    }
    return found


def post_with(*extra: str) -> bytes:
    return raw.post(PATH, BODY, *extra)


STAYS = "Pingora waits behind trailers beyond its buffer; `limits.keep_alive` closes the connection, without an answer"
# A wrong length says of itself where the request ends: what is right of the body then is as much of it as it says.
UNFRAMED = {"no length and no chunks"}


def rows(on: Bench) -> list[Row]:
    judge = refused_or(one_whole(BODY))
    anything = refused_or(lambda *_: None)
    made = []
    for family, inputs in (
        ("lengths", lengths()), ("codings", codings()), ("chunks", chunks()), ("request lines", lines()), ("header fields", fields()),
    ):  # fmt: skip
        for name, data in inputs.items():
            is_free = family in ("codings", "request lines") or name in UNFRAMED
            known = STAYS if name == trailer_name(LONG) else ""
            made.append(input_row(on, Input(family, name, HOLDS, data, known), anything if is_free else judge))
    made.append(
        input_row(
            on,
            Input(
                "lengths", "a length beyond the largest body", "413", with_fields("content-length: 99999999", body=b"")
            ),
            refused(413),
        )
    )
    return made
