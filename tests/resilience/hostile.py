"""Hostile inputs, one a row, in families that are made from tables: what is sent, and what must hold.

`make hostile` runs all; names of families or rows choose. Nothing here is meant for other software than Pointsman: what its
upstreams get is recorded and read strictly.
"""

from __future__ import annotations

import hostile_admin
import hostile_bodies
import hostile_files
import hostile_framing
import hostile_http2
import hostile_prompts
from bench import RULED, bench
from table import arguments, chosen, finish, run_rows

SCRIPT = "make hostile"


def main() -> None:
    options = arguments("Hostile inputs, and what must hold for each.")
    with bench(RULED) as on:
        made = [
            row for part in (hostile_framing, hostile_prompts, hostile_bodies, hostile_admin) for row in part.rows(on)
        ]
        made += hostile_http2.rows(on) + hostile_files.rows()
        wanted = chosen(made, options.only)
        if options.list:
            for row in wanted:
                print(f"{row.id}: {row.holds}")
            return
        report = run_rows(wanted, "Hostile inputs", options.jobs)
    finish(report, options, SCRIPT, by_family=True)


if __name__ == "__main__":
    main()
