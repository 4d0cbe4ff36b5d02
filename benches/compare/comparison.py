"""Compares Pointsman with other proxies on this machine, in one run: `benches/compare/run.sh`. README.md explains it.

Writes Markdown, pictures and raw data. Everything listens on free ports of the loopback, and the run is bounded.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import generators
import machine
import report
from phases import OPEN_DEADLINE, OPEN_QUEUE, Comparison, Plan, say
from results import DIRECT, Data
from target import HERE, ROOT, Site, Spec, Target, specs

SECTIONS = ("cold", "closed", "sizes", "streams", "saturation", "generators")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares Pointsman with other proxies on this machine, in one run.")
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of twenty; rough figures")
    parser.add_argument("--only", help="targets to measure, with commas; direct is always added")
    parser.add_argument("--sections", help=f"what to measure, with commas (allowed: {', '.join(SECTIONS)})")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--seconds", type=int, help="seconds of one run of wrk")
    parser.add_argument("--minutes", type=float, help="the longest that the whole may take")
    parser.add_argument("--pin", action="store_true", help="proxies on processor 1, load and upstream on 0")
    parser.add_argument("--out", type=Path, help="the folder of the report")
    parser.add_argument(
        "--report", type=Path, metavar="DATA", help="write the report of a data.json again, and measure nothing"
    )
    return parser.parse_args()


def plan_of(options: argparse.Namespace) -> Plan:
    plan = Plan().quick() if options.quick else Plan()
    sections = tuple(options.sections.split(",")) if options.sections else SECTIONS
    if unknown := set(sections) - set(SECTIONS):
        sys.exit(f"no such section: {', '.join(sorted(unknown))} (allowed: {', '.join(SECTIONS)})")
    plan = replace(plan, sections=sections)
    if options.rounds:
        plan = replace(plan, rounds=options.rounds, size_rounds=options.rounds, stream_rounds=options.rounds)
    if options.seconds:
        plan = replace(plan, seconds=options.seconds, size_seconds=options.seconds)
    return replace(plan, minutes=options.minutes) if options.minutes else plan


def site_of(options: argparse.Namespace) -> Site:
    found = Site(
        work=Path(tempfile.mkdtemp(prefix="compare-")),
        pointsman=os.environ.get("POINTSMAN", str(ROOT / "target" / "release" / "pointsman")),
        built=Path(os.environ.get("BUILT", ROOT / "target" / "compare" / "release")),
        peers=Path(os.environ.get("PEERS", HERE / ".peers")),
        processor=1 if options.pin else None,
    )
    for program, peer in (("nginx", "tools"), ("wrk", "tools"), (str(found.built / "load"), "pingora")):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: benches/compare/install.sh {peer}")
    return found


def chosen(options: argparse.Namespace, site: Site) -> list[Target]:
    all_specs = [Spec(DIRECT), *specs()]
    wanted = {DIRECT, *options.only.split(",")} if options.only else {spec.name for spec in all_specs}
    if unknown := wanted - {spec.name for spec in all_specs}:
        sys.exit(
            f"no such target: {', '.join(sorted(unknown))} (allowed: {', '.join(spec.name for spec in all_specs)})"
        )
    return [Target(spec, site) for spec in all_specs if spec.name in wanted]


def about(options: argparse.Namespace, plan: Plan, targets: list[Target]) -> dict[str, object]:
    pointsman = next((target.version() for target in targets if target.name == "pointsman-rule"), "")
    found = re.search(r"\d+\.\d+\.\d+\S*", pointsman)
    return {
        **asdict(machine.described()),
        "version": found[0] if found else "unknown",
        "command": " ".join(["benches/compare/run.sh", *said()]),
        "when": datetime.datetime.now().astimezone().strftime("%Y-%m-%d"),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "open_seconds": plan.open_seconds,
        "deadline": "5 s",
        "open_deadline": OPEN_DEADLINE,
        "open_queue": OPEN_QUEUE,
        "pinning": "Proxies ran on processor 1, load and upstream on 0." if options.pin else "No process was pinned.",
        "load_before": machine.load_average(),
    }


def said() -> list[str]:
    """Returns the arguments, without the folders of this machine."""
    folders = {
        index for index, word in enumerate(sys.argv) if sys.argv[index - 1] == "--out" or word.startswith("--out")
    }
    return [word for index, word in enumerate(sys.argv) if index and index not in folders]


def measure(options: argparse.Namespace) -> Data:
    began, site, plan = time.monotonic(), site_of(options), plan_of(options)
    targets = chosen(options, site)
    absent = {target.name: why for target in targets if (why := target.absent())}
    for name, why in absent.items():
        say(f"skips {name}: {why}")
    targets = [target for target in targets if target.name not in absent]
    data = Data(
        about=about(options, plan, targets),
        targets=[target.name for target in targets],
        notes={target.name: target.spec.note for target in targets},
        versions={target.name: target.version() for target in targets},
        absent=absent,
    )
    comparison = Comparison(plan, site, targets, data)
    comparison.run()
    if "generators" in plan.sections:
        generators.measure(comparison)
    data.about |= {"load_after": machine.load_average(), "minutes": (time.monotonic() - began) / 60}
    say(f"logs: {site.work}")
    return data


def main() -> None:
    options = arguments()
    if options.report:
        report.write_again(options.report)
        return
    # A run that is told to end ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    data = measure(options)
    folder = options.out or (
        ROOT / "target" / "compare-report"
        if options.quick or options.only
        else HERE / "results" / str(data.about["version"])
    )
    report.Report(data).write(folder)
    print((folder / "report.md").read_text("utf-8"))
    say(f"report: {folder}/report.md")


if __name__ == "__main__":
    main()
