"""Requests to the real binary under callgrind: the cases, the upstream that answers them, and a life of the binary.

What a life in which few requests were served costs is taken from one with many, so that the start and the end are in
no figure.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Counted = TypeVar("Counted")
FEW, MANY = 40, 240
PROSE = "The history of the city and its people tells how trade and learning grew together over many centuries. "

CONFIG = """
version: 1
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
providers:
  p: {base_url: "http://127.0.0.1:%(port)d/v1", credential: passthrough}
  messages: {base_url: "http://127.0.0.1:%(port)d/v1", credential: passthrough, dialects: [messages]}
models:
  small: {provider: p, name: small}
  large: {provider: p, name: large}
  foreign: {provider: messages, name: small}
policies:
  - name: auto
    match: {model: [auto]}
    rules:
      - {when: 'prompt.images > 0', use: large}
      - {when: '%(rule)s', use: %(use)s}
    strategy: {kind: split, models: {small: 1, large: 1}}
"""

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris. " * 20}, "finish_reason": "stop"}],
}


@dataclass
class Case:
    """A configuration, and the request that is sent to it."""

    name: str
    rule: str
    path: str = "/v1/chat/completions"
    body: dict[str, object] = field(default_factory=dict)
    use: str = "small"  # the model: `foreign` is at an upstream that speaks another vendor's API


def chat(size: int, *, stream: bool = False) -> dict[str, object]:
    text = (PROSE * (size // len(PROSE) + 1))[:size]
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}]
    return {"model": "auto", "messages": messages, "temperature": 0.2, "stream": stream}


def tool_loop(size: int) -> dict[str, object]:
    """Returns a request in the middle of a tool loop, about so many bytes."""
    call = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": '{"key": "invoice"}'}}
    parameters = {"type": "object", "properties": {"key": {"type": "string"}}}
    function = {"name": "lookup", "description": "Look up a record", "parameters": parameters}
    messages = [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "Summarize the invoice and list the open questions."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": (PROSE * (size // len(PROSE)))[: size - 600]},
    ]
    tools = [{"type": "function", "function": function}]
    return {"model": "auto", "max_tokens": 512, "temperature": 0.2, "messages": messages, "tools": tools}


CASES = [
    Case("a rule on images, 200 B", "prompt.turns >= 0", body=chat(200)),
    Case("a rule on tokens, 2 KB", "prompt.tokens >= 0", body=chat(2000)),
    Case("a rule on the text, 2 KB", "prompt.text_words >= 0", body=chat(2000)),
    Case("a rule on tokens, 100 KB", "prompt.tokens >= 0", body=chat(100_000)),
    Case("a stream of 100 events", "prompt.turns >= 0", body=chat(200, stream=True)),
    Case("a tool loop, 2 KB", "prompt.turns >= 0", body=tool_loop(2000)),
    Case("a tool loop, 2 KB, translated", "prompt.turns >= 0", body=tool_loop(2000), use="foreign"),
    Case("a stream of 100 events, translated", "prompt.turns >= 0", body=chat(200, stream=True), use="foreign"),
]


def chunk(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [delta]}
    return f"data: {json.dumps(event)}\n\n".encode()


def named(event: dict[str, object]) -> bytes:
    """Returns an event of Anthropic's messages, which has its type as its name."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def message(content: list[object], stop_reason: str | None, prompt: int) -> dict[str, object]:
    usage = {"input_tokens": prompt, "output_tokens": 40}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "small", "content": content}
    return {**head, "stop_reason": stop_reason, "stop_sequence": None, "usage": usage}


def message_events() -> list[bytes]:
    text = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": f"word {index} "} for index in range(100)]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        named({"type": "message_start", "message": message([], None, 50)}),
        named({"type": "content_block_start", "index": 0, "content_block": text}),
        *(named({"type": "content_block_delta", "index": 0, "delta": delta}) for delta in deltas),
        named({"type": "content_block_stop", "index": 0}),
        named({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 200}}),
        named({"type": "message_stop"}),
    ]


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(events: list[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(map(framed, events)) + b"0\r\n\r\n"


def chunks() -> list[bytes]:
    return [chunk(f"word {index} ") for index in range(100)] + [b"data: [DONE]\n\n"]


def completion(prompt: int) -> dict[str, object]:
    usage = {"prompt_tokens": prompt, "completion_tokens": 40, "total_tokens": prompt + 40}
    return {**ANSWER, "usage": usage}


def whole(answered: dict[str, object]) -> bytes:
    body = json.dumps(answered).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Reader:
    """A connection whose messages are read one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            data = self.connection.recv(1 << 16)
            if not data:
                raise EOFError
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def message(self) -> bytes:
        head = self.until(b"\r\n\r\n").lower()
        if b"transfer-encoding: chunked" in head:
            return head + self.until(b"0\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        while len(self.buffer) < size:
            self.buffer += self.connection.recv(1 << 16)
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return head + b"\r\n\r\n" + body


def answer(connection: socket.socket) -> None:
    reader = Reader(connection)
    try:
        while True:
            asked = reader.message()
            is_stream, is_foreign = re.search(rb'"stream": ?true', asked), b"/messages http/1.1" in asked
            # As many as there are, about: a prompt of which an upstream says far fewer is counted by Pointsman.
            prompt = len(asked) // 5
            if is_stream:
                connection.sendall(stream(message_events() if is_foreign else chunks()))
            else:
                text = {"type": "text", "text": "Paris. " * 20}
                connection.sendall(whole(message([text], "end_turn", prompt) if is_foreign else completion(prompt)))
    except (EOFError, OSError):
        connection.close()


def serve_upstream() -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def request(case: Case) -> bytes:
    body = json.dumps(case.body).encode()
    fields = ["Host: x", "Authorization: Bearer x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"POST {case.path} HTTP/1.1", *fields, "\r\n"]).encode() + body


@dataclass
class Life:
    """A whole life of the binary under callgrind."""

    binary: str
    config: Path
    case: Case
    requests: int
    profile: Path = Path(os.devnull)

    def run(self) -> str:
        """Serves the requests and returns what was said at the end."""
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.profile}"]
        command += [self.binary, "serve", "-c", str(self.config)]
        environment = {**os.environ, "RUST_LOG": "warn"}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment) as process:
            assert process.stdout is not None
            address = None
            for line in process.stdout:
                if found := re.search(r"ready listen=127\.0\.0\.1:(\d+)", line):
                    address = ("127.0.0.1", int(found[1]))
                    break
            if address is None:
                process.kill()
                sys.exit("the binary did not say where it listens")
            with socket.create_connection(address) as connection:
                reader = Reader(connection)
                for _ in range(self.requests):
                    connection.sendall(request(self.case))
                    reply = reader.message()
                    if not reply.startswith(b"http/1.1 200"):
                        process.kill()
                        sys.exit(f"{self.case.name}: {reply[:200]!r}")
            process.send_signal(signal.SIGTERM)
            return process.stdout.read()


def few_and_many(binary: str, case: Case, counted: Callable[[Life], Counted]) -> tuple[Counted, Counted]:
    """Counts two lives of the binary, one with FEW requests and one with MANY."""
    port = serve_upstream()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "pointsman.yaml"
        config.write_text(CONFIG % {"port": port, "rule": case.rule, "use": case.use})
        few, many = (
            counted(Life(binary, config, case, requests, Path(folder) / f"{requests}.callgrind"))
            for requests in (FEW, MANY)
        )
    return few, many
