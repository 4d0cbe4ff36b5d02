"""Rows of made-up measurements for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from results import MIXED, ClosedRun, ColdStart, Data, GeneratorRun, Memory, RatePoint, StreamRun

ABOUT = {
    "version": "9.9.9",
    "command": "benches/compare/run.sh",
    "when": "2026-11-29",
    "minutes": 18.2,
    "rounds": 2,
    "seconds": 2.0,
    "open_seconds": 5.0,
    "processor": "a processor",
    "cores": 2,
    "memory_gb": 24.0,
    "system": "Linux 6.1",
    "instruction_sets": ["avx2"],
    "deadline": "5 s",
    "open_deadline": "50ms",
    "open_queue": 128,
    "pinning": "No process was pinned.",
    "load_before": "0.1 0.2 0.3",
    "load_after": "0.4 0.5 0.6",
}


def closed(target: str, number: int = 1, **more: float | str) -> ClosedRun:
    row: dict[str, float | str] = {
        "connections": 16,
        "bodies": MIXED,
        "answers": 5000,
        "seconds": 2.0,
        "p50": 100.0,
        "p90": 150.0,
        "p99": 300.0,
        "max": 900.0,
        "bad_status": 0,
        "socket_errors": 0,
        "cpu_us": 50.0,
        "foreign_cpu": 0.01,
        "rss_mb": 30.0,
    }
    return ClosedRun(target=target, round=number, **(row | more))  # type: ignore[arg-type]


def stream(target: str, kind: str = "paced", number: int = 1, **more: float) -> StreamRun:
    row: dict[str, float] = {
        "streams": 16,
        "broken": 0,
        "events": 320,
        "reads": 320,
        "first_p50": 500.0,
        "delay_p50": 100.0,
        "delay_p99": 200.0,
        "cpu_us_per_event": 10.0,
        "foreign_cpu": 0.0,
    }
    return StreamRun(target=target, round=number, kind=kind, **(row | more))  # type: ignore[arg-type]


def point(target: str, share: float, offered: float, **more: object) -> RatePoint:
    row: dict[str, object] = {
        "seconds": 5.0,
        "sent": 1000,
        "ok": 1000,
        "bad_status": 0,
        "failed": 0,
        "unanswered": 0,
        "p50": 5.0,
        "p90": 8.0,
        "p99": 20.0,
        "late_p99": 0.1,
        "cpu_us": 5000.0,
        "foreign_cpu": 0.0,
        "answers": {"encoder": 900, "lexical_fallback": 100},
        "degraded": {"deadline": 60, "queue_full": 40},
        "decisions": {"tier": 1000},
    }
    return RatePoint(target=target, share=share, offered=offered, **(row | more))  # type: ignore[arg-type]


def data() -> Data:
    names = ["direct", "pingora-pass", "pingora-rewrite", "pointsman-rule", "pointsman-cascade"]
    cpu = {
        "direct": 0.0,
        "pingora-pass": 40.0,
        "pingora-rewrite": 50.0,
        "pointsman-rule": 60.0,
        "pointsman-cascade": 900.0,
    }
    runs = [closed(name, number, cpu_us=cpu[name]) for name in names for number in (1, 2)]
    runs += [closed(name, bodies=size, cpu_us=cpu[name]) for name in names for size in ("200 B", "2 MB")]
    return Data(
        about=dict(ABOUT),
        targets=names,
        notes={"pingora-pass": "a floor"},
        versions={"pointsman-rule": "pointsman 9.9.9"},
        absent={"litellm-complexity": "not installed"},
        cold={"pointsman-rule": ColdStart([0.1, 0.2, 0.3]), "pointsman-cascade": ColdStart([0.9], degraded=1)},
        memory={name: Memory(10.0, 20.0, 30.0) for name in names[1:]},
        closed=runs,
        streams=[stream(name, kind) for name in names for kind in ("paced", "dense")],
        rates=[point("pointsman-cascade", share, 200 * share) for share in (0.5, 1.2)],
        checks={name: {"refused of 60": 0, "models": {"mock-small": 60}} for name in names},
        generators=[GeneratorRun("load", "here", "the same streams", {"requests/s": 40.0})],
    )
