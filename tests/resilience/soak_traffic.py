"""The requests of a soak, the upstreams that answer them by digest, and the check of each answer against its request."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field

from mixed import FAILURES, STREAM_END, document, fail, read_body, read_head, send_events, stream, whole
from wire import JsonObject

MODEL = re.compile(rb'"model": "[^"]*"')
NUMBER = re.compile(rb"request (\d+)\b")
PROOF = re.compile(rb"request (\d+) digest ([0-9a-f]{16}) bytes (\d+) model ([a-z-]+) pad (x*)")

KINDS = [
    ("chat", 26), ("chat stream", 20), ("messages", 8), ("messages stream", 8), ("responses", 6), ("responses stream", 6),
    ("embeddings", 4), ("gzip", 6), ("passed", 4), ("upload", 2), ("catalog", 4),
    ("leaves at once", 2), ("leaves mid-stream", 2), ("leaves after the end", 2),
]  # fmt: skip
SIZES = [(0, 30), (300, 30), (3_000, 26), (30_000, 8), (300_000, 4), (1_200_000, 1.4), (5_000_000, 0.6)]
# Failures of the first provider that another one answers for. `hang up` is answered there, too.
FAILING = 0.06
SILENT = 0.002
CLOSES = 0.05


@dataclass
class Ask:
    """A request, and what is to come of it."""

    number: int
    kind: str
    path: str
    body: bytes
    failure: str = ""
    leaves: str = ""
    method: str = "POST"
    content_type: str = "application/json"

    def sent(self) -> bytes:
        return gzip.compress(self.body, 1) if self.kind == "gzip" else self.body

    def fields(self) -> str:
        lines = f"content-type: {self.content_type}\r\n" if self.body else ""
        return lines + ("content-encoding: gzip\r\n" if self.kind == "gzip" else "")


@dataclass
class Books:
    """The upstreams' own count."""

    failures: Counter[str] = field(default_factory=Counter)
    closed: int = 0


def digest(body: bytes) -> str:
    """Returns the digest of a body, whichever model it asks."""
    return hashlib.sha256(MODEL.sub(b'"model": "_"', body, count=1)).hexdigest()[:16]


def outgoing(kind: str, number: int, chance: random.Random) -> Ask:
    """Makes a request of a kind; its text names its number and, for the upstream, the failure that it is to meet."""
    size = chance.choices([size for size, _ in SIZES], [weight for _, weight in SIZES])[0]
    leaves = kind.removeprefix("leaves ") if kind.startswith("leaves") else ""
    if kind == "upload":
        data = f"request {number} ".encode() + chance.randbytes(min(size * 4, 5_000_000) + 10)
        return Ask(number, kind, "/v1/files", data, content_type="application/octet-stream")
    failure = ""
    if not leaves and kind not in ("embeddings", "passed", "catalog"):
        failure = chance.choice(FAILURES) if chance.random() < FAILING else ""
        failure = "silent" if chance.random() < SILENT else failure
    filler = ("lorem ipsum dolor sit amet " * (size // 27 + 1))[:size]
    text = f"request {number} does {failure or leaves or 'well'}. {filler}"
    turn = [{"role": "user", "content": text}]
    model = {"passed": "another-model", "catalog": "large"}.get(kind, "auto")
    body: JsonObject = {"model": model, "messages": turn}
    path = "/v1/chat/completions"
    if kind.startswith("messages"):
        path, body = "/v1/messages", body | {"max_tokens": 64}
    if kind.startswith("responses"):
        path, body = "/v1/responses", {"model": model, "input": text}
    if kind == "embeddings":
        path, body = "/v1/embeddings", {"model": "small", "input": text if size else f"request {number}"}
    if kind.endswith("stream") or leaves:
        body["stream"] = True
        if path.endswith("completions"):
            body["stream_options"] = {"include_usage": True}
    return Ask(number, kind, path, json.dumps(body).encode(), failure, leaves)


def expected(ask: Ask, status: int, fields: dict[str, str], answer: bytes) -> str:
    """Returns how an answer is not that of its request, or nothing."""
    if ask.failure == "silent":
        return "" if status == 504 else f"status {status} of a silent upstream"
    if status != 200:
        return f"status {status}: {answer[:200]!r}"
    found = PROOF.search(answer)
    if not found:
        return f"no proof in {answer[:200]!r}"
    model = {"catalog": "large-up", "passed": "another-model", "upload": "-"}.get(ask.kind, "small-up")
    if fields.get("x-pointsman-model") == "large":
        model = "large-up"
    proof = (int(found[1]), found[2].decode(), int(found[3]), found[4].decode(), len(found[5]))
    size = len(MODEL.sub(b"_", ask.body, count=1))
    wanted = (ask.number, digest(ask.body), size, model, padding(ask.number))
    if proof != wanted:
        return f"{proof} instead of {wanted}"
    ends = {"/v1/responses": b"response.completed", "/v1/messages": b"message_stop"}
    if ask.kind.endswith("stream") and ends.get(ask.path, b"[DONE]") not in answer[-400:]:
        return f"a stream without its end: {answer[-100:]!r}"
    return ""


def padding(number: int) -> int:
    """Returns how much an answer is padded, so that some are large."""
    return 200_000 if number % 50 == 0 else number % 500


class Upstream:
    """A scripted upstream on a port of its own."""

    def __init__(self, name: str, model: str, books: Books) -> None:
        self.name, self.model, self.books = name, model, books
        self.random = random.Random(name)
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await read_head(reader):
                _, path, fields = head
                body = await read_body(reader, fields)
                if not await self.answer(path, body, writer):
                    break
                await writer.drain()
                if self.random.random() < CLOSES:
                    self.books.closed += 1
                    break
        writer.close()

    async def answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        found = NUMBER.search(body)
        assert found, body[:200]
        number = int(found[1])
        told = re.search(rb"does ([a-z0-9 -]+)\.", body[:400])
        behaviour = told[1].decode() if told else "well"
        if behaviour == "silent":
            self.books.failures["silent"] += 1
            await asyncio.sleep(30)
            return False
        if behaviour in FAILURES and self.name == "a":
            self.books.failures[behaviour] += 1
            return await fail(behaviour, path, writer)
        if behaviour == "at once":
            await asyncio.sleep(0.5)
        asked = json.loads(body) if body.startswith(b"{") else {}
        sent = asked.get("model", "-")
        size = len(MODEL.sub(b"_", body, count=1))
        text = f"request {number} digest {digest(body)} bytes {size} model {sent} pad {'x' * padding(number)}"
        usage = (100, 10, 0)
        if not asked.get("stream"):
            writer.write(
                whole({"object": "file", "id": text})
                if not asked
                else whole(document(path, "kept", text, usage, asked))
            )
            return True
        events = stream(path, "kept", text, usage, asked)
        await send_events(writer, events, 0.4 if behaviour == "mid-stream" else 0)
        if behaviour == "after the end":
            await asyncio.sleep(0.2)
        writer.write(STREAM_END)
        return True


async def left_early(port: int, ask: Ask) -> None:
    """Sends a request and leaves: at once, after the first bytes of the answer's body, or after its last event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    head = f"{ask.method} {ask.path} HTTP/1.1\r\nhost: x\r\n{ask.fields()}content-length: {len(ask.body)}\r\n\r\n"
    writer.write(head.encode() + ask.body)
    await writer.drain()
    if ask.leaves == "at once":
        await asyncio.sleep(0.1)
    elif ask.leaves == "mid-stream":
        await reader.readuntil(b"data: ")
    else:
        await reader.readuntil(b"[DONE]\n\n")
    writer.close()
