"""The real binary under test: its start, its signals, its numbers, and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import queue
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway import binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60.0

Address = tuple[str, int]
Answer = tuple[int, dict[str, str], bytes]

CONFIG = """\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
"""


@dataclass
class Usage:
    """The resources that a process holds."""

    rss_kib: int
    pss_kib: int
    descriptors: int
    threads: int


@dataclass
class Gateway:
    """A proxy that runs the file `pointsman.yaml` of a folder."""

    folder: pathlib.Path
    config: str
    limits: dict[int, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.folder / "pointsman.yaml"
        self.path.write_text(self.config, "utf-8")
        self.process: subprocess.Popen[str] | None = None
        self.listen: Address = ("", 0)
        self.admin: Address = ("", 0)

    def start(self, *arguments: str) -> None:
        """Starts the process and returns once it is ready; raises with its log where it never is."""
        ready: queue.Queue[dict[str, str] | None] = queue.Queue()
        command = [binary(), "serve", "-c", str(self.path), *arguments]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            errors="replace",
            preexec_fn=self.limited(),  # noqa: PLW1509 - it only sets limits, and runs no Python of other threads
            env=os.environ | self.environment,
        )
        threading.Thread(target=self.follow, args=(self.process, ready), daemon=True).start()
        said = ready.get(timeout=PATIENCE)
        assert said, "the proxy ended before it was ready: " + "\n".join(self.log[-20:])
        self.listen = address(said["listen"].split(",")[0])
        self.admin = address(said["admin"])

    def limited(self) -> Callable[[], None]:
        def set_limits() -> None:
            for kind, bound in self.limits.items():
                resource.setrlimit(kind, (bound, bound))
            if resource.RLIMIT_FSIZE in self.limits:  # a write beyond it is to fail, as a full disk does
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        return set_limits

    def follow(self, process: subprocess.Popen[str], ready: queue.Queue[dict[str, str] | None]) -> None:
        """Keeps the log, and reports the addresses in the line `ready listen=... admin=... generation=1`."""
        assert process.stderr
        for line in process.stderr:
            self.log.append(line.rstrip("\n"))
            if found := re.search(r"\bready (listen=.*)", line):
                ready.put(dict(part.split("=", 1) for part in found[1].split()))
        ready.put(None)

    def running(self) -> subprocess.Popen[str]:
        assert self.process, "the proxy was never started"
        return self.process

    def is_running(self) -> bool:
        return self.running().poll() is None

    def send_signal(self, which: int) -> None:
        self.running().send_signal(which)

    def stop(self, patience: float = 15.0) -> int | None:
        """Ends the process; returns its exit status, or nothing where it had to be killed."""
        process = self.running()
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def ask_admin(self, method: str, path: str, body: bytes | None = None, timeout: float = 20.0) -> Answer:
        return ask(self.admin, method, path, body, timeout)

    def metrics(self) -> dict[str, float]:
        """Returns each series by its name with labels, as the page shows it."""
        _, _, page = self.ask_admin("GET", "/metrics")
        lines = (line.rsplit(" ", 1) for line in page.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def total(self, metric: str, label: str = "") -> float:
        """Returns the sum of a metric's series that have the label, written `name="value"`."""
        return sum(v for n, v in self.metrics().items() if n.split("{")[0] == metric and label in n)

    def usage(self) -> Usage:
        home = pathlib.Path("/proc", str(self.running().pid))
        status = dict(line.split(":", 1) for line in (home / "status").read_text().splitlines())
        pss = 0
        with contextlib.suppress(OSError):
            pss = int(re.findall(r"^Pss:\s+(\d+)", (home / "smaps_rollup").read_text(), re.M)[0])
        descriptors = len(list((home / "fd").iterdir()))
        return Usage(int(status["VmRSS"].split()[0]), pss, descriptors, int(status["Threads"]))

    def reload(self, timeout: float = 30.0) -> Answer:
        return self.ask_admin("POST", "/reload", timeout=timeout)

    def generation(self) -> int:
        _, _, body = self.ask_admin("GET", "/generation")
        return int(json.loads(body)["generation"])

    def panics(self) -> list[str]:
        return [line for line in self.log if "panicked" in line or "overflowed its stack" in line]


def address(text: str) -> Address:
    host, port = text.rsplit(":", 1)
    return host, int(port)


def ask(
    to: Address,
    method: str,
    path: str,
    body: bytes | None = None,
    timeout: float = 20.0,
) -> Answer:
    """Asks over a connection of its own, with a body of JSON; header names come back in lower case."""
    connection = http.client.HTTPConnection(*to, timeout=timeout)
    try:
        fields = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers=fields)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def chat_body(text: str = "hello", model: str = "auto", **more: object) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


@contextlib.contextmanager
def serving(gateway: Gateway, *arguments: str) -> Iterator[Gateway]:
    """Yields the started proxy, and kills it where it does not end with the context."""
    gateway.start(*arguments)
    try:
        yield gateway
    finally:
        gateway.stop(8.0)


def waited(condition: Callable[[], bool], patience: float = 10.0) -> bool:
    """Waits until the condition holds; returns whether it ever did."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return True
        time.sleep(0.05)
    return False


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


def checked(config: pathlib.Path, patience: float) -> tuple[int | None, str]:
    """Returns the exit status of `check` on a file, and its words; no status where it did not end in time."""
    try:
        done = subprocess.run(
            [binary(), "check", "-c", str(config)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
            check=False,
            preexec_fn=bounded,
        )
    except subprocess.TimeoutExpired:
        return None, "it did not end"
    return done.returncode, done.stdout + done.stderr
