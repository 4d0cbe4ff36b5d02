"""Requests through the proxy, each judged by the encoder on a device: the answer's way of a user, not of a benchmark.

python benches/gpu/through_proxy.py BINARY BUNDLE --device cuda:0 [--connections 64] [--tokens 64] [--seconds 10]
prints one JSON object: requests a second, latencies, the shares that the encoder and its stand-ins decided.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)


@dataclass
class Seen:
    """What the clients saw."""

    milliseconds: list[float] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request on a connection with the same completion."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(length_of(head))
            writer.write(HEAD + ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


def length_of(head: bytes) -> int:
    fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in fields if name == b"content-length"), 0)


def configuration(bundle: Path, device: str, upstream: int) -> str:
    labels = yaml.safe_load((bundle / "bundle.yaml").read_text("utf-8"))["heads"][0]
    kind, _, number = device.partition(":")
    section = {
        "bundle": str(bundle.resolve()),
        "device": {kind: int(number)} if number else kind,
        "require": True,
        "deadline": "1s",
        "queue": 4096,
        "cache": {"max_entries": 0},
        "cascade": {"enabled": False},
    }
    tiers = {label: "large" if index else "small" for index, label in enumerate(labels["labels"])}
    strategy = {"kind": "tiers", "classifier": "default", "head": labels["name"], "tiers": tiers, "otherwise": "large"}
    model = {"provider": "mock"}
    return yaml.safe_dump(
        {
            "version": 1,
            "listen": {"address": "127.0.0.1:0"},
            "admin": {"address": "127.0.0.1:0"},
            "providers": {"mock": {"base_url": f"http://127.0.0.1:{upstream}/v1"}},
            "models": {"small": model, "large": model},
            "classifiers": {"default": section},
            "policies": [{"name": "auto", "match": {"model": ["auto"]}, "strategy": strategy}],
        }
    )


def start(binary: Path, file: Path) -> tuple[subprocess.Popen[str], int]:
    """Starts the proxy and returns it with its port."""
    process = subprocess.Popen([binary, "serve", "-c", file], stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith("ready "):
            # Whatever it logs from here on is read, so that it never waits for the pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, int(line.split("listen=")[1].split()[0].rpartition(":")[2])
        said.append(line)
    raise SystemExit("the proxy did not start:\n" + "".join(said))


async def ask(port: int, tokens: int, until: float, seen: Seen, caller: int) -> None:
    """Asks on one connection, never the same twice."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < until:
        count += 1
        text = f"{caller} {count} " + "the " * max(tokens - 6, 1)
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()
        before = time.perf_counter()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(length_of(head))
        seen.milliseconds.append((time.perf_counter() - before) * 1e3)
        source = head.lower().partition(b"x-pointsman-source: ")[2].partition(b"\r\n")[0].decode()
        seen.sources[source or head.split(b"\r\n")[0].decode()] += 1
    writer.close()


async def measure(arguments: argparse.Namespace) -> dict[str, object]:
    upstream = await asyncio.start_server(answer, "127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pointsman.yaml"
        port = upstream.sockets[0].getsockname()[1]
        file.write_text(configuration(arguments.bundle, arguments.device, port), "utf-8")
        process, listen = await asyncio.to_thread(start, arguments.binary, file)
        try:
            warm, seen = Seen(), Seen()
            await load(arguments, listen, warm, arguments.seconds / 5)
            began = time.perf_counter()
            await load(arguments, listen, seen, arguments.seconds)
            took = time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    times = sorted(seen.milliseconds)
    return {
        "device": arguments.device,
        "connections": arguments.connections,
        "tokens": arguments.tokens,
        "requests_per_second": len(times) / took,
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(len(times) * 0.99)],
        "sources": dict(seen.sources),
    }


async def load(arguments: argparse.Namespace, port: int, seen: Seen, seconds: float) -> None:
    until = time.perf_counter() + seconds
    callers = range(arguments.connections)
    await asyncio.gather(*(ask(port, arguments.tokens, until, seen, caller) for caller in callers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
