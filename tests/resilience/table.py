"""Rows of a table, each a check that runs and says what it saw: printed, and written as JSON and as Markdown."""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field


class ViolationError(Exception):
    """What must hold did not."""


def must(holds: object, seen: object) -> None:
    """Raises with what was seen where something that must hold does not."""
    if not holds:
        raise ViolationError(str(seen)[:400])


@dataclass
class Outcome:
    """The figures of a row that held."""

    seen: str
    requests: int = 0
    lost: int = 0


@dataclass
class Row:
    """A named check, and the sentence of what must hold; `known` says why it is left open where it does not."""

    family: str
    name: str
    holds: str
    check: Callable[[], Outcome]
    known: str = ""

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"


@dataclass
class Result:
    """A row's verdict: `held`, `failed`, `open` for a known failure, or `skipped` where this machine cannot run it."""

    family: str
    name: str
    holds: str
    verdict: str
    seen: str
    requests: int = 0
    lost: int = 0
    seconds: float = 0.0


class SkippedError(Exception):
    """A row needs what the machine lacks."""


@dataclass
class Report:
    """The results of one table."""

    title: str
    results: list[Result] = field(default_factory=list)

    def add(self, row: Row) -> Result:
        began = time.monotonic()
        outcome, verdict = Outcome(""), "held"
        try:
            outcome = row.check()
        except ViolationError as violation:
            verdict, outcome = "failed", Outcome(str(violation))
        except SkippedError as reason:
            verdict, outcome = "skipped", Outcome(str(reason))
        except Exception as error:  # a row whose own code breaks has not shown that anything holds
            verdict, outcome = "failed", Outcome(f"{type(error).__name__}: {error}"[:400])
        if verdict == "failed" and row.known:
            verdict, outcome = "open", Outcome(f"{row.known} ({outcome.seen})")
        took = round(time.monotonic() - began, 2)
        result = Result(
            row.family, row.name, row.holds, verdict, outcome.seen, outcome.requests, outcome.lost, seconds=took
        )
        self.results.append(result)
        return result

    def count(self, verdict: str) -> int:
        return sum(result.verdict == verdict for result in self.results)

    def summary(self) -> str:
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in ("held", "open", "failed", "skipped"))
        asked, lost = sum(r.requests for r in self.results), sum(r.lost for r in self.results)
        tail = f"; {asked} requests, {lost} of them lost" if asked else ""
        return f"{self.title}: {len(self.results)} rows: {counts}{tail}"


def cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").strip()


def markdown(report: Report, script: str, by_family: bool) -> str:
    """Returns the table for a page: each row, or each family with its counts."""
    lines = [report.summary(), ""]
    if by_family:
        lines += ["| inputs | rows | held | open | failed | test |", "|---|---:|---:|---:|---:|---|"]
        for family, results in families(report.results).items():
            counts = collections.Counter(result.verdict for result in results)
            test = f"`{script} {family}`"
            figures = f"{len(results)} | {counts['held']} | {counts['open']} | {counts['failed']}"
            lines.append(f"| {family} | {figures} | {test} |")
        return "\n".join(lines) + "\n"
    lines += ["| fault | what must hold | verdict | requests | lost | test |", "|---|---|---|---:|---:|---|"]
    for each in report.results:
        test = f"`{script} {each.family}/{each.name}`"
        figures = f"{each.requests or ''} | {each.lost if each.requests else ''}"
        lines.append(f"| {cell(each.name)} | {cell(each.holds)} | {each.verdict} | {figures} | {test} |")
    return "\n".join(lines) + "\n"


def families(results: Iterable[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for each in results:
        found.setdefault(each.family, []).append(each)
    return found


def arguments(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("only", nargs="*", help="families, or rows as family/name; all without")
    parser.add_argument("--json", type=pathlib.Path, help="write the results there")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table there")
    parser.add_argument("--jobs", type=int, default=4, help="rows that run at once (4)")
    parser.add_argument("--list", action="store_true", help="name the rows and run none")
    return parser.parse_args()


def chosen(rows: list[Row], only: list[str]) -> list[Row]:
    if not only:
        return rows
    return [row for row in rows if any(row.family == each or row.id.startswith(each) for each in only)]


def shown(result: Result) -> None:
    if result.verdict != "held":
        print(f"{result.verdict.upper()} {result.family}/{result.name}: {result.holds}: {result.seen}", flush=True)


def finish(report: Report, options: argparse.Namespace, script: str, by_family: bool) -> None:
    """Prints the counts, writes what was asked for, and ends the process with 1 where a row failed."""
    for family, results in families(report.results).items():
        held = sum(result.verdict == "held" for result in results)
        print(f"{family}: {held} of {len(results)} held, {sum(r.seconds for r in results):.1f} s")
    print(report.summary())
    if options.json:
        from gateway import binary  # not above: evidence.py reads reports, and runs nothing

        rows = [asdict(result) for result in report.results]
        document = {"title": report.title, "binary": binary().rsplit("/", 1)[-1], "rows": rows}
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(report, script, by_family), "utf-8")
    sys.exit(1 if report.count("failed") else 0)


def run_rows(rows: list[Row], title: str, jobs: int) -> Report:
    """Runs the rows, several at once, and reports them in their order."""
    report = Report(title)
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(lambda row: Report("").add(row), rows):
            report.results.append(result)
            shown(result)
    return report
