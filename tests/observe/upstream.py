"""Upstreams that answer chat completions as providers do: slowly, in streams, and now and then not at all."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Seconds to the first byte and between chunks, and answer tokens, by what the provider calls the model.
PACE = {
    "nano": (0.02, 0.03, 60),
    "standard": (0.05, 0.05, 120),
    "frontier": (0.12, 0.08, 200),
    "local": (0.03, 0.06, 80),
}
CHUNKS = 6

JsonObject = dict[str, Any]


class Upstream(ThreadingHTTPServer):
    """One provider's machine; `faults` are the shares of requests that it fails, by kind."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed: int = 7) -> None:
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.faults: dict[str, float] = {}
        self.healthy = True
        self.rng = random.Random(seed)
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def fate(self) -> tuple[str | None, random.Random]:
        """Draws what is to go wrong, and a source of chance for the answer."""
        with self.lock:
            drawn, own = self.rng.random(), random.Random(self.rng.random())
        for fault, share in self.faults.items():
            if drawn < share:
                return fault, own
            drawn -= share
        return None, own


def verdict(body: JsonObject, rng: random.Random) -> str | None:
    """Answers a judge's question by any of the labels that its schema allows."""
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    labels = schema.get("properties", {}).get("label", {}).get("enum")
    return json.dumps({"label": rng.choice(labels)}) if labels else None


def usage_of(prompt: int, completion: int) -> JsonObject:
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**tokens, "prompt_tokens_details": {"cached_tokens": prompt // 3}}


class UpstreamHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests as a provider does, at its pace and with its faults."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.send(200 if self.server.healthy else 503, b"{}")

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.loads(content or b"{}")
        fault, rng = self.server.fate()
        model = str(body.get("model", "nano"))
        first, gap, tokens = PACE.get(model, PACE["nano"])
        if fault == "hang_up":
            self.close_connection = True
            return
        time.sleep(first * rng.lognormvariate(0, 0.4))
        if fault == "limited":
            self.send(429, json.dumps({"error": {"code": "rate_limit_exceeded", "message": "slow down"}}).encode())
        elif fault == "failing":
            self.send(500, json.dumps({"error": {"code": "internal_error", "message": "oops"}}).encode())
        else:
            usage = usage_of(len(content) // 4, max(1, int(tokens * rng.lognormvariate(0, 0.3))))
            told = None if fault == "silent" else usage
            if body.get("stream"):
                self.stream(model, told, lambda: time.sleep(gap * rng.lognormvariate(0, 0.5)), is_cut=fault == "cut")
            else:
                self.answer(model, told, verdict(body, rng), zipped=fault == "zipped")

    def answer(self, model: str, usage: JsonObject | None, text: str | None, zipped: bool) -> None:
        message = {"role": "assistant", "content": text or f"This is {model} speaking."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        content = json.dumps(body | ({"usage": usage} if usage else {})).encode()
        self.send(200, gzip.compress(content) if zipped else content, {"content-encoding": "gzip"} if zipped else {})

    def stream(self, model: str, usage: JsonObject | None, pause: Callable[[], None], is_cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for index in range(CHUNKS):
            self.event(
                {"choices": [{"index": 0, "delta": {"content": f"word {index} "}, "finish_reason": None}]}, model
            )
            pause()
            if is_cut and index == CHUNKS // 2:
                self.close_connection = True
                return
        if usage:
            self.event({"choices": [], "usage": usage}, model)
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, more: JsonObject, model: str) -> None:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        self.chunk(f"data: {json.dumps(head | more)}\n\n".encode())

    def chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "1")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the proxy leaves when its client does
            super().handle()
