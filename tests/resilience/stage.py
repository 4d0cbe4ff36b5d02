"""A scene for one fault: two scripted upstreams, a proxy in front of them, and clients that count what they lose."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import raw
from peer import Peer
from process import Address, Gateway, chat_body
from table import Outcome, ViolationError, must

CONFIG = """\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
limits: {{{limits}}}
retry: {{max_attempts: 3, pause: 5ms, budget: 1.0}}
{default}
providers:
  one: {{base_url: "{base_url}"{provider}}}
  two: {{base_url: "http://127.0.0.1:{two}/v1"}}
models:
  small: {{provider: one, name: up-small, price: {{input: 0.1, output: 0.4}}, context: 128000}}
  frontier: {{provider: two, name: up-frontier, price: {{input: 2.0, output: 8.0}}, context: 128000}}
{sections}
policies:
  - name: auto
    match: {{model: [auto]}}
    strategy: {strategy}
{policy}"""

SPLIT = "{kind: split, models: {small: 1}}"
FALLBACK = "    fallback: [frontier]\n"
TIMEOUTS = ", timeouts: {connect: 1s, first_byte: 2s, whole: 2s, idle: 2s}"


@dataclass
class Scene:
    """The terms of a proxy's configuration that rows change."""

    limits: str = ""
    provider: str = TIMEOUTS
    sections: str = ""
    policy: str = ""
    strategy: str = SPLIT
    default: str = "default_provider: one"
    base_url: str = ""

    def text(self, one: Peer, two: Peer) -> str:
        base_url = self.base_url or f"http://127.0.0.1:{one.port}/v1"
        return CONFIG.format(
            limits=self.limits,
            provider=self.provider,
            sections=self.sections,
            policy=self.policy,
            strategy=self.strategy,
            default=self.default,
            base_url=base_url,
            two=two.port,
        )


@dataclass
class Stage:
    """A proxy that runs, its folder and its upstreams."""

    gateway: Gateway
    one: Peer
    two: Peer
    folder: pathlib.Path
    text: str

    def write(self, text: str) -> None:
        """Puts another text in place of the configuration, by renaming a whole file over it."""
        fresh = self.folder / "fresh.yaml"
        fresh.write_text(text, "utf-8")
        fresh.replace(self.gateway.path)

    def serves(self) -> None:
        """Raises unless the proxy runs, has not panicked, and answers a request."""
        must(self.gateway.is_running(), f"the process ended with {self.gateway.running().returncode}")
        seen = ask_once(self.gateway.listen)
        must(seen == 200, f"a request afterwards got {seen}")
        must(not self.gateway.panics(), self.gateway.panics())

    def ends(self, patience: float = 20.0) -> None:
        """Raises unless SIGTERM ends the process in time and with 0."""
        status = self.gateway.stop(patience)
        must(status == 0, f"SIGTERM ended the process with {status} (nothing: not within {patience} s)")


@contextlib.contextmanager
def staged(scene: Scene | None = None, limits: dict[int, int] | None = None, runs: bool = True) -> Iterator[Stage]:
    one, two = Peer(), Peer()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        home = pathlib.Path(folder)
        text = (scene or Scene()).text(one, two).replace("FOLDER", folder)
        gateway = Gateway(home, text, limits or {})
        try:
            if runs:
                gateway.start()
            yield Stage(gateway, one, two, home, text)
        finally:
            if gateway.process:
                gateway.stop(3.0)
            one.close()
            two.close()


def ask_once(to: Address, body: bytes | None = None, timeout: float = 15.0, path: str = "/v1/chat/completions") -> int:
    """Returns the answer's status; 0 for none."""
    try:
        seen = raw.talk(to, raw.post(path, chat_body() if body is None else body), timeout)
    except OSError:
        return 0
    return seen.final[0] if seen.final else 0


@dataclass
class Load:
    """Clients with kept connections that ask until they are told to stop, and honour `Connection: close`.

    A request counts as lost when it was written whole and got no whole answer. A refused connection is no lost request.
    """

    to: Address
    threads: int = 4
    pause: float = 0.005
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    refused: int = 0
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.workers: list[threading.Thread] = []
        self.errors: list[str] = []

    def start(self) -> None:
        self.workers = [threading.Thread(target=self.work, daemon=True) for _ in range(self.threads)]
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        self.stopping.set()
        for worker in self.workers:
            worker.join(30)

    @property
    def asked(self) -> int:
        return sum(self.statuses.values()) + self.lost

    def work(self) -> None:
        connection: socket.socket | None = None
        while not self.stopping.wait(self.pause):
            if connection is None:
                try:
                    connection = socket.create_connection(self.to, timeout=15)
                except OSError:
                    with self.lock:
                        self.refused += 1
                    self.stopping.wait(0.02)
                    continue
            connection = self.one(connection)
        if connection:
            connection.close()

    def one(self, connection: socket.socket) -> socket.socket | None:
        """Asks once; returns the connection where it stays."""
        began, data, error = time.monotonic(), b"", ""
        try:
            connection.sendall(raw.post("/v1/chat/completions", chat_body()))
            while not raw.is_whole(data):
                more = connection.recv(65536)
                if not more:
                    break
                data += more
        except OSError as problem:
            error = type(problem).__name__
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - began)
            if raw.is_whole(data):
                self.statuses[raw.Seen(data, False).final[0]] += 1
            else:
                self.lost += 1
                self.errors.append(f"{error or 'the end'} after {len(data)} bytes")
        if not raw.is_whole(data) or b"connection: close" in data.lower():
            connection.close()
            return None
        return connection

    def outcome(self, note: str = "") -> Outcome:
        failed = sum(count for status, count in self.statuses.items() if status >= 500)
        seen = f"{note + '; ' if note else ''}{dict(self.statuses)}, slowest {self.slowest * 1000:.0f} ms"
        return Outcome(seen, self.asked, self.lost + failed)


@contextlib.contextmanager
def under_load(stage: Stage, threads: int = 4, pause: float = 0.005) -> Iterator[Load]:
    load = Load(stage.gateway.listen, threads, pause)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def none_lost(load: Load, note: str = "") -> Outcome:
    """Returns the figures of a load, and raises where anything of it was lost or failed."""
    outcome = load.outcome(note)
    if outcome.lost or not load.asked:
        raise ViolationError(
            f"{outcome.lost} of {load.asked} lost: {outcome.seen} {Counter(load.errors).most_common(3)}"
        )
    return outcome


def burst(to: Address, count: int, body: bytes | None = None, threads: int = 4) -> Counter[int]:
    """Asks so many times over connections of their own; returns the answers by status, 0 for none."""
    seen: Counter[int] = Counter()
    lock = threading.Lock()
    left = iter(range(count))

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            status = ask_once(to, body)
            with lock:
                seen[status] += 1

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return seen
