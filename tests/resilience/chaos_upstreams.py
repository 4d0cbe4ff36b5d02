"""Faults of upstreams: what breaks before the first byte of an answer, within it, and behind it."""

from __future__ import annotations

import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import raw
from peer import EVENT_STREAM, Act, Peer, Request, answer, chunk, completion, delta, ok, says
from process import ROOT, chat_body, waited
from stage import FALLBACK, TIMEOUTS, Scene, Stage, burst, none_lost, staged, under_load
from table import Outcome, Row, SkippedError, must

WHOLE = completion("up-small")
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"
ASKS = 8


@dataclass
class Fault:
    """An upstream's behaviour, and the answers of a proxy that has no other and of one that has."""

    name: str
    act: Act
    alone: set[int]
    with_another: set[int]
    seconds: float = 10.0  # of the whole burst: busy machines are slow


def sized(length: int) -> bytes:
    return JSON_HEAD + b"content-length: %d\r\n\r\n" % length


# Before the first byte of an answer: nothing is lost where another model can answer. A request whose answer did not come in
# time is not sent again, as the model may be writing.
BEFORE = [
    Fault("resets the connection", says(resets=True), {502}, {200}),
    Fault("closes before it answers", says(), {502}, {200}),
    Fault("closes within the status line", says(b"HTTP/1.1 20"), {502}, {200}),
    Fault("closes within the header", says(b"HTTP/1.1 200 OK\r\ncontent-ty"), {502}, {200}),
    Fault("is silent", says(6.0), {504}, {200, 504}),
    Fault("is silent within the header", says(b"HTTP/1.1 200 OK\r\ncontent-ty", 6.0), {504}, {200, 504}),
    Fault("drips its header", says(*[part for byte in b"HTTP/1.1 200 OK\r\n" for part in (bytes([byte]), 0.4)]), {504}, {200, 504}),
    Fault("speaks another protocol", says(b"SSH-2.0-OpenSSH_9\r\n\r\n"), {502}, {200}),
    Fault("sends a status line without a number", says(b"HTTP/1.1 OK fine\r\n\r\n"), {502}, {200}),
    Fault("sends a header of 900 KB", says(JSON_HEAD + b"x-a: " + b"a" * 900_000 + b"\r\ncontent-length: 2\r\n\r\n{}"), {200, 502}, {200}),
    Fault("sends 1,000 header fields", says(JSON_HEAD + b"".join(b"x-%d: a\r\n" % i for i in range(1000)) + b"content-length: 2\r\n\r\n{}"), {200, 502}, {200}),
    Fault("sends a length and chunks", says(JSON_HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(WHOLE) + b"0\r\n\r\n"), {200, 502}, {200}),
    Fault("sends two lengths", says(JSON_HEAD + b"content-length: 3\r\ncontent-length: %d\r\n\r\n" % len(WHOLE) + WHOLE), {502}, {200}),
    Fault("sends a length that is no number", says(JSON_HEAD + b"content-length: many\r\n\r\n" + WHOLE), {502}, {200}),
    Fault("sends a chunk size that is no number", says(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n"), {502}, {200}),
    Fault("sends a chunk size beyond 64 bits", says(CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), {502}, {200}),
    Fault("ends its JSON too early", says(sized(len(WHOLE) + 50) + WHOLE), {502}, {200}),
    Fault("switches protocols unasked", says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nRAW", 0.5), {502}, {200, 502}),
    Fault("answers with an error in a 200", says(ok(b'{"error": {"message": "no", "code": 503}}')), {502, 503, 500}, {200}),
    Fault("answers 503", says(ok(b"{}", status=b"503 No")), {503}, {200}),
    Fault("answers 429 with a pause of years", says(ok(b"{}", b"retry-after: 99999999999\r\n", b"429 Slow")), {429}, {200}),
    Fault("answers 408", says(ok(b"{}", status=b"408 Late")), {408}, {200}),
]  # fmt: skip

# Odd, and harmless: the answer is right or an error, and the next client gets its own.
HARMLESS = [
    Fault("sends 2,000 early hints", says(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 2000 + ok(WHOLE), keeps=True), {200, 502, 504}, {200, 504}),
    Fault("sends 2,000 times 100", says(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + ok(WHOLE), keeps=True), {200, 502, 504}, {200, 504}),
    Fault("writes on behind its answer", says(ok(WHOLE) + b"EXTRA BYTES", keeps=True), {200}, {200}),
    Fault("sends a second answer", says(ok(WHOLE) + ok(b'{"stolen": true}'), keeps=True), {200}, {200}),
    Fault("sends a body with 204", says(b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\nhello", keeps=True), {200, 204, 502}, {200, 204}),
    Fault("sends a body with 304", says(b"HTTP/1.1 304 Not\r\ncontent-length: 5\r\n\r\nhello", keeps=True), {200, 304, 502}, {200, 304}),
    Fault("redirects elsewhere", says(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/x\r\ncontent-length: 0\r\n\r\n"), {307, 502}, {200, 307}),
]  # fmt: skip


def fault_rows(fault: Fault, family: str) -> list[Row]:
    def run(policy: str, allowed: set[int]) -> Outcome:
        with staged(Scene(policy=policy)) as stage:
            stage.one.act = fault.act
            began = time.monotonic()
            seen = burst(stage.gateway.listen, ASKS, threads=8)
            took = time.monotonic() - began
            must(set(seen) <= allowed, f"{dict(seen)} instead of {allowed}")
            must(took < fault.seconds, f"{ASKS} requests took {took:.1f} s")
            stage.one.act = answer
            must(waited(lambda: set(burst(stage.gateway.listen, 4)) == {200}, 35), "it does not recover")
            next_is_right(stage)
            return Outcome(str(dict(seen)), ASKS, 0)

    alone = f"each request gets one of {sorted(fault.alone)}; the process serves on"
    another = f"each request gets one of {sorted(fault.with_another)}" + (
        ": the other model answers" if fault.with_another == {200} else ""
    )
    return [
        Row(family, f"{fault.name}, no other model", alone, lambda: run("", fault.alone)),
        Row(family, f"{fault.name}, another model", another, lambda: run(FALLBACK, fault.with_another)),
    ]


def next_is_right(stage: Stage) -> None:
    seen = raw.talk(stage.gateway.listen, raw.post("/v1/chat/completions", chat_body()), 5)
    must(seen.final == [200] and b"stolen" not in seen.data and b"EXTRA" not in seen.data, seen.data[-200:])
    stage.serves()


def streamed(stage: Stage, timeout: float = 12.0) -> raw.Seen:
    return raw.talk(stage.gateway.listen, raw.post("/v1/chat/completions", chat_body(stream=True)), timeout)


def within(act: Act) -> Callable[[], Outcome]:
    """Returns a check of a stream that breaks after its first event."""

    def check() -> Outcome:
        with staged(Scene(policy=FALLBACK)) as stage:
            stage.one.act = act
            seen = streamed(stage)
            must(seen.final == [200] and b"first" in seen.data, seen.data[:300])
            must(b"[DONE]" not in seen.data, "the client is told of a whole answer")
            must(b'"error"' in seen.data, f"no error event: {seen.data[-200:]!r}")
            must(not stage.two.requests, "a second model was asked after the first byte")
            stage.one.act = answer
            stage.serves()
        return Outcome("an error event ends the stream", 1, 0)

    return check


FIRST = EVENT_STREAM + delta("first")
WITHIN = [
    ("is cut", says(FIRST, 0.1)),
    ("is cut within an event", says(FIRST, 0.1, b"50\r\ndata: {\"id\":\"x\",\"choi")),
    ("is reset", says(FIRST, 0.2, resets=True)),
    ("stands still", says(FIRST, 6.0)),
    ("goes on with a broken chunk", says(FIRST, 0.1, b"zz\r\n")),
]  # fmt: skip


def closes_after_answer(seconds: float) -> Callable[[], Outcome]:
    """Returns a check of kept connections: the upstream closes each so long after its answer, without a word."""

    def act(connection: socket.socket, request: Request) -> bool:
        answer(connection, request)
        time.sleep(seconds)
        return False

    def check() -> Outcome:
        with staged() as stage:
            stage.one.act = act
            with under_load(stage, threads=4, pause=seconds) as load:
                time.sleep(4)
            return none_lost(load)

    return check


def without_a_mark() -> Outcome:
    """A stream that ends in order, but for the mark of its API, passes as it is and is counted."""
    with staged(Scene(policy=FALLBACK)) as stage:
        stage.one.act = says(FIRST, b"0\r\n\r\n")
        seen = streamed(stage)
        must(seen.final == [200] and b"[DONE]" not in seen.data, seen.data[-200:])
        must(waited(lambda: stage.gateway.total("pointsman_broken_streams_total") == 1), "it was not counted")
        stage.one.act = answer
        stage.serves()
    return Outcome("as it was, and counted", 1, 0)


def drip_passes() -> Outcome:
    with staged(Scene(provider="")) as stage:
        stage.one.act = says(
            EVENT_STREAM,
            *[p for i in range(15) for p in (delta(f"t{i} "), 0.15)],
            chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n",
        )
        seen = streamed(stage)
        must(seen.final == [200] and b"t14" in seen.data and b"[DONE]" in seen.data, seen.data[-200:])
        return Outcome("whole", 1, 0)


def endless() -> Outcome:
    """A client leaves an answer without end: its upstream is told, and memory stays."""
    ended = threading.Event()

    def act(connection: socket.socket, _: Request) -> bool:
        try:
            connection.sendall(EVENT_STREAM)
            for _number in range(4000):
                connection.sendall(delta("x" * 60_000))
        except OSError:
            ended.set()
        return False

    with staged() as stage:
        before = stage.gateway.usage().rss_kib
        stage.one.act = act
        with raw.connected(stage.gateway.listen) as client:
            client.sendall(raw.post("/v1/chat/completions", chat_body(stream=True)))
            got = 0
            while got < 20_000_000:
                more = len(client.recv(1 << 20))
                must(more, f"the answer ended after {got} bytes")
                got += more
        must(ended.wait(10), "the upstream goes on writing 10 s after the client left")
        grown = stage.gateway.usage().rss_kib - before
        must(grown < 64 * 1024, f"memory grew by {grown} KiB")
        stage.one.act = answer
        stage.serves()
        return Outcome(f"{got >> 20} MiB read, then left; memory {grown:+} KiB", 1, 0)


def endless_line() -> Outcome:
    with staged() as stage:
        before = stage.gateway.usage().rss_kib
        stage.one.act = says(EVENT_STREAM + chunk(b"data: ") + chunk(b"a" * 60_000) * 1000 + b"0\r\n\r\n")
        seen = streamed(stage, 20)
        grown = stage.gateway.usage().rss_kib - before
        must(grown < 160 * 1024, f"memory grew by {grown} KiB")
        stage.one.act = answer
        stage.serves()
        return Outcome(f"{len(seen.data) >> 20} MiB of one event; memory {grown:+} KiB", 1, 0)


def flaps() -> Outcome:
    """An upstream that comes and goes, with another model behind it."""
    with staged(Scene(policy=FALLBACK)) as stage:
        with under_load(stage) as load:
            for _ in range(10):
                stage.one.close()
                time.sleep(0.2)
                stage.one.listen()
                time.sleep(0.2)
        return none_lost(load)


def gone(policy: str, allowed: set[int]) -> Callable[[], Outcome]:
    def check() -> Outcome:
        with staged(Scene(policy=policy)) as stage:
            stage.one.close()
            seen = burst(stage.gateway.listen, 50)
            must(set(seen) <= allowed, dict(seen))
            stage.one.listen()
            must(waited(lambda: set(burst(stage.gateway.listen, 4)) == {200}, 35), "it does not recover")
            return Outcome(str(dict(seen)), 50, 0)

    return check


def unreachable(scene: Scene, alone: set[int]) -> Callable[[], Outcome]:
    """Returns a check of a peer that no connection comes to."""

    def check() -> Outcome:
        for policy, allowed in (("", alone), (FALLBACK, {200})):
            with staged(replace(scene, policy=policy)) as stage:
                began = time.monotonic()
                seen = burst(stage.gateway.listen, 8)
                took = time.monotonic() - began
                must(set(seen) <= allowed, f"{dict(seen)} instead of {allowed}")
                must(took < 20, f"8 requests took {took:.1f} s")
        return Outcome(f"alone {sorted(alone)}, else 200", 16, 0)

    return check


def full_backlog() -> Outcome:
    """A peer whose queue of connections is full answers no handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        time.sleep(0.2)
        try:
            return unreachable(Scene(base_url=f"http://127.0.0.1:{port}/v1"), {502, 504})()
        finally:
            for filler in fillers:
                filler.close()


TLS = ROOT / "tests" / "fixtures" / "tls"
FIXTURES = (TLS / "server.pem", TLS / "server.key")


class TlsPeer:
    """A peer that speaks TLS with the fixtures' certificate, or only seems to."""

    def __init__(self, speaks: bool, chain: tuple[pathlib.Path, pathlib.Path] = FIXTURES) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*chain)
        self.speaks = speaks
        self.requests = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            if not self.speaks:
                time.sleep(5)
                return
            with self.context.wrap_socket(connection, server_side=True) as secure:
                data = secure.recv(65536)
                while data and not data.endswith(b"}"):  # of the body, which may come in a record of its own
                    more = secure.recv(65536)
                    data = data + more if more else b""
                if data:
                    self.requests += 1
                    secure.sendall(ok(WHOLE, b"connection: close\r\n"))
        except OSError:
            pass


def untrusted(terms: str) -> Callable[[], Outcome]:
    def check() -> Outcome:
        peer = TlsPeer(speaks=True)
        provider = f"{TIMEOUTS}, tls: {{{terms}}}" if terms else TIMEOUTS
        outcome = unreachable(Scene(base_url=f"https://127.0.0.1:{peer.port}/v1", provider=provider), {502, 504})()
        must(peer.requests == 0, "a peer that did not prove who it is got a request")
        return outcome

    return check


def certified(folder: pathlib.Path, days: int) -> tuple[pathlib.Path, pathlib.Path]:
    """Makes an authority `ca.pem`, and a certificate of it for llm.test that runs out after so many days."""
    openssl = shutil.which("openssl")
    if not openssl:
        raise SkippedError("no openssl here")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=llm.test", "-addext", "subjectAltName=DNS:llm.test"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-days", str(days), "-copy_extensions", "copy"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=authority"],
        ["req", *key, "-keyout", "server.key", "-out", "server.csr", *name],
        ["x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem"],
    ):
        subprocess.run([openssl, *command], cwd=folder, check=True, capture_output=True)
    return folder / "server.pem", folder / "server.key"


def run_out() -> Outcome:
    """A certificate that has run out is refused; the same with days to go is trusted."""
    for days, allowed in ((30, {200}), (-1, {502, 504})):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            peer = TlsPeer(speaks=True, chain=certified(home, days))
            provider = f"{TIMEOUTS}, tls: {{ca: {home}/ca.pem, sni: llm.test}}"
            with staged(Scene(base_url=f"https://127.0.0.1:{peer.port}/v1", provider=provider)) as stage:
                seen = burst(stage.gateway.listen, 4)
            must(set(seen) <= allowed, f"{days} days to go: {dict(seen)}")
            must(days > 0 or peer.requests == 0, "it got a request")
    return Outcome("refused", 8, 0)


def silent_handshake() -> Outcome:
    return unreachable(Scene(base_url=f"https://127.0.0.1:{TlsPeer(speaks=False).port}/v1"), {502, 504})()


def plain_for_tls() -> Outcome:
    peer = Peer()
    outcome = unreachable(Scene(base_url=f"https://127.0.0.1:{peer.port}/v1"), {502, 504})()
    must(not peer.requests, "a request went out in plain text")
    return outcome


def early_refusal() -> Outcome:
    """An upstream that refuses a large body before it has read it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(ok(b"{}", b"connection: close\r\n", b"413 Large"))
                    time.sleep(0.3)

        threading.Thread(target=accept, daemon=True).start()
        with staged(Scene(base_url=f"http://127.0.0.1:{port}/v1")) as stage:
            seen: Counter[int] = Counter()
            for _ in range(5):
                seen += burst(stage.gateway.listen, 1, chat_body("x" * 3_000_000, model="passed"))
            must(set(seen) <= {413, 502}, dict(seen))
            must(stage.gateway.is_running(), "the process ended")
            return Outcome(str(dict(seen)), 5, 0)


def rows() -> list[Row]:
    made = [row for fault in BEFORE for row in fault_rows(fault, "upstream")]
    made += [row for fault in HARMLESS for row in fault_rows(fault, "upstream")]
    made += [
        Row("stream", f"a stream {name}", "an error event ends it, no [DONE], no second model", within(act))
        for name, act in WITHIN
    ]
    lossless = "no request lost"
    made += [
        Row("stream", "a stream ends without the mark of its API", "no [DONE], counted as broken", without_a_mark),
        Row("stream", "a slow drip of events", "it passes whole", drip_passes),
        Row("stream", "an answer without end", "the upstream ends with the client; memory stays", endless),
        Row("stream", "an event of 60 MB", "memory bounded, the process serves on", endless_line),
        Row("kept", "closes right after each answer", lossless, closes_after_answer(0.0)),
        Row("kept", "closes 5 ms after each answer", lossless, closes_after_answer(0.005)),
        Row("kept", "closes 20 ms after each answer", lossless, closes_after_answer(0.02)),
        Row("peer", "is gone, no other model", "502, and it recovers", gone("", {502, 503})),
        Row("peer", "is gone, another model", lossless, gone(FALLBACK, {200})),
        Row("peer", "comes and goes, another model", lossless, flaps),
        Row("peer", "its name is gone", "502 or 504 in time; the other model answers",
            unreachable(Scene(base_url="http://nowhere.invalid:9/v1"), {502, 503, 504})),
        Row("peer", "its queue of connections is full", "504 in time; the other model answers", full_backlog),
        Row("peer", "TLS of an unknown authority", "502, and it gets no request", untrusted("")),
        Row("peer", "TLS under another name", "502, and it gets no request",
            untrusted(f"ca: {ROOT}/tests/fixtures/tls/ca.pem, sni: other.test")),
        Row("peer", "a TLS certificate that has run out", "502, and it gets no request", run_out),
        Row("peer", "a TLS handshake without end", "504 in time; the other model answers", silent_handshake),
        Row("peer", "plain text where TLS is due", "502, and nothing is sent in plain text", plain_for_tls),
        Row("peer", "refuses a body before it was read", "413 or 502, the process serves on", early_refusal),
    ]  # fmt: skip
    return made
