#!/usr/bin/env python3
"""`make observe`: a fleet under demo traffic and a real Prometheus, until Ctrl-C.

`--once` ends after the first figures.
"""

from __future__ import annotations

import math
import pathlib
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "config" / "grafana"))

from check import filled  # noqa: E402
from load import Load, troubles  # noqa: E402
from panels import DASHBOARDS  # noqa: E402
from stack import Stack, running  # noqa: E402

WARM_UP = 30
ROUND = 240

SHOWN = {
    "reqps": lambda value: f"{value:.1f}/s",
    "percentunit": lambda value: f"{100 * value:.1f} %",
    "currencyUSD": lambda value: f"${value:.4f}",
    "s": lambda value: f"{1000 * value:.2f} ms",
    "short": lambda value: f"{value:g}",
}


def main() -> None:
    once = "--once" in sys.argv
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("Starting two Pointsmans, four upstreams and Prometheus ...", flush=True)
    try:
        with running() as stack, Load(stack):
            greet(stack)
            trouble(stack)
            wait(WARM_UP)
            figures(stack)
            while not once:
                wait(ROUND)
                figures(stack)
    except KeyboardInterrupt:
        print()
    print("Stopped.")


def greet(stack: Stack) -> None:
    for name, gateway in zip("ab", stack.gateways, strict=True):
        print(f"  Pointsman {name}   http://{gateway.listen}/v1   admin http://{gateway.admin}/")
    print(f"  Prometheus    {stack.prometheus.url}/graph   alerts {stack.prometheus.url}/alerts")
    print(
        "  Dashboards    config/grafana (docker compose up shows them in Grafana); "
        "panels as pictures: docs/observability.md"
    )
    print(f"\n  First figures in {WARM_UP} s; Ctrl-C ends it.", flush=True)


def trouble(stack: Stack) -> None:
    """Lets things go wrong again and again, beside the load."""

    def forever() -> None:
        while True:
            troubles(stack, ROUND)

    threading.Thread(target=forever, daemon=True).start()


def wait(seconds: float) -> None:
    time.sleep(seconds)


def figures(stack: Stack) -> None:
    """Prints the figures at the head of each dashboard."""
    for dashboard in DASHBOARDS:
        print(f"\n  {dashboard.title}")
        for panel in dashboard.panels:
            if panel.kind == "stat":
                found = stack.prometheus.query(filled(panel.queries[0].expr))
                value = float(found[0]["value"][1]) if found else math.nan
                print(f"    {panel.title:<28} {'-' if math.isnan(value) else SHOWN[panel.unit](value)}")
    firing = [alert["labels"]["alertname"] for alert in stack.prometheus.ask("/api/v1/alerts")["alerts"]]
    print(f"\n  Alerts, pending or firing: {', '.join(sorted(set(firing))) or 'none'}", flush=True)


if __name__ == "__main__":
    main()
