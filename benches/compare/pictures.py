"""The pictures of a report, by file name."""

from __future__ import annotations

import chart
from figures import Figures
from results import DIRECT, RatePoint

SIZES = {"200 B": 200, "2 KB": 2_000, "20 KB": 20_000, "200 KB": 200_000, "2 MB": 2_000_000}
SIZES_CONNECTIONS = 16
TOLERATED = 0.01  # of the answers may be errors before a figure is of no use


class Pictures:
    """What can be drawn of some figures."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.proxies = [name for name in figures.data.targets if name != DIRECT]

    def all(self) -> dict[str, str]:
        drawn = {"cpu.svg": self.cpu(), "sizes.svg": self.sizes()}
        if self.figures.data.rates:
            drawn |= {"saturation.svg": self.saturation(), "judged.svg": self.judged()}
        return {name: picture for name, picture in drawn.items() if picture}

    def cpu(self) -> str:
        values = {name: cpu for name in self.proxies if (cpu := self.figures.cpu(name, 16))}
        return chart.Bars("CPU of each request, 16 connections", "microseconds", values).svg() if values else ""

    def sizes(self) -> str:
        series = {name: points for name in self.proxies if (points := self.by_size(name))}
        if not series:
            return ""
        x = chart.Axis("bytes of the body", 100, 10_000_000, logarithmic=True)
        y = chart.over("microseconds of CPU", [cpu for points in series.values() for _, cpu in points])
        return chart.Lines("CPU by the size of bodies, 16 connections", x, y, series).svg()

    def by_size(self, name: str) -> list[chart.Point]:
        found = []
        for label, size in SIZES.items():
            cpu = self.figures.cpu(name, SIZES_CONNECTIONS, label)
            if cpu and self.figures.bad_share(name, SIZES_CONNECTIONS, label) <= TOLERATED:
                found.append((float(size), cpu))
        return found

    def saturation(self) -> str:
        series = {
            f"{name}, {quantile}": [(point.offered, float(getattr(point, quantile))) for point in points]
            for name, points in self.rates().items()
            for quantile in ("p50", "p99")
        }
        x = chart.over("requests offered a second", [x for points in series.values() for x, _ in points])
        y = chart.over("ms from when a request was due", [y for points in series.values() for _, y in points])
        dashed = {name for name in series if name.endswith("p99")}
        return chart.Lines("Latency over the rate of requests", x, y, series, dashed).svg()

    def judged(self) -> str:
        series = {
            name: [(point.offered, 100 * point.share_of(point.degraded)) for point in points]
            for name, points in self.rates().items()
            if any(point.decisions for point in points)  # others have no such counters
        }
        if not series:
            return ""
        x = chart.over("requests offered a second", [x for points in series.values() for x, _ in points])
        y = chart.Axis("percent", 0, 100)
        return chart.Lines("Degraded decisions over the rate of requests", x, y, series).svg()

    def rates(self) -> dict[str, list[RatePoint]]:
        found: dict[str, list[RatePoint]] = {}
        for point in sorted(self.figures.data.rates, key=lambda each: each.offered):
            found.setdefault(point.target, []).append(point)
        return found
