"""The allocations of a request: calls of the allocator in the real binary, counted by callgrind.

dhat sees nothing here: Rust asks mimalloc by its own names, which valgrind does not replace. So the calls of those
names are counted, in a binary that still has its symbols. Each case is served a few times and many times, as in
`count.py`, and the difference divided by the difference of requests is the count.

Run by `make allocations`, which builds that binary first. `--sites N` shows who asked most, `--limit N` fails where a
case allocates more often.
"""

import argparse
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

from served import CASES, FEW, MANY, Case, Life, few_and_many

# The entrances of Rust's global allocator, and those of C, which mimalloc overrides.
NEW = re.compile(r"__rust_alloc(_zeroed)?|malloc|calloc|aligned_alloc|posix_memalign")
GROWN = re.compile(r"__rust_realloc|realloc|reallocarray")
# How many functions of libraries may stand between an allocation and who asked for it.
DEPTH = 8
# Between them and the allocator's own functions; symbols are `__rustc::__rust_alloc`, and `'2` marks a recursion.
FUNCTION = re.compile(r"^(?:__rustc::)?(.+?)(?:'\d+)?(?:@@.*)?$")


# Functions of libraries that allocate for whoever calls them; `--sites` shows their callers instead.
PASSES_ON = re.compile(r"^<?(alloc|bytes|hashbrown|smallvec|core)::|^<?&?(T|str|\[T\]) as ")

Calls = dict[tuple[str, str], float]  # how often one function calls another


def calls_of(profile: str) -> Calls:
    """Returns the calls in a profile: `fn` names a caller, `cfn` what it calls, `calls` how often."""
    names: dict[str, str] = {}
    found: Calls = defaultdict(float)
    caller = called = ""
    for line in profile.splitlines():
        key, _, value = line.partition("=")
        if key in {"fn", "cfn"}:
            number, _, name = value.partition(" ")
            name = names.setdefault(number, name) if name else names.get(number, number)
            caller, called = (name, called) if key == "fn" else (caller, name)
        elif key == "calls":
            found[caller, called] += int(value.split()[0])
    return found


def counted(life: Life) -> Calls:
    life.run()
    found = calls_of(life.profile.read_text("utf-8", "replace"))
    if not any(is_named(called, NEW) for _, called in found):
        sys.exit(f"{life.binary} shows no calls of an allocator: was it built without its symbols? (make allocations)")
    return found


def is_named(function: str, names: re.Pattern[str]) -> bool:
    name = FUNCTION.match(function)
    return bool(name and names.fullmatch(name[1]))


def per_request(binary: str, case: Case) -> Calls:
    few, many = few_and_many(binary, case, counted)
    return {edge: (count - few.get(edge, 0)) / (MANY - FEW) for edge, count in many.items()}


def total(calls: Calls, names: re.Pattern[str]) -> float:
    return sum(count for (_, called), count in calls.items() if is_named(called, names))


def sites(calls: Calls) -> list[tuple[str, float]]:
    """Returns who asked for allocations, most first; what a library's function asks for is its callers'."""
    found: defaultdict[str, float] = defaultdict(float)
    for (caller, called), count in calls.items():
        if is_named(called, NEW):
            found[caller] += count
    for _ in range(DEPTH):
        for name in [name for name in found if PASSES_ON.match(name)]:
            callers = {one: count for (one, called), count in calls.items() if called == name and count > 0}
            if not (everybody := sum(callers.values())):
                continue
            asked = found.pop(name)
            for one, count in callers.items():
                found[one] += asked * count / everybody
    return sorted(found.items(), key=lambda site: -site[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=0, help="the callers to show of each case")
    parser.add_argument("--limit", type=float, help="fail where a request allocates more often")
    arguments = parser.parse_args()
    binary = os.environ.get("POINTSMAN", "target/symbols/release/pointsman")
    if not Path(binary).exists():
        sys.exit(f"{binary} is missing: make allocations")
    over = []
    print("| case | allocations a request | made larger |\n|---|---:|---:|")
    for case in CASES:
        calls = per_request(binary, case)
        new = total(calls, NEW)
        print(f"| {case.name} | {new:.1f} | {total(calls, GROWN):.1f} |", flush=True)
        if arguments.limit and new > arguments.limit:
            over.append(case.name)
        for name, count in sites(calls)[: arguments.sites]:
            print(f"    {count:8.1f}  {name[:140]}", flush=True)
    if over:
        sys.exit(f"more than {arguments.limit:g} allocations: {', '.join(over)}")


if __name__ == "__main__":
    main()
