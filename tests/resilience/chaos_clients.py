"""Faults of clients: slow ones, many at once, and those that leave."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import raw
from peer import EVENT_STREAM, STREAM_END, Request, delta, says
from process import Address, chat_body, waited
from stage import Load, Scene, Stage, burst, none_lost, staged, under_load
from table import Outcome, Row, must

LIMITS = "header: 2s, body: 5s, body_idle: 2s, write_idle: 2s"
PATIENCE = 12.0
MANY = 100


def drip(to: Address, first: bytes, rest: bytes, pause: float) -> float:
    """Sends byte after byte until the other side closes or answers; returns the seconds until then."""
    began = time.monotonic()
    with raw.connected(to, 2) as connection:
        connection.sendall(first)
        connection.setblocking(False)
        for byte in rest:
            if time.monotonic() - began > PATIENCE + 2:
                break
            time.sleep(pause)
            try:
                if connection.recv(65536) is not None:
                    break
            except BlockingIOError:
                pass
            except OSError:
                break
            try:
                connection.send(bytes([byte]))
            except OSError:
                break
    return time.monotonic() - began


def slow(first: bytes, pause: float) -> Callable[[], Outcome]:
    """Returns a check of a client that sends too slowly: ended in time, and others do not notice."""

    def check() -> Outcome:
        with staged(Scene(limits=LIMITS)) as stage, under_load(stage, threads=2, pause=0.02) as load:
            took = drip(stage.gateway.listen, first, b"x" * 300, pause)
            must(took < PATIENCE, f"ended after {took:.1f} s")
            return none_lost_after(load, f"ended after {took:.1f} s")

    return check


def none_lost_after(load: Load, note: str) -> Outcome:
    load.stop()
    return none_lost(load, note)


PIPELINES = "Pingora takes one request of a pipeline and drops the rest; no SDK pipelines"
ROUTED = raw.head("POST", "/v1/chat/completions", "content-type: application/json", "content-length: 1000")
PASSED = raw.head("POST", "/v1/files", "content-type: application/octet-stream", "content-length: 1000000")


def many_halves(first: bytes, more: str = "") -> Callable[[], Outcome]:
    """Returns a check of a hundred connections that stop within a request."""

    def check() -> Outcome:
        with staged(Scene(limits=LIMITS + more)) as stage:
            before = stage.gateway.usage().descriptors
            held = [socket.create_connection(stage.gateway.listen) for _ in range(MANY)]
            for each in held:
                each.sendall(first)
            with under_load(stage, threads=2, pause=0.02) as load:
                gone = waited(lambda: stage.gateway.usage().descriptors < before + 30, PATIENCE)
                waited(lambda: load.asked > 20)
                must(gone, f"{stage.gateway.usage().descriptors - before} of {MANY} connections still open")
            for each in held:
                each.close()
            must(waited(lambda: stage.gateway.total("pointsman_request_body_bytes_in_flight") == 0), "bytes in flight")
            return none_lost(load)

    return check


def slow_reader() -> Outcome:
    """A client that reads nothing of a long answer: ended in time, the upstream is told."""
    told = threading.Event()

    def act(connection: socket.socket, _: Request) -> bool:
        try:
            connection.sendall(EVENT_STREAM)
            for _number in range(2000):
                connection.sendall(delta("x" * 60_000))
        except OSError:
            told.set()
        return False

    with staged(Scene(limits=LIMITS, provider="")) as stage:
        stage.one.act = act
        with raw.connected(stage.gateway.listen) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(raw.post("/v1/chat/completions", chat_body(stream=True)))
            must(told.wait(PATIENCE + 5), "the upstream writes on for a client that reads nothing")
        stage.one.act = says(EVENT_STREAM, STREAM_END)
        must(stage.gateway.is_running(), "the process ended")
    return Outcome("ended")


def leaves(act: Callable[[Stage], object], code: str) -> Callable[[], Outcome]:
    """Returns a check of twenty clients that leave: how each is counted, and that its upstream is told."""

    def check() -> Outcome:
        with staged() as stage:
            for _ in range(20):
                act(stage)
            lines: list[str] = []

            def all_written() -> bool:
                lines[:] = [line for line in stage.gateway.log if " access: Request " in line]
                return len(lines) == 20

            must(waited(all_written), f"{len(lines)} lines of 20")
            gone = sum('code="client_gone"' in line for line in lines)
            must(gone == (20 if code == "client_gone" else 0), f"{gone} of 20 counted as client_gone")
            must(
                waited(lambda: stage.one.open <= (20 if code != "client_gone" else 1)),
                f"{stage.one.open} connections upstream",
            )
            stage.one.act = says(EVENT_STREAM, delta("x"), STREAM_END, keeps=True)
            return Outcome(f"{gone} of 20 client_gone", 20, 0)

    return check


def leaves_at_once(stage: Stage) -> None:
    stage.one.act = says(0.8, EVENT_STREAM, delta("x"), STREAM_END)
    with raw.connected(stage.gateway.listen) as client:
        client.sendall(raw.post("/v1/chat/completions", chat_body(stream=True)))
        time.sleep(0.2)


def leaves_within(stage: Stage) -> None:
    stage.one.act = says(EVENT_STREAM, *[part for _ in range(8) for part in (delta("x"), 0.15)], STREAM_END)
    read_to(stage, b'"x"')


def leaves_behind(stage: Stage) -> None:
    done = STREAM_END.removesuffix(b"0\r\n\r\n")
    stage.one.act = says(EVENT_STREAM + delta("x") + done, 0.3, b"0\r\n\r\n", keeps=True)
    read_to(stage, b"[DONE]\n\n")


def read_to(stage: Stage, mark: bytes) -> None:
    with raw.connected(stage.gateway.listen) as client:
        client.sendall(raw.post("/v1/chat/completions", chat_body(stream=True)))
        data = b""
        while mark not in data:
            more = client.recv(65536)
            must(more, f"the end before {mark!r}")
            data += more


def flood() -> Outcome:
    """Connections beyond the limit are closed and counted; the rest is served."""
    with staged(Scene(limits="max_connections: 50")) as stage:
        held = []
        for _ in range(300):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(stage.gateway.listen, timeout=2))
        must(waited(lambda: stage.gateway.total("pointsman_downstream_connections") <= 50), "more than 50 connections")
        metrics = stage.gateway.metrics()
        counted = [
            f"{name} {value:.0f}"
            for name, value in metrics.items()
            if value >= 100 and "connection" in name and name.split("{")[0].endswith("_total")
        ]
        for each in held:
            each.close()
        must(waited(lambda: stage.gateway.total("pointsman_downstream_connections") == 0), "connections are kept")
        stage.serves()
        must(counted, "no counter says that connections were refused")
        return Outcome(", ".join(counted))


def admin_halves() -> Outcome:
    """Two hundred connections to the admin listener that stop within a header are closed."""
    with staged(Scene(limits=LIMITS)) as stage:
        before = stage.gateway.usage().descriptors
        held = [socket.create_connection(stage.gateway.admin) for _ in range(200)]
        for each in held:
            with contextlib.suppress(OSError):
                each.sendall(b"GET /metrics HTTP/1.1\r\nhost: local")
        closed = waited(lambda: stage.gateway.usage().descriptors < before + 40, 45)
        left = stage.gateway.usage().descriptors - before
        for each in held:
            each.close()
        must(closed, f"{left} of 200 connections still open after 45 s")
        stage.serves()
        return Outcome(f"{left} left open")


def pipelined() -> Outcome:
    """A hundred requests in one write get a hundred answers in their order, or an end that is said."""
    with staged() as stage, raw.connected(stage.gateway.listen, 20) as client:
        client.sendall(b"".join(raw.post("/v1/chat/completions", chat_body(model=f"m{n}")) for n in range(100)))
        data = b""
        with contextlib.suppress(TimeoutError):
            while data.count(b"total_tokens") < 100:
                more = client.recv(65536)
                if not more:
                    break
                data += more
        order = [data.find(f'"m{n}"'.encode()) for n in range(100)]
        answered = [place for place in order if place >= 0]
        must(answered == sorted(answered), "answers out of order")
        must(
            len(answered) == 100 or b"connection: close" in data.lower(),
            f"{len(answered)} answers, no end was said: {data[:150]!r}",
        )
        stage.serves()
        return Outcome(f"{len(answered)} answers in order", 100, 100 - len(answered))


def big_bodies() -> Outcome:
    """Bodies of 8 MB beside a bystander: each is answered, and the bystander is."""
    with staged() as stage:
        with under_load(stage, threads=2, pause=0.02) as bystander:
            body = b'{"model": "auto", "messages": [%s]}' % b",".join([b'{"role": "user", "content": "x"}'] * 5000)
            seen = burst(stage.gateway.listen, 30, body, threads=4)
        must(set(seen) <= {200, 400, 413}, dict(seen))
        return none_lost(bystander, f"bodies {dict(seen)}")


def rows() -> list[Row]:
    ended = f"ended within {PATIENCE:.0f} s; others lose none"
    return [
        Row("client", "drips its header", ended, slow(b"POST / HTTP/1.1\r\nx-a: ", 0.2)),
        Row("client", "drips the body of a prompt", ended, slow(ROUTED, 0.3)),
        Row("client", "drips a body that passes unread", ended, slow(PASSED, 0.3)),
        Row("client", "drips chunks", ended,
            slow(raw.head("POST", "/v1/chat/completions", "content-type: application/json", "transfer-encoding: chunked") + b"400\r\n", 0.3)),
        Row("client", "a hundred half headers", ended, many_halves(b"POST / HTTP/1.1\r\nx-a: ")),
        Row("client", "a hundred half bodies of prompts", ended, many_halves(ROUTED + b'{"model"')),
        Row("client", "a hundred half bodies that pass", ended, many_halves(PASSED + b"x" * 1000)),
        Row("client", "a hundred silent connections", ended, many_halves(b"", ", keep_alive: 4s")),
        Row("client", "reads nothing of a long answer", "ended, and the upstream is told", slow_reader),
        Row("client", "leaves before the first byte", "client_gone, and the upstream is told", leaves(leaves_at_once, "client_gone")),
        Row("client", "leaves within a stream", "client_gone, and the upstream is told", leaves(leaves_within, "client_gone")),
        Row("client", "leaves behind [DONE]", "a whole answer", leaves(leaves_behind, "")),
        Row("client", "300 connections, 50 allowed", "refused ones are counted; served again", flood),
        Row("client", "200 half headers on the admin listener", "closed within 45 s", admin_halves),
        Row("client", "pipelines a hundred requests", "answers in order, or an end that is said", pipelined, PIPELINES),
        Row("client", "5,000 messages a body beside a bystander", "the bystander loses none", big_bodies),
    ]  # fmt: skip
