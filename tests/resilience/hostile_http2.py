"""HTTP/2 as RFC 9113 has it, a rule of a section a row, in frames that are written byte by byte.

The rows play a client that breaks a rule; the proxy must answer with the error that the section names, or with none where
it may ignore it, and serve the next connection. Frames that are right come from `hyperframe`, headers from `hpack`.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import Bench
from process import Address, chat_body
from table import Outcome, Row, SkippedError, must

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NO_ERROR, PROTOCOL, INTERNAL, FLOW, SETTINGS_TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM = range(
    12
)
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
BODY = chat_body("hello")
GOOD = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "x"),
    (":path", "/v1/chat/completions"),
    ("content-type", "application/json"),
]
PATIENCE = 6.0


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


@dataclass
class Heard:
    """The frames that came, and whether the connection was closed."""

    frames: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def goaway(self) -> int | None:
        found = [payload for kind, _, _, payload in self.frames if kind == GOAWAY]
        return int(struct.unpack(">I", found[-1][4:8])[0]) if found else None

    def reset(self, stream: int) -> int | None:
        for kind, _, which, payload in self.frames:
            if kind == RST_STREAM and which == stream:
                return int(struct.unpack(">I", payload)[0])
        return None

    def statuses(self) -> dict[int, str]:
        """Returns the answers' statuses by stream."""
        import hpack

        decoder = hpack.Decoder()
        found: dict[int, str] = {}
        for kind, _, stream, payload in self.frames:
            if kind == HEADERS:
                fields = dict(decoder.decode(payload))
                if ":status" in fields:
                    found[stream] = str(fields[":status"])
        return found

    def said(self) -> str:
        return f"goaway {self.goaway}, resets {[(s, int.from_bytes(p)) for k, _, s, p in self.frames if k == RST_STREAM]}, {self.statuses()}, {'closed' if self.is_closed else 'open'}"


class Client:
    """A client's end of one connection."""

    def __init__(self, to: Address) -> None:
        import hpack

        self.socket = socket.create_connection(to, timeout=PATIENCE)
        self.encoder = hpack.Encoder()
        self.data = b""
        self.heard = Heard()

    def greet(self, *pairs: tuple[int, int]) -> Client:
        return self.send(PREFACE + settings(*pairs) + frame(SETTINGS, ACK, 0))

    def send(self, data: bytes) -> Client:
        try:
            self.socket.sendall(data)
        except OSError:
            self.heard.is_closed = True
        return self

    def block(self, fields: list[tuple[str, str]]) -> bytes:
        encoded: bytes = self.encoder.encode(fields, huffman=False)
        return encoded

    def headers(self, stream: int, fields: list[tuple[str, str]], flags: int = END_HEADERS) -> Client:
        return self.send(frame(HEADERS, flags, stream, self.block(fields)))

    def ask(self, stream: int, body: bytes = BODY) -> Client:
        self.headers(stream, [*GOOD, ("content-length", str(len(body)))])
        return self.send(frame(DATA, END_STREAM, stream, body))

    def listen(self, until: Callable[[Heard], bool], patience: float = PATIENCE) -> Heard:
        """Reads frames until the condition holds, the connection ends, or the time is over."""
        end = time.monotonic() + patience
        while not until(self.heard) and not self.heard.is_closed and (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                break
            except OSError:
                more = b""
            if not more:
                self.heard.is_closed = True
            self.data += more
            self.split()
        return self.heard

    def split(self) -> None:
        while len(self.data) >= 9:
            size = int.from_bytes(self.data[:3])
            if len(self.data) < 9 + size:
                return
            kind, flags = self.data[3], self.data[4]
            stream = int.from_bytes(self.data[5:9]) & 0x7FFFFFFF
            self.heard.frames.append((kind, flags, stream, self.data[9 : 9 + size]))
            self.data = self.data[9 + size :]


Act = Callable[[Client], object]


@dataclass
class Rule:
    """A rule of a section: what the client does, and the errors that answer it.

    `connection` names errors of GOAWAY (PROTOCOL_ERROR or a closed connection will do, too), `stream` those of RST_STREAM;
    `status` an HTTP answer. One of them is enough. `known` says why a rule that does not hold is left so.
    """

    section: str
    name: str
    act: Act
    connection: tuple[int, ...] = ()
    stream: tuple[int, ...] = ()
    status: str = ""
    known: str = ""


def sends(*frames: bytes) -> Act:
    def act(client: Client) -> None:
        client.greet()
        for each in frames:
            client.send(each)

    return act


def asks_with(*changes: tuple[str, str], drop: str = "", first: tuple[tuple[str, str], ...] = ()) -> Act:
    """Returns an act that sends one request whose fields are changed."""

    def act(client: Client) -> None:
        client.greet()
        fields = [*first, *[pair for pair in GOOD if pair[0] != drop], *changes]
        client.headers(1, fields)
        client.send(frame(DATA, END_STREAM, 1, BODY))

    return act


def opened(*frames: bytes, flags: int = END_HEADERS) -> Act:
    """Returns an act that opens stream 1 and then sends frames."""

    def act(client: Client) -> None:
        client.greet()
        client.headers(1, GOOD, flags)
        for each in frames:
            client.send(each)

    return act


def answered_then(*frames: bytes) -> Act:
    """Returns an act that has stream 1 answered and closed, and then sends frames."""

    def act(client: Client) -> None:
        client.greet()
        client.ask(1)
        client.listen(
            lambda heard: any(s == 1 and f & END_STREAM and k in (DATA, HEADERS) for k, f, s, _ in heard.frames)
        )
        for each in frames:
            client.send(each)

    return act


def with_block(block: bytes, flags: int = END_HEADERS | END_STREAM) -> Act:
    return sends(frame(HEADERS, flags, 1, block))


def split_block(between: bytes) -> Act:
    """Returns an act that puts a frame between HEADERS and its CONTINUATION."""

    def act(client: Client) -> None:
        client.greet()
        block = client.block(GOOD)
        client.send(frame(HEADERS, END_STREAM, 1, block[:5]) + between + frame(CONTINUATION, END_HEADERS, 1, block[5:]))

    return act


def raw_preface(data: bytes) -> Act:
    return lambda client: client.send(data)


WINDOW = struct.pack(">I", 0x7FFFFFFF)
ANY = (PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CALM, INTERNAL, NO_ERROR)
CONN = (PROTOCOL,)
MALFORMED: dict[str, Act] = {
    "8.2.1 an upper-case name": lambda c: c.greet().send(frame(HEADERS, END_HEADERS, 1, c.block(GOOD) + b"\x00\x03X-A\x01b")).send(frame(DATA, END_STREAM, 1, BODY)),
    "8.2.1 a blank in a name": asks_with(("x a", "b")),
    "8.2.1 a colon in a name": asks_with(("x:a", "b")),
    "8.2.1 a NUL in a value": asks_with(("x-a", "b\x00c")),
    "8.2.1 a newline in a value": asks_with(("x-a", "b\r\nc: d")),
    "8.2.1 an empty name": lambda c: c.greet().send(frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block(GOOD) + b"\x00\x00\x01b")),
    "8.2.2 Connection": asks_with(("connection", "keep-alive")),
    "8.2.2 Transfer-Encoding": asks_with(("transfer-encoding", "chunked")),
    "8.2.2 Keep-Alive": asks_with(("keep-alive", "timeout=5")),
    "8.2.2 Upgrade": asks_with(("upgrade", "h2c")),
    "8.2.2 Proxy-Connection": asks_with(("proxy-connection", "keep-alive")),
    "8.2.2 TE other than trailers": asks_with(("te", "gzip")),
    "8.3 an unknown pseudo field": asks_with(first=((":unknown", "a"),)),
    "8.3 a field of answers": asks_with(first=((":status", "200"),)),
    "8.3 a pseudo field behind others": asks_with((":path", "/v1/other")),
    "8.3 a pseudo field after a regular one": lambda c: c.greet().headers(1, [GOOD[0], GOOD[1], ("x-a", "b"), *GOOD[2:]]).send(frame(DATA, END_STREAM, 1, BODY)),
    "8.3.1 no method": asks_with(drop=":method"),
    "8.3.1 no path": asks_with(drop=":path"),
    "8.3.1 no scheme": asks_with(drop=":scheme"),
    "8.3.1 two methods": asks_with(first=((":method", "GET"),)),
    "8.3.1 two paths": asks_with(first=((":path", "/a"),)),
    "8.3.1 an empty path": asks_with(first=((":path", ""),), drop=":path"),
    "8.3.1 a path without a slash": asks_with(first=((":path", "v1"),), drop=":path"),
    "8.3.1 a path with a blank": asks_with(first=((":path", "/v1 HTTP/1.1"),), drop=":path"),
    "8.3.1 a path with a newline": asks_with(first=((":path", "/v1\r\nx: y"),), drop=":path"),
    "8.3.1 a method with a blank": asks_with(first=((":method", "GET /a HTTP/1.1"),), drop=":method"),
    "8.1.1 a length too long": asks_with(("content-length", str(len(BODY) + 9))),
    "8.1.1 a length too short": asks_with(("content-length", str(len(BODY) - 9))),
    "8.1.1 two lengths": asks_with(("content-length", str(len(BODY))), ("content-length", "1")),
    "8.1.1 a length that is no number": asks_with(("content-length", "+5")),
    "8.1 trailers with a pseudo field": lambda c: c.greet().headers(1, GOOD).send(frame(DATA, 0, 1, BODY)).headers(1, [(":path", "/x")], END_HEADERS | END_STREAM),
    "8.1 trailers without the end": lambda c: c.greet().headers(1, GOOD).send(frame(DATA, 0, 1, BODY)).headers(1, [("x", "y")], END_HEADERS),
    "8.5 CONNECT": asks_with(first=((":method", "CONNECT"),), drop=":method"),
    "8.3.1 an authority with credentials": asks_with(first=((":authority", "user:secret@x"),), drop=":authority"),
}  # fmt: skip

LEFT = {"trailers with a pseudo field": "the crate h2 ignores them; they do not go upstream"}
RESETS = (PROTOCOL, REFUSED, CANCEL, INTERNAL, NO_ERROR)


def malformed(title: str, act: Act) -> Rule:
    section, name = title.split(" ", 1)
    return Rule(section, name, act, ANY, RESETS, "4xx", LEFT.get(name, ""))


RULES = [
    Rule("3.4", "another preface", raw_preface(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings()), ANY, status="400"),
    Rule("3.4", "a preface without SETTINGS", raw_preface(PREFACE + frame(PING, 0, 0, b"12345678")), ANY, known="the crate h2 waits for SETTINGS; `limits.keep_alive` ends the connection"),
    Rule("4.2", "a frame of 16,385 bytes of DATA", opened(frame(DATA, 0, 1, b"x" * 16385)), (SIZE,), (SIZE,)),
    Rule("4.2", "a frame of HEADERS too large", with_block(b"x" * 16385), (SIZE,)),
    Rule("4.3", "a broken block", with_block(b"\xff\xff\xff\xff\xff\xff\xff"), (COMPRESSION,)),
    Rule("4.3", "an index beyond the table", with_block(b"\xff\x80\x80\x01"), (COMPRESSION,)),
    Rule("4.3", "a table larger than allowed", with_block(b"\x3f\xff\xff\xff\x7f"), (COMPRESSION,)),
    Rule("5.1", "DATA on an idle stream", sends(frame(DATA, END_STREAM, 1, b"x")), (PROTOCOL, CLOSED)),
    Rule("5.1", "RST_STREAM on an idle stream", sends(frame(RST_STREAM, 0, 1, b"\x00\x00\x00\x08")), CONN),
    Rule("5.1", "WINDOW_UPDATE on an idle stream", sends(frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01")), CONN),
    Rule("5.1", "CONTINUATION on an idle stream", sends(frame(CONTINUATION, END_HEADERS, 1, b"x")), CONN),
    Rule("5.1", "DATA behind END_STREAM", opened(frame(DATA, 0, 1, b"x"), flags=END_HEADERS | END_STREAM), (CLOSED, PROTOCOL), (CLOSED,)),
    Rule("5.1", "HEADERS behind END_STREAM", lambda c: c.greet().headers(1, GOOD, 5).headers(1, GOOD, 5), (CLOSED, PROTOCOL), (CLOSED, PROTOCOL)),
    Rule("5.1", "DATA on a closed stream", answered_then(frame(DATA, END_STREAM, 1, b"x")), (CLOSED,), (CLOSED,)),
    Rule("5.1", "DATA behind RST_STREAM", opened(frame(RST_STREAM, 0, 1, b"\x00\x00\x00\x08"), frame(DATA, 0, 1, b"x" * 100)), (CLOSED,), (CLOSED,)),
    Rule("5.1.1", "a stream of an even number", lambda c: c.greet().headers(2, GOOD, 5), CONN),
    Rule("5.1.1", "a stream of a lower number", lambda c: c.greet().headers(5, GOOD, 5).headers(3, GOOD, 5), (PROTOCOL, CLOSED)),
    Rule("5.1.1", "stream 0", lambda c: c.greet().headers(0, GOOD, 5), CONN),
    Rule("5.1.2", "more streams than allowed", lambda c: [c.headers(2 * n + 1, GOOD) for c in [c.greet()] for n in range(400)], ANY, stream=(REFUSED,)),
    Rule("5.5", "an extension within a block", split_block(frame(0x16, 0, 0, b"x")), CONN),
    Rule("6.1", "DATA on stream 0", sends(frame(DATA, 0, 0, b"x")), CONN),
    Rule("6.1", "padding longer than the frame", opened(frame(DATA, 0x8, 1, b"\x09abc")), CONN),
    Rule("6.2", "padding of HEADERS too long", with_block(b"\xffabc", END_HEADERS | END_STREAM | 0x8), CONN),
    Rule("6.3", "PRIORITY on stream 0", sends(frame(PRIORITY, 0, 0, b"\x00\x00\x00\x00\x01")), CONN),
    Rule("6.3", "PRIORITY of a wrong size", opened(frame(PRIORITY, 0, 1, b"\x00")), (SIZE, PROTOCOL), (SIZE, PROTOCOL)),
    Rule("6.4", "RST_STREAM on stream 0", sends(frame(RST_STREAM, 0, 0, b"\x00\x00\x00\x08")), CONN),
    Rule("6.4", "RST_STREAM of a wrong size", opened(frame(RST_STREAM, 0, 1, b"\x00")), (SIZE,)),
    Rule("6.5", "SETTINGS with ACK and a payload", sends(frame(SETTINGS, ACK, 0, b"\x00" * 6)), (SIZE,)),
    Rule("6.5", "SETTINGS on a stream", sends(frame(SETTINGS, 0, 1)), CONN),
    Rule("6.5", "SETTINGS of a wrong size", sends(frame(SETTINGS, 0, 0, b"\x00" * 5)), (SIZE,)),
    Rule("6.5.2", "ENABLE_PUSH of 2", sends(settings((2, 2))), CONN),
    Rule("6.5.2", "a window beyond 2^31 - 1", sends(settings((4, 0x80000000))), (FLOW,)),
    Rule("6.5.2", "a frame size below 16,384", sends(settings((5, 16383))), CONN),
    Rule("6.5.2", "a frame size beyond 2^24 - 1", sends(settings((5, 1 << 24))), CONN),
    Rule("6.6", "PUSH_PROMISE of a client", opened(frame(PUSH_PROMISE, END_HEADERS, 1, b"\x00\x00\x00\x02x")), CONN),
    Rule("6.7", "PING on a stream", sends(frame(PING, 0, 1, b"12345678")), CONN),
    Rule("6.7", "PING of a wrong size", sends(frame(PING, 0, 0, b"123")), (SIZE,)),
    Rule("6.8", "GOAWAY on a stream", sends(frame(GOAWAY, 0, 1, b"\x00" * 8)), CONN),
    Rule("6.9", "WINDOW_UPDATE of 0 on the connection", sends(frame(WINDOW_UPDATE, 0, 0, b"\x00" * 4)), CONN),
    Rule("6.9", "WINDOW_UPDATE of 0 on a stream", opened(frame(WINDOW_UPDATE, 0, 1, b"\x00" * 4)), CONN, (PROTOCOL,)),
    Rule("6.9", "WINDOW_UPDATE of a wrong size", sends(frame(WINDOW_UPDATE, 0, 0, b"\x00")), (SIZE,)),
    Rule("6.9.1", "a window of the connection that overflows", sends(frame(WINDOW_UPDATE, 0, 0, WINDOW)), (FLOW,)),
    Rule("6.9.1", "a window of a stream that overflows", opened(frame(WINDOW_UPDATE, 0, 1, WINDOW)), (FLOW,), (FLOW,)),
    Rule("6.9.2", "a window that overflows by SETTINGS", opened(frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\x00\x00"), settings((4, 0x7FFFFFFF))), (FLOW,), (FLOW,)),
    Rule("6.10", "CONTINUATION without HEADERS", answered_then(frame(CONTINUATION, END_HEADERS, 1, b"x")), CONN),
    Rule("6.10", "CONTINUATION behind END_HEADERS", opened(frame(CONTINUATION, END_HEADERS, 1, b"x")), CONN),
    Rule("6.10", "CONTINUATION on another stream", lambda c: c.greet().send(frame(HEADERS, 0, 1, c.block(GOOD)) + frame(CONTINUATION, END_HEADERS, 3, b"")), CONN),
    Rule("6.10", "DATA within a block", split_block(frame(DATA, 0, 1, b"x")), CONN),
    Rule("6.10", "PING within a block", split_block(frame(PING, 0, 0, b"12345678")), CONN),
    Rule("7", "RST_STREAM with an unknown code, then a request", lambda c: c.greet().headers(1, GOOD).send(frame(RST_STREAM, 0, 1, b"\xff\xff\xff\xff")).ask(3), status="3:200"),
    *[malformed(name, act) for name, act in MALFORMED.items()],
]  # fmt: skip

# What a client may do: the request on stream 1 is answered all the same.
ALLOWED: list[tuple[str, str, Act]] = [
    ("3.4", "a request at once behind the preface", lambda c: c.greet().ask(1)),
    ("4.1", "a frame of an unknown type", lambda c: c.greet().send(frame(0x16, 0xFF, 0, b"x" * 8)).ask(1)),
    ("4.1", "the reserved bit", lambda c: c.greet().send(frame(PING, 0, 0x80000000, b"12345678")).ask(1)),
    ("5.3", "PRIORITY on an idle stream", lambda c: c.greet().send(frame(PRIORITY, 0, 9, b"\x00\x00\x00\x00\x10")).ask(1)),
    ("6.1", "padding", lambda c: c.greet().headers(1, GOOD).send(frame(DATA, END_STREAM | 0x8, 1, b"\x05" + BODY + b"\x00" * 5))),
    ("6.1", "an empty last DATA", lambda c: c.greet().headers(1, GOOD).send(frame(DATA, 0, 1, BODY) + frame(DATA, END_STREAM, 1))),
    ("6.1", "DATA a byte a frame", lambda c: c.greet().headers(1, GOOD).send(b"".join(frame(DATA, 0, 1, BODY[i : i + 1]) for i in range(len(BODY))) + frame(DATA, END_STREAM, 1))),
    ("6.5.2", "an unknown setting", lambda c: c.greet((0xFFFF, 1)).ask(1)),
    ("6.5.3", "SETTINGS again", lambda c: c.greet().send(settings((3, 100))).ask(1)),
    ("6.7", "PING", lambda c: c.greet().send(frame(PING, 0, 0, b"12345678")).ask(1)),
    ("6.7", "PING with ACK unasked", lambda c: c.greet().send(frame(PING, ACK, 0, b"12345678")).ask(1)),
    ("6.9", "a window that grows", lambda c: c.greet().send(frame(WINDOW_UPDATE, 0, 0, b"\x00\x01\x00\x00")).ask(1)),
    ("6.10", "a block in pieces", lambda c: c.greet().send(pieces(c)).send(frame(DATA, END_STREAM, 1, BODY))),
    ("8.1", "trailers", lambda c: c.greet().headers(1, GOOD).send(frame(DATA, 0, 1, BODY)).headers(1, [("x-a", "b")], END_HEADERS | END_STREAM)),
    ("8.2.3", "cookies in pieces", lambda c: c.greet().headers(1, [*GOOD, ("cookie", "a=b"), ("cookie", "c=d")]).send(frame(DATA, END_STREAM, 1, BODY))),
    ("8.2.2", "TE: trailers", lambda c: c.greet().headers(1, [*GOOD, ("te", "trailers")]).send(frame(DATA, END_STREAM, 1, BODY))),
]  # fmt: skip


def pieces(client: Client) -> bytes:
    block = client.block(GOOD)
    cuts = [block[i : i + 32] for i in range(0, len(block), 32)]
    middle = b"".join(frame(CONTINUATION, 0, 1, part) for part in cuts[1:-1])
    return frame(HEADERS, 0, 1, cuts[0]) + middle + frame(CONTINUATION, END_HEADERS, 1, cuts[-1])


def broken(rule: Rule, heard: Heard) -> bool:
    """Tells whether an error has come that fits a rule."""
    if rule.connection and (
        heard.goaway in (*rule.connection, PROTOCOL) or (heard.is_closed and heard.goaway in (None, NO_ERROR))
    ):
        return True
    if rule.stream and any(k == RST_STREAM and int.from_bytes(p) in rule.stream for k, _, _, p in heard.frames):
        return True
    for stream, status in heard.statuses().items():
        if rule.status == "4xx" and status.startswith("4"):
            return True
        if rule.status == f"{stream}:{status}":
            return True
    return False


def rule_row(on: Bench, rule: Rule) -> Row:
    def check() -> Outcome:
        with on.lock:
            on.clear()
            client = connected(on)
            rule.act(client)
            heard = client.listen(lambda heard: broken(rule, heard))
            client.socket.close()
            must(broken(rule, heard), heard.said())
            on.holds()
            return Outcome(heard.said(), 1, 0)

    holds = "a connection error" if not rule.stream else "an error of the stream or the connection"
    if rule.status:
        holds = (
            "an error of the stream or the connection, or 4xx" if rule.status == "4xx" else f"answered {rule.status}"
        )
    return Row("http/2", f"{rule.section} {rule.name}", holds, check, rule.known)


def allowed_row(on: Bench, section: str, name: str, act: Act) -> Row:
    def check() -> Outcome:
        with on.lock:
            on.clear()
            client = connected(on)
            act(client)
            heard = client.listen(lambda heard: 1 in heard.statuses())
            client.socket.close()
            must(heard.statuses().get(1) == "200", heard.said())
            on.holds()
            return Outcome("200", 1, 0)

    return Row("http/2", f"{section} {name}", "allowed: the request is answered", check)


def connected(on: Bench) -> Client:
    try:
        return Client(on.gateway.listen)
    except ImportError as missing:
        raise SkippedError(f"{missing}: tests/resilience/requirements.txt") from missing


def flood(on: Bench, name: str, burst: Callable[[Client, int], bytes], count: int) -> Row:
    """Returns the row of frames at a bounded rate: ended or borne, with memory and others' requests as before."""

    def check() -> Outcome:
        with on.lock:
            on.clear()
            before = on.gateway.usage().rss_kib
            client = connected(on)
            client.greet()
            for number in range(count):
                client.send(burst(client, number))
                if number % 100 == 0:
                    client.listen(lambda _: False, 0.01)
                if client.heard.is_closed or client.heard.goaway is not None:
                    break
            on.serves()
            grown = on.gateway.usage().rss_kib - before
            client.socket.close()
            must(grown < 64 * 1024, f"memory grew by {grown} KiB")
            on.gateway.total("pointsman_requests_in_flight")
            must(on.gateway.is_running(), "the process ended")
            return Outcome(
                f"{client.heard.goaway}, {'closed' if client.heard.is_closed else 'open'}, memory {grown:+} KiB", 1, 0
            )

    return Row("http/2 floods", name, "ended or borne; others are served, memory stays", check)


def reset_again(client: Client, number: int) -> bytes:
    return frame(HEADERS, END_HEADERS, 2 * number + 1, client.block(GOOD)) + frame(
        RST_STREAM, 0, 2 * number + 1, b"\x00\x00\x00\x08"
    )


def continued(client: Client, number: int) -> bytes:
    if number == 0:
        return frame(HEADERS, 0, 1, client.block(GOOD))
    return frame(CONTINUATION, 0, 1, b"\x00\x03x-a\x7f\x00" + b"b" * 127)


def rows(on: Bench) -> list[Row]:
    made = [rule_row(on, rule) for rule in RULES]
    made += [allowed_row(on, *each) for each in ALLOWED]
    made += [
        flood(on, "streams that are reset at once", reset_again, 2000),
        flood(on, "a block without end", continued, 3000),
        flood(on, "PING", lambda _, n: frame(PING, 0, 0, struct.pack(">Q", n)), 5000),
        flood(on, "SETTINGS", lambda *_: settings((3, 100)), 5000),
        flood(on, "empty DATA", lambda c, n: frame(HEADERS, END_HEADERS, 1, c.block(GOOD)) if n == 0 else frame(DATA, 0, 1), 5000),
        flood(on, "PRIORITY", lambda _, n: frame(PRIORITY, 0, 2 * n + 1, b"\x00\x00\x00\x00\x01"), 5000),
        flood(on, "WINDOW_UPDATE", lambda *_: frame(WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01"), 5000),
        flood(on, "unknown frames", lambda *_: frame(0x42, 0, 0, b"x" * 100), 5000),
        flood(on, "fields that repeat from the table", lambda c, n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, c.block([*GOOD, ("x-a", "b" * 3000)]) + b"\xbe" * 4000), 50),
    ]  # fmt: skip
    return made
