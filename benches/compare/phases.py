"""The sections of a comparison, each with its own upstream and its own processes; within each, targets take turns."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bodies
import closed_loop
import fidelity
import generators
import machine
import open_loop
import streams
import translations
from child import Child, Command, FailedError, Request, until_ok
from figures import Figures
from pictures import SIZES_CONNECTIONS
from results import DIRECT, MIXED, TRANSLATION, ClosedRun, ColdStart, Data, Memory, StreamRun
from target import HERE, Site, Target, fill

OPEN_DEADLINE, OPEN_QUEUE = "50ms", 128
# What `slow` targets are measured with: more of either takes them minutes, and says nothing new.
SLOW_CONNECTIONS, SLOW_SIZES = 64, 20_000
# The connections of the closed loop whose rate is the capacity.
AT_CAPACITY = 64


@dataclass
class Plan:
    """How much is measured."""

    rounds: int = 3
    seconds: int = 2
    connections: tuple[int, ...] = (1, 16, 64, 256)
    size_rounds: int = 1
    size_seconds: int = 1
    cold_starts: int = 3
    stream_rounds: int = 3
    open_seconds: float = 4.0
    shares: tuple[float, ...] = open_loop.SHARES
    minutes: float = 24.0  # what has begun then is ended: twenty-five in all

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
            shares=(0.5, 1.2),
            minutes=10.0,
        )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """The targets that run here, and what is known of them so far."""

    def __init__(self, plan: Plan, site: Site, targets: list[Target], data: Data) -> None:
        self.plan, self.site, self.data = plan, site, data
        self.all, self.targets = targets, [target for target in targets if not target.spec.section]
        self.files = bodies.write(site.work)
        self.loader = site.built / "load"
        self.processor = None if site.processor is None else 0
        self.end = time.monotonic() + plan.minutes * 60
        self.section, self.was_cut = "", False

    def sections(self) -> dict[str, Callable[[], None]]:
        """Returns the sections in the order in which they are measured."""
        return {
            "cold": self.cold,
            "closed": self.closed,
            "streams": self.streams,
            "sizes": self.sizes,
            "saturation": self.saturation,
            TRANSLATION: lambda: translations.measure(self),
            "generators": lambda: generators.measure(self),
        }

    @contextmanager
    def selected(self, also: list[str], section: str) -> Iterator[None]:
        """Measures the targets that are of a section alone, and some of all sections, until the context ends."""
        before = self.targets
        self.targets = [target for target in self.all if target.spec.section == section or target.name in also]
        try:
            yield
        finally:
            self.targets = before

    def run(self, section: str) -> None:
        """Measures a section; it is done unless time ran out in it."""
        self.section, self.was_cut = section, False
        if self.has_time_for("it"):
            self.sections()[section]()
        if not self.was_cut and section not in self.data.done:
            self.data.done.append(section)

    @contextmanager
    def constant_upstream(self) -> Iterator[tuple[Child, int]]:
        """Yields nginx that answers everything at once, and its port."""
        port = machine.free_ports(1)[0]
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
    def running(self, targets: list[Target], port: int) -> Iterator[list[Target]]:
        """Starts the targets, some at a time, and yields those that run; the report says which did not."""

        def started(target: Target) -> Exception | None:
            try:
                target.start(port)
            except (FailedError, OSError) as failure:
                return failure
            return None

        with ThreadPoolExecutor(machine.cores()) as pool:
            try:
                outcomes = zip(targets, pool.map(started, targets), strict=True)
                failures = {target.name: failure for target, failure in outcomes if failure}
                for name, failure in failures.items():
                    self.give_up(name, f"it did not start: {failure}")
                yield [target for target in targets if target.name not in failures]
            finally:
                list(pool.map(Target.stop, targets))

    def give_up(self, name: str, why: str) -> None:
        """Takes a target out of what is still to be measured; rows that it has stay."""
        say(f"gives up on {name}: {why}")
        for target in self.targets:
            if target.name == name:
                target.stop()
        self.data.absent[name] = why
        self.targets = [target for target in self.targets if target.name != name]

    @contextmanager
    def giving_up_on(self, target: Target) -> Iterator[None]:
        """Gives a target up that fails in the middle of a section, and goes on with the others."""
        try:
            yield
        except (FailedError, OSError, KeyError, ValueError) as failure:
            self.give_up(target.name, f"it failed in `{self.section}`: {str(failure)[-200:]}")

    def in_turn(self, number: int) -> list[Target]:
        """Returns the targets in an order that rotates, so that none always follows the same one."""
        first = number % len(self.targets)
        return self.targets[first:] + self.targets[:first]

    def has_time_for(self, what: str) -> bool:
        if time.monotonic() < self.end:
            return True
        self.was_cut = True
        why = f"no time was left for {what}, the run is bounded to {self.plan.minutes:g} minutes"
        self.data.remarks.append(f"{self.section}: {why}.")
        say(self.data.remarks[-1])
        return False

    def numbers(self, rounds: int) -> range:
        """Returns the numbers of this run's rounds; those of an earlier run that is added to come before them."""
        first = self.data.last_round(self.section) + 1
        return range(first, first + rounds)

    def cold(self) -> None:
        with self.constant_upstream() as (_, port):
            for target in [each for each in self.targets if each.name != DIRECT]:
                with self.giving_up_on(target):
                    self.data.cold[target.name] = self.cold_start(target, port)

    def cold_start(self, target: Target, port: int) -> ColdStart:
        start = ColdStart([])
        for _ in range(1 if target.spec.slow else self.plan.cold_starts):
            try:
                found = target.start(port)
            finally:
                target.stop()
            if found:
                start.seconds.append(found[0])
                start.degraded += "x-pointsman-degraded" in found[1][1]
        say(f"cold start {target.name:20} {' '.join(f'{each:.3f}' for each in start.seconds)} s")
        return start

    def closed(self) -> None:
        with self.loaded() as upstream:
            for target in list(self.targets):
                with self.giving_up_on(target):
                    self.load(target, closed_loop.Load(16, MIXED, self.files[MIXED], 1), upstream)
            for number in self.numbers(self.plan.rounds):
                for connections in self.plan.connections:
                    if not self.has_time_for(f"round {number} of {connections} connections"):
                        return
                    load = closed_loop.Load(connections, MIXED, self.files[MIXED], self.plan.seconds, number)
                    for target in self.in_turn(number):
                        if not target.spec.slow or connections <= SLOW_CONNECTIONS:
                            self.measure(target, load, upstream)

    def sizes(self) -> None:
        with self.loaded() as upstream:
            for number in self.numbers(self.plan.size_rounds):
                for name, size in bodies.SIZES.items():
                    if not self.has_time_for(f"round {number} of bodies of {name}"):
                        return
                    load = closed_loop.Load(SIZES_CONNECTIONS, name, self.files[name], self.plan.size_seconds, number)
                    for target in self.in_turn(number):
                        if not target.spec.slow or size <= SLOW_SIZES:
                            self.measure(target, load, upstream)

    @contextmanager
    def loaded(self) -> Iterator[Child]:
        """Yields the constant upstream with all targets in front of it; what they hold in memory is kept at the end."""
        with self.constant_upstream() as (upstream, port), self.running(self.targets, port) as running:
            idle = {target.name: target.memory_mb("VmRSS") for target in running}
            yield upstream
            for target in running:
                if target.child:
                    memory = Memory(idle[target.name], target.memory_mb("VmRSS"), target.memory_mb("VmHWM"))
                    self.data.remember(target.name, memory)

    def measure(self, target: Target, load: closed_loop.Load, upstream: Child) -> None:
        with self.giving_up_on(target):
            run = self.load(target, load, upstream)
            self.data.closed.append(run)
            say(
                f"round {run.round} {run.bodies:6} c{run.connections:<3} {target.name:20} p50 {run.p50:9.0f} us "
                f"{run.rate:8.0f}/s cpu {run.cpu_us:8.1f} us foreign {run.foreign_cpu:.2f} errors {run.errors}"
            )

    def load(self, target: Target, load: closed_loop.Load, upstream: Child) -> ClosedRun:
        load.processor = self.processor
        return closed_loop.run(target, load, upstream)

    def streams(self) -> None:
        sample = self.files[MIXED].read_text("utf-8").splitlines()
        with self.telling_upstream() as (upstream, port), self.running(self.targets, port):
            for target in list(self.targets):
                with self.giving_up_on(target):
                    self.data.checks[target.name] = fidelity.check(target, sample, port)
            for number in self.numbers(self.plan.stream_rounds):
                if not self.has_time_for(f"round {number} of the streams"):
                    return
                for target in self.in_turn(number):
                    for shape in (streams.PACED, streams.SPARSE if target.spec.slow else streams.DENSE):
                        with self.giving_up_on(target):
                            self.keep(streams.run(target, shape, upstream, self.loader, number))

    def keep(self, run: StreamRun) -> None:
        self.data.streams.append(run)
        say(
            f"streams {run.round} {run.kind} {run.target:20} first {run.first_p50:7.0f} us "
            f"event {run.delay_p50:6.0f} us cpu {run.cpu_us_per_event:6.1f} us an event, broken {run.broken}"
        )

    def saturation(self) -> None:
        """Measures the open loop, with the deadline and the queue that a deployment of Pointsman has."""
        site = replace(self.site, deadline=OPEN_DEADLINE, queue=OPEN_QUEUE)
        wanted = [Target(target.spec, site) for target in self.targets if target.spec.saturate]
        names = {target.name for target in wanted}
        self.data.rates = [point for point in self.data.rates if point.target not in names]
        with self.constant_upstream() as (upstream, port), self.running(wanted, port) as running:
            capacity = {target.name: self.capacity(target, upstream) for target in running}
            for share in self.plan.shares:
                if not self.has_time_for(f"the open loop at {share:.0%} of the capacity and above"):
                    return
                for target in running:
                    rate = capacity[target.name] * share
                    if rate and target.child:
                        arrivals = open_loop.Arrivals(share, rate, self.plan.open_seconds, self.files[MIXED])
                        self.offer(target, arrivals, upstream)

    def capacity(self, target: Target, upstream: Child) -> float:
        """Returns what a closed loop reached: that of the section `closed`, or one now where that was not measured."""
        if known := Figures(self.data).rate(target.name, AT_CAPACITY):
            return known
        self.data.remarks.append(f"{self.section}: the capacity of {target.name} was measured here, with a deadline.")
        return self.load(
            target, closed_loop.Load(AT_CAPACITY, MIXED, self.files[MIXED], self.plan.seconds), upstream
        ).rate

    def offer(self, target: Target, arrivals: open_loop.Arrivals, upstream: Child) -> None:
        with self.giving_up_on(target):
            point = open_loop.run(target, arrivals, upstream, self.loader)
            self.data.rates.append(point)
            say(
                f"open {point.share:4.0%} {target.name:20} {point.offered:7.0f}/s p50 {point.p50:8.2f} ms "
                f"p99 {point.p99:8.2f} ms degraded {point.share_of(point.degraded):.1%} late {point.late_p99:.2f} ms"
            )
