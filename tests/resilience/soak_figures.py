"""The samples of a soak and what they must show."""

from __future__ import annotations

import itertools
import pathlib
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from process import Usage

# Room for what is no growth: pages that the allocator keeps after the largest bodies, and the connections of a moment in
# which the machine was busy, one to a client and one to an upstream for each of 64 requests.
NOISE = {"rss_kib": 24 * 1024, "pss_kib": 24 * 1024, "descriptors": 128, "threads": 4}
RATIO = 1.1
# Beyond so many swaps of weights, memory after the last is compared with that after the fifth.
SWAPS = 10
SWAP_RATIO = 1.2


@dataclass
class Sample:
    """A process's resources at a moment of the run."""

    at: float
    usage: Usage
    swaps: int

    def of(self, name: str) -> int:
        value: int = getattr(self.usage, name)
        return value


@dataclass
class Verdict:
    """What a soak came to."""

    asked: int
    logged: int
    counted: int
    open: int
    ended: int | None
    lost: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def document(self, samples: list[Sample]) -> dict[str, Any]:
        return asdict(self) | {"samples": [asdict(sample) for sample in samples]}

    def markdown(self) -> str:
        lines = ["| | |", "|---|---|", *(f"| {name} | {shown(value)} |" for name, value in self.facts.items())]
        lines += [
            f"| lines of the access log | {self.logged} |",
            f"| requests that the metrics count | {self.counted} |",
        ]
        lines += [f"| exit status after SIGTERM | {self.ended} |", ""]
        lines += ["| resource | second tenth | last tenth | allowed | trend over the run | verdict |"]
        lines += ["|---|---:|---:|---:|---:|---|"]
        for each in self.resources:
            lines.append(
                f"| {each['name']} | {each['early']:.0f} | {each['late']:.0f} | {each['allowed']:.0f} "
                f"| {each['trend']:+.0f} | {each['verdict']} |"
            )
        lines += ["", "Problems: none." if not self.problems else f"{len(self.problems)} problems:"]
        lines += [f"- {problem}" for problem in self.problems[:20]]
        return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in sorted(value.items(), key=lambda each: str(each[0])))
    return str(value)


def slope(points: list[tuple[float, int]]) -> float:
    """Returns the Theil-Sen slope: the median of the slopes of all pairs, which single spikes do not move."""
    step = max(1, len(points) // 200)
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in itertools.combinations(points[::step], 2)
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


def judge(verdict: Verdict, samples: list[Sample], seconds: float) -> None:
    """Adds what the samples and the counts show to the verdict.

    A resource is flat when its median over the last tenth is at most 1.1 times that over the second tenth and its noise,
    and when the trend after the first tenth adds no more than that over the whole run.
    """
    if verdict.logged != verdict.asked:
        verdict.problems.append(f"{verdict.asked} requests, {verdict.logged} lines in the access log")
    if verdict.counted != verdict.asked:
        verdict.problems.append(f"{verdict.asked} requests, {verdict.counted} in the metrics")
    if verdict.open:
        verdict.problems.append(f"{verdict.open} requests still open after the last")
    if verdict.ended != 0:
        verdict.problems.append(f"SIGTERM ended the process with {verdict.ended}")
    for name, noise in NOISE.items():
        early = [s.of(name) for s in samples if seconds * 0.1 <= s.at < seconds * 0.2]
        late = [s.of(name) for s in samples if s.at >= seconds * 0.9]
        if not early or not late:
            verdict.problems.append(f"{name}: too few samples")
            continue
        first, last = statistics.median(early), statistics.median(late)
        allowed = first * RATIO + noise
        trend = slope([(s.at, s.of(name)) for s in samples if s.at >= seconds * 0.1]) * seconds * 0.9
        is_flat = last <= allowed and trend <= allowed - first
        verdict.resources.append(
            {"name": name, "early": first, "late": last, "allowed": allowed, "trend": trend,
             "verdict": "flat" if is_flat else "grows"}
        )  # fmt: skip
        if not is_flat:
            verdict.problems.append(
                f"{name} grows: {first:.0f} -> {last:.0f}, trend {trend:+.0f}, allowed {allowed:.0f}"
            )
    judge_swaps(verdict, samples)


def judge_swaps(verdict: Verdict, samples: list[Sample]) -> None:
    by_swap: dict[int, list[int]] = {}
    for sample in samples:
        by_swap.setdefault(sample.swaps, []).append(sample.usage.rss_kib)
    verdict.facts["rss_kib after each swap"] = [round(statistics.median(by_swap[swap])) for swap in sorted(by_swap)]
    last = max(by_swap, default=0)
    if last < SWAPS or 5 not in by_swap:
        return
    ratio = statistics.median(by_swap[last]) / statistics.median(by_swap[5])
    verdict.facts[f"memory after {last} swaps beside that after the fifth"] = round(ratio, 3)
    if ratio > SWAP_RATIO:
        verdict.problems.append(f"memory after {last} swaps is {ratio:.2f} times that after the fifth")


def draw(samples: list[Sample], file: pathlib.Path) -> None:
    """Draws memory and descriptors over the run, as an SVG without a library."""
    if not samples:
        return
    width, height, end = 900, 160, max(sample.at for sample in samples) or 1.0
    parts = []
    for panel, (name, unit, scale) in enumerate([("rss_kib", "RSS, MiB", 1024), ("descriptors", "descriptors", 1)]):
        top = panel * (height + 50) + 30
        highest = max(sample.of(name) for sample in samples) / scale or 1
        points = " ".join(
            f"{60 + sample.at / end * (width - 80):.1f},{top + height - sample.of(name) / scale / highest * height:.1f}"
            for sample in samples
        )
        parts.append(f'<text x="60" y="{top - 8}">{unit}: 0 to {highest:.0f}, over {end:.0f} s</text>')
        parts.append(f'<rect x="60" y="{top}" width="{width - 80}" height="{height}" fill="none" stroke="#999"/>')
        parts.append(f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.5"/>')
    body = "\n".join(parts)
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{2 * (height + 50)}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n',
        "utf-8",
    )
