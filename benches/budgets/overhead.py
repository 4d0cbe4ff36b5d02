#!/usr/bin/env python3
"""What budgets, a registry of keys and the response cache cost a request: CPU of the gateway, and time to the answer.

Starts one upstream that answers at once, and a gateway for each configuration: keys in the file and no budget; a
registry of keys and three budgets; these and a cache that never has the answer, as no request comes twice; a cache that
always has; with `--store SOCKET` also the budgets' counters in a Redis. Rounds alternate, so that what else the machine
does falls on all alike. Ratios are to the first.

    benches/budgets/overhead.py target/release/pointsman [--store /run/redis.sock] [--rounds 20] [--requests 500]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42},
    }
).encode()
KEY = "pm-" + "a" * 43
TICK = os.sysconf("SC_CLK_TCK")


def body_of(connection: socket.socket, kept: bytes) -> tuple[bytes, bytes]:
    """Reads one message with a `content-length`; returns it, and what follows."""
    while b"\r\n\r\n" not in kept:
        more = connection.recv(65536)
        if not more:
            return b"", b""
        kept += more
    head, rest = kept.split(b"\r\n\r\n", 1)
    fields = [line.split(b":", 1) for line in head.split(b"\r\n")[1:]]
    length = next((int(value) for name, value in fields if name.lower() == b"content-length"), 0)
    while len(rest) < length:
        rest += connection.recv(65536)
    return head + b"\r\n\r\n" + rest[:length], rest[length:]


def answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    kept = b""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
    while True:
        request, kept = body_of(connection, kept)
        if not request:
            return
        connection.sendall(head + ANSWER)


def upstream() -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def configuration(port: int, extra: str) -> str:
    return f"""version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
providers: {{p: {{base_url: 'http://127.0.0.1:{port}/v1'}}}}
models:
  small: {{provider: p, price: {{input: 0.1, output: 0.4}}}}
  large: {{provider: p, price: {{input: 2, output: 8}}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules: [{{when: 'prompt.tokens > 10', use: large}}]
    strategy: {{kind: random, models: [small, large]}}
{extra}"""


# A policy's last key stands where the configuration ends, before any other section.
CACHE = "    cache: {ttl: 1h, max_temperature: 2}\n"


class Gateway:
    """A gateway that is measured, and one connection to it."""

    def __init__(self, binary: str, folder: pathlib.Path, text: str, repeats: bool) -> None:
        folder.mkdir()
        (folder / "p.yaml").write_text(text)
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        record = {"id": "key_00000000000000aa", "client": "web", "sha256": digest, "created": "2026-01-01T00:00:00Z"}
        (folder / "keys.jsonl").write_text(json.dumps(record) + "\n")
        command = [binary, "serve", "-c", str(folder / "p.yaml")]
        log = (folder / "log").open("w")
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            ready = [line for line in (folder / "log").read_text().splitlines() if line.startswith("ready ")]
            if ready:
                break
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.05)
        port = int(ready[0].split("listen=127.0.0.1:")[1].split()[0])
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        prompt = "Write one sentence about the weather in a town by the sea, and one about its harbour. " * 2
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": f"{prompt} 00000000"}]}).encode()
        fields = f"host: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json"
        head = f"POST /v1/chat/completions HTTP/1.1\r\n{fields}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body
        self.repeats, self.sent = repeats, 0
        self.cpu: list[float] = []
        self.times: list[float] = []

    def spent(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def round(self, requests: int) -> None:
        before, kept = self.spent(), b""
        for _ in range(requests):
            self.sent += 1
            number = b"00000000" if self.repeats else b"%08d" % self.sent
            request = self.request.replace(b" 00000000", b" " + number)
            started = time.perf_counter()
            self.connection.sendall(request)
            got, kept = body_of(self.connection, kept)
            self.times.append(time.perf_counter() - started)
            if not got.startswith(b"HTTP/1.1 200"):
                raise SystemExit(got.decode())
        self.cpu.append((self.spent() - before) / requests)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--store")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=500)
    given = parser.parse_args()
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    plain = f"clients: {{web: {{keys: [{{sha256: {digest}}}]}}}}\n"
    budgets = """clients: {web: {team: red}}
teams: {red: {}}
client_keys: {file: keys.jsonl}
budgets:
  - {name: daily, dollars: 100000}
  - {name: team, per: team, dollars: 100000, tokens: 1000000000, period: month}
  - {name: key, per: key, requests: 1000000000, period: hour}
"""
    cached = CACHE + budgets
    texts = {
        "keys in the file": plain,
        "registry, 3 budgets": budgets,
        "... and a cache": cached,
        "... that has it": cached,
    }
    if given.store:
        texts["... in a store"] = budgets + f"store: {{redis: {{url: 'unix://{given.store}', timeout: 1s}}}}\n"
    port = upstream()
    with tempfile.TemporaryDirectory() as folder:
        rooms = enumerate(texts.items())
        gateways = {
            name: Gateway(
                given.binary, pathlib.Path(folder, str(n)), configuration(port, text), name.endswith("has it")
            )
            for n, (name, text) in rooms
        }
        try:
            for number in range(given.rounds + 1):
                for gateway in gateways.values():
                    if number == 1:
                        gateway.cpu.clear()
                        gateway.times.clear()
                    gateway.round(given.requests)
        finally:
            for gateway in gateways.values():
                gateway.process.terminate()
                gateway.process.wait()
    first = next(iter(gateways.values()))
    base = statistics.median(first.cpu), statistics.median(first.times)
    print(f"{given.rounds} rounds of {given.requests} requests, one at a time; medians")
    for name, gateway in gateways.items():
        cpu, took = statistics.median(gateway.cpu), statistics.median(gateway.times)
        print(
            f"{name:22} CPU {cpu * 1e6:7.0f} us  {cpu / base[0]:5.3f}   p50 {took * 1e6:7.0f} us  {took / base[1]:5.3f}"
        )


if __name__ == "__main__":
    main()
