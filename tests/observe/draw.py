#!/usr/bin/env python3
"""Draws the dashboards' panels from data that a real Prometheus scraped, by the panels' own queries.

Needs matplotlib (`make pictures` installs it). Runs the stack for some minutes first, since Grafana itself is not part
of the tests.
"""

from __future__ import annotations

import itertools
import math
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "config" / "grafana"))

import matplotlib  # noqa: E402

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: E402

from check import EMPTY, filled  # noqa: E402
from load import Load, troubles  # noqa: E402
from model import Dashboard, Panel, broken, sections  # noqa: E402
from panels import DASHBOARDS  # noqa: E402
from stack import Prometheus, Series, Stack, running  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
STEP = 3
WIDTH, HEAD, GAP, STAT, CHART, DPI = 11.0, 0.42, 0.10, 0.66, 1.62, 110
HEAD_SHOWN = "tier"
# What addresses of this run are called in the pictures.
PLACES: dict[str, str] = {}
INK, FAINT, GRID, CARD, PAPER = "#1f2933", "#6b7785", "#e6e9ee", "#ffffff", "#f4f6f8"
COLORS = [
    "#3274d9",
    "#e0752d",
    "#1f9e77",
    "#b8457a",
    "#8f5bd0",
    "#c8a415",
    "#4cb5c9",
    "#d1493f",
    "#6d7f8c",
    "#7fb239",
    "#a0622d",
    "#2f4f8f",
]
NAMED = {"green": "#1f9e5a", "yellow": "#c98a00", "red": "#cf3a33"}
LIMIT = 8  # series of a panel that are drawn and named; the smallest of the rest are left out

plt.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 7,
        "axes.edgecolor": GRID,
        "text.color": INK,
        "axes.labelcolor": FAINT,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
    }
)


@dataclass
class Scrapes:
    """The series that a Prometheus scraped from one moment to another, in seconds since the epoch."""

    prometheus: Prometheus
    start: float
    end: float

    def latest(self, expr: str) -> list[Series]:
        return self.prometheus.query(filled(expr.replace("$head", HEAD_SHOWN)), self.end)

    def all(self, expr: str) -> list[Series]:
        return self.prometheus.range(filled(expr.replace("$head", HEAD_SHOWN)), self.start, self.end, STEP)

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass
class Line:
    """One series of a panel: its legend, seconds since the start, and a value for each of them."""

    name: str
    at: list[float]
    values: list[float]

    def known(self) -> list[float]:
        return [value for value in self.values if not math.isnan(value)]


def main() -> None:
    with running() as stack, Load(stack):
        time.sleep(15)
        name_places(stack)
        started = time.time()
        troubles(stack, SECONDS)
        scrapes = Scrapes(stack.prometheus, started, time.time())
        for dashboard in DASHBOARDS:
            draw(dashboard, scrapes)


def draw(dashboard: Dashboard, scrapes: Scrapes) -> None:
    """Lays the panels out as on the dashboard; all lengths are in inches from the top left corner."""
    drawn = [[panel for panel in panels if panel.title not in EMPTY] for _, panels in sections(dashboard.items)]
    lines = [line for panels in drawn for line in broken(panels) if line]
    heights = [STAT if all(panel.kind == "stat" for panel in line) else CHART for line in lines]
    height = HEAD + sum(heights) + GAP * len(lines)
    figure = plt.figure(figsize=(WIDTH, height), facecolor=PAPER)
    title = f"Pointsman: {dashboard.title}"
    figure.text(GAP / WIDTH, 1 - 0.5 * HEAD / height, title, fontsize=12, weight="bold", va="center")
    top = HEAD
    for line, tall in zip(lines, heights, strict=True):
        wide = (WIDTH - GAP) / len(line) - GAP
        for column, panel in enumerate(line):
            draw_panel(panel, Card(figure, GAP + column * (wide + GAP), top, wide, tall), scrapes)
        top += tall + GAP
    path = ROOT / "docs" / f"dashboard-{dashboard.name}.png"
    figure.savefig(path, dpi=DPI, facecolor=PAPER)
    plt.close(figure)
    shrink(path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB", flush=True)


@dataclass
class Card:
    """A rectangle of a figure, in inches from its top left corner."""

    figure: plt.Figure
    x: float
    y: float
    width: float
    height: float

    def box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        """Returns what is left inside these margins, as matplotlib wants it."""
        tall = self.figure.get_figheight()
        low = 1 - (self.y + self.height - bottom) / tall
        return ((self.x + left) / WIDTH, low, (self.width - left - right) / WIDTH, (self.height - top - bottom) / tall)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text((self.x + x) / WIDTH, 1 - (self.y + y) / self.figure.get_figheight(), text, **style)


def shrink(path: pathlib.Path) -> None:
    """Gives the picture a palette: it has few colours, and takes a third of the bytes."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


@dataclass
class Plot:
    """A panel that is drawn: its card, the axes on it, and what was scraped."""

    panel: Panel
    card: Card
    axes: Axes
    scrapes: Scrapes

    def lines(self) -> list[Line]:
        """Returns the largest series of the panel, in the order of their legends."""
        found = []
        for query in self.panel.queries:
            for one in self.scrapes.all(query.expr):
                at = [float(moment) - self.scrapes.start for moment, _ in one["values"]]
                values = [finite_or_nan(float(value)) for _, value in one["values"]]
                found.append(Line(legend(query.legend, one["metric"]), at, values))
        known = [line for line in found if line.known()]
        largest = sorted(known, key=lambda line: sum(line.known()), reverse=True)[:LIMIT]
        return sorted(largest, key=lambda line: line.name)


def finite_or_nan(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def draw_panel(panel: Panel, card: Card, scrapes: Scrapes) -> None:
    x, y, width, height = card.box(0, 0, 0, 0)
    style = {"facecolor": CARD, "edgecolor": GRID, "linewidth": 0.8, "zorder": -1}
    card.figure.patches.append(plt.Rectangle((x, y), width, height, transform=card.figure.transFigure, **style))
    card.text(0.09, 0.08, panel.title.replace("$head", HEAD_SHOWN), fontsize=7.5, weight="bold", va="top")
    if panel.kind == "stat":
        stat(panel, card, scrapes)
        return
    axes = card.figure.add_axes(card.box(0.52, 0.34, 0.12, 0.46), facecolor=CARD)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=2)
    DRAWERS[panel.kind](Plot(panel, card, axes, scrapes))


def stat(panel: Panel, card: Card, scrapes: Scrapes) -> None:
    found = scrapes.latest(panel.queries[0].expr)
    value = float(found[0]["value"][1]) if found else math.nan
    color = next((color for bound, color in reversed(panel.thresholds) if bound is None or value >= bound), "green")
    text, middle = "-" if math.isnan(value) else shown(value, panel.unit), 0.30 + 0.5 * (card.height - 0.34)
    card.text(0.09, middle, text, fontsize=15, weight="bold", color=NAMED[color], va="center")


def legend(template: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", short(value))
    return template


def short(value: str) -> str:
    """Returns the name of an address: ports of a run mean nothing to a reader."""
    return PLACES.get(value, value)


def name_places(stack: Stack) -> None:
    PLACES.update({gateway.admin: name for name, gateway in zip("ab", stack.gateways, strict=True)})
    PLACES.update({upstream.address: name.removeprefix("economy_") for name, upstream in stack.upstreams.items()})
    peers = stack.prometheus.query("pointsman_upstream_healthy")
    PLACES.update({peer: "nobody" for one in peers if (peer := one["metric"]["peer"]) not in PLACES})


def timeseries(plot: Plot) -> None:
    panel, axes, found = plot.panel, plot.axes, plot.lines()
    if panel.stack == "none":
        style = "steps-post" if panel.step else "default"
        for color, line in zip(COLORS, found, strict=False):
            axes.plot(line.at, line.values, color=color, linewidth=1.2, label=line.name, drawstyle=style)
            step = "post" if panel.step else None
            axes.fill_between(line.at, line.values, color=color, alpha=0.05, linewidth=0, step=step)
    else:
        stacked(axes, found, panel.stack == "percent")
    top = max((value for line in found for value in line.known()), default=1)
    for bound, color in panel.thresholds:
        if bound is not None and bound <= 1.6 * top:
            axes.axhline(bound, color=NAMED[color], linewidth=0.8, linestyle=(0, (4, 3)))
    finish(axes, panel, plot.scrapes.seconds)
    names = [line.name for line in found if any(value > 0 for value in line.known())]
    name_series(plot.card, axes, names, panel.stack != "none")


def stacked(axes: Axes, found: list[Line], is_share: bool) -> None:
    moments = sorted({round(moment / STEP) for line in found for moment in line.at})
    columns = []
    for line in found:
        known = {
            round(moment / STEP): 0 if math.isnan(value) else value
            for moment, value in zip(line.at, line.values, strict=True)
        }
        columns.append([known.get(moment, 0) for moment in moments])
    if is_share:
        totals = [sum(column[index] for column in columns) or 1 for index in range(len(moments))]
        columns = [[value / total for value, total in zip(column, totals, strict=True)] for column in columns]
    if columns:
        at, names = [moment * STEP for moment in moments], [line.name for line in found]
        axes.stackplot(at, columns, colors=COLORS, labels=names, alpha=0.78, linewidth=0)


def finish(axes: Axes, panel: Panel, seconds: float) -> None:
    if panel.log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(plt.MaxNLocator(4))
    unit = "percentunit" if panel.stack == "percent" else panel.unit
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    minutes(axes, seconds)


def name_series(own: Card, axes: Axes, names: list[str], is_area: bool) -> None:
    """Writes the legend below the axes, in as many lines as there is room for.

    Series that are always zero are not named.
    """
    shown_handles, labels = axes.get_legend_handles_labels()
    handles = dict(zip(labels, shown_handles, strict=True))
    x, line = 0.12, 0
    for name in names:
        width = 0.20 + 0.047 * len(name)
        if x + width > own.width:
            x, line = 0.12, line + 1
        if line == 2:
            return
        handle = handles[name]
        color = handle.get_facecolor()[0] if is_area else handle.get_color()
        own.text(x, own.height - 0.24 + 0.12 * line, "\u25a0", fontsize=6, color=color, va="center")
        own.text(x + 0.09, own.height - 0.235 + 0.12 * line, name, fontsize=6, va="center")
        x += width


def minutes(axes: Axes, seconds: float) -> None:
    axes.set_xlim(0, seconds)
    axes.set_xticks([60 * minute for minute in range(1, int(seconds // 60) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / 60:.0f} min" if at else ""))
    axes.tick_params(axis="x", labelsize=5.5, pad=1.5)


def heatmap(plot: Plot) -> None:
    found = plot.scrapes.all(plot.panel.queries[0].expr)
    found.sort(key=lambda one: float(one["metric"]["le"].replace("+Inf", "inf")))
    found = [one for one in found if one["metric"]["le"] != "+Inf"]
    moments = sorted({float(at) for one in found for at, _ in one["values"]})
    rows = [{float(at): float(value) for at, value in one["values"]} for one in found]
    below = [[0.0] * len(moments), *([row.get(at, 0) for at in moments] for row in rows)]
    squares = [
        [math.sqrt(max(0, high - low)) for low, high in zip(*pair, strict=True)] for pair in itertools.pairwise(below)
    ]
    plot.axes.imshow(squares, aspect="auto", origin="lower", cmap="Blues", interpolation="nearest")
    ticks = range(0, len(found), 2)
    plot.axes.set_yticks(ticks, [found[index]["metric"]["le"] for index in ticks])
    plot.axes.set_xticks([])


def states(plot: Plot) -> None:
    axes, found = plot.axes, plot.lines()
    for row, line in enumerate(found):
        for moment, value in zip(line.at, line.values, strict=True):
            color = NAMED["green" if value >= 1 else "red"]
            axes.barh(row, STEP, left=moment, height=0.62, color=color, linewidth=0, alpha=0.8)
    axes.set_yticks(range(len(found)), [line.name for line in found])
    axes.tick_params(axis="y", labelsize=6)
    axes.set_ylim(-0.6, len(found) - 0.4)
    minutes(axes, plot.scrapes.seconds)
    axes.set_position(plot.card.box(0.24 + 0.048 * max(len(line.name) for line in found), 0.34, 0.12, 0.30))


def cells(plot: Plot) -> None:
    found, own = plot.scrapes.latest(plot.panel.queries[0].expr), plot.card
    columns = sorted({name for one in found for name in one["metric"]} - {"__name__", "job"})
    counts = {one["value"][1] for one in found}
    head = [*columns, "count"] if counts != {"1"} else columns
    found.sort(key=lambda one: -float(one["value"][1]))
    rows = [[*labels_of(one, columns), one["value"][1]][: len(head)] for one in found[:8]]
    plot.axes.axis("off")
    if not rows:
        return
    wide = [max(len(row[column]) for row in [head, *rows]) + 2 for column in range(len(head))]
    scale = min(0.06, (own.width - 0.2) / sum(wide))
    for column, name in enumerate(head):
        x = 0.09 + scale * sum(wide[:column])
        own.text(x, 0.34, name, weight="bold", fontsize=6.3, va="top", color=FAINT)
        for row, values in enumerate(rows):
            own.text(x, 0.52 + 0.16 * row, values[column], fontsize=6.3, va="top")


def labels_of(one: Series, columns: list[str]) -> list[str]:
    """Returns the labels of a series in the order of the columns, cut to what fits."""
    labels = [(name, one["metric"].get(name, "")) for name in columns]
    return [(short(value) if name == "instance" else value)[:18] for name, value in labels]


DRAWERS: dict[str, Callable[[Plot], None]] = {
    "timeseries": timeseries,
    "heatmap": heatmap,
    "state-timeline": states,
    "table": cells,
}


def shown(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.0f} %" if value >= 0.1 or value == 0 else f"{100 * value:.1f} %"
    if unit == "currencyUSD":
        return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"
    if unit == "s":
        return scaled(value, [(1, "s"), (1e-3, "ms"), (1e-6, "µs")])
    if unit == "bytes":
        return scaled(value, [(2**20, "MiB"), (2**10, "KiB"), (1, "B")])
    suffix = "/s" if unit == "reqps" else ""
    return f"{value / 1000:.3g}k{suffix}" if value >= 1000 else f"{value:.3g}{suffix}"


def scaled(value: float, units: list[tuple[float, str]]) -> str:
    if value == 0:
        return "0"
    scale, name = next((unit for unit in units if value >= unit[0]), units[-1])
    return f"{value / scale:.3g} {name}"


if __name__ == "__main__":
    main()
