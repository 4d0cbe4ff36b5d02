"""The real binary in front of a small upstream, both on free ports of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 30

CONFIG = """\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
{default_provider}
providers:
  upstream: {{base_url: "http://127.0.0.1:{port}/v1", credential: passthrough}}
  nobody: {{base_url: "http://127.0.0.1:{closed_port}/v1"}}
models:
  small: {{provider: upstream, name: small-1}}
  frontier: {{provider: upstream, name: frontier-1}}
  gone: {{provider: nobody, name: gone-1}}
classifiers:
  default: {{bundle: "{bundle}", deadline: 5s}}
policies:
  - name: gone
    match: {{model: [gone]}}
    rules: [{{when: 'true', use: gone}}]
    strategy: &strategy
      kind: tiers
      classifier: default
      tiers: {{simple: small, medium: frontier, complex: frontier}}
      otherwise: frontier
  - name: auto
    match: {{model: [auto]}}
    strategy: *strategy
"""


class Upstream(ThreadingHTTPServer):
    """Answers chat completions and messages with the model that it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.requests: queue.Queue[dict] = queue.Queue()
        # A stream pauses after its first event until the client has seen that one.
        self.first_event_seen = threading.Event()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.put({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body})
        if body.get("user") == "busy":
            self.send(429, {"error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}})
        elif self.path.endswith("/messages"):
            self.send(200, message(body["model"]))
        elif body.get("stream"):
            self.stream(body["model"])
        else:
            self.send(200, completion(body["model"]))

    def send(self, status: int, body: dict) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "1")
        self.end_headers()
        self.wfile.write(content)

    def stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, word in enumerate(["by", " ", model]):
            if number == 1 and not self.server.first_event_seen.wait(DEADLINE):
                return  # the client never saw the first event: the broken stream is its error
            self.event(json.dumps(chunk(model, {"role": "assistant", "content": word}, None)))
        self.event(json.dumps(chunk(model, {}, "stop")))
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data: str) -> None:
        content = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def completion(model: str) -> dict:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"by {model}"}}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def chunk(model: str, delta: dict, finish_reason: str | None) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


def message(model: str) -> dict:
    content = [{"type": "text", "text": f"by {model}"}]
    usage = {"input_tokens": 5, "output_tokens": 2}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip


@contextlib.contextmanager
def running(default_provider: str | None = None) -> Iterator[tuple[str, Upstream]]:
    """Yields the proxy's URL and the upstream behind it; both end with the context."""
    upstream = Upstream()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "pointsman.yaml")
        config.write_text(
            CONFIG.format(
                port=upstream.server_port,
                closed_port=closed_port(),
                bundle=ROOT / "models" / "pointsman-mini",
                default_provider=f"default_provider: {default_provider}" if default_provider else "",
            )
        )
        command = [binary(), "serve", "-c", str(config)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        log: list[str] = []
        ready: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=follow, args=(process, log, ready), daemon=True).start()
        try:
            address = ready.get(timeout=DEADLINE)
            assert address, "the proxy ended before it was ready"
            yield f"http://{address}", upstream
        except BaseException:
            print("--- log of the proxy", *log, "---", sep="\n")
            raise
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
            upstream.shutdown()


def follow(process: subprocess.Popen[str], log: list[str], ready: queue.Queue[str | None]) -> None:
    """Keeps the log, and reports the address in the line `ready listen=... admin=... generation=1`."""
    assert process.stderr
    for line in process.stderr:
        log.append(line.rstrip())
        if line.startswith("ready "):
            ready.put(dict(field.split("=", 1) for field in line.split()[1:])["listen"])
    ready.put(None)


def closed_port() -> int:
    """Returns a port that refuses connections."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        return server.server_port


def binary() -> str:
    """Returns what `cargo build` made, or the binary that POINTSMAN names."""
    if named := os.environ.get("POINTSMAN"):
        return named
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    target = json.loads(subprocess.check_output(metadata, cwd=ROOT))["target_directory"]
    return str(pathlib.Path(target, "debug", "pointsman"))


def run(checks: list, **options: str) -> None:
    """Runs every check against one proxy; an error ends the script, and so fails it."""
    with running(**options) as (url, upstream):
        for check in checks:
            check(url, upstream)
            print(f"ok: {check.__name__.replace('_', ' ')}")
