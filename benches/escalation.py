"""Measures what checking a cheap model's answers costs the gateway: time to the first words, to the end, and CPU.

    python benches/escalation.py POINTSMAN [--requests 200] [--rounds 5]

POINTSMAN is the binary, of any profile: figures are ratios within one run, in which the cases take turns. Upstreams are
of this process and stream an answer of 20 events, 2 ms apart. Cases: no check; one that the first words decide; one
that holds a stream to its end and passes; a judge that is asked at its end; one that fails, so that the strong model
answers as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

EVENTS, PAUSE = 20, 0.002
CONNECTIONS = 4

# The case, its `check` (none: the cheap model alone), and the end of the cheap model's answers.
CASES = (
    ("no check", None, "stop"),
    ("refusal, passes on its first words", "{refusal: true}", "stop"),
    ("finish_reason, held to its end, passes", "{finish_reason: true}", "stop"),
    ("judge, asked at its end, passes", "{judge: {judge: judge}}", "stop"),
    ("finish_reason, fails, strong answers", "{finish_reason: true}", "length"),
)


@dataclass
class Figures:
    """The figures of a case."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def chunk(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()


async def body_of(reader: asyncio.StreamReader) -> bytes | None:
    """Reads a request; `None` at the end of its connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        return None
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers as the request's model: `cheap-length` ends with that reason, `judge` says good."""
    while (body := await body_of(reader)) is not None:
        request = json.loads(body)
        model = request["model"]
        if not request.get("stream"):
            told = {"role": "assistant", "content": json.dumps({"label": "good"})}
            usage = {"prompt_tokens": 300, "completion_tokens": 5}
            answer = json.dumps(
                {
                    "id": "c",
                    "object": "chat.completion",
                    "choices": [{"index": 0, "message": told, "finish_reason": "stop"}],
                    "usage": usage,
                }
            )
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
            writer.write(f"{head}{answer}".encode())
            await writer.drain()
            continue
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for place in range(EVENTS):
            choice = {"index": 0, "delta": {"content": f"word {place} "}, "finish_reason": None}
            writer.write(chunk(f"data: {json.dumps({'id': 'c', 'choices': [choice]})}\n\n"))
            await writer.drain()
            await asyncio.sleep(PAUSE)
        end = {"index": 0, "delta": {}, "finish_reason": "length" if model.endswith("length") else "stop"}
        writer.write(chunk(f"data: {json.dumps({'id': 'c', 'choices': [end]})}\n\ndata: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
    writer.close()


def config(port: int) -> str:
    """Returns a configuration with a policy for each case, whose model is `case-N`."""
    policies = []
    for place, (_, check, end) in enumerate(CASES):
        strategy = (
            f"{{kind: random, models: [{end}]}}"
            if check is None
            else f"{{kind: escalate, cheap: {end}, strong: strong, check: {check}}}"
        )
        policies.append(f"  - {{name: case-{place}, match: {{model: [case-{place}]}}, strategy: {strategy}}}")
    provider = f"providers: {{p: {{base_url: 'http://127.0.0.1:{port}/v1'}}}}"
    cheap = "stop: {provider: p, name: cheap}, length: {provider: p, name: cheap-length}"
    models = f"models: {{{cheap}, strong: {{provider: p}}, judge: {{provider: p}}}}"
    return "\n".join(
        [
            "version: 1",
            "listen: {address: 127.0.0.1:0}",
            "admin: {address: 127.0.0.1:0}",
            provider,
            models,
            "policies:",
            *policies,
            "",
        ]
    )


class Gateway:
    """A gateway, and the CPU seconds that it has used."""

    def __init__(self, pointsman: str, port: int, folder: Path) -> None:
        file = folder / "pointsman.yaml"
        file.write_text(config(port), encoding="utf-8")
        self.process = subprocess.Popen(
            [pointsman, "serve", "-c", str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "listen=" in line and "ready" in line:
                self.port = int(line.split("listen=")[1].split()[0].rsplit(":", 1)[1])
                break
        else:
            raise SystemExit("the gateway did not start")
        asyncio.get_running_loop().run_in_executor(None, self.process.stdout.read)

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def parts(reader: asyncio.StreamReader, head: bytes) -> AsyncIterator[bytes]:
    """Reads the body of an answer: in chunks, or of a stated length where it was held to its end."""
    if b"content-length:" in head:
        yield await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        return
    while (size := int((await reader.readuntil(b"\r\n")).strip(), 16)) > 0:
        yield await reader.readexactly(size + 2)
    await reader.readexactly(2)


async def ask(port: int, case: int, count: int, figures: Figures) -> None:
    """Sends requests one after another over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(
        {
            "model": f"case-{case}",
            "stream": True,
            "messages": [{"role": "user", "content": "Name three colours of leaves in autumn."}],
        }
    )
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
    for _ in range(count):
        started = time.perf_counter()
        writer.write(request)
        answered = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in answered.split(b"\r\n")[0], answered
        first = None
        async for part in parts(reader, answered.lower()):
            if first is None and b"word" in part:
                first = time.perf_counter() - started
        figures.whole.append(1e3 * (time.perf_counter() - started))
        figures.first.append(1e3 * (first or 0.0))
    writer.close()


def foreign_cpu() -> float:
    """Returns the CPU seconds of the whole machine."""
    fields = [int(part) for part in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    """Measures every case in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pointsman")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    figures = [Figures() for _ in CASES]
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(arguments.pointsman, server.sockets[0].getsockname()[1], Path(folder))
        try:
            began, busy, own = time.perf_counter(), foreign_cpu(), time.process_time()
            each = arguments.requests // CONNECTIONS
            for turn in range(arguments.rounds + 1):
                for case, found in enumerate(figures):
                    before = gateway.cpu()
                    taken = Figures() if turn == 0 else found  # the first turn warms up
                    await asyncio.gather(*(ask(gateway.port, case, each, taken) for _ in range(CONNECTIONS)))
                    taken.cpu.append(1e3 * (gateway.cpu() - before) / (each * CONNECTIONS))
            took = time.perf_counter() - began
            others = (foreign_cpu() - busy - (time.process_time() - own) - gateway.cpu()) / took
        finally:
            gateway.process.terminate()
    base = figures[0]
    print("| case | first words p50, ms | to the end p50, ms | gateway CPU a request, of no check |")
    print("|---|---|---|---|")
    for (name, _, _), found in zip(CASES, figures, strict=True):
        first, whole = statistics.median(found.first), statistics.median(found.whole)
        ratio = [cpu / plain for cpu, plain in zip(found.cpu, base.cpu, strict=True)]
        of_none = f"{statistics.median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})"
        print(f"| {name} | {first:.1f} | {whole:.1f} | {statistics.median(found.cpu):.2f} ms, {of_none} |")
    print(f"\n{arguments.rounds} turns of {arguments.requests} streams a case over {CONNECTIONS} connections;")
    print(f"other processes took {others:.2f} cores meanwhile")


asyncio.run(main())
