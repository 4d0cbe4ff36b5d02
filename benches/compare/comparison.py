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

import machine
import report
from phases import OPEN_DEADLINE, OPEN_QUEUE, Comparison, Plan, say
from results import DIRECT, Data
from target import HERE, ROOT, Site, Spec, Target, specs

SECTIONS = ("cold", "closed", "streams", "sizes", "saturation", "translation", "generators")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares Pointsman with other proxies on this machine, in one run.")
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of twenty-five; rough figures")
    parser.add_argument("--only", help="targets to measure, with commas; direct is always added")
    parser.add_argument("--sections", help=f"what to measure, with commas (allowed: {', '.join(SECTIONS)})")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--seconds", type=int, help="seconds of one run of wrk")
    parser.add_argument("--minutes", type=float, help="the longest that the whole may take")
    parser.add_argument("--pin", action="store_true", help="proxies on processor 1, load and upstream on 0")
    parser.add_argument("--out", type=Path, help="the folder of the report")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with the report of this folder: what is done there stays, unless --sections names it",
    )
    parser.add_argument(
        "--report", type=Path, metavar="DATA", help="write the report of a data.json again, and measure nothing"
    )
    return parser.parse_args()


def sections_of(options: argparse.Namespace, data: Data) -> list[str]:
    """Returns what is to be measured: the named sections, or those that are not done yet."""
    wanted = options.sections.split(",") if options.sections else [name for name in SECTIONS if name not in data.done]
    if unknown := set(wanted) - set(SECTIONS):
        sys.exit(f"no such section: {', '.join(sorted(unknown))} (allowed: {', '.join(SECTIONS)})")
    return [name for name in SECTIONS if name in wanted]


def plan_of(options: argparse.Namespace) -> Plan:
    plan = Plan().quick() if options.quick else Plan()
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


def about(options: argparse.Namespace, plan: Plan, versions: dict[str, str]) -> dict[str, object]:
    found = re.search(r"\d+\.\d+\.\d+\S*", versions.get("pointsman-rule", ""))
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
        "load_after": "",
        "minutes": 0.0,
    }


def said() -> list[str]:
    """Returns the arguments, without the folders of this machine."""
    words, is_folder = [], False
    for word in sys.argv[1:]:
        if is_folder or word.startswith(("--out=", "--resume=")):
            is_folder = False
        elif word in {"--out", "--resume"}:
            is_folder = True
        else:
            words.append(word)
    return words


def prepared(options: argparse.Namespace, plan: Plan, targets: list[Target]) -> Data:
    """Returns data without rows, or those of an earlier run that is to be gone on with."""
    versions = {target.name: version for target in targets if (version := target.version())}
    data = Data(about=about(options, plan, versions), targets=[])
    if options.resume:
        command = data.about["command"]
        data = Data.read(options.resume / "data.json")
        data.about["command"] += f"; {command}"
    known = {*data.targets, *(target.name for target in targets)}
    data.targets = [name for name in (DIRECT, *(spec.name for spec in specs())) if name in known]
    data.notes |= {target.name: target.spec.note for target in targets}
    data.versions |= versions
    return data


def measure(options: argparse.Namespace) -> None:
    site, plan = site_of(options), plan_of(options)
    targets = chosen(options, site)
    absent = {target.name: why for target in targets if (why := target.absent())}
    for name, why in absent.items():
        say(f"skips {name}: {why}")
    targets = [target for target in targets if target.name not in absent]
    data = prepared(options, plan, targets)
    tried = {target.name for target in targets}
    data.absent = {name: why for name, why in data.absent.items() if name not in tried} | absent
    folder = folder_of(options, data)
    comparison = Comparison(plan, site, targets, data)
    for section in sections_of(options, data):
        # Some targets alone are added to what is there: the others' rows, and the rounds they belong to, stay.
        if not options.only or section not in data.done:
            data.forget(section)
        began = time.monotonic()
        try:
            comparison.run(section)
        finally:
            data.about["minutes"] += (time.monotonic() - began) / 60
            data.about["load_after"] = machine.load_average()
            report.Report(data).write(folder)
            say(f"{section}: {(time.monotonic() - began) / 60:.1f} minutes; {folder}/data.json")
    say(f"logs: {site.work}")
    print((folder / "report.md").read_text("utf-8"))
    say(f"report: {folder}/report.md")


def folder_of(options: argparse.Namespace, data: Data) -> Path:
    """Returns where the report goes: a part of a comparison is no release's, unless it completes one."""
    if options.out or options.resume:
        return Path(options.out or options.resume)
    is_part = options.quick or options.only or options.sections
    return ROOT / "target" / "compare-report" if is_part else HERE / "results" / str(data.about["version"])


def main() -> None:
    options = arguments()
    if options.report:
        report.write_again(options.report)
        return
    # A run that is told to end ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measure(options)


if __name__ == "__main__":
    main()
