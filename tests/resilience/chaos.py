"""Faults, one a row: what is done to the proxy or around it, and what must hold, with the requests that were lost.

`make chaos` runs all; names of families or rows choose. Each row has a proxy and upstreams of its own.
"""

from __future__ import annotations

import chaos_clients
import chaos_files
import chaos_processes
import chaos_stores
import chaos_upstreams
from table import Row, arguments, chosen, finish, run_rows

SCRIPT = "make chaos"


def rows() -> list[Row]:
    parts = [chaos_upstreams, chaos_stores, chaos_files, chaos_processes, chaos_clients]
    return [row for part in parts for row in part.rows()]


def main() -> None:
    options = arguments("Faults, and what must hold in each.")
    wanted = chosen(rows(), options.only)
    if options.list:
        for row in wanted:
            print(f"{row.id}: {row.holds}")
        return
    finish(run_rows(wanted, "Faults", options.jobs), options, SCRIPT, by_family=False)


if __name__ == "__main__":
    main()
