"""The report of a comparison: Markdown and pictures, from its raw data alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fidelity
import goals
import prose
from figures import Figures, Ratio, difference
from pictures import SIZES, SIZES_CONNECTIONS, TOLERATED, Pictures
from prose import paragraph
from results import DIRECT, TRANSLATION, Data, GeneratorRun, RatePoint

FLOOR, PASS = "pingora-rewrite", "pingora-pass"


def whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def tenths(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def hundredths(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def ratio(value: Ratio | None) -> str:
    return "-" if value is None else f"{value.median:.2f} ({value.least:.2f} to {value.most:.2f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


class Report:
    """The report on some data. Sections that were not measured are left out."""

    def __init__(self, data: Data) -> None:
        self.data, self.figures = data, Figures(data)
        here = {run.target for run in data.closed if run.bodies == TRANSLATION} - {DIRECT}
        self.translators = [name for name in data.targets if name in here]
        self.proxies = [name for name in data.targets if name != DIRECT and name not in here]

    def markdown(self) -> str:
        sections = [
            *(self.heading, self.goals, self.latency, self.cpu, self.sizes, self.memory, self.streams),
            *(self.saturation, self.translation, self.checks, self.generators, self.about),
        ]
        return "\n".join(line for section in sections for line in section()).rstrip() + "\n"

    def pictures(self) -> dict[str, str]:
        return Pictures(self.figures).all()

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data.write(folder / "data.json")
        (folder / "report.md").write_text(self.markdown(), "utf-8")
        for name, picture in self.pictures().items():
            (folder / name).write_text(picture, "utf-8")

    def heading(self) -> list[str]:
        about = self.data.about
        middle, most = self.figures.foreign()
        values = about | {"middle": middle, "most": most, "sets": ", ".join(about["instruction_sets"]) or "none"}
        return [
            f"# Pointsman {about['version']} beside other proxies",
            "",
            *paragraph(prose.HEADING, **values),
            *(f"**{remark}**\n" for remark in self.data.remarks),
            *(f"Not measured: {name}, {why}.\n" for name, why in self.data.absent.items()),
        ]

    def goals(self) -> list[str]:
        return ["## Goals", "", *table(["goal", "limit", "measured", ""], goals.rows(self.figures))]

    def latency(self) -> list[str]:
        """Returns the table of what each proxy adds to a direct connection."""
        if not (counts := self.figures.connections()):
            return []
        figures = self.figures
        each = [(quantile, count) for quantile in ("p50", "p99") for count in counts]
        head = ["target", *(f"+{quantile}, {count}" for quantile, count in each), "errors"]
        direct = [whole(figures.latency(DIRECT, count, quantile)) for quantile, count in each]
        rows = [[f"{DIRECT}, not added", *direct, str(figures.errors(DIRECT))]]
        rows += [
            [
                name,
                *(whole(figures.added(name, count, quantile)) for quantile, count in each),
                str(figures.errors(name)),
            ]
            for name in self.proxies
        ]
        return ["## Latency", "", *paragraph(prose.LATENCY), *table(head, rows)]

    def cpu(self) -> list[str]:
        if not (counts := self.figures.connections()):
            return []
        figures = self.figures
        middle, top = (16 if 16 in counts else counts[0]), (64 if 64 in counts else counts[-1])
        head = ["target", *(f"us, {count}" for count in counts)]
        head += [f"beside {FLOOR}, {middle}", f"requests/s, {top}", "requests/s of a core"]
        rows = [[DIRECT, *("-" for _ in counts), "-", whole(figures.rate(DIRECT, top)), "-"]]
        rows += [
            [
                name,
                *(tenths(figures.cpu(name, count)) for count in counts),
                ratio(figures.cpu_ratio(name, FLOOR, middle)),
                whole(figures.rate(name, top)),
                whole(figures.rate_per_core(name, top)),
            ]
            for name in self.proxies
        ]
        text = paragraph(prose.CPU, top=top, deadline=self.data.about["deadline"])
        return ["## CPU", "", *text, *table(head, rows), "![CPU of each request](cpu.svg)", ""]

    def sizes(self) -> list[str]:
        if not any(self.figures.runs(name, SIZES_CONNECTIONS, size) for name in self.proxies for size in SIZES):
            return []
        rows = [[name, *(self.size(name, size) for size in SIZES)] for name in self.proxies]
        text = paragraph(prose.SIZES, connections=SIZES_CONNECTIONS)
        picture = "![CPU by size](sizes.svg)"
        return ["## CPU by the size of bodies", "", *text, *table(["target", *SIZES], rows), picture, ""]

    def size(self, name: str, size: str) -> str:
        refused = self.figures.bad_share(name, SIZES_CONNECTIONS, size)
        if refused > TOLERATED:
            return f"refused ({refused:.0%})"
        return tenths(self.figures.cpu(name, SIZES_CONNECTIONS, size))

    def memory(self) -> list[str]:
        if not self.data.memory and not self.data.cold:
            return []
        head = [
            "target",
            "RSS idle, MB",
            "at 64 connections",
            "after load",
            "peak",
            "first answer after a start, s",
        ]
        rows = [self.memory_row(name) for name in self.proxies]
        return ["## Memory and start", "", *paragraph(prose.MEMORY), *table(head, rows)]

    def memory_row(self, name: str) -> list[str]:
        memory, start = self.data.memory.get(name), self.data.cold.get(name)
        seconds = f"{self.figures.cold(name):.3f}" if start and start.seconds else "-"
        if start and start.degraded:
            seconds += f" (degraded in {start.degraded} of {len(start.seconds)})"
        idle, after, peak = (memory.idle, memory.after, memory.peak) if memory else (None, None, None)
        loaded = self.figures.resident(name, 64)
        return [name, whole(idle), whole(loaded), whole(after), whole(peak), seconds]

    def streams(self) -> list[str]:
        if not self.data.streams:
            return []
        head = ["target", "+first event", "+event p50", "+event p99"]
        head += ["CPU an event", f"beside {PASS}", "events a read", "broken"]
        rows = [self.direct_stream(), *(self.stream_row(name) for name in self.proxies)]
        return ["## Streams", "", *paragraph(prose.STREAMS), *table(head, rows)]

    def direct_stream(self) -> list[str]:
        figures = self.figures
        values = [
            whole(figures.stream(DIRECT, "paced", lambda run: run.first_p50)),
            whole(figures.stream(DIRECT, "paced", lambda run: run.delay_p50)),
            whole(figures.stream(DIRECT, "paced", lambda run: run.delay_p99)),
        ]
        return [f"{DIRECT}, not added", *values, "-", "-", self.reads(DIRECT), self.broken(DIRECT)]

    def stream_row(self, name: str) -> list[str]:
        figures = self.figures
        return [
            name,
            *(whole(figures.stream_added(name, key)) for key in ("first_p50", "delay_p50", "delay_p99")),
            tenths(figures.stream(name, "dense", lambda run: run.cpu_us_per_event)),
            ratio(figures.event_ratio(name, PASS)),
            self.reads(name),
            self.broken(name),
        ]

    def reads(self, name: str) -> str:
        runs = self.figures.streams(name, "dense")
        events, reads = sum(run.events for run in runs), sum(run.reads for run in runs)
        return f"{events / reads:.2f}" if reads else "-"

    def broken(self, name: str) -> str:
        runs = [run for run in self.data.streams if run.target == name]
        return f"{sum(run.broken for run in runs)} of {sum(run.streams for run in runs)}" if runs else "-"

    def saturation(self) -> list[str]:
        if not self.data.rates:
            return []
        head = ["target", "of capacity", "offered/s", "answered", "p50 ms", "p99 ms", "deadline missed"]
        head += ["degraded", "by the encoder", "CPU us", "sent late, p99 ms"]
        order = {name: at for at, name in enumerate(self.data.targets)}
        points = sorted(self.data.rates, key=lambda point: (order[point.target], point.share))
        return [
            *("## Saturation, with the router in the path", ""),
            *paragraph(prose.SATURATION, **self.data.about),
            *table(head, [rate_row(point) for point in points]),
            *("![Latency over the rate](saturation.svg)", ""),
            *(
                ("![Degraded decisions over the rate](judged.svg)", "")
                if any(point.decisions for point in points)
                else ()
            ),
        ]

    def translation(self) -> list[str]:
        if not self.translators:
            return []
        head = ["target", "+p50 us, 1", "beside untranslated", "CPU us, 16", "beside untranslated"]
        head += ["CPU an event", "more than untranslated", "errors", "broken"]
        rows = [self.translation_row(name) for name in self.translators]
        return ["## Translation", "", *paragraph(prose.TRANSLATION), *table(head, rows)]

    def translation_row(self, name: str) -> list[str]:
        figures, plain = self.figures, name.replace("-translated", "-untranslated")
        is_plain = name == plain
        return [
            name,
            whole(figures.added(name, 1, "p50", TRANSLATION)),
            "-" if is_plain else ratio(figures.added_ratio(name, plain, 1, TRANSLATION)),
            tenths(figures.cpu(name, 16, TRANSLATION)),
            "-" if is_plain else ratio(figures.cpu_ratio(name, plain, 16, TRANSLATION)),
            tenths(figures.stream(name, TRANSLATION, lambda run: run.cpu_us_per_event)),
            "-" if is_plain else tenths(figures.event_cost(name, plain, TRANSLATION)),
            str(figures.errors(name)),
            self.broken(name),
        ]

    def checks(self) -> list[str]:
        if not self.data.checks:
            return []
        head = ["target", *next(iter(self.data.checks.values()))]
        rows = [[name, *map(fidelity.cell, found.values())] for name, found in self.data.checks.items()]
        return ["## Checks", "", *paragraph(prose.CHECKS), *table(head, rows)]

    def generators(self) -> list[str]:
        if not self.data.generators:
            return []
        lines = ["## Load generators that nobody here wrote", ""]
        for work in dict.fromkeys(run.work for run in self.data.generators):
            runs = [run for run in self.data.generators if run.work == work]
            lines += [*paragraph(work), *generators_table(runs)]
        return lines

    def about(self) -> list[str]:
        versions = "; ".join(f"{name}: {version}" for name, version in self.data.versions.items() if version)
        notes = [f"- {name}: {note}" for name, note in self.data.notes.items() if note]
        return ["## Targets", "", *notes, "", f"Versions: {versions}.", ""]


def rate_row(point: RatePoint) -> list[str]:
    return [
        point.target,
        f"{point.share:.0%}",
        whole(point.offered),
        f"{point.ok / point.sent:.1%}" if point.sent else "-",
        hundredths(point.p50),
        hundredths(point.p99),
        *counted_shares(point),
        whole(point.cpu_us),
        hundredths(point.late_p99),
    ]


def counted_shares(point: RatePoint) -> list[str]:
    """Returns the shares by Pointsman's own counters; other proxies have no such counters."""
    if not point.decisions:
        return ["-"] * 3
    missed, degraded = point.share_of(point.degraded, "deadline"), point.share_of(point.degraded)
    return [f"{share:.1%}" for share in (missed, degraded, point.share_of(point.answers, "encoder"))]


def generators_table(runs: list[GeneratorRun]) -> list[str]:
    names = list(runs[0].figures)
    rows = [[f"{run.generator} {run.version}", *(tenths(run.figures.get(name)) for name in names)] for run in runs]
    others = [run.figures for run in runs[1:]]
    spread = [percent(difference(runs[0].figures, others, name)) for name in names]
    return table(["generator", *names], [*rows, ["largest difference from ours", *spread]])


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def write_again(path: Path) -> None:
    """Writes the report of some raw data beside them."""
    Report(Data.read(path)).write(path.parent)
