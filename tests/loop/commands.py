"""Pointsman's command line in a folder, and its gateway with what clients ask of it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 120.0
UNSET = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")

Row = dict[str, Any]


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in UNSET}
    return own | {"LOG_HASH_KEY": "hash-key-of-this-run", "RUST_LOG": "warn,access=off"}


def read(path: pathlib.Path) -> list[Row]:
    # Lines end with a line feed alone: prompts hold other separators that `splitlines` takes for ends.
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def write(path: pathlib.Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


class CommandLine:
    """Runs commands in one folder, prints each as a person would type it, and keeps how long it took."""

    def __init__(self, binary: pathlib.Path, folder: pathlib.Path) -> None:
        self.binary, self.folder = binary, folder
        self.seconds: list[tuple[str, float]] = []

    def run(self, command: str, expected: int = 0) -> Any:
        """Returns the JSON on stdout, or the text where it is none."""
        print(f"$ pointsman {command}", flush=True)
        words, started = command.split(), time.monotonic()
        done = subprocess.run(
            [self.binary, *words], check=False, cwd=self.folder, env=environment(), capture_output=True, text=True
        )
        self.seconds.append((words[0], round(time.monotonic() - started, 1)))
        assert done.returncode == expected, f"exit code {done.returncode}: {done.stderr[-3000:]}"
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout + done.stderr


class Gateway:
    """A gateway that serves a configuration, and its clients."""

    def __init__(self, listen: str, admin: str) -> None:
        self.listen, self.admin = f"http://{listen}", f"http://{admin}"

    def ask(self, policy: str, prompt: str) -> tuple[str, dict[str, str]]:
        """Returns the answer and what its headers say, by their names in lower case."""
        body = {"model": policy, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        headers, answer = post(f"{self.listen}/v1/chat/completions", body)
        return answer["choices"][0]["message"]["content"], headers

    def rate(self, request_id: str, correct: bool) -> None:
        post(f"{self.listen}/v1/feedback", {"request_id": request_id, "correct": correct})

    def reload(self) -> None:
        post(f"{self.admin}/reload", {})


def post(url: str, body: Row) -> tuple[dict[str, str], Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read()
            return {name.lower(): value for name, value in answer.headers.items()}, json.loads(content or b"{}")
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url}: {error.code} {error.read().decode()}") from None


@contextlib.contextmanager
def serving(binary: pathlib.Path, config: pathlib.Path) -> Iterator[Gateway]:
    """Yields a gateway; it ends with the context."""
    command = [str(binary), "serve", "-c", str(config)]
    process = subprocess.Popen(command, cwd=config.parent, env=environment(), stderr=subprocess.PIPE, text=True)
    log: list[str] = []
    ready: queue.Queue[Row | None] = queue.Queue()
    threading.Thread(target=follow, args=(process, log, ready), daemon=True).start()
    try:
        addresses = ready.get(timeout=PATIENCE)
        assert addresses, "the gateway ended before it was ready"
        yield Gateway(addresses["listen"], addresses["admin"])
    except BaseException:
        print("--- log of the gateway", *log, "---", sep="\n")
        raise
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def follow(process: subprocess.Popen[str], log: list[str], ready: queue.Queue[Row | None]) -> None:
    """Keeps the log, and reports the addresses in the line `ready listen=... admin=... generation=1`."""
    assert process.stderr
    for line in process.stderr:
        log.append(line.rstrip())
        if line.startswith("ready "):
            ready.put(dict(pair.split("=", 1) for pair in line.split()[1:]))
    ready.put(None)
