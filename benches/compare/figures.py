"""Statistics over the raw rows: medians of rounds, what a proxy adds to a direct connection, ratios within a round.

A proxy is compared with another one, or with no proxy, only within a round: the machine was the same then. A figure is
nothing (`None`) where it was not measured or would rest on too few answers.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from results import DIRECT, MIXED, ClosedRun, Data, StreamRun

ENOUGH = {"p50": 100, "p90": 200, "p99": 1000}  # answers, over all rounds
ENOUGH_FOR_CPU = 20  # answers in a run: where threads end, CPU times have ticks of 10 ms


def median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


@dataclass
class Ratio:
    """A ratio by rounds: their median, and the least and the largest."""

    median: float
    least: float
    most: float


def ratio_of(pairs: Iterable[tuple[float, float]]) -> Ratio | None:
    found = [ours / theirs for ours, theirs in pairs if theirs > 0]
    return Ratio(statistics.median(found), min(found), max(found)) if found else None


def difference(ours: dict[str, float], others: list[dict[str, float]], name: str) -> float | None:
    """Returns the largest difference of other generators from ours, as a share of ours."""
    return max(
        (abs(other[name] / ours[name] - 1) for other in others if name in other and ours.get(name)), default=None
    )


class Figures:
    """The figures of a comparison's data."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.closed = {(run.target, run.bodies, run.connections, run.round): run for run in data.closed}
        self.stream_runs = {(run.target, run.kind, run.round): run for run in data.streams}

    def runs(self, target: str, connections: int, bodies: str = MIXED) -> list[ClosedRun]:
        return [
            run
            for run in self.data.closed
            if (run.target, run.connections, run.bodies) == (target, connections, bodies)
        ]

    def connections(self, bodies: str = MIXED) -> list[int]:
        return sorted({run.connections for run in self.data.closed if run.bodies == bodies})

    def latency(self, target: str, connections: int, quantile: str, bodies: str = MIXED) -> float | None:
        """Returns the median of rounds in microseconds."""
        runs = self.runs(target, connections, bodies)
        if sum(run.answers for run in runs) < ENOUGH[quantile]:
            return None
        return median(getattr(run, quantile) for run in runs)

    def added(self, target: str, connections: int, quantile: str, bodies: str = MIXED) -> float | None:
        """Returns what the target adds to a direct connection of the same round, in microseconds."""
        runs = self.runs(target, connections, bodies)
        if sum(run.answers for run in runs) < ENOUGH[quantile]:
            return None
        pairs = ((run, self.closed.get((DIRECT, bodies, connections, run.round))) for run in runs)
        return median(getattr(run, quantile) - getattr(direct, quantile) for run, direct in pairs if direct)

    def cpu(self, target: str, connections: int, bodies: str = MIXED) -> float | None:
        runs = self.runs(target, connections, bodies)
        return median(run.cpu_us for run in runs if run.answers - run.bad_status >= ENOUGH_FOR_CPU)

    def cpu_ratio(self, target: str, to: str, connections: int, bodies: str = MIXED) -> Ratio | None:
        pairs = (
            (run, self.closed.get((to, bodies, connections, run.round)))
            for run in self.runs(target, connections, bodies)
        )
        return ratio_of((run.cpu_us, other.cpu_us) for run, other in pairs if other)

    def rate(self, target: str, connections: int) -> float | None:
        return median(run.rate for run in self.runs(target, connections))

    def rate_per_core(self, target: str, connections: int) -> float | None:
        """Returns the requests for which a second of one core is enough."""
        cpu = self.cpu(target, connections)
        return 1e6 / cpu if cpu else None

    def resident(self, target: str, connections: int) -> float | None:
        """Returns the megabytes in memory when a load of so many connections had just ended."""
        return median(run.rss_mb for run in self.runs(target, connections) if run.rss_mb)

    def errors(self, target: str) -> int:
        return sum(run.errors for run in self.data.closed if run.target == target)

    def bad_share(self, target: str, connections: int, bodies: str) -> float:
        """Returns the share of answers that were no 2xx."""
        runs = self.runs(target, connections, bodies)
        answers = sum(run.answers for run in runs)
        return sum(run.bad_status for run in runs) / answers if answers else 0.0

    def streams(self, target: str, kind: str) -> list[StreamRun]:
        return [run for run in self.data.streams if (run.target, run.kind) == (target, kind)]

    def stream(self, target: str, kind: str, of: Callable[[StreamRun], float]) -> float | None:
        return median(of(run) for run in self.streams(target, kind) if run.events)

    def stream_added(self, target: str, key: str) -> float | None:
        """Returns what the target adds to a direct stream of the same round, in microseconds."""
        pairs = (
            (run, self.stream_runs.get((DIRECT, run.kind, run.round)))
            for run in self.streams(target, "paced")
            if run.events
        )
        return median(getattr(run, key) - getattr(direct, key) for run, direct in pairs if direct)

    def added_ratio(self, target: str, to: str, connections: int, bodies: str) -> Ratio | None:
        """Returns the ratio of what two targets add to the median latency of a direct connection, by rounds."""

        def added(name: str) -> dict[int, float]:
            pairs = (
                (run, self.closed.get((DIRECT, bodies, connections, run.round)))
                for run in self.runs(name, connections, bodies)
            )
            return {run.round: run.p50 - direct.p50 for run, direct in pairs if direct}

        ours, theirs = added(target), added(to)
        return ratio_of((ours[number], theirs[number]) for number in ours if number in theirs)

    def event_cost(self, target: str, to: str, kind: str) -> float | None:
        """Returns the CPU that an event costs more with the target than with another one of the same round."""
        pairs = ((run, self.stream_runs.get((to, kind, run.round))) for run in self.streams(target, kind))
        return median(run.cpu_us_per_event - other.cpu_us_per_event for run, other in pairs if other and run.events)

    def event_ratio(self, target: str, to: str) -> Ratio | None:
        pairs = ((run, self.stream_runs.get((to, run.kind, run.round))) for run in self.streams(target, "dense"))
        return ratio_of((run.cpu_us_per_event, other.cpu_us_per_event) for run, other in pairs if other and run.events)

    def cold(self, target: str) -> float | None:
        start = self.data.cold.get(target)
        return median(start.seconds) if start else None

    def generators_difference(self) -> float | None:
        """Returns the largest difference of any figure of another load generator from ours, in percent of ours."""
        if not self.data.generators:
            return None
        ours, *others = (run.figures for run in self.data.generators)
        found = [share for name in ours if (share := difference(ours, others, name)) is not None]
        return 100 * max(found) if found else None

    def foreign(self) -> tuple[float, float]:
        """Returns the cores that others used during the measurements: the median, and the most of any run."""
        found = [run.foreign_cpu for run in self.data.closed]
        found += [run.foreign_cpu for run in self.data.streams]
        found += [run.foreign_cpu for run in self.data.rates]
        return (statistics.median(found), max(found)) if found else (0.0, 0.0)
