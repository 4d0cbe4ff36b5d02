"""What a decision costs over Envoy's external processing, beside the same decision in the proxy.

One run, one machine: an Envoy that answers as the upstream, and in front of it in turn

| way | what a request passes |
|---|---|
| proxy | Pointsman's own listener |
| envoy | an Envoy alone, which routes by nothing |
| ext_proc | the same Envoy, which asks Pointsman (`BUFFERED`) |
| duplex | the same, `FULL_DUPLEX_STREAMED` |
| ext_proc_unix, duplex_unix | the same two, over a Unix socket |
| floor, floor_duplex, floor_unix, floor_duplex_unix | the same, but the least server answers, at once |

`overhead.py --requests 5000 --connections 8` prints the latencies over one connection (tenth percentile, median, 99th),
and the CPU time for each request over several: Envoy's, and that of the server that it asks or of the proxy. The rounds
alternate, and the median of rounds counts. Another line says what other processes took of the machine meanwhile.

POINTSMAN names the binary: a release, as a debug build measures itself alone. FLOOR names the least server, which
`cargo build --release --manifest-path benches/ext_proc/floor/Cargo.toml` makes; without it those ways are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "envoy"))

from stage import ENVIRONMENT, PATIENCE, ROOT, Process, binary, bootstrap, envoy_binary, free_port

DUPLEX = ["--body-mode", "full-duplex-streamed"]
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
ext_proc: {{{place}}}
default_provider: one
providers: {{one: {{base_url: 'http://127.0.0.1:{upstream}/v1'}}}}
models: {{small: {{provider: one, name: small-1}}, big: {{provider: one, name: big-1}}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules: [{{when: 'prompt.tokens > 100000', use: big}}, {{when: 'true', use: small}}]
    strategy: {{kind: random, models: [small, big]}}
"""


@dataclass
class Way:
    """A port that clients ask, the process there, and the one that it asks."""

    port: int
    front: int
    server: int | None = None


def body(size: int) -> bytes:
    """Returns a chat completion of about so many bytes."""
    text = ("How does a heap differ from a stack? " * (size // 37 + 1))[: max(size - 60, 1)]
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()


def cpu(process: int | None) -> float:
    """Returns the CPU time of a process so far, in seconds."""
    if process is None:
        return 0.0
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy() -> float:
    """Returns the CPU time of the whole machine so far, in seconds."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def asked(port: int, sent: bytes, times: int) -> list[float]:
    """Sends requests over one connection, one after the other; returns what each took, in microseconds.

    Without an HTTP library, which would take as long as what is measured.
    """
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(sent)}\r\n\r\n"
    )
    message, taken = head.encode() + sent, []
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(times):
            began = time.perf_counter()
            connection.sendall(message)
            answer = b""
            while not (b"\r\n\r\n" in answer and answer.endswith(b"}}")):
                piece = connection.recv(1 << 16)
                assert piece, answer
                answer += piece
            taken.append((time.perf_counter() - began) * 1e6)
            assert answer.startswith(b"HTTP/1.1 200 "), answer
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
            admin.request("GET", "/ready")
            if admin.getresponse().read().strip() != b"LIVE":
                raise KeyError("it has an address, and does not listen yet")
            admin.request("GET", "/listeners?format=json")
            listeners = json.loads(admin.getresponse().read())["listener_statuses"]
            return Process(child), int(listeners[0]["local_address"]["socket_address"]["port_value"])
        threading.Event().wait(0.05)
    raise AssertionError("Envoy does not start")


def pointsman(file: pathlib.Path) -> tuple[Process, int]:
    """Starts Pointsman; returns it and the port of its own listener."""
    command = [binary(), "--log-format", "json", "serve", "-c", str(file)]
    quiet = {**ENVIRONMENT, "RUST_LOG": "warn"}
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=quiet)
    server = Process(child)
    ready = server.line(lambda line: line.startswith("ready "))
    return server, int(dict(part.split("=", 1) for part in ready.split()[1:])["listen"].rsplit(":", 1)[1])


def least(path: str, place: str) -> tuple[Process, str]:
    """Starts the least server; returns it and where it listens."""
    server = Process(subprocess.Popen([path, place], stdout=subprocess.PIPE, text=True))
    return server, server.line(lambda line: line.startswith("ready ")).split()[1]


def elsewhere(text: str, own: int, place: str) -> str:
    """Returns a bootstrap whose Pointsman is at another place."""
    address = f'socket_address: {{address: "127.0.0.1", port_value: {own}}}'
    assert address in text, text
    other = place.rsplit(":", 1)[-1]
    return text.replace(address, f'pipe: {{path: "{place}"}}' if "/" in place else address.replace(str(own), other))


@contextlib.contextmanager
def ways(wanted: list[str]) -> Iterator[dict[str, Way]]:
    """Yields each way that is wanted."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, own = pathlib.Path(name), free_port()
        upstream, port = envoy(folder, "upstream", UPSTREAM.format(port=0))
        stack.callback(upstream.end)
        file, by_socket = folder / "pointsman.yaml", folder / "socket.yaml"
        file.write_text(CONFIG.format(place=f"address: '127.0.0.1:{own}'", upstream=port))
        by_socket.write_text(CONFIG.format(place="socket: pointsman.sock", upstream=port))
        server, listen = pointsman(file)
        stack.callback(server.end)
        found = {"proxy": Way(listen, server.child.pid)}
        buffered, duplex = bootstrap(file, []), bootstrap(file, DUPLEX)
        begin = buffered.index("          - name: envoy.filters.http.ext_proc")
        end = buffered.index("          - name: envoy.filters.http.router")
        asking = server.child.pid
        printed: dict[str, tuple[str, int | None]] = {
            "envoy": (buffered[:begin] + buffered[end:], None),
            "ext_proc": (buffered, asking),
            "duplex": (duplex, asking),
        }
        if any(way.endswith("_unix") for way in wanted if not way.startswith("floor")):
            beside, _ = pointsman(by_socket)
            stack.callback(beside.end)
            printed["ext_proc_unix"] = bootstrap(by_socket, []), beside.child.pid
            printed["duplex_unix"] = bootstrap(by_socket, DUPLEX), beside.child.pid
        if floor := os.environ.get("FLOOR"):
            for end_of_name, place in ("", "127.0.0.1:0"), ("_unix", str(folder / "floor.sock")):
                smallest, at = least(floor, place)
                stack.callback(smallest.end)
                printed[f"floor{end_of_name}"] = elsewhere(buffered, own, at), smallest.child.pid
                printed[f"floor_duplex{end_of_name}"] = elsewhere(duplex, own, at), smallest.child.pid
        for way, (text, behind) in printed.items():
            if way in wanted:
                process, at_port = envoy(folder, way, text)
                stack.callback(process.end)
                found[way] = Way(at_port, process.child.pid, behind)
        yield {way: found[way] for way in wanted if way in found}


def spent(way: Way, sent: bytes, requests: int, connections: int) -> tuple[float, float]:
    """Returns the CPU time for each request, in microseconds: of the process at the front, and of the one behind."""
    each = requests // connections
    before = cpu(way.front), cpu(way.server)
    threads = [threading.Thread(target=asked, args=(way.port, sent, each)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scale = 1e6 / (each * connections)
    return (cpu(way.front) - before[0]) * scale, (cpu(way.server) - before[1]) * scale


def main() -> None:
    every = ["proxy", "envoy", "ext_proc", "duplex", "ext_proc_unix", "duplex_unix"]
    every += ["floor", "floor_duplex", "floor_unix", "floor_duplex_unix"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=every)
    arguments = parser.parse_args()
    sent = body(arguments.size)
    with ways(arguments.ways) as found:
        figures: dict[str, list[tuple[float, ...]]] = {way: [] for way in found}
        processes = {one for way in found.values() for one in (way.front, way.server)} - {None}
        for way in found.values():
            asked(way.port, sent, 500)

        def ours() -> float:
            return sum(cpu(process) for process in processes) + time.process_time()

        began, all_before, own_before = time.monotonic(), busy(), ours()
        for _ in range(arguments.rounds):
            for name, way in found.items():
                taken = sorted(asked(way.port, sent, arguments.requests // arguments.rounds))
                front, behind = spent(way, sent, arguments.requests, arguments.connections)
                tenth, middle, late = (taken[int(len(taken) * part)] for part in (0.1, 0.5, 0.99))
                figures[name].append((tenth, middle, late, front, behind, front + behind))
        took = time.monotonic() - began
        foreign = (busy() - all_before - ours() + own_before) / took
        print(f"{arguments.size} bytes, {arguments.rounds} rounds, {took:.0f} s; microseconds")
        print(f"other processes and the upstream: {foreign:.2f} of {os.cpu_count()} cores")
        print(f"{'way':18} {'p10':>7} {'p50':>7} {'p99':>7} {'CPU front':>10} {'behind':>7} {'CPU':>6}")
        for name, rounds in figures.items():
            tenth, middle, late, front, behind, both = (
                statistics.median(column) for column in zip(*rounds, strict=True)
            )
            print(f"{name:18} {tenth:7.0f} {middle:7.0f} {late:7.0f} {front:10.0f} {behind:7.0f} {both:6.0f}")


if __name__ == "__main__":
    main()
