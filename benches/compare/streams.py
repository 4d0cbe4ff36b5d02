"""Streamed answers through each proxy: how late the first event and the others are, and what an event costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from child import Child, figures_of, json_of
from closed_loop import spending
from results import StreamRun
from target import Target


@dataclass
class Shape:
    """Streams at a time, streams of each connection, events of a stream, and their distance."""

    kind: str
    at_once: int
    each: int
    events: int
    every_us: int
    warm_up: int

    def arguments(self) -> list[str]:
        return [
            *("--at-once", str(self.at_once), "--each", str(self.each), "--warm-up", str(self.warm_up)),
            *("--events", str(self.events), "--every-us", str(self.every_us)),
        ]


# Seldom events: each finds everybody idle, as a model that takes 20 ms for a token leaves them.
PACED = Shape("paced", at_once=4, each=3, events=20, every_us=20_000, warm_up=1)
# So many events that their CPU can be read, and so few that none waits for another and they are put together.
DENSE = Shape("dense", at_once=8, each=3, events=250, every_us=2_000, warm_up=0)
# For proxies that take half a millisecond for an event.
SPARSE = Shape("dense", at_once=4, each=2, events=100, every_us=10_000, warm_up=0)


def run(target: Target, shape: Shape, upstream: Child, loader: Path, number: int) -> StreamRun:
    arguments = [str(loader), "streams", "--port", str(target.port), "--path", target.spec.path]
    arguments += ["--model", target.spec.model, *shape.arguments()]
    for name, value in target.spec.headers.items():
        arguments += ["--header", f"{name}: {value}"]
    with spending(target, upstream) as spent:
        figures = json_of(figures_of(arguments, {}, 120))
    target.settle()
    first, delay = figures["first_event_us"], figures["event_delay_us"]
    return StreamRun(
        target=target.name,
        round=number,
        kind=shape.kind,
        streams=figures["streams"],
        broken=figures["broken"],
        events=figures["events"],
        reads=figures["reads"],
        first_p50=first["p50"],
        delay_p50=delay["p50"],
        delay_p99=delay["p99"],
        cpu_us_per_event=spent.target / max(1, figures["events"]) * 1e6,
        foreign_cpu=spent.foreign,
    )
