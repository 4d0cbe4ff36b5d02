"""The instructions that a request costs in user space, counted by callgrind in the real binary.

Time on shared machines is noise, a count hardly: two runs differ by under 4 %, and a case that seems to have grown is
counted again. Each case is a configuration and a request. The binary serves it a few times and many times, and the
difference divided by the difference of requests is the count, so that the start and the end are in neither.

Run by `make instructions`, which fails where a case grew by over 5 %; `make instructions INSTRUCTIONS_FLAGS=--write`
takes what was counted as the baseline.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from served import CASES, FEW, MANY, Case, Life, few_and_many

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
# A case may grow by this share before the run fails.
LIMIT = 0.05


def instructions(life: Life) -> int:
    said = life.run()
    if (collected := re.search(r"Collected : (\d+)", said)) is None:
        sys.exit(f"valgrind counted nothing: {said[-500:]}")
    return int(collected[1])


def count(binary: str, case: Case) -> int:
    few, many = few_and_many(binary, case, instructions)
    return round((many - few) / (MANY - FEW))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="take what is counted as the baseline")
    arguments = parser.parse_args()
    binary = os.environ.get("POINTSMAN", "target/release/pointsman")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    counted = {}
    print("| case | instructions a request | baseline | |\n|---|---:|---:|---:|")
    for case in CASES:
        own, before = count(binary, case), baseline.get(case.name)
        if before and own > before * (1 + LIMIT):
            own = min(own, count(binary, case))
        counted[case.name] = own
        print(f"| {case.name} | {own:,} | {before or 0:,} | {own / before - 1 if before else 0:+.1%} |", flush=True)
    if arguments.write:
        BASELINE.write_text(json.dumps(counted, indent=2) + "\n")
        return
    grown = [name for name, own in counted.items() if name not in baseline or own > baseline[name] * (1 + LIMIT)]
    if grown:
        sys.exit(f"over {LIMIT:.0%} above benches/instructions/baseline.json (or not in it): {', '.join(grown)}")


if __name__ == "__main__":
    main()
