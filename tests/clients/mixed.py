"""Ten thousand mixed requests through a fleet that fails: nothing lost, nothing generated twice, the bill right.

`make mixed` runs this with REQUESTS (10,000) and SEED. Three scripted upstreams, two peers of one provider and one of
another, answer streams, whole answers, tool calls, files and follow-ups by id. One peer is slow. One request in twenty
meets a failure: a status, an error in a 200, an empty stream, a cut before anything real, a broken connection; some
whole answers never come. Each answer names the request that it belongs to, and each upstream counts what it wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from string import Template

from gateway import binary
from wire import JsonObject

REQUESTS = int(os.environ.get("REQUESTS", "10000"))
SEED = int(os.environ.get("SEED", "16"))
CLIENTS = 32
DEADLINE = 60

CONFIG = Template("""\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
default_provider: a
retry: {max_attempts: 4, pause: 5ms, budget: 1.0}
providers:
  a:
    base_url: http://127.0.0.1:$fast/v1
    peers: [127.0.0.1:$fast, 127.0.0.1:$slow]
    timeouts: {first_byte: 2s, whole: 5s}
    breaker: {failure_ratio: 1.0, consecutive_failures: 50}
  b: {base_url: "http://127.0.0.1:$other/v1", timeouts: {first_byte: 2s, whole: 5s}}
models:
  small: {provider: a, name: small-up, price: {input: 1.0, output: 2.0, cached_input: 0.1}}
  large: {provider: b, name: large-up, price: {input: 10.0, output: 20.0, cached_input: 1.0}}
policies:
  - name: auto
    match: {model: [auto]}
    strategy: {kind: split, models: {small: 1}}
    fallback: [large]
""")

PRICES = {"small": (1.0, 2.0, 0.1), "large": (10.0, 20.0, 1.0)}
FAILURES = ["429", "500", "503", "529", "error event", "error json", "empty", "cut", "hang up"]
KINDS = [
    ("chat", 20), ("chat stream", 20), ("chat tools", 10), ("messages", 10), ("messages stream", 10),
    ("responses", 8), ("responses stream", 7), ("follow up", 6), ("get response", 4), ("file", 2), ("embeddings", 3),
]  # fmt: skip
NUMBER = re.compile(rb"request (\d+)[ .\"]")


@dataclass
class Books:
    """The upstreams' own count, by model: what was written, and of what."""

    written: Counter[int] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    input: Counter[str] = field(default_factory=Counter)
    output: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)


@dataclass
class Plan:
    """The failure that the first attempt at a request meets, or every attempt at the first provider."""

    failure: dict[int, str] = field(default_factory=dict)
    of_provider: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)


class Peer:
    """An upstream on a port of its own."""

    def __init__(self, name: str, books: Books, plan: Plan, delay: float) -> None:
        self.name, self.books, self.plan, self.delay = name, books, plan, delay
        self.model = "large" if name == "b" else "small"
        self.kept: set[str] = set()
        self.count = 0
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await read_head(reader):
                method, path, fields = head
                body = await read_body(reader, fields)
                if not await self.answer(method, path, body, writer):
                    break
                await writer.drain()
        writer.close()

    async def answer(self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answers; returns whether the connection stays."""
        if method == "GET":
            kept = path.rsplit("/", 1)[1]
            status = 200 if kept in self.kept else 404
            writer.write(whole({"id": kept, "object": "response", "peer": self.name}, status))
            return True
        if path == "/v1/files":
            self.count += 1
            kept = f"file-{self.name}-{self.count}"
            self.kept.add(kept)
            writer.write(whole({"id": kept, "object": "file", "purpose": "user_data"}))
            return True
        found = NUMBER.search(body)
        assert found, body[:200]
        number = int(found[1])
        self.books.attempts[number] += 1
        if number in self.plan.silent:
            await asyncio.sleep(7)
            return False
        fails = self.model == "small" if number in self.plan.of_provider else self.books.attempts[number] == 1
        if fails and number in self.plan.failure:
            return await fail(self.plan.failure[number], path, writer)
        request = json.loads(body)
        if missing := [name for name in named_state(request, body) if name not in self.kept]:
            writer.write(whole({"error": {"code": "not_found", "message": f"no {missing}"}}, 404))
            return True
        await asyncio.sleep(self.delay)
        await self.write(number, path, request, writer)
        return True

    async def write(self, number: int, path: str, request: JsonObject, writer: asyncio.StreamWriter) -> None:
        usage = (100 + number % 900, 0 if "embeddings" in path else 1 + number % 50, number % 100)
        self.books.written[number] += 1
        if "embeddings" not in path:
            self.books.input[self.model] += usage[0]
            self.books.output[self.model] += usage[1]
            self.books.cached[self.model] += usage[2]
        self.count += 1
        kept = f"resp_{self.name}_{self.count}"
        self.kept.add(kept)
        text = f"request {number} by {self.name}"
        if request.get("stream"):
            await send_events(writer, stream(path, kept, text, usage, request))
            writer.write(STREAM_END)
        else:
            writer.write(whole(document(path, kept, text, usage, request)))


def named_state(request: JsonObject, body: bytes) -> list[str]:
    """Returns the names of responses and files that a request cannot go on without."""
    files = re.findall(rb'"file_id": ?"([^"]+)"', body)
    previous = request.get("previous_response_id")
    return [name.decode() for name in files] + ([previous] if previous else [])


async def fail(failure: str, path: str, writer: asyncio.StreamWriter) -> bool:
    if failure.isdigit():
        error = {"error": {"message": "not now", "type": "server_error", "code": None}}
        writer.write(whole(error, int(failure), b"retry-after-ms: 20\r\n" if failure == "429" else b""))
        return True
    if failure == "hang up":
        return False
    if failure == "error json":
        writer.write(whole({"error": {"message": "not now", "code": 503}}))
        return True
    writer.write(STREAM)
    if failure == "error event":
        kind = "error" if path.endswith(("messages", "responses")) else None
        event: JsonObject = {"error": {"message": "not now", "type": "overloaded_error"}}
        event |= {"type": kind} if kind else {}
        writer.write(chunk(f"data: {json.dumps(event)}\n\n"))
        writer.write(b"0\r\n\r\n")
        return True
    writer.write(chunk(": ping\n\n"))
    if failure == "empty":
        writer.write(b"0\r\n\r\n")
        return True
    await writer.drain()
    return False


STREAM_END = b"0\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def whole(body: JsonObject, status: int = 200, fields: bytes = b"") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n".encode()
    return head + fields + b"\r\n" + data


def chunk(event: str) -> bytes:
    data = event.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def document(path: str, kept: str, text: str, usage: tuple[int, int, int], request: JsonObject) -> JsonObject:
    read, wrote, cached = usage
    if path.endswith("/embeddings"):
        return {"object": "list", "data": [], "model": text, "usage": {"prompt_tokens": read, "total_tokens": read}}
    if path.endswith("/messages"):
        counts = {"input_tokens": read - cached, "cache_read_input_tokens": cached, "output_tokens": wrote}
        return {"id": kept, "type": "message", "role": "assistant", "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn", "usage": counts}  # fmt: skip
    if path.endswith("/responses"):
        output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
        return {"id": kept, "object": "response", "status": "completed", "error": None, "output": output,
                "usage": response_usage(usage)}  # fmt: skip
    message: JsonObject = {"role": "assistant", "content": text}
    if request.get("tools"):
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"t": text})}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": kept, "object": "chat.completion", "choices": [choice], "usage": chat_usage(usage)}


def response_usage(usage: tuple[int, int, int]) -> JsonObject:
    return {"input_tokens": usage[0], "output_tokens": usage[1], "input_tokens_details": {"cached_tokens": usage[2]}}


def chat_usage(usage: tuple[int, int, int]) -> JsonObject:
    return {
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "prompt_tokens_details": {"cached_tokens": usage[2]},
    }


def stream(path: str, kept: str, text: str, usage: tuple[int, int, int], request: JsonObject) -> list[str]:
    def events(*documents: JsonObject) -> list[str]:
        return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in documents]

    if path.endswith("/messages"):
        start = {"input_tokens": usage[0] - usage[2], "cache_read_input_tokens": usage[2], "output_tokens": 1}
        return events(
            {"type": "message_start", "message": {"id": kept, "role": "assistant", "content": [], "usage": start}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": usage[1]}},
            {"type": "message_stop"},
        )
    if path.endswith("/responses"):
        done = {"id": kept, "status": "completed", "usage": response_usage(usage)}
        return events(
            {"type": "response.created", "response": {"id": kept, "status": "in_progress"}, "sequence_number": 0},
            {"type": "response.output_text.delta", "delta": text, "sequence_number": 1},
            {"type": "response.completed", "response": done, "sequence_number": 2},
        )
    chunks: list[JsonObject] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    if request.get("stream_options", {}).get("include_usage"):
        chunks.append({"choices": [], "usage": chat_usage(usage)})
    return [f"data: {json.dumps({'id': kept, **each})}\n\n" for each in chunks] + ["data: [DONE]\n\n"]


async def read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    start, rest = first.split(" ", 1)
    return start, rest.split(" ", 1)[0], fields


async def read_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    """Reads the body that a head announces, in pieces or by its length."""
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return body


async def send_events(writer: asyncio.StreamWriter, events: Iterable[str], pause: float = 0) -> None:
    """Sends a stream, each event in a write of its own."""
    writer.write(STREAM)
    for event in events:
        writer.write(chunk(event))
        await writer.drain()
        await asyncio.sleep(pause)


class Client:
    """A connection to the proxy that is kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: JsonObject | None) -> tuple[int, dict[str, str], bytes]:
        if body is None:
            return await self.send(method, path, b"")
        return await self.send(method, path, json.dumps(body).encode(), "content-type: application/json\r\n")

    async def send(self, method: str, path: str, data: bytes, named: str = "") -> tuple[int, dict[str, str], bytes]:
        """Sends a body as it is, with further header lines, each with its end."""
        request = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{named}content-length: {len(data)}\r\n\r\n".encode() + data
        head = None
        if self.streams:  # a kept connection may have been closed meanwhile, as every client knows
            reader, writer = self.streams
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                head = await read_head(reader)
        if head is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.streams
            writer.write(request)
            head = await read_head(reader)
        assert head, "the proxy closed the connection"
        _, status, fields = head
        answer = await read_body(reader, fields)
        if fields.get("connection") == "close":
            writer.close()
            self.streams = None
        return int(status), fields, answer


@dataclass
class Run:
    """The requests' outcome."""

    rng: random.Random
    plan: Plan
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    timed_out: int = 0
    kept_failures: int = 0
    kept: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    async def one(self, client: Client, number: int) -> None:
        kind = self.rng.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])[0]
        if kind in ("follow up", "get response") and not self.kept:
            kind = "responses"
        self.kinds[kind] += 1
        if kind == "get response":
            kept = self.rng.choice(self.kept)
            status, _, answer = await client.ask("GET", f"/v1/responses/{kept}", None)
            self.check(number, kind, status == 200 and json.loads(answer)["id"] == kept, (status, answer[:200]))
            return
        path, body = self.request(kind, number)
        if kind == "file":
            status, _, answer = await client.ask("POST", "/v1/files", {"purpose": "user_data"})
            self.check(number, kind, status == 200, (status, answer[:200]))
            body["messages"][0]["content"].append({"type": "file", "file": {"file_id": json.loads(answer)["id"]}})
        status, fields, answer = await client.ask("POST", path, body)
        if number in self.plan.silent:
            self.timed_out += 1
            is_final = fields.get("x-should-retry") == "false"
            self.check(number, "silent", status == 504 and is_final, (status, fields, answer[:200]))
            return
        # What one peer keeps is asked of no other, so its own failure is the answer; nor is there another model.
        has_nowhere_to_go = kind in ("follow up", "file") or path.endswith("embeddings")
        if number in self.plan.failure and has_nowhere_to_go and status >= 400:
            self.kept_failures += 1
            return
        text = f"request {number} by ".encode()
        is_right = status == 200 and text in answer and not (b"usage" in answer and self.is_unasked(kind, answer))
        self.check(number, kind, is_right, (status, answer[:300]))
        found = re.search(rb"\"id\": ?\"(resp_[^\"]+)\"", answer) if path == "/v1/responses" else None
        if found:
            self.kept.append(found[1].decode())

    def is_unasked(self, kind: str, answer: bytes) -> bool:
        """Tells whether a stream shows a usage that its client did not ask for."""
        return kind == "chat stream" and b'"usage"' in answer

    def request(self, kind: str, number: int) -> tuple[str, JsonObject]:
        text = f"This is request {number} ."
        turn = [{"role": "user", "content": text}]
        is_stream = kind.endswith("stream")
        if kind.startswith("messages"):
            return "/v1/messages", {"model": "auto", "max_tokens": 64, "messages": turn, "stream": is_stream}
        if kind.startswith("responses"):
            return "/v1/responses", {"model": "auto", "input": text, "stream": is_stream}
        if kind == "follow up":
            previous = self.rng.choice(self.kept)
            return "/v1/responses", {"model": "auto", "input": text, "previous_response_id": previous}
        if kind == "embeddings":
            return "/v1/embeddings", {"model": "small-embeddings", "input": text}
        body: JsonObject = {"model": "auto", "messages": turn, "stream": is_stream}
        if kind == "chat tools":
            body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        if kind == "file":
            body["messages"] = [{"role": "user", "content": [{"type": "text", "text": text}]}]
        return "/v1/chat/completions", body

    def check(self, number: int, kind: str, right: object, seen: object) -> None:
        if not right:
            self.wrong.append(f"{number} ({kind}, {self.plan.failure.get(number)}): {seen}")


async def launch(config: str, folder: str) -> tuple[subprocess.Popen[str], int, int]:
    path = pathlib.Path(folder, "pointsman.yaml")
    path.write_text(config)
    with pathlib.Path(folder, "log").open("w") as log:
        process = subprocess.Popen([binary(), "serve", "-c", str(path)], stderr=log, stdout=log, text=True)
    for _ in range(DEADLINE * 10):
        ready = re.search(
            r"ready listen=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)", pathlib.Path(folder, "log").read_text()
        )
        if ready:
            return process, int(ready[1]), int(ready[2])
        await asyncio.sleep(0.1)
    raise AssertionError(pathlib.Path(folder, "log").read_text())


async def metrics(admin: int) -> dict[str, float]:
    client = Client(admin)
    _, _, text = await client.ask("GET", "/metrics", None)
    lines = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def compare(books: Books, seen: dict[str, float]) -> list[str]:
    """Returns where the proxy's bill is not the upstreams' own."""
    wrong = []
    for model, (read, wrote, reread) in PRICES.items():
        counted = {"input": books.input, "output": books.output, "cached": books.cached}
        for direction, count in counted.items():
            billed = seen.get(f'pointsman_tokens_total{{direction="{direction}",model="{model}"}}', 0)
            if billed != count[model]:
                wrong.append(f"{model} {direction}: billed {billed:.0f}, written {count[model]}")
        fresh = books.input[model] - books.cached[model]
        cost = (fresh * read + books.cached[model] * reread + books.output[model] * wrote) / 1e6
        paid = seen.get(f'pointsman_cost_usd_total{{model="{model}"}}', 0)
        if abs(paid - cost) > 1e-6:
            wrong.append(f"{model}: billed {paid:.6f} USD, by the upstreams' count {cost:.6f}")
    return wrong


async def main() -> None:
    rng = random.Random(SEED)
    plan, books = Plan(), Books()
    for number in range(REQUESTS):
        if rng.random() < 0.05:
            plan.failure[number] = rng.choice(FAILURES)
            if rng.random() < 0.3:
                plan.of_provider.add(number)
    run = Run(rng, plan)
    peers = [Peer("fast", books, plan, 0.0), Peer("slow", books, plan, 0.3), Peer("b", books, plan, 0.0)]
    for peer in peers:
        await peer.start()
    ports = {"fast": peers[0].port, "slow": peers[1].port, "other": peers[2].port}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        process, listen, admin = await launch(CONFIG.substitute(ports), folder)
        try:
            numbers = iter(range(REQUESTS))

            async def work() -> None:
                client = Client(listen)
                for number in numbers:
                    await asyncio.wait_for(run.one(client, number), DEADLINE)

            await asyncio.gather(*(work() for _ in range(CLIENTS)))
            silent = range(REQUESTS, REQUESTS + 8)
            plan.silent.update(silent)
            await asyncio.gather(*(ask_silent(run, Client(listen), number) for number in silent))
            seen = await metrics(admin)
        finally:
            process.terminate()
            process.wait(DEADLINE)
    repeated = {number: count for number, count in books.written.items() if count > 1}
    asked_again = [number for number in plan.silent if books.attempts[number] > 1]
    bill = compare(books, seen)
    took = time.monotonic() - began
    met, written = Counter(plan.failure.values()), sum(books.written.values())
    print(f"{REQUESTS} requests, seed {SEED}, in {took:.0f} s: {dict(run.kinds)}")
    print(f"failures met: {dict(met)}, of them at a whole provider {len(plan.of_provider)}")
    print(f"timed out: {run.timed_out}; nowhere else to go: {run.kept_failures}")
    print(f"written {written} answers, {len(repeated)} of them twice; attempts {sum(books.attempts.values())}")
    print(f"tokens by the upstreams: {dict(books.input)} in, {dict(books.output)} out")
    print(f"bill: {bill or 'equal to the token'}")
    for line in run.wrong[:20]:
        print("WRONG", line)
    if run.wrong or repeated or asked_again or bill:
        sys.exit(f"{len(run.wrong)} wrong answers, repeated {repeated}, asked again {asked_again}, bill {bill}")


async def ask_silent(run: Run, client: Client, number: int) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": f"This is request {number} ."}]}
    status, fields, answer = await client.ask("POST", "/v1/chat/completions", body)
    run.timed_out += 1
    is_final = fields.get("x-should-retry") == "false"
    run.check(number, "silent", status == 504 and is_final, (status, fields, answer[:200]))


if __name__ == "__main__":
    asyncio.run(main())
