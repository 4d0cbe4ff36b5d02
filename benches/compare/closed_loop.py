"""The closed loop: wrk keeps so many connections busy, and the proxy's CPU is read from the system meanwhile."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
from child import Child, FailedError, figures_of, json_of
from results import ClosedRun
from target import HERE, Target


@dataclass
class Spent:
    """CPU time of the target, and the cores that were busy with neither it nor its load nor its upstream."""

    target: float = 0.0
    foreign: float = 0.0


@contextmanager
def spending(target: Target, upstream: Child) -> Iterator[Spent]:
    """Yields what is spent until the context ends; it is filled in then."""
    spent = Spent()
    began, busy = time.monotonic(), machine.busy_seconds()
    ours, precise = target.cpu_seconds(), target.precise_seconds()
    others = machine.cpu_seconds(upstream.pid) + own_seconds()
    yield spent
    spent.target = machine.used_seconds(target.cpu_seconds() - ours, target.precise_seconds() - precise)
    known = spent.target + machine.cpu_seconds(upstream.pid) + own_seconds() - others
    wall = time.monotonic() - began
    spent.foreign = max(0.0, (machine.busy_seconds() - busy - known) / wall)


def own_seconds() -> float:
    """Returns the CPU time of this process and of the load that it ran to its end."""
    return sum(os.times()[:4])


@dataclass
class Load:
    """The load of one run."""

    connections: int
    bodies: str
    file: Path
    seconds: int  # wrk takes no fractions
    round: int = 0
    processor: int | None = None


def run(target: Target, load: Load, upstream: Child) -> ClosedRun:
    arguments = ["wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s"]
    arguments += ["-s", str(HERE / "wrk.lua"), "-H", "content-type: application/json"]
    for name, value in target.spec.headers.items():
        arguments += ["-H", f"{name}: {value}"]
    arguments.append(f"http://127.0.0.1:{target.port}{target.spec.path}")
    if load.processor is not None:
        arguments = ["taskset", "-c", str(load.processor), *arguments]
    environment = {"MODEL": target.spec.model, "BODIES": str(load.file)}
    with spending(target, upstream) as spent:
        text = figures_of(arguments, environment, load.seconds + 60)
    if not (found := re.search(r"RESULT (\{.*\})", text)):
        raise FailedError(f"wrk said nothing about {target.name}: {text[-200:]}")
    figures, resident = json_of(found[1]), target.memory_mb("VmRSS")
    target.settle()
    return ClosedRun(
        target=target.name,
        round=load.round,
        connections=load.connections,
        bodies=load.bodies,
        cpu_us=spent.target / max(1, figures["answers"]) * 1e6,
        foreign_cpu=spent.foreign,
        rss_mb=resident,
        **figures,
    )
