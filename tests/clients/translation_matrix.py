"""Runs every SDK against an upstream of every API, and renders or checks the page of it: `make clients-translation`.

`--bless` writes docs/translation-matrix.md; without it a page that says something else fails. Names of clients choose.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from string import Template
from types import SimpleNamespace
from typing import Any

from gateway import ROOT, started
from translation import checks, page
from translation.cells import Cell

HERE = pathlib.Path(__file__).parent / "translation"
NODE = HERE / "node"
MODULES = (
    "client_openai",
    "client_anthropic",
    "client_google",
    "client_langchain",
    "client_pydantic_ai",
    "client_instructor",
)
LIMIT = 120


@contextlib.contextmanager
def vendors() -> Iterator[int]:
    """Yields the port of the four upstreams."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    log = (ROOT / "target" / "translation-vendors.log").open("w")
    command = [sys.executable, "-m", "translation.vendors"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def python_cells(url: str, upstreams: str, chosen: list[str]) -> list[Cell]:
    kinds = [kind for module in MODULES for kind in importlib.import_module(f"translation.{module}").CLIENTS]
    tasks = [
        (kind, upstream, capability)
        for kind in kinds
        for upstream in checks.UPSTREAMS
        for capability in checks.CAPABILITIES
        if hasattr(kind, capability) and (not chosen or any(part in kind.name for part in chosen))
    ]

    def check(task: tuple[Any, str, str]) -> Cell:
        kind, upstream, capability = task
        client = kind(url, upstreams, upstream)
        problem = ""
        try:
            getattr(client, capability)()
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if os.environ.get("TRACE"):
                traceback.print_exc()
        return Cell(kind.name, kind.own, upstream, capability, problem, client.notes)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(check, tasks))


def node_cells(url: str, upstreams: str, chosen: list[str]) -> list[Cell]:
    given = {
        "PROXY": url,
        "VENDORS": upstreams,
        "CHOSEN": json.dumps(chosen),
        "CAPABILITIES": json.dumps(checks.CAPABILITIES),
        "UPSTREAMS": json.dumps(checks.UPSTREAMS),
    }
    done = subprocess.run(
        ["node", "clients.js"],
        cwd=NODE,
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    lines = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    return [
        Cell(*(line[key] for key in ("name", "own", "upstream", "capability", "problem", "notes"))) for line in lines
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bless", action="store_true")
    parser.add_argument("clients", nargs="*")
    options = parser.parse_args()
    began = time.monotonic()
    config = Template((HERE / "gateway.yaml").read_text("utf-8"))
    with vendors() as port, concurrent.futures.ThreadPoolExecutor(1) as pool:
        behind: Any = SimpleNamespace(server_port=port, serve_forever=lambda: None, shutdown=lambda: None)
        with started(upstream=behind, config=config) as (url, _, _):
            address = f"http://127.0.0.1:{port}"
            node = pool.submit(node_cells, url, address, options.clients)
            cells = python_cells(url, address, options.clients)
            cells += node.result()
    failed = [cell for cell in cells if cell.failed]
    for cell in failed:
        print(f"FAILED: {cell.client} -> {cell.upstream}: {cell.capability}: {cell.problem[:600] or 'holds again'}")
    print(f"{len(cells) - len(failed)} of {len(cells)} cells hold, in {time.monotonic() - began:.0f} s")
    if options.clients:
        return bool(failed)
    return bool(failed) or page.check(cells, bless=options.bless)


if __name__ == "__main__":
    sys.exit(main())
