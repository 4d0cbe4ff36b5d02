"""A fleet of two real Pointsmans in front of scripted upstreams with a real Redis behind, and a real Prometheus that scrapes it.

Free ports throughout.
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

from upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60
KEYS = {"search": "key-of-the-search-team", "chat": "key-of-the-chat-team", "batch": "key-of-the-batch-jobs"}

CONFIG = """\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
clients:
  search: {{keys: [{{sha256: {search}}}]}}
  chat: {{keys: [{{sha256: {chat}}}]}}
  batch: {{keys: [{{sha256: {batch}}}], rate_limit: {{requests_per_minute: 60}}}}
decision_log: {{path: logs/decisions.jsonl, hash_key: {{env: LOG_HASH_KEY}}}}
store: {{redis: {{url: 'unix://{store}', timeout: 50ms}}}}
default_provider: economy
providers:
  economy:
    base_url: http://{economy}/v1
    peers: [{economy}, {economy_too}]
    health_check: {{path: /health, interval: 1s, timeout: 500ms, healthy_after: 1, unhealthy_after: 2}}
  premium: {{base_url: http://{premium}/v1}}
  local: {{base_url: http://{local}/v1, peers: [{local}, {closed}], breaker: {{consecutive_failures: 2}}}}
models:
  small: {{provider: economy, name: nano, price: {{input: 0.10, output: 0.40}}, context: 128000, supports: [tools]}}
  standard: {{provider: economy, name: standard, price: {{input: 0.40, output: 1.60}}, context: 128000}}
  frontier: {{provider: premium, name: frontier, price: {{input: 2.00, output: 8.00, cached_input: 0.50}}, context: 200000}}
  local: {{provider: local, name: local, price: {{input: 0.02, output: 0.02}}, context: 600}}
classifiers:
  default: {{bundle: {bundles}/default, deadline: 250ms, shadow: {{bundle: {shadow}, sample: 0.5}}}}
  careful: {{bundle: {bundles}/default, deadline: 5s, cascade: {{enabled: false}}}}
  hurried: {{bundle: {bundles}/default, deadline: 1ms, cascade: {{enabled: false}}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules: [{{when: 'prompt.tool_errors > 1', use: frontier}}]
    strategy: {{kind: tiers, classifier: default, tiers: {{simple: small, medium: standard, complex: frontier}}, min_confidence: 0.5, otherwise: standard}}
    fallback: [standard, small]
  - name: pair
    match: {{model: [pair]}}
    strategy: {{kind: threshold, classifier: careful, head: tier, strong: frontier, weak: local, threshold: 0.5, otherwise: frontier}}
    fallback: [small]
    target: {{strong: [frontier], share: 0.4, max_drift: 0.2}}
  - name: judged
    match: {{model: [judged]}}
    strategy:
      kind: judge
      judge: small
      choices: [{{model: small, description: facts and small talk}}, {{model: frontier, description: proofs and designs}}]
      otherwise: standard
    affinity: {{hold: 1h, move: up_only}}
  - name: watch
    match: {{model: [watched]}}
    mode: shadow
    strategy: {{kind: tiers, classifier: default, tiers: {{simple: small, medium: standard, complex: frontier}}, otherwise: standard}}
  - name: hurried
    match: {{model: [hurried]}}
    strategy: {{kind: tiers, classifier: hurried, tiers: {{simple: small, medium: standard, complex: frontier}}, otherwise: standard}}
"""


@dataclass
class Gateway:
    """A running Pointsman."""

    process: subprocess.Popen
    config: pathlib.Path
    listen: str
    admin: str
    log: list[str] = field(default_factory=list)

    def post(self, path: str) -> dict:
        request = urllib.request.Request(f"http://{self.admin}{path}", method="POST", data=b"")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


@dataclass
class Stack:
    gateways: list[Gateway]
    upstreams: dict[str, Upstream]
    store: subprocess.Popen
    prometheus: Prometheus


@dataclass
class Prometheus:
    """A running Prometheus."""

    process: subprocess.Popen
    url: str

    def query(self, expr: str, at: float | None = None) -> list[dict]:
        """Returns an instant query's result; raises with Prometheus' own words when it fails."""
        return self.ask("/api/v1/query", query=expr, **({"time": at} if at else {}))["result"]

    def range(self, expr: str, start: float, end: float, step: float) -> list[dict]:
        return self.ask("/api/v1/query_range", query=expr, start=start, end=end, step=step)["result"]

    def ask(self, path: str, **parameters: object) -> dict:
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
        text = CONFIG.format(
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
    ready: queue.Queue[dict | None] = queue.Queue()
    gateway = Gateway(process, config, "", "")
    threading.Thread(target=follow, args=(gateway, ready), daemon=True).start()
    addresses = ready.get(timeout=PATIENCE)
    assert addresses, "\n".join(["Pointsman ended before it was ready:", *gateway.log])
    gateway.listen, gateway.admin = addresses["listen"], addresses["admin"]
    return gateway


def start_store(end: contextlib.ExitStack, folder: pathlib.Path) -> subprocess.Popen:
    """Starts the Redis that the fleet shares pins and thresholds through; it keeps nothing on disk."""
    command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        str(folder / "redis.sock"),
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    end.callback(stop, process)
    assert process.stdout
    assert any("eady to accept connections" in line for line in process.stdout), "redis-server does not start"
    threading.Thread(
        target=lambda: [None for _ in process.stdout], daemon=True
    ).start()  # what else it says must not stop it
    return process


def follow(gateway: Gateway, ready: queue.Queue) -> None:
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


def until_ready(process: subprocess.Popen, url: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
        time.sleep(0.1)
    return False


def stop(process: subprocess.Popen) -> None:
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
        return server.getsockname()[1]


def binary() -> str:
    """Returns what `cargo build` made, or the binary that POINTSMAN names."""
    if named := os.environ.get("POINTSMAN"):
        return named
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    target = json.loads(subprocess.check_output(metadata, cwd=ROOT))["target_directory"]
    return str(pathlib.Path(target, "debug", "pointsman"))
