"""The real binary in front of a scripted upstream, both on free ports of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from string import Template
from typing import Any

from upstream import DEADLINE, Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]

CONFIG = Template(pathlib.Path(__file__).with_suffix(".yaml").read_text("utf-8"))


@contextlib.contextmanager
def started(
    sections: str = "",
    credential: str = "passthrough",
    upstream: Any = None,
    policies: str = "",
    config: Template = CONFIG,
) -> Iterator[tuple[str, str, Any]]:
    """Yields the proxy's URL, its admin plane's, and the upstream behind it; all end with the context.

    `policies` goes on behind the last policy, `auto`: more of it, or more of them. `config` stands for gateway.yaml.
    """
    with launched(sections, credential, upstream, policies, config) as (address, served):
        yield f"http://{address['listen']}", f"http://{address['admin']}", served


@contextlib.contextmanager
def launched(
    sections: str = "",
    credential: str = "passthrough",
    upstream: Any = None,
    policies: str = "",
    config: Template = CONFIG,
) -> Iterator[tuple[dict[str, str], Any]]:
    """Yields the addresses of the proxy's listeners by their names, and the upstream; see `started`."""
    upstream = upstream or Upstream()
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "pointsman.yaml")
        file.write_text(
            config.substitute(
                port=upstream.server_port,
                closed_port=closed_port(),
                bundle=ROOT / "models" / "pointsman-mini",
                sections=sections,
                credential=credential,
            )
            + policies
        )
        command = [binary(), "serve", "-c", str(file)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        log: list[str] = []
        ready: queue.Queue[dict[str, str] | None] = queue.Queue()
        threading.Thread(target=follow, args=(process, log, ready), daemon=True).start()
        try:
            address = ready.get(timeout=DEADLINE)
            assert address, "the proxy ended before it was ready"
            yield address, upstream
        except BaseException:
            print("--- log of the proxy", *log, "---", sep="\n")
            raise
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
            upstream.shutdown()


@contextlib.contextmanager
def running(sections: str = "", credential: str = "passthrough") -> Iterator[tuple[str, Upstream]]:
    """Yields the proxy's URL and the upstream behind it; both end with the context."""
    with started(sections, credential) as (listen, _, upstream):
        yield listen, upstream


@contextlib.contextmanager
def running_admin() -> Iterator[str]:
    """Yields the URL of an admin plane that keeps feedback; it ends with the context."""
    with tempfile.TemporaryDirectory() as folder:
        log = json.dumps({"path": str(pathlib.Path(folder, "decisions.jsonl")), "text": True})
        with started(f"decision_log: {log}") as (_, admin, _):
            yield admin


def follow(process: subprocess.Popen[str], log: list[str], ready: queue.Queue[dict[str, str] | None]) -> None:
    """Keeps the log, and reports the addresses in the line `ready listen=... admin=... generation=1`."""
    assert process.stderr
    for line in process.stderr:
        log.append(line.rstrip())
        if line.startswith("ready "):
            ready.put(dict(field.split("=", 1) for field in line.split()[1:]))
    ready.put(None)


def client_keys(**clients: tuple[str, str]) -> str:
    """Returns the section `clients`.

    For each name a key, hashed as operators do it, and more of the client's section.
    """
    lines = [f"  {name}: {{keys: [{{sha256: {hashed(key)}}}]{more}}}" for name, (key, more) in clients.items()]
    return "\n".join(["clients:", *lines])


def hashed(key: str) -> str:
    return subprocess.run(
        [binary(), "hash-key"], input=key, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def closed_port() -> int:
    """Returns a port that refuses connections."""
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


def caught(kind: type[Exception], call: Callable[[], object]) -> Any:
    """Returns the exception that the call must raise, of that very class."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def run(checks: list[Callable[[str, Upstream], None]], sections: str = "", credential: str = "passthrough") -> None:
    """Runs every check against one proxy; an error ends the script, and so fails it."""
    with running(sections, credential) as (url, upstream):
        for check in checks:
            check(url, upstream)
            assert upstream.requests.empty(), f"{check.__name__} left a request unread"
            print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)
