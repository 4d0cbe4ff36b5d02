r"""Writes the three tables of docs/evidence.md from the reports of two builds: what held before, was mended, and is open.

    python3 tests/resilience/evidence.py --before OLD/*.json --after NEW/*.json --soak NEW/soak.md \
        --write docs/evidence.md

A row held before when both builds hold it, is mended when only the newer one does, and open when that does not.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections import Counter
from typing import Any

from table import cell

Row = dict[str, Any]
WORDS = ("held", "mended", "open", "not run")


def load(files: list[pathlib.Path]) -> dict[str, Row]:
    rows = [row for file in files for row in json.loads(file.read_text("utf-8"))["rows"]]
    return {f"{row['family']}/{row['name']}": row for row in rows}


def judged(before: dict[str, Row], after: dict[str, Row]) -> list[tuple[Row, str]]:
    found = []
    for name, row in after.items():
        old = before.get(name, {"verdict": "held"})["verdict"]
        word = "open"
        if row["verdict"] == "skipped":
            word = "not run"
        elif row["verdict"] == "held":
            word = "held" if old in ("held", "skipped") else "mended"
        found.append((row, word))
    return found


def counts(rows: list[tuple[Row, str]]) -> str:
    seen = Counter(word for _, word in rows)
    return f"{len(rows)} rows: " + ", ".join(f"{seen[word]} {word}" for word in WORDS if seen[word])


def grouped(rows: list[tuple[Row, str]], make: str) -> list[str]:
    """Returns a table with a line for each family, and one for each row that is open."""
    lines = ["| inputs | what must hold | rows | held | mended | open | test |", "|---|---|---:|---:|---:|---:|---|"]
    families: dict[str, list[tuple[Row, str]]] = {}
    for row, word in rows:
        families.setdefault(family_of(row), []).append((row, word))
    for family, each in families.items():
        seen = Counter(word for _, word in each)
        holds = Counter(row["holds"] for row, _ in each).most_common(1)[0][0]
        figures = f"{len(each)} | {seen['held']} | {seen['mended']} | {seen['open']}"
        lines.append(
            f"| {cell(family)} | {cell(holds)} | {figures} | `{make} ROWS='{chosen_by(each[0][0], family)}'` |"
        )
    return lines + left_open(rows)


def family_of(row: Row) -> str:
    """Returns the family; of HTTP/2 the section of RFC 9113."""
    if row["family"] != "http/2":
        return str(row["family"])
    return "RFC 9113, " + ".".join(str(row["name"]).split(" ")[0].split(".")[:2])


def chosen_by(row: Row, family: str) -> str:
    if row["family"] != "http/2":
        return f'"{family}"' if " " in family else family
    return f"http/2/{family.removeprefix('RFC 9113, ')}"


def left_open(rows: list[tuple[Row, str]]) -> list[str]:
    found = [
        f"- {cell(row['family'])}, {cell(row['name'])}: {cell(row['seen'])[:200]}"
        for row, word in rows
        if word == "open"
    ]
    return ["", "Open:", "", *found] if found else ["", "Open: none."]


def single(rows: list[tuple[Row, str]], make: str) -> list[str]:
    """Returns a table with a line for each row."""
    lines = ["| fault | what must hold | | requests | lost | test |", "|---|---|---|---:|---:|---|"]
    for row, word in rows:
        figures = f"{row['requests'] or ''} | {row['lost'] if row['requests'] else ''}"
        test = f"`{make} ROWS='\"{row['family']}/{row['name']}\"'`"
        lines.append(
            f"| {cell(row['family'])}: {cell(row['name'])} | {cell(row['holds'])} | {word} | {figures} | {test} |"
        )
    return lines + left_open(rows)


def replaced(page: str, name: str, table: str) -> str:
    begin, end = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
    head, mark, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    assert mark and closed, f"the page has no place for {name}"
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the tables of docs/evidence.md.")
    parser.add_argument("--before", nargs="*", type=pathlib.Path, default=[])
    parser.add_argument("--after", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--soak", type=pathlib.Path, help="the table of a soak, target/resilience/soak.md")
    parser.add_argument("--write", type=pathlib.Path, help="the page whose tables are replaced; printed without")
    options = parser.parse_args()
    rows = judged(load(options.before), load(options.after))
    chaos = {
        "upstream",
        "stream",
        "kept",
        "peer",
        "store",
        "config",
        "bundle",
        "log",
        "process",
        "classifier",
        "client",
    }
    http2 = [each for each in rows if each[0]["family"].startswith("http/2")]
    faults = [each for each in rows if each[0]["family"] in chaos]
    inputs = [each for each in rows if each not in http2 and each not in faults]
    tables = {
        "inputs": "\n".join([counts(inputs), "", *grouped(inputs, "make hostile")]),
        "faults": "\n".join([counts(faults), "", *single(faults, "make chaos")]),
        "http/2": "\n".join([counts(http2), "", *grouped(http2, "make hostile")]),
    }
    if options.soak:
        tables["soak"] = options.soak.read_text("utf-8").strip()
    if not options.write:
        print("\n\n".join(tables.values()))
        return
    page = options.write.read_text("utf-8")
    for name, table in tables.items():
        page = replaced(page, name, table)
    options.write.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
