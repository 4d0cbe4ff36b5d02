#!/usr/bin/env python3
"""The console beside a gateway under full load: what it costs, and whether it stays of use.

wrk sends requests whose answers the response cache has, as fast as they are answered. Rules, classifier and decision
are as for any other request, and nothing but the gateway, wrk and the browser takes the cores. In each of ROUNDS rounds
the same load runs with no page, with the overview and with the decisions open. POINTSMAN names the binary; the figures
go to target/console/load.json, pictures beside it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reports"))

from browser import Browser, program  # noqa: E402
from check import PICTURES, visit  # noqa: E402
from stage import KEYS, PROMPTS, Stage  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS", "8"))
AT_ONCE = 32
PAGES = ("nobody", "overview", "decisions")
SCRIPT = """\
local bodies = {{{bodies}}}
local fields = {{["content-type"] = "application/json", ["authorization"] = "Bearer {key}"}}
local requests, turn = {{}}, 0
function init()
  for index, body in ipairs(bodies) do
    requests[index] = wrk.format("POST", "/v1/chat/completions", fields, body)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  print(string.format("FIGURES %d %d %d %d %d", summary.requests, failed, summary.duration, p50, p99))
end
"""
Figures = dict[str, float]


def main() -> None:
    path, wrk = program(), shutil.which("wrk")
    if path is None or wrk is None:
        sys.exit("tests/console: load needs Chromium and wrk (Debian's packages chromium and wrk)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Figures]] = {page: [] for page in PAGES}
    with Stage(edit=False, clients=True, cache=True) as stage, tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "load.lua")
        script.write_text(load(KEYS["search-team"]))
        command = [wrk, "--threads", "1", "--connections", str(AT_ONCE), "--script", str(script)]
        command += ["--duration", f"{SECONDS}s", f"http://{stage.listen}/"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # fills the cache
        for _ in range(ROUNDS):
            for page in PAGES:
                found[page].append(measured(path, stage, command, page))
    report = {
        page: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for page, runs in found.items()
    }
    text = json.dumps({"rounds": ROUNDS, "seconds": SECONDS, "medians": report, "all": found}, indent=2)
    (PICTURES / "load.json").write_text(text + "\n")
    print(json.dumps(report, indent=2))


def load(key: str) -> str:
    bodies = [json.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]}) for prompt in PROMPTS]
    return SCRIPT.format(bodies=", ".join(f"[==[{body}]==]" for body in bodies), key=key)


def measured(path: str, stage: Stage, command: list[str], page: str) -> Figures:
    """Runs the load once beside a page; without one there is no browser either."""
    if page == "nobody":
        return under_load(stage, command)[0]
    with Browser(path) as browser:
        browser.resize(1600, 1000, "light")
        visit(browser, stage, page)
        browser.until("document.querySelector('.figure, .stream-state')")
        figures, process = under_load(stage, command, while_it_runs=lambda: used(browser, page))
        return figures | process


def under_load(stage: Stage, command: list[str], while_it_runs: Any = dict) -> tuple[Figures, Figures]:
    before = processor_seconds(stage.process.pid)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen = while_it_runs()
    said_by_wrk = running.communicate(timeout=SECONDS + 60)[0]
    spent = processor_seconds(stage.process.pid) - before
    line = re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+) (\d+)", said_by_wrk)
    assert line, said_by_wrk
    requests, failed, microseconds, p50, p99 = map(int, line.groups())
    assert failed == 0, said_by_wrk
    if "said a second" in seen:
        seen["said / served"] = round(seen.pop("said a second") * microseconds / 1e6 / requests, 3)
    figures = {
        "requests a second": round(1e6 * requests / microseconds),
        "CPU us a request": round(1e6 * spent / requests, 1),
        "p50 us": p50,
        "p99 us": p99,
    }
    return figures, seen


def processor_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used(browser: Browser, page: str) -> Figures:
    """Uses a page amid the load, and returns what it says and how long it takes."""
    time.sleep(SECONDS * 0.4)  # the load has settled, and the page has looked a few times
    asked, started = len(browser.seen("Network.requestWillBeSent")), time.monotonic()
    found: Figures = {}
    if page == "decisions":
        said = str(browser.value("document.querySelector('.stream-state').innerText"))
        number = re.match(r"([\d,.]+) decisions a second", said)
        assert number, said
        found["said a second"] = float(number[1].replace(",", ""))
        browser.value("document.querySelector('.row[data-number]').click()")
        found["a decision opens, ms"] = round(
            browser.until("document.querySelector('.drawer')?.innerText.includes('Candidates')")
        )
        browser.press("Escape")
        browser.until("[...document.querySelectorAll('.row .chip')].some((chip) => chip.innerText === 'kept answer')")
    while time.monotonic() - started < SECONDS * 0.4:
        browser.value("new Promise((go) => setTimeout(go, 100))")
    looks = len(browser.seen("Network.requestWillBeSent")) - asked
    found["the page asks, times a second"] = round(looks / (time.monotonic() - started), 2)
    found["rows"] = browser.value("document.querySelectorAll('.row[data-number]').length")
    found["memory of the page, MB"] = round(browser.value("performance.memory.usedJSHeapSize") / 1e6, 1)
    browser.picture(PICTURES / f"load-{page}.png")
    return found


if __name__ == "__main__":
    main()
