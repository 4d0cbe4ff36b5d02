"""Pictures as SVG, without a library: lines over two axes, and bars."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 84, 190, 44, 56
COLOURS = ["#3366aa", "#cc5533", "#2f8f5b", "#8a5bb0", "#b8860b", "#00868b", "#c2457a", "#666666"]
COLOURS += ["#7a9a01", "#1a1a1a", "#e08e45", "#5b6ee1", "#d4a5a5", "#3f5d2a", "#9c6b30", "#5fb3d9"]
STYLE = "text{font:12px system-ui,sans-serif;fill:#333}.t{font-size:15px;font-weight:600}.g{stroke:#ddd}.a{stroke:#888}"

Point = tuple[float, float]


@dataclass
class Axis:
    """One axis: what it shows, from where to where, and whether each step multiplies."""

    label: str
    least: float
    most: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Returns where a value lies: 0 at the beginning, 1 at the end."""
        if self.logarithmic:
            low, high, value = (math.log10(max(each, 1e-12)) for each in (self.least, self.most, value))
        else:
            low, high = self.least, self.most
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0

    def ticks(self) -> list[float]:
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.least) - 1e-9), math.floor(math.log10(self.most) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = 10 ** math.floor(math.log10(max(self.most - self.least, 1e-9) / 4))
        step = next(step * factor for factor in (1, 2, 5, 10) if (self.most - self.least) / (step * factor) <= 6)
        count = int((self.most - self.least) / step + 1e-9)
        return [self.least + step * number for number in range(count + 1)]


def over(label: str, values: list[float], logarithmic: bool = True) -> Axis:
    """Returns an axis that holds the values: whole powers of ten, or from zero."""
    if not logarithmic:
        return Axis(label, 0.0, max(values, default=1.0) * 1.05 or 1.0)
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)) + 1e-9)
    return Axis(label, 10.0**low, 10.0 ** max(high, low + 1), logarithmic=True)


def number(value: float) -> str:
    if value and abs(value) < 1:
        return f"{value:g}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


@dataclass
class Lines:
    """A picture of lines, one for each name."""

    title: str
    x: Axis
    y: Axis
    series: dict[str, list[Point]]
    dashed: set[str] = field(default_factory=set)

    def svg(self) -> str:
        parts = [*frame(self.title), *self.grid()]
        for index, (name, points) in enumerate(self.series.items()):
            colour = COLOURS[index % len(COLOURS)]
            placed = [self.place(point) for point in points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            dash = ' stroke-dasharray="5 4"' if name in self.dashed else ""
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{path}"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
            row = TOP + 14 + index * 18
            parts.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{row - 9}" width="12" height="4" fill="{colour}"/>')
            parts.append(f'<text x="{WIDTH - RIGHT + 34}" y="{row - 3}">{escape(name)}</text>')
        return "\n".join([*parts, "</svg>", ""])

    def place(self, point: Point) -> Point:
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * self.x.share(point[0]), TOP + up * (1 - self.y.share(point[1]))

    def grid(self) -> list[str]:
        left, bottom, right = LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = []
        for tick in self.y.ticks():
            _, y = self.place((self.x.least, tick))
            parts.append(f'<line class="g" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
        for tick in self.x.ticks():
            x, _ = self.place((tick, self.y.least))
            parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(tick)}</text>')
        parts.append(f'<path class="a" fill="none" d="M{left} {TOP}V{bottom}H{right}"/>')
        parts.append(
            f'<text x="{(left + right) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(self.x.label)}</text>'
        )
        middle = (TOP + bottom) / 2
        turned = f'transform="rotate(-90 18 {middle})" text-anchor="middle"'
        return [*parts, f'<text x="18" y="{middle}" {turned}>{escape(self.y.label)}</text>']


@dataclass
class Bars:
    """A picture of bars, one for each name, on an axis whose steps multiply."""

    title: str
    label: str
    values: dict[str, float]

    def svg(self) -> str:
        axis = over(self.label, list(self.values.values()))
        height = TOP + 24 * len(self.values) + BOTTOM
        left, right = 170, WIDTH - 90
        parts = frame(self.title, height)
        for tick in axis.ticks():
            x = left + (right - left) * axis.share(tick)
            parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
            parts.append(f'<text x="{x:.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{number(tick)}</text>')
        for index, (name, value) in enumerate(self.values.items()):
            y, width = TOP + 24 * index, (right - left) * axis.share(value)
            colour = COLOURS[1 if name.startswith("pointsman") else 0]
            parts.append(f'<rect x="{left}" y="{y + 4}" width="{width:.1f}" height="16" fill="{colour}"/>')
            parts.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<text x="{left + width + 6:.1f}" y="{y + 16}">{number(value)}</text>')
        parts.append(
            f'<text x="{(left + right) / 2}" y="{height - 14}" text-anchor="middle">{escape(self.label)}</text>'
        )
        return "\n".join([*parts, "</svg>", ""])


def frame(title: str, height: int = HEIGHT) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="t" x="16" y="26">{escape(title)}</text>',
    ]
