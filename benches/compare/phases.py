"""The phases of a comparison, one after the other, each with its own upstream; within each, targets take turns."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bodies
import closed_loop
import fidelity
import open_loop
import streams
from child import Child, Command, FailedError, Request, until_ok
from figures import Figures
from machine import free_ports
from pictures import SIZES_CONNECTIONS
from results import DIRECT, MIXED, ClosedRun, ColdStart, Data, Memory, StreamRun
from target import HERE, Site, Target, fill

OPEN_DEADLINE, OPEN_QUEUE = "50ms", 128


@dataclass
class Plan:
    """How much is measured."""

    rounds: int = 3
    seconds: int = 2
    connections: tuple[int, ...] = (1, 16, 64, 256)
    size_rounds: int = 1
    size_seconds: int = 2
    cold_starts: int = 3
    stream_rounds: int = 3
    open_seconds: float = 4.0
    shares: tuple[float, ...] = open_loop.SHARES
    minutes: float = 19.0  # what has begun then is ended: twenty in all
    sections: tuple[str, ...] = ("cold", "closed", "sizes", "streams", "saturation")

    def quick(self) -> Plan:
        """Returns a plan of a few minutes, to see that all of it works; its figures are rough."""
        return replace(
            self,
            rounds=1,
            seconds=1,
            connections=(1, 16, 64),
            size_seconds=1,
            cold_starts=1,
            stream_rounds=1,
            open_seconds=1.5,
            shares=(0.3, 0.7, 1.2),
            minutes=8.0,
        )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """The targets that run here, and what is known of them so far."""

    def __init__(self, plan: Plan, site: Site, targets: list[Target], data: Data) -> None:
        self.plan, self.site, self.targets, self.data = plan, site, targets, data
        self.files = bodies.write(site.work)
        self.loader = site.built / "load"
        self.processor = None if site.processor is None else 0
        self.end = time.monotonic() + plan.minutes * 60
        self.idle: dict[str, float] = {}

    def run(self) -> None:
        wanted = self.plan.sections
        with self.constant_upstream() as self.upstream:
            if "cold" in wanted:
                self.cold()
            # The closed loop and the sizes share processes: what all of it leaves in memory is in the memory table.
            with self.running(self.targets, self.upstream[1]):
                if "closed" in wanted:
                    self.closed()
                if "sizes" in wanted:
                    self.sizes()
                self.remember_memory()
            if "saturation" in wanted:
                self.saturation()
        if "streams" in wanted:
            self.streams()

    @contextmanager
    def constant_upstream(self) -> Iterator[tuple[Child, int]]:
        """Yields nginx that answers everything at once, and its port."""
        port = free_ports(1)[0]
        config = self.site.work / "upstream-nginx.conf"
        template = (HERE / "configs" / config.name).read_text("utf-8")
        config.write_text(fill(template, {**self.site.words(), "PORT": str(port)}), "utf-8")
        arguments = ["nginx", "-p", str(self.site.work), "-c", str(config)]
        child = Child(Command(arguments, self.site.work / "upstream.log", processor=self.processor))
        try:
            until_ok(Request(port, "GET", "/"), child, 10)
            yield child, port
        finally:
            child.stop()

    @contextmanager
    def telling_upstream(self) -> Iterator[tuple[Child, int]]:
        """Yields the upstream that streams, and tells what reached it; and its port."""
        command = Command([str(self.loader), "upstream"], self.site.work / "telling.log", processor=self.processor)
        child = Child(command, stdout=subprocess.PIPE)
        try:
            assert child.process.stdout
            yield child, int(json.loads(child.process.stdout.readline())["port"])
        finally:
            child.stop()

    @contextmanager
    def running(self, targets: list[Target], port: int) -> Iterator[None]:
        """Starts the targets; one that does not start is taken out, and the report says so."""
        try:
            for target in list(targets):
                try:
                    target.start(port)
                except (FailedError, OSError) as failure:
                    self.give_up(target, failure)
            yield
        finally:
            for target in targets:
                target.stop()

    def give_up(self, target: Target, failure: Exception) -> None:
        say(f"gives up on {target.name}: {failure}")
        target.stop()
        self.data.absent[target.name] = f"it did not start: {failure}"
        self.data.targets.remove(target.name)
        self.targets.remove(target)

    def in_turn(self, number: int) -> list[Target]:
        """Returns the targets in an order that rotates, so that none always follows the same one."""
        first = number % len(self.targets)
        return self.targets[first:] + self.targets[:first]

    def has_time_for(self, what: str) -> bool:
        if time.monotonic() < self.end:
            return True
        self.data.remarks.append(f"No time was left for {what}: the run is bounded to {self.plan.minutes:g} minutes.")
        say(self.data.remarks[-1])
        return False

    def cold(self) -> None:
        for target in [each for each in self.targets if each.name != DIRECT]:
            start = ColdStart([])
            for _ in range(1 if target.spec.slow else self.plan.cold_starts):
                try:
                    if (found := target.start(self.upstream[1])) is None:
                        continue
                except (FailedError, OSError) as failure:
                    self.give_up(target, failure)
                    break
                finally:
                    target.stop()
                start.seconds.append(found[0])
                start.degraded += "x-pointsman-degraded" in found[1][1]
            else:
                self.data.cold[target.name] = start
                say(f"cold start {target.name:20} {' '.join(f'{each:.3f}' for each in start.seconds)} s")

    def closed(self) -> None:
        self.idle = {target.name: target.memory_mb("VmRSS") for target in self.targets}
        for target in self.targets:
            self.load(target, closed_loop.Load(16, MIXED, self.files[MIXED], 1))
        for number in range(1, self.plan.rounds + 1):
            for connections in self.plan.connections:
                if not self.has_time_for(f"round {number} of {connections} connections"):
                    return
                for target in self.in_turn(number):
                    load = closed_loop.Load(connections, MIXED, self.files[MIXED], self.plan.seconds, number)
                    self.measure(target, load)

    def sizes(self) -> None:
        for number in range(1, self.plan.size_rounds + 1):
            for name in bodies.SIZES:
                if not self.has_time_for(f"round {number} of bodies of {name}"):
                    return
                for target in self.in_turn(number):
                    load = closed_loop.Load(SIZES_CONNECTIONS, name, self.files[name], self.plan.size_seconds, number)
                    self.measure(target, load)

    def measure(self, target: Target, load: closed_loop.Load) -> None:
        run = self.load(target, load)
        self.data.closed.append(run)
        say(
            f"round {run.round} {run.bodies:6} c{run.connections:<3} {target.name:20} p50 {run.p50:9.0f} us "
            f"{run.rate:8.0f}/s cpu {run.cpu_us:8.1f} us foreign {run.foreign_cpu:.2f} errors {run.errors}"
        )

    def load(self, target: Target, load: closed_loop.Load) -> ClosedRun:
        load.processor = self.processor
        return closed_loop.run(target, load, self.upstream[0])

    def remember_memory(self) -> None:
        for target in self.targets:
            if target.child and target.name in self.idle:
                after, peak = target.memory_mb("VmRSS"), target.memory_mb("VmHWM")
                self.data.memory[target.name] = Memory(self.idle[target.name], after, peak)

    def streams(self) -> None:
        if not self.has_time_for("streams and checks"):
            return
        sample = self.files[MIXED].read_text("utf-8").splitlines()
        with self.telling_upstream() as upstream, self.running(self.targets, upstream[1]):
            for target in self.targets:
                self.data.checks[target.name] = fidelity.check(target, sample, upstream[1])
            for number in range(1, self.plan.stream_rounds + 1):
                if not self.has_time_for(f"round {number} of the streams"):
                    return
                for target in self.in_turn(number):
                    for shape in (streams.PACED, streams.SPARSE if target.spec.slow else streams.DENSE):
                        self.stream(target, streams.run(target, shape, upstream[0], self.loader, number))

    def stream(self, target: Target, run: StreamRun) -> None:
        self.data.streams.append(run)
        say(
            f"streams {run.round} {run.kind} {target.name:20} first {run.first_p50:7.0f} us "
            f"event {run.delay_p50:6.0f} us cpu {run.cpu_us_per_event:6.1f} us an event, broken {run.broken}"
        )

    def saturation(self) -> None:
        """Measures those with a classifier again, with the deadline and the queue that a deployment has."""
        site = replace(self.site, deadline=OPEN_DEADLINE, queue=OPEN_QUEUE)
        judged = [Target(target.spec, site) for target in self.targets if target.spec.classifier]
        capacity = {target.name: Figures(self.data).rate(target.name, 64) for target in judged}
        with self.running(judged, self.upstream[1]):
            for share in self.plan.shares:
                if not self.has_time_for(f"the open loop at {share:.0%} of the capacity and above"):
                    return
                for target in judged:
                    if rate := capacity[target.name]:
                        arrivals = open_loop.Arrivals(share, rate * share, self.plan.open_seconds, self.files[MIXED])
                        self.offer(target, arrivals)

    def offer(self, target: Target, arrivals: open_loop.Arrivals) -> None:
        point = open_loop.run(target, arrivals, self.upstream[0], self.loader)
        self.data.rates.append(point)
        say(
            f"open {point.share:4.0%} {target.name:20} {point.offered:7.0f}/s p50 {point.p50:8.2f} ms "
            f"p99 {point.p99:8.2f} ms degraded {point.share_of(point.degraded):.1%} late {point.late_p99:.2f} ms"
        )
