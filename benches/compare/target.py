"""The proxies that are compared: what `targets.toml` says about each, its configuration, its start and its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import machine
from child import Answer, Child, Command, FailedError, Request, until_ok
from results import DIRECT

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
START_LIMIT = 120.0
CHAT = "/v1/chat/completions"


@dataclass
class Spec:
    """A target as `targets.toml` describes it."""

    name: str
    peer: str = ""
    start: list[str] = field(default_factory=list)
    config: str = ""
    model: str = "mock-small"
    path: str = CHAT
    ready: str = ""  # a path of the admin port that says when all of it runs
    headers: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    version: list[str] = field(default_factory=list)
    note: str = ""
    disabled: str = ""
    slow: bool = False  # a start takes seconds, a request milliseconds: it gets less of the load
    saturate: bool = False  # also in the open loop
    section: str = ""  # the only section that it is measured in


def specs(path: Path = HERE / "targets.toml") -> list[Spec]:
    return [Spec(**each) for each in tomllib.loads(path.read_text("utf-8"))["target"]]


@dataclass
class Site:
    """Where targets run: folders, the binary under test, and how the classifier is to serve."""

    work: Path
    pointsman: str
    built: Path
    peers: Path
    deadline: str = "5s"
    queue: int = 1024
    processor: int | None = None

    def words(self) -> dict[str, str]:
        return {
            "WORK": str(self.work),
            "HERE": str(HERE),
            "ROOT": str(ROOT),
            "PEERS": str(self.peers),
            "POINTSMAN": self.pointsman,
            "BUILT": str(self.built),
            "CORES": str(machine.cores()),
            "DEADLINE": self.deadline,
            "QUEUE": str(self.queue),
        }


def fill(text: str, words: dict[str, str]) -> str:
    """Puts the words in; raises where one is unknown, so that no placeholder reaches a proxy."""

    def word(found: re.Match[str]) -> str:
        if found[1] not in words:
            raise FailedError(f"unknown placeholder {found[0]} (allowed: {', '.join(sorted(words))})")
        return words[found[1]]

    return re.sub(r"@([A-Z_]+)@", word, text)


class Target:
    """A proxy that runs, or may; `direct` is the upstream itself."""

    def __init__(self, spec: Spec, site: Site) -> None:
        self.spec, self.site = spec, site
        self.name = spec.name
        self.port = self.admin = 0
        self.child: Child | None = None

    def absent(self) -> str:
        """Returns why it cannot run here, or nothing."""
        if self.spec.disabled:
            return self.spec.disabled
        if self.name == DIRECT:
            return ""
        program = fill(self.spec.start[0], {**self.site.words(), "PORT": "0", "UPSTREAM_PORT": "0", "CONFIG": ""})
        found = shutil.which(program)
        return "" if found else f"not installed (`benches/compare/install.sh {self.spec.peer}`)"

    def start(self, upstream: int) -> tuple[float, Answer] | None:
        """Starts it in front of the upstream; returns the seconds until its first answer, and that answer."""
        if self.name == DIRECT:
            self.port = upstream
            return None
        self.port, self.admin = machine.free_ports(2)
        words = {
            **self.site.words(),
            "PORT": str(self.port),
            "ADMIN_PORT": str(self.admin),
            "UPSTREAM_PORT": str(upstream),
            "CONFIG": str(self.site.work / f"{self.name}{Path(self.spec.config).suffix}"),
        }
        if self.spec.config:
            template = (HERE / "configs" / self.spec.config).read_text("utf-8")
            Path(words["CONFIG"]).write_text(fill(template, words), "utf-8")
        command = Command(
            [fill(part, words) for part in self.spec.start],
            self.site.work / f"{self.name}.log",
            {name: fill(value, words) for name, value in self.spec.env.items()} | runtime_library(),
            self.site.processor,
        )
        self.child = Child(command)
        answer = until_ok(self.question(), self.child, START_LIMIT)
        seconds = self.child.age()
        if self.spec.ready:
            until_ok(Request(self.admin, "GET", self.spec.ready), self.child, START_LIMIT)
        return seconds, answer

    def question(self, text: str = "hi", **more: object) -> Request:
        body = {"model": self.spec.model, "messages": [{"role": "user", "content": text}], **more}
        return Request(self.port, "POST", self.spec.path, json.dumps(body), self.spec.headers)

    def stop(self) -> None:
        if self.child:
            self.child.stop()
            self.child = None

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self.child.pid) if self.child else 0.0

    def precise_seconds(self) -> float:
        return machine.precise_seconds(self.child.pid) if self.child else 0.0

    def has_counters(self) -> bool:
        """Tells whether it has an admin port with Pointsman's metrics."""
        return bool(self.spec.ready)

    def memory_mb(self, key: str) -> float:
        return machine.memory_mb(self.child.pid, key) if self.child else 0.0

    def settle(self, limit: float = 15.0) -> None:
        """Waits until it has worked off what clients that are gone had asked, so that the next one measures alone."""
        end = time.monotonic() + limit
        while self.child and time.monotonic() < end:
            before = self.cpu_seconds()
            time.sleep(0.1)
            if self.cpu_seconds() - before < 0.03:
                return

    def version(self) -> str:
        if not self.spec.version:
            return ""
        command = [fill(part, self.site.words()) for part in self.spec.version]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        lines = (ended.stdout + ended.stderr).strip().splitlines()
        return lines[-1].strip() if lines else ""


def runtime_library() -> dict[str, str]:
    """Returns where ONNX Runtime is, unless the environment says so or the binary finds it by itself."""
    library = ROOT / ".tools" / "libonnxruntime.so"
    return {"ORT_DYLIB_PATH": str(library)} if library.exists() and "ORT_DYLIB_PATH" not in os.environ else {}
