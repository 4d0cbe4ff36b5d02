"""The real Envoy between real clients and recording upstreams, with the real binary beside it that it asks.

All on free ports of loopback: Envoy and the binary take theirs and are asked which.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60.0
ENVIRONMENT = {**os.environ, "ONE_KEY": "sk-of-one"}
SSE = [
    'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n',
    'data: {"choices":[{"index":0,"delta":{"content":"two"}}]}\n\n',
    'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}}\n\n',
    "data: [DONE]\n\n",
]


@dataclass
class Request:
    """A request as it came to an upstream."""

    path: str
    fields: dict[str, str]
    body: bytes


class Upstream(http.server.ThreadingHTTPServer):
    """An upstream that keeps what it gets, and answers as the request's `x-answer` says."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.requests: queue.Queue[Request] = queue.Queue()
        self.failures = 0
        self.told: dict[str, str] = {}
        self.gate = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def next(self) -> Request:
        """Waits for the next request."""
        return self.requests.get(timeout=PATIENCE)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that left."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of Envoy's."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        """Answers a request."""
        body = self.read_body()
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.put(Request(self.path, fields, body))
        answer = fields.get("x-answer", "json")
        if fields.get("upgrade") == "websocket":
            return self.echo()
        if self.server.failures > 0:
            self.server.failures -= 1
            return self.reply(503, b"{}")
        if answer == "sse":
            return self.stream(SSE)
        if answer == "held":
            return self.stream(SSE, self.server.gate)
        if answer == "large":
            return self.reply(200, b"x" * (2 << 20))
        usage = {"prompt_tokens": 10, "completion_tokens": 4}
        text = json.dumps({"from": self.server.name, "choices": [], "usage": usage}).encode()
        return self.reply(200, text)

    do_GET = do_POST  # noqa: N815 - the name that the library calls
    do_PUT = do_POST  # noqa: N815 - the name that the library calls

    def read_body(self) -> bytes:
        """Reads a body by its length, or in chunks."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return body
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def reply(self, status: int, body: bytes) -> None:
        """Sends a whole answer."""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in self.server.told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def echo(self) -> None:
        """Opens a WebSocket, and sends what comes back as it is."""
        self.send_response(101)
        self.send_header("connection", "Upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        self.close_connection = True
        while piece := self.connection.recv(1024):
            self.connection.sendall(piece)

    def stream(self, events: list[str], gate: threading.Event | None = None) -> None:
        """Sends events, each by itself; those after the first once the gate is open."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for index, event in enumerate(events):
            if gate and index:
                gate.wait(PATIENCE)
            self.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Says nothing."""


@dataclass
class Process:
    """A process, its output line by line, and its end."""

    child: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        for pipe in (self.child.stdout, self.child.stderr):
            if pipe:
                threading.Thread(target=self.follow, args=(pipe,), daemon=True).start()

    def follow(self, pipe: Iterator[str]) -> None:
        """Keeps what the process writes."""
        for line in pipe:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()

    def line(self, wanted: Callable[[str], bool], since: int = 0) -> str:
        """Waits for a line."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for line in self.lines[since:]:
                    if wanted(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.child.poll() is not None and not self.news.wait(1)):
                    raise AssertionError("no such line in\n" + "\n".join(self.lines[-40:]))
                self.news.wait(min(left, 1))

    def end(self, number: int = signal.SIGTERM) -> None:
        """Ends the process."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def binary() -> str:
    """Returns the binary under test."""
    return os.environ.get("POINTSMAN") or str(ROOT / "target" / "debug" / "pointsman")


def envoy_binary() -> str:
    """Returns the Envoy beside this Python."""
    return os.environ.get("ENVOY") or str(pathlib.Path(sys.executable).parent / "envoy")


CONFIG = """\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
limits: {{drain_min: 0s}}
ext_proc: {{address: '127.0.0.1:{port}', deadline: 20s{section}}}
providers:
  one: {{base_url: 'http://127.0.0.1:{small}/v1', credential: {{env: ONE_KEY}}}}
  two: {{base_url: 'http://127.0.0.1:{big}/api/v1'}}
models:
  small: {{provider: one, name: small-1, price: {{input: 1, output: 1}}}}
  big: {{provider: two, name: big-1, price: {{input: 10, output: 10}}}}
{sections}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules:
      - {{when: 'prompt.contains_any(["refuse me"])', deny: {{message: not today, status: 403}}}}
      - {{when: 'prompt.contains_any(["prove"])', use: big}}
      - {{when: 'true', use: small}}
    strategy: {{kind: random, models: [small, big]}}
"""


@dataclass
class Stage:
    """Envoy, the binary that it asks, and two upstreams."""

    folder: pathlib.Path
    small: Upstream
    big: Upstream
    server: Process | None
    envoy: Process
    port: int
    admin: int
    own_admin: str
    own_port: int
    file: pathlib.Path

    def send(
        self,
        body: bytes | Iterator[bytes] = b"",
        path: str = "/v1/chat/completions",
        method: str = "POST",
        **fields: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends a request over HTTP/1.1; an iterator of bytes goes in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(
            method,
            path,
            body,
            {"content-type": "application/json", **named},
            encode_chunked=not isinstance(body, bytes),
        )
        answer = connection.getresponse()
        got = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return got

    def logged(self, request_id: str) -> dict[str, object]:
        """Waits for Envoy's access line of a request."""
        line = self.envoy.line(lambda line: line.startswith("{") and f'"{request_id}"' in line)
        found: dict[str, object] = json.loads(line)
        return found

    def metric(self, name: str) -> float:
        """Returns a metric of the binary."""
        connection = http.client.HTTPConnection(self.own_admin, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def until(self, name: str, value: float) -> None:
        """Waits until a metric of the binary has a value."""
        deadline = time.monotonic() + PATIENCE
        while (now := self.metric(name)) != value:
            assert time.monotonic() < deadline, f"{name} is {now}, not {value}"
            threading.Event().wait(0.02)

    def ask_envoy(self, path: str) -> str:
        """Asks Envoy's own admin plane."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def until_healthy(self, healthy: bool = True) -> None:
        """Waits until Envoy finds the binary healthy, or not."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.ask_envoy("/clusters")
            flags = re.findall(r"^pointsman::\S+::health_flags::(\S+)$", text, re.MULTILINE)
            if flags and (flags[0] == "healthy") == healthy:
                return
            assert time.monotonic() < deadline, f"health is {flags}"
            threading.Event().wait(0.05)

    def restart(self) -> None:
        """Starts the binary again, at the same port."""
        self.server, self.own_admin, _ = serve(self.file)


def free_port() -> int:
    """Returns a port that was free a moment ago: for what has to be known before it is bound."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve(file: pathlib.Path) -> tuple[Process, str, int]:
    """Starts the binary; returns its process, its admin address and the port that Envoy asks."""
    command = [binary(), "ext-proc", "-c", str(file)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, cwd=ROOT, text=True, env=ENVIRONMENT, **pipes)  # type: ignore[call-overload]
    process = Process(child)
    ready = process.line(lambda line: line.startswith("ready "))
    named = dict(part.split("=", 1) for part in ready.split()[1:])
    return process, named["admin"], int(named["ext_proc"].rsplit(":", 1)[1])


def bootstrap(file: pathlib.Path, arguments: list[str]) -> str:
    """Returns the bootstrap that the binary prints, with an admin plane of Envoy's own."""
    command = [binary(), "ext-proc", "-c", str(file), "--print-envoy", "--envoy-listen", "127.0.0.1:0", *arguments]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return printed + "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"


@contextlib.contextmanager
def stage(
    arguments: list[str] | None = None,
    section: str = "",
    sections: str = "",
    change: Callable[[str], str] = lambda text: text,
    config: Callable[[str], str] = lambda text: text,
) -> Iterator[Stage]:
    """Yields everything, running; `change` edits the bootstrap, `config` the binary's configuration."""
    small, big = Upstream("small"), Upstream("big")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        file = folder / "pointsman.yaml"
        text = CONFIG.format(
            port=free_port(), section=section, small=small.server_port, big=big.server_port, sections=sections
        )
        file.write_text(config(text))
        server, own_admin, own_port = serve(file)
        # A debug build on a busy machine takes its time over megabytes; what is slow has checks of its own.
        patient = re.sub(r"message_timeout: \S+", "message_timeout: 30s", bootstrap(file, arguments or []))
        text = change(patient)
        (folder / "envoy.yaml").write_text(text)
        command = [envoy_binary(), "-c", str(folder / "envoy.yaml"), "--disable-hot-restart", "--concurrency", "1"]
        command += ["--admin-address-path", str(folder / "admin"), "--log-level", "warning"]
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        envoy = Process(child)
        running = Stage(folder, small, big, server, envoy, 0, 0, own_admin, own_port, file)
        try:
            wait_for(running)
            yield running
        except BaseException:
            print("\n".join(["--- envoy", *envoy.lines[-40:]]), file=sys.stderr)
            print(
                "\n".join(["--- pointsman", *(running.server.lines[-40:] if running.server else [])]), file=sys.stderr
            )
            raise
        finally:
            envoy.end()
            if running.server:
                running.server.end()
            small.shutdown()
            big.shutdown()


def wait_for(running: Stage) -> None:
    """Waits until Envoy serves and has found the binary."""
    deadline = time.monotonic() + PATIENCE
    address = running.folder / "admin"
    while True:
        assert time.monotonic() < deadline, "Envoy does not start"
        assert running.envoy.child.poll() is None, "Envoy has ended"
        with contextlib.suppress(OSError, ValueError, IndexError, KeyError, http.client.HTTPException):
            running.admin = int(address.read_text().rsplit(":", 1)[1])
            listeners = json.loads(running.ask_envoy("/listeners?format=json"))
            running.port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
            if running.ask_envoy("/ready").strip() == "LIVE":
                break
        threading.Event().wait(0.05)
    running.until_healthy()
