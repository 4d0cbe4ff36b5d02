"""The raw data of a comparison: a row for each measurement, as they stand in `data.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DIRECT = "direct"
MIXED = "mixed"
TRANSLATION = "translation"


@dataclass
class ClosedRun:
    """One run of wrk: so many connections, each of which asks again when it was answered. Times in microseconds."""

    target: str
    round: int
    connections: int
    bodies: str
    answers: int
    seconds: float
    p50: float
    p90: float
    p99: float
    max: float
    bad_status: int
    socket_errors: int
    cpu_us: float  # of the proxy, for each answer
    foreign_cpu: float  # cores that others used meanwhile
    rss_mb: float = 0.0  # when the load had just ended

    @property
    def rate(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0

    @property
    def errors(self) -> int:
        return self.bad_status + self.socket_errors


@dataclass
class StreamRun:
    """Streams that were read at the same time, in microseconds; `paced` events come seldom, `dense` ones do not.

    Those of the section `translation` are dense too, and have its name as their kind.
    """

    target: str
    round: int
    kind: str
    streams: int
    broken: int
    events: int
    reads: int
    first_p50: float
    delay_p50: float
    delay_p99: float
    cpu_us_per_event: float
    foreign_cpu: float


@dataclass
class RatePoint:
    """An open loop: requests that arrived at random moments, `offered` a second. Times in milliseconds."""

    target: str
    share: float  # of what a closed loop of 64 connections reached
    offered: float
    seconds: float
    sent: int
    ok: int
    bad_status: int
    failed: int
    unanswered: int
    p50: float
    p90: float
    p99: float
    late_p99: float  # of the generator itself
    cpu_us: float
    foreign_cpu: float
    answers: dict[str, int] = field(default_factory=dict)  # of the classifier, by source
    degraded: dict[str, int] = field(default_factory=dict)  # by reason
    decisions: dict[str, int] = field(default_factory=dict)  # by reason

    def share_of(self, counts: dict[str, int], *names: str) -> float:
        """Returns the share of all decisions that some counts are; all counts where no name is given."""
        wanted = sum(count for name, count in counts.items() if not names or name in names)
        return wanted / total if (total := sum(self.decisions.values())) else 0.0


@dataclass
class Memory:
    """Megabytes of a target's processes: before any load, after all of it, and at their largest."""

    idle: float
    after: float
    peak: float


@dataclass
class ColdStart:
    """Seconds from the start of a process to its first good answer, and what that answer said about the classifier."""

    seconds: list[float]
    degraded: int = 0  # first answers that the encoder should have judged and did not


@dataclass
class GeneratorRun:
    """What one load generator saw of the same work."""

    generator: str
    version: str
    work: str
    figures: dict[str, float]


@dataclass
class Data:
    """Everything that was measured, and about what."""

    about: dict[str, Any]
    targets: list[str]
    notes: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    cold: dict[str, ColdStart] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    closed: list[ClosedRun] = field(default_factory=list)
    streams: list[StreamRun] = field(default_factory=list)
    rates: list[RatePoint] = field(default_factory=list)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    generators: list[GeneratorRun] = field(default_factory=list)
    done: list[str] = field(default_factory=list)  # the sections that were measured to their end

    def forget(self, section: str) -> None:
        """Drops the rows of a section, so that it can be measured again; rows of the others stay."""
        self.done = [each for each in self.done if each != section]
        self.remarks = [each for each in self.remarks if not each.startswith(f"{section}: ")]
        if section == "closed":
            self.closed = [run for run in self.closed if run.bodies != MIXED]
        elif section == "sizes":
            self.closed = [run for run in self.closed if run.bodies in {MIXED, TRANSLATION}]
        elif section == TRANSLATION:
            self.closed = [run for run in self.closed if run.bodies != TRANSLATION]
            self.streams = [run for run in self.streams if run.kind != TRANSLATION]
        elif section == "cold":
            self.cold = {}
        elif section == "streams":
            self.streams, self.checks = [run for run in self.streams if run.kind == TRANSLATION], {}
        elif section == "saturation":
            self.rates = []
        elif section == "generators":
            self.generators = []

    def remember(self, target: str, memory: Memory) -> None:
        """Keeps what a target's processes held after a section: the larger of what several sections left."""
        before = self.memory.get(target, memory)
        self.memory[target] = Memory(memory.idle, max(before.after, memory.after), max(before.peak, memory.peak))

    def last_round(self, section: str) -> int:
        """Returns the number of the last round of a section; further rounds are numbered after it."""
        rows: list[ClosedRun] | list[StreamRun]
        if section == "streams":
            rows = [run for run in self.streams if run.kind != TRANSLATION]
        elif section == "sizes":
            rows = [run for run in self.closed if run.bodies not in {MIXED, TRANSLATION}]
        else:
            rows = [run for run in self.closed if run.bodies == (MIXED if section == "closed" else section)]
        return max((row.round for row in rows), default=0)

    def write(self, path: Path) -> None:
        """Writes a row a line, so that the changes from one release to the next can be read."""
        parts = []
        for key, value in asdict(self).items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                rows = ",\n  ".join(json.dumps(rounded(row)) for row in value)
                parts.append(f" {json.dumps(key)}: [\n  {rows}\n ]")
            else:
                parts.append(f" {json.dumps(key)}: {json.dumps(rounded(value))}")
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Data:
        raw = json.loads(path.read_text("utf-8"))
        rows = {"closed": ClosedRun, "streams": StreamRun, "rates": RatePoint, "generators": GeneratorRun}
        for key, kind in rows.items():
            raw[key] = [kind(**row) for row in raw[key]]
        raw["cold"] = {name: ColdStart(**start) for name, start in raw["cold"].items()}
        raw["memory"] = {name: Memory(**memory) for name, memory in raw["memory"].items()}
        return cls(**raw)


def rounded(value: Any) -> Any:
    """Returns the value with floats of six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value
