"""Faults of a shared store, played by a scripted server that speaks just enough of its protocol."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from process import waited
from stage import Scene, Stage, none_lost, staged, under_load
from table import Outcome, Row, must

Talk = Callable[[socket.socket], None]
AFFINITY = "    affinity: {key: conversation, hold: 1h, move: free}\n"
SECONDS = 3.0


def good(connection: socket.socket) -> None:
    """Answers each command: PING by a word, all else by nothing."""
    reader = connection.makefile("rb")
    while line := reader.readline():
        parts = []
        for _ in range(int(line[1:])):
            size = int(reader.readline()[1:])
            parts.append(reader.read(size + 2)[:-2].upper())
        connection.sendall(b"+PONG\r\n" if parts[:1] == [b"PING"] else b"+OK\r\n" if parts[0] != b"GET" else b"$-1\r\n")


def after_a_command(*said: bytes, pause: float = 0.0) -> Talk:
    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            for part in said:
                time.sleep(pause)
                connection.sendall(part)

    return talk


def without_end(first: bytes, rest: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while True:
            connection.sendall(rest)

    return talk


def says_nothing(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def hangs_up(connection: socket.socket) -> None:
    connection.recv(65536)


TALKS: list[tuple[str, Talk]] = [
    ("answers nothing", says_nothing),
    ("hangs up after each command", hangs_up),
    ("answers late", after_a_command(b"+OK\r\n", pause=0.5)),
    ("answers in drips", after_a_command(b"$", b"5", b"\r\n", pause=0.1)),
    ("answers with garbage", after_a_command(b"\x00\xff what\r\n")),
    ("answers with errors", after_a_command(b"-READONLY you may not\r\n")),
    ("answers with more than was asked", after_a_command(b"+OK\r\n" * 1000)),
    ("announces a text of 500 GB", after_a_command(b"$500000000000\r\nabc")),
    ("announces a list of a trillion", after_a_command(b"*1000000000000\r\n$1\r\na\r\n")),
    ("nests lists without end", without_end(b"", b"*1\r\n" * 4000)),
    ("answers a line without end", without_end(b"+", b"a" * 65536)),
    ("answers a text without end", without_end(b"$500000000000\r\n", b"a" * 65536)),
    ("answers a list without end", without_end(b"*1000000000\r\n", b"$1\r\na\r\n" * 8192)),
]


class Store:
    """The scripted server; `talk` may be replaced while it runs, for the connections that follow."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.connections: set[socket.socket] = set()
        self.taken = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError), connection:
            self.talk(connection)
        self.connections.discard(connection)

    def become(self, talk: Talk) -> None:
        self.talk = talk
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def scene(port: int) -> Scene:
    section = f'store: {{redis: {{url: "redis://127.0.0.1:{port}", timeout: 5ms}}}}'
    return Scene(sections=section, policy=AFFINITY)


def available(stage: Stage) -> bool:
    return stage.gateway.total("pointsman_store_available") == 1


def broken(talk: Talk) -> Callable[[], Outcome]:
    def check() -> Outcome:
        store = Store(good)
        with staged(scene(store.port)) as stage:
            must(waited(lambda: available(stage)), "the store never came")
            before = stage.gateway.usage().rss_kib
            with under_load(stage, threads=3, pause=0.01) as load:
                store.become(talk)
                taken, began = store.taken, time.monotonic()
                time.sleep(SECONDS)
                rate = (store.taken - taken) / (time.monotonic() - began)
                grown = stage.gateway.usage().rss_kib - before
            must(grown < 64 * 1024, f"memory grew by {grown} KiB in {SECONDS} s")
            must(rate < 50, f"{rate:.0f} connections a second to a broken store")
            store.become(good)
            must(waited(lambda: available(stage), 30), "the store is back, and is not used")
            stage.serves()
            return none_lost(load, f"memory {grown:+} KiB, {rate:.1f} connections a second")

    return check


def gone_and_back() -> Outcome:
    store = Store(good)
    with staged(scene(store.port)) as stage:
        must(waited(lambda: available(stage)), "the store never came")
        with under_load(stage, threads=3, pause=0.01) as load:
            store.listener.shutdown(socket.SHUT_RDWR)
            store.listener.close()
            store.become(says_nothing)
            time.sleep(1.5)
            must(not available(stage), "the store is gone, and the metric does not say so")
            again = socket.create_server(("127.0.0.1", store.port))
            store.listener, store.talk = again, good
            threading.Thread(target=store.accept, daemon=True).start()
            must(waited(lambda: available(stage), 30), "the store is back, and is not used")
        return none_lost(load)


def rows() -> list[Row]:
    holds = "no request lost, memory bounded, connections bounded, used again when it is back"
    return [
        *[Row("store", name, holds, broken(talk)) for name, talk in TALKS],
        Row("store", "is gone, and comes back", "no request lost; the metric says so", gone_and_back),
    ]
