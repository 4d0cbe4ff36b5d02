"""A fleet of two real Pointsmans in front of scripted upstreams, with a real Redis behind.

A real Prometheus scrapes it. All ports are free ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from string import Template
from typing import Any

from upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60
KEYS = {"search": "key-of-the-search-team", "chat": "key-of-the-chat-team", "batch": "key-of-the-batch-jobs"}

CONFIG = Template(pathlib.Path(__file__).with_suffix(".yaml").read_text("utf-8"))


JsonObject = dict[str, Any]
Series = dict[str, Any]  # of a query's result: its `metric`, and its `value` or `values`


@dataclass
class Gateway:
    """A running Pointsman."""

    process: subprocess.Popen[str]
    config: pathlib.Path
    listen: str
    admin: str
    log: list[str] = field(default_factory=list)

    def post(self, path: str) -> JsonObject:
        request = urllib.request.Request(f"http://{self.admin}{path}", method="POST", data=b"")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: JsonObject = json.load(answer)
        return found


@dataclass
class Stack:
    """The fleet, and everything around it that runs."""

    gateways: list[Gateway]
    upstreams: dict[str, Upstream]
    store: subprocess.Popen[str]
    prometheus: Prometheus


@dataclass
class Prometheus:
    """A running Prometheus."""

    process: subprocess.Popen[bytes]
    url: str

    def query(self, expr: str, at: float | None = None) -> list[Series]:
        """Returns an instant query's result; raises with Prometheus' own words when it fails."""
        parameters = {"query": expr} | ({"time": str(at)} if at else {})
        found: list[Series] = self.ask("/api/v1/query", **parameters)["result"]
        return found

    def range(self, expr: str, start: float, end: float, step: float) -> list[Series]:
        found: list[Series] = self.ask("/api/v1/query_range", query=expr, start=start, end=end, step=step)["result"]
        return found

    def ask(self, path: str, **parameters: object) -> Any:
        """Returns the `data` of an answer, which is an object or, for a label's values, a list."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error).get("error")) from None


@contextlib.contextmanager
def running(scrape_seconds: int = 1) -> Iterator[Stack]:
    """Yields the stack; everything that it started ends with the context, by its own process."""
    with contextlib.ExitStack() as end:
        folder = pathlib.Path(end.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-observe-")))
        shutil.copytree(ROOT / "models" / "pointsman-mini", folder / "bundles" / "default")
        upstreams = {name: Upstream(seed) for seed, name in enumerate(["economy", "economy_too", "premium", "local"])}
        for upstream in upstreams.values():
            end.callback(upstream.shutdown)
        text = CONFIG.substitute(
            **{name: upstream.address for name, upstream in upstreams.items()},
            **{name: hashed(key) for name, key in KEYS.items()},
            closed=f"127.0.0.1:{closed_port()}",
            bundles=folder / "bundles",
            store=folder / "redis.sock",
            shadow=ROOT / "tests" / "fixtures" / "tiny",
        )
        store = start_store(end, folder)
        gateways = [start_gateway(end, folder / name, text) for name in ("a", "b")]
        prometheus = start_prometheus(end, folder, [gateway.admin for gateway in gateways], scrape_seconds)
        yield Stack(gateways, upstreams, store, prometheus)


def start_gateway(end: contextlib.ExitStack, folder: pathlib.Path, text: str) -> Gateway:
    folder.mkdir()
    config = folder / "pointsman.yaml"
    config.write_text(text)
    environment = os.environ | {
        "LOG_HASH_KEY": "hash-key-of-this-run",
        "RUST_LOG": os.environ.get("RUST_LOG", "warn,access=off"),
    }
    process = subprocess.Popen(
        [binary(), "serve", "-c", str(config)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    end.callback(stop, process)
    ready: queue.Queue[dict[str, str] | None] = queue.Queue()
    gateway = Gateway(process, config, "", "")
    threading.Thread(target=follow, args=(gateway, ready), daemon=True).start()
    addresses = ready.get(timeout=PATIENCE)
    assert addresses, "\n".join(["Pointsman ended before it was ready:", *gateway.log])
    gateway.listen, gateway.admin = addresses["listen"], addresses["admin"]
    return gateway


def start_store(end: contextlib.ExitStack, folder: pathlib.Path) -> subprocess.Popen[str]:
    """Starts the Redis that the fleet shares pins and thresholds through; it keeps nothing on disk."""
    socket_file = str(folder / "redis.sock")
    command = ["redis-server", "--port", "0", "--unixsocket", socket_file, "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    end.callback(stop, process)
    output = process.stdout
    assert output
    assert any("eady to accept connections" in line for line in output), "redis-server does not start"
    threading.Thread(target=lambda: list(output), daemon=True).start()  # what else it says must not stop it
    return process


def follow(gateway: Gateway, ready: queue.Queue[dict[str, str] | None]) -> None:
    assert gateway.process.stderr
    for line in gateway.process.stderr:
        gateway.log.append(line.rstrip())
        if line.startswith("ready "):
            ready.put(dict(pair.split("=", 1) for pair in line.split()[1:]))
    ready.put(None)


def start_prometheus(
    end: contextlib.ExitStack, folder: pathlib.Path, targets: list[str], scrape_seconds: int
) -> Prometheus:
    """Starts Prometheus with the committed configuration, in which targets and intervals are those of this run."""
    shipped = ROOT / "config" / "prometheus"
    own = folder / "prometheus"
    shutil.copytree(shipped, own)
    text = (own / "prometheus.yaml").read_text()
    text, replaced = re.subn(r"\['pointsman:9090'\]", json.dumps(targets), text)
    assert replaced == 1, "prometheus.yaml has no target pointsman:9090"
    text = re.sub(r"(scrape|evaluation)_interval: \S+", rf"\1_interval: {scrape_seconds}s", text)
    (own / "prometheus.yaml").write_text(text)
    for _ in range(5):  # a free port may be taken before Prometheus binds it
        port = closed_port()
        command = [
            "prometheus",
            f"--config.file={own}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/data-{port}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end.callback(stop, process)
        url = f"http://127.0.0.1:{port}"
        if until_ready(process, f"{url}/-/ready"):
            return Prometheus(process, url)
    raise RuntimeError("Prometheus does not start")


def until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
            return int(answer.status) == 200
        time.sleep(0.1)
    return False


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def hashed(key: str) -> str:
    return subprocess.run(
        [binary(), "hash-key"], input=key, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def closed_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def binary() -> str:
    """Returns what `cargo build` made, or the binary that POINTSMAN names."""
    if named := os.environ.get("POINTSMAN"):
        return named
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    target = json.loads(subprocess.check_output(metadata, cwd=ROOT))["target_directory"]
    return str(pathlib.Path(target, "debug", "pointsman"))
