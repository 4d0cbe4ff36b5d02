"""Processes that the comparison starts, and plain requests to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

Answer = tuple[int, dict[str, str], bytes]


class FailedError(Exception):
    """What a process did instead of what it was started for."""


@dataclass
class Command:
    """A command line, where its output goes, and where it may run."""

    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    processor: int | None = None

    def line(self) -> list[str]:
        pinned = [] if self.processor is None else ["taskset", "-c", str(self.processor)]
        return [*pinned, *self.arguments]


class Child:
    """A process in a session of its own; `stop` ends that session's processes and nobody else's."""

    def __init__(self, command: Command, stdout: int | None = None) -> None:
        self.log_path = command.log
        self.log: IO[bytes] = command.log.open("ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command.line(),
            stdin=subprocess.DEVNULL,
            stdout=self.log if stdout is None else stdout,
            stderr=self.log,
            start_new_session=True,
            env={**os.environ, **command.environment},
        )
        self.pid = self.process.pid

    def age(self) -> float:
        return time.monotonic() - self.started

    def must_run(self) -> None:
        if (status := self.process.poll()) is not None:
            raise FailedError(f"ended with {status}: {self.last_words()}")

    def last_words(self) -> str:
        lines = [line for line in self.log_path.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

    def stop(self) -> None:
        for which in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, which)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                break
        # Workers of a process that has ended are in its session still.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.log.close()


@dataclass
class Request:
    """A plain request over a connection of its own."""

    port: int
    method: str
    path: str
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 40.0

    def ask(self) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            fields = {"content-type": "application/json", **self.headers}
            connection.request(self.method, self.path, self.body and self.body.encode(), fields)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def until_ok(request: Request, child: Child, limit: float) -> Answer:
    """Asks again and again until the answer is a 2xx; returns it. Raises when the process ends or the time is up."""
    while child.age() < limit:
        child.must_run()
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = request.ask()
            if 200 <= answer[0] < 300:
                return answer
        time.sleep(0.002)
    raise FailedError(f"no answer after {limit:.0f} s: {child.last_words()}")


def figures_of(arguments: Sequence[str], environment: Mapping[str, str], limit: float) -> str:
    """Runs a load generator to its end and returns what it wrote; where that is cut short, what it started ends too."""
    name = Path(arguments[0]).name
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        written, said = process.communicate(timeout=limit)
    except BaseException as ended:  # also when this run is told to end
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(ended, subprocess.TimeoutExpired):
            raise FailedError(f"{name} did not end within {limit:.0f} s") from ended
        raise
    if process.returncode != 0:
        raise FailedError(f"{name} ended with {process.returncode}: {(said.strip() or written.strip())[-300:]}")
    return written


def json_of(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise FailedError(f"no JSON object: {text[:100]}")
    return found
