"""An upstream on a raw socket, which records each request that a strict reader sees and answers as it is told."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_HEAD = 4 << 20


@dataclass
class Request:
    """A request as it came, byte for byte."""

    line: str
    head: bytes
    fields: list[tuple[str, str]]
    body: bytes = b""

    def all_of(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each == name]

    def get(self, name: str) -> str:
        return ", ".join(self.all_of(name))

    @property
    def path(self) -> str:
        return self.line.split(" ")[1] if self.line.count(" ") >= 2 else ""

    @property
    def model(self) -> str:
        try:
            found = json.loads(self.body, parse_int=float)  # integers of any length
        except (ValueError, RecursionError):
            return ""
        return str(found.get("model", "")) if isinstance(found, dict) else ""


class BrokenRequestError(Exception):
    """The bytes that came are no request to a strict reader."""


Act = Callable[[socket.socket, Request], bool]  # answers; tells whether the connection stays


def completion(model: str = "m", text: str = "ok") -> bytes:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "x", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}
    ).encode()


def ok(body: bytes, fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    return head + fields + b"\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def delta(text: str) -> bytes:
    event = {"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    return chunk(f"data: {json.dumps(event)}\n\n".encode())


STREAM_END = chunk(b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n') + (
    chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
)


def answer(connection: socket.socket, request: Request) -> bool:
    """Answers any request as a good upstream does."""
    if b'"stream":true' in request.body.replace(b" ", b""):
        connection.sendall(EVENT_STREAM + delta("hello ") + delta("world") + STREAM_END)
    else:
        connection.sendall(ok(completion(request.model)))
    return True


def says(*parts: bytes | float, keeps: bool = False, resets: bool = False) -> Act:
    """Returns an act that sends bytes and pauses (seconds) between them, then ends the connection unless it keeps it."""

    def act(connection: socket.socket, _: Request) -> bool:
        for part in parts:
            if isinstance(part, bytes):
                connection.sendall(part)
            else:
                time.sleep(part)
        if resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return keeps

    return act


@dataclass
class Peer:
    """The upstream. `act` may be replaced while it runs."""

    act: Act = answer
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.listener: socket.socket | None = None
        self.sockets: set[socket.socket] = set()
        self.listen()

    def listen(self) -> None:
        """Takes connections, on the port of before where there was one."""
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self) -> None:
        """Takes no more connections, and breaks those that are open."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        with self.lock:
            kept = list(self.sockets)
        for each in kept:
            each.close()

    def clear(self) -> None:
        with self.lock:
            self.requests.clear()
            self.broken.clear()

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with self.lock:
            self.connections += 1
            self.open += 1
            self.sockets.add(connection)
        try:
            connection.settimeout(120)
            with connection, connection.makefile("rb") as reader:
                self.converse(connection, reader)
        except BrokenRequestError as error:
            with self.lock:
                self.broken.append(str(error))
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= 1
                self.sockets.discard(connection)

    def converse(self, connection: socket.socket, reader: object) -> None:
        source = Source(reader)
        while (request := source.request()) is not None:
            with self.lock:
                self.requests.append(request)
            if not self.act(connection, request):
                return


class Source:
    """The strict reader of one connection."""

    def __init__(self, reader: object) -> None:
        self.reader = reader

    def line(self) -> bytes:
        found: bytes = self.reader.readline(MAX_HEAD)  # type: ignore[attr-defined]
        if found and not found.endswith(b"\r\n"):
            raise BrokenRequestError(f"a line that does not end in CRLF: {found[:200]!r}")
        return found

    def exactly(self, size: int) -> bytes:
        found: bytes = self.reader.read(size)  # type: ignore[attr-defined]
        if len(found) != size:
            raise BrokenRequestError(f"{len(found)} bytes of {size}")
        return found

    def request(self) -> Request | None:
        first = self.line()
        if not first:
            return None
        if len(first.split(b" ")) != 3 or not first.endswith(b" HTTP/1.1\r\n"):
            raise BrokenRequestError(f"no request line: {first[:200]!r}")
        head, fields = first, []
        while (line := self.line()) != b"\r\n":
            name, colon, value = line[:-2].partition(b":")
            if not colon or not name or name.strip() != name or b"\x00" in value or b"\r" in value:
                raise BrokenRequestError(f"no header field: {line[:200]!r}")
            head += line
            fields.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
        request = Request(first[:-2].decode("latin-1"), head, fields)
        request.body = self.body(request)
        return request

    def body(self, request: Request) -> bytes:
        lengths, codings = request.all_of("content-length"), request.all_of("transfer-encoding")
        if codings and (lengths or codings != ["chunked"]):
            raise BrokenRequestError(f"framed twice or oddly: {lengths} {codings}")
        if codings:
            return self.chunks()
        if not lengths:
            return b""
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise BrokenRequestError(f"lengths {lengths}")
        return self.exactly(int(lengths[0]))

    def chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self.line().split(b";")[0], 16)
            body += self.exactly(size)
            if size == 0:
                while self.line() not in (b"\r\n", b""):
                    pass
                return body
            if self.exactly(2) != b"\r\n":
                raise BrokenRequestError("a chunk without its end")
