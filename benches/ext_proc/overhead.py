"""What a decision costs over Envoy's external processing, beside the same decision in the proxy.

One run, one machine: an Envoy that answers as the upstream, and in front of it in turn

| way | what a request passes |
|---|---|
| envoy | an Envoy alone, which routes by nothing |
| ext_proc | the same Envoy, which asks Pointsman (`BUFFERED`) |
| duplex | the same, `FULL_DUPLEX_STREAMED` |
| proxy | Pointsman's own listener |

`overhead.py --requests 5000 --connections 8` prints the median and the 99th percentile of latencies over one
connection, and the CPU time of all processes but the upstream for each request over several. The rounds alternate, and
the median of rounds counts. POINTSMAN names the binary: a release, as a debug build measures itself alone.
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "envoy"))

from stage import ENVIRONMENT, PATIENCE, ROOT, Process, binary, bootstrap, envoy_binary, free_port

ADMIN = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"
UPSTREAM = """\
static_resources:
  listeners:
  - name: upstream
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: upstream
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                direct_response:
                  status: 200
                  body: {{inline_string: '{{"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}'}}
                response_headers_to_add: [{{header: {{key: content-type, value: application/json}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""
CONFIG = """\
version: 1
listen: {{address: '127.0.0.1:0', forwarded: off}}
admin: {{address: '127.0.0.1:0'}}
ext_proc: {{address: '127.0.0.1:{port}'}}
default_provider: one
providers: {{one: {{base_url: 'http://127.0.0.1:{upstream}/v1'}}}}
models: {{small: {{provider: one, name: small-1}}, big: {{provider: one, name: big-1}}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules: [{{when: 'prompt.tokens > 100000', use: big}}, {{when: 'true', use: small}}]
    strategy: {{kind: random, models: [small, big]}}
"""


def body(size: int) -> bytes:
    """Returns a chat completion of about so many bytes."""
    text = ("How does a heap differ from a stack? " * (size // 37 + 1))[: max(size - 60, 1)]
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()


def cpu(processes: list[int]) -> float:
    """Returns the CPU time of processes so far, in seconds."""
    total = 0
    for process in processes:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def asked(port: int, sent: bytes, times: int) -> list[float]:
    """Sends requests over one connection, one after the other; returns what each took, in microseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", sent, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - began) * 1e6)
        assert answer.status == 200, answer.status
    connection.close()
    return taken


def envoy(folder: pathlib.Path, name: str, text: str) -> tuple[Process, int]:
    """Starts an Envoy; returns it and the port that it listens at."""
    file, address = folder / f"{name}.yaml", folder / f"{name}.admin"
    file.write_text(text + ("" if "\nadmin:" in text else ADMIN))
    command = [envoy_binary(), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen([*command, "--admin-address-path", str(address)], text=True, env=ENVIRONMENT, **pipes)  # type: ignore[call-overload]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, IndexError, KeyError, http.client.HTTPException):
            admin = http.client.HTTPConnection("127.0.0.1", int(address.read_text().rsplit(":", 1)[1]))
            admin.request("GET", "/listeners?format=json")
            listeners = json.loads(admin.getresponse().read())["listener_statuses"]
            return Process(child), int(listeners[0]["local_address"]["socket_address"]["port_value"])
        threading.Event().wait(0.05)
    raise AssertionError("Envoy does not start")


@contextlib.contextmanager
def ways() -> Iterator[dict[str, tuple[int, list[int]]]]:
    """Yields each way: its port, and the processes on it."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        upstream, port = envoy(folder, "upstream", UPSTREAM.format(port=0))
        stack.callback(upstream.end)
        file = folder / "pointsman.yaml"
        file.write_text(CONFIG.format(port=free_port(), upstream=port))
        command = [binary(), "--log-format", "json", "serve", "-c", str(file)]
        quiet = {**ENVIRONMENT, "RUST_LOG": "warn"}
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=quiet
        )
        server = Process(child)
        stack.callback(server.end)
        ready = server.line(lambda line: line.startswith("ready "))
        listen = int(dict(part.split("=", 1) for part in ready.split()[1:])["listen"].rsplit(":", 1)[1])
        printed = {
            "ext_proc": bootstrap(file, []),
            "duplex": bootstrap(file, ["--body-mode", "full-duplex-streamed"]),
        }
        plain = printed["ext_proc"]
        begin, end = (
            plain.index("          - name: envoy.filters.http.ext_proc"),
            plain.index("          - name: envoy.filters.http.router"),
        )
        printed["envoy"] = plain[:begin] + plain[end:]
        found: dict[str, tuple[int, list[int]]] = {"proxy": (listen, [server.child.pid])}
        for way, text in printed.items():
            process, at = envoy(folder, way, text)
            stack.callback(process.end)
            found[way] = (at, [process.child.pid] + ([] if way == "envoy" else [server.child.pid]))
        yield found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--size", type=int, default=2000)
    arguments = parser.parse_args()
    sent = body(arguments.size)
    with ways() as found:
        figures: dict[str, list[tuple[float, float, float]]] = {way: [] for way in found}
        for port, _ in found.values():
            asked(port, sent, 500)
        for _ in range(arguments.rounds):
            for way, (port, processes) in found.items():
                taken = sorted(asked(port, sent, arguments.requests // arguments.rounds))
                before, each = cpu(processes), arguments.requests // arguments.connections
                threads = [
                    threading.Thread(target=asked, args=(port, sent, each)) for _ in range(arguments.connections)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                spent = (cpu(processes) - before) / (each * arguments.connections) * 1e6
                figures[way].append((taken[len(taken) // 2], taken[len(taken) * 99 // 100], spent))
        print(f"{arguments.size} bytes, {arguments.rounds} rounds; microseconds")
        print(f"{'way':10} {'p50':>8} {'p99':>8} {'CPU/request':>12}")
        for way in ("envoy", "proxy", "ext_proc", "duplex"):
            middle = [statistics.median(column) for column in zip(*figures[way], strict=True)]
            print(f"{way:10} {middle[0]:8.0f} {middle[1]:8.0f} {middle[2]:12.0f}")


if __name__ == "__main__":
    main()
