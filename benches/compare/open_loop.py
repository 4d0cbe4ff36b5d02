"""Saturation: requests arrive at random moments at rising rates, and Pointsman counts what became of them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from child import Child, Request, figures_of, json_of
from closed_loop import spending
from results import RatePoint
from target import Target

# Of what a closed loop of 64 connections reached.
SHARES = (0.2, 0.5, 0.7, 0.85, 1.0, 1.2)
COUNTERS = {
    "answers": ("pointsman_classifier_answers_total", "source"),
    "degraded": ("pointsman_classifier_degraded_total", "reason"),
    "decisions": ("pointsman_decisions_total", "reason"),
}


@dataclass
class Arrivals:
    """How requests arrive."""

    share: float
    rate: float
    seconds: float
    bodies: Path


def counts(page: str) -> dict[str, Counter[str]]:
    """Returns the counters of a page of metrics, each summed by the one label that matters here."""
    found: dict[str, Counter[str]] = {}
    for key, (name, label) in COUNTERS.items():
        found[key] = Counter()
        for series in re.finditer(rf"^{name}\{{([^}}]*)\}} ([0-9.e+]+)$", page, re.M):
            if value := re.search(rf'\b{label}="([^"]*)"', series[1]):
                found[key][value[1]] += int(float(series[2]))
    return found


def scrape(target: Target) -> dict[str, Counter[str]]:
    """Returns Pointsman's counters; other proxies have none of them."""
    if not target.has_counters():
        return counts("")
    _, _, page = Request(target.admin, "GET", "/metrics").ask()
    return counts(page.decode())


def run(target: Target, arrivals: Arrivals, upstream: Child, loader: Path) -> RatePoint:
    arguments = [str(loader), "rate", "--port", str(target.port), "--path", target.spec.path]
    arguments += ["--model", target.spec.model, "--bodies", str(arrivals.bodies)]
    arguments += ["--rate", f"{arrivals.rate:.3f}", "--seconds", f"{arrivals.seconds:g}"]
    for name, value in target.spec.headers.items():
        arguments += ["--header", f"{name}: {value}"]
    before = scrape(target)
    with spending(target, upstream) as spent:
        figures = json_of(figures_of(arguments, {}, arrivals.seconds + 60))
    target.settle()
    after = scrape(target)
    latency, late = figures["latency_us"], figures["late_us"]
    return RatePoint(
        target=target.name,
        share=arrivals.share,
        offered=arrivals.rate,
        seconds=arrivals.seconds,
        sent=figures["sent"],
        ok=figures["ok"],
        bad_status=figures["bad_status"],
        failed=figures["failed"],
        unanswered=figures["unanswered"],
        p50=latency["p50"] / 1e3,
        p90=latency["p90"] / 1e3,
        p99=latency["p99"] / 1e3,
        late_p99=late["p99"] / 1e3,
        cpu_us=spent.target / max(1, figures["ok"]) * 1e6,
        foreign_cpu=spent.foreign,
        **{key: dict(after[key] - before[key]) for key in COUNTERS},
    )
