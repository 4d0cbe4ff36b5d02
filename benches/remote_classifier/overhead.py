#!/usr/bin/env python3
"""Measures what a remote classifier costs a request, beside the bundle in the process: median time and CPU.

    overhead.py BINARY [--requests 2000] [--mlserver PYTHON]

The server is a few lines in another process that answer at once, so that what is measured is Pointsman's own part and a
round trip on loopback; `--mlserver` names a Python with mlserver and takes the real server of tests/remote in its place.
Every prompt is another one and the cache is off. CPU is that of the gateway's process; the server's is shown beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 120.0

CONFIG = """
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
providers: {{p: {{base_url: http://127.0.0.1:{upstream}/v1}}}}
models: {{small: {{provider: p}}, frontier: {{provider: p}}}}
classifiers:
  default: {{deadline: 2s, cache: {{max_entries: 0}}, {classifier}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    {rules}
    strategy: {{kind: tiers, classifier: default, tiers: {{simple: small, medium: small, complex: frontier}}, otherwise: small}}
"""

# The upstream and the classifier's server: answers of a fixed length, kept connections, nothing else.
SERVER = """
import asyncio, json, sys
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            head, rest = self.data.split(b"\\r\\n\\r\\n", 1)
            lower = head.lower()
            length = int(lower.split(b"content-length:", 1)[1].split(b"\\r\\n", 1)[0]) if b"content-length:" in lower else 0
            if len(rest) < length:
                return
            body, self.data = rest[:length], rest[length:]
            path = head.split(b" ", 2)[1]
            if path.endswith(b"/infer"):
                count = len(json.loads(body)["inputs"][0]["data"])
                tensor = {"name": "probabilities", "datatype": "FP32", "shape": [count, 3], "data": [0.8, 0.1, 0.1] * count}
                answer = {"model_name": "keywords", "model_version": "v1", "outputs": [tensor]}
            elif b"/v2/models/" in path:
                answer = {"name": "keywords", "platform": "", "versions": ["v1"], "inputs": [], "outputs": []}
            else:
                message = {"role": "assistant", "content": "yes"}
                answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}
            text = json.dumps(answer).encode()
            self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(text), text))
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--mlserver", type=pathlib.Path, help="a Python with mlserver")
    arguments = parser.parse_args()
    bundle = f"bundle: {ROOT / 'models' / 'pointsman-mini'}"
    heads = "heads: {tier: {output: probabilities, labels: [simple, medium, complex]}}"
    with scripted() as upstream, remote(arguments.mlserver) as (port, server):
        asked = f"remote: {{protocol: oip_http, url: 'http://127.0.0.1:{port}', model: keywords, hedge: {{budget: 0}}, {heads}}}"
        never = "rules: [{when: 'true', use: small}]"
        cases = {
            "a rule decides": (asked, never, None),
            "remote, oip_http": (asked, "", server),
            "bundle, cascade": (bundle, "", None),
            "bundle, encoder alone": (f"{bundle}, cascade: {{enabled: false}}", "", None),
        }
        print(
            f"{'case':<24}{'overhead us p50':>16}{'p95':>8}{'client us p50':>15}{'CPU us/request':>16}{'server CPU us':>15}"
        )
        for name, (classifier, rules, process) in cases.items():
            config = CONFIG.format(upstream=upstream, classifier=classifier, rules=rules)
            measured(name, arguments, config, process)


def measured(name: str, arguments: argparse.Namespace, config: str, server: int | None) -> None:
    with serving(arguments.binary, config) as (address, gateway):
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        ask(connection, 100, "warm")
        before, server_before = cpu(gateway), cpu(server)
        times = ask(connection, arguments.requests, "measured")
        spent, server_spent = cpu(gateway) - before, cpu(server) - server_before
    overheads, waits = zip(*times, strict=True)
    each = 1e6 / arguments.requests
    p95 = statistics.quantiles(overheads, n=20)[-1]
    shown = f"{server_spent * each:>15.0f}" if server else f"{'-':>15}"
    print(
        f"{name:<24}{statistics.median(overheads):>16.0f}{p95:>8.0f}{statistics.median(waits) * 1e6:>15.0f}{spent * each:>16.0f}{shown}"
    )


def ask(connection: http.client.HTTPConnection, count: int, word: str) -> list[tuple[int, float]]:
    times = []
    for number in range(count):
        text = (
            f"{word} {number}: explain how a bridge of steel and stone carries the weight of {number} trains in winter"
        )
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]})
        started = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        waited = time.perf_counter() - started
        assert answer.status == 200, answer.status
        times.append((int(answer.getheader("x-pointsman-overhead-us") or 0), waited))
    return times


def cpu(process: int | None) -> float:
    """Returns the seconds of CPU that a process has used."""
    if process is None:
        return 0.0
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextlib.contextmanager
def scripted() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def remote(mlserver: pathlib.Path | None) -> Iterator[tuple[int, int]]:
    """Yields the port and the process of the classifier's server."""
    if mlserver is None:
        with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield int(process.stdout.readline()), process.pid
            finally:
                process.kill()
        return
    sys.path.insert(0, str(ROOT / "tests" / "remote"))
    from check import ModelServer

    with tempfile.TemporaryDirectory() as name:
        server = ModelServer(pathlib.Path(name), python=str(mlserver))
        try:
            server.start()
            assert server.process
            yield server.http, server.process.pid
        finally:
            server.stop()


@contextlib.contextmanager
def serving(binary: pathlib.Path, config: str) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as name:
        file = pathlib.Path(name, "pointsman.yaml")
        file.write_text(config)
        process = subprocess.Popen(
            [binary, "serve", "-c", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout
        try:
            for line in process.stdout:
                if line.startswith("ready "):
                    address = next(word.removeprefix("listen=") for word in line.split() if word.startswith("listen="))
                    break
            else:
                raise SystemExit("the gateway ended before it was ready")
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(PATIENCE)


if __name__ == "__main__":
    main()
