#!/usr/bin/env python3
"""Runs every query of the dashboards, every recording rule and every alert against a real Prometheus over a real fleet.

A query that fails, or finds nothing where something must be, ends the check with its panel's name. What cannot have
data here is listed below with the reason, and must really have none.
"""

from __future__ import annotations

import math
import pathlib
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "config" / "grafana"))

from load import Load, troubles  # noqa: E402
from model import VARIABLES as LISTS  # noqa: E402
from panels import DASHBOARDS  # noqa: E402
from stack import Prometheus, running  # noqa: E402

SECONDS = 40
SCRAPE = 1

# Panels that have no data here, and why.
EMPTY = {
    "Credentials": "no provider here is a cloud",
    "Keys that rest": "every provider here has one key",
    "Requests by key": "every provider here has one key",
    "Source last reached": "the configuration here is a file",
    "GPU memory": "there is no GPU, and so no DCGM exporter",
    "Parameters adapted": "the models here take every parameter that the traffic has",
    "Translations": "the models here speak the API of every client",
    "Lost in translation": "the models here speak the API of every client",
    "Quality held": "the traffic's feedback names requests that nobody has made",
    "Quality by model": "the traffic's feedback names requests that nobody has made",
    "Quality by policy": "the traffic's feedback names requests that nobody has made",
    "Ratings behind the quality": "the traffic's feedback names requests that nobody has made",
    "Hit rate of the response cache": "no policy here has a cache",
    "Requests of the response cache": "no policy here has a cache",
    "Saved by the response cache": "no policy here has a cache",
    "Size of the response cache": "no policy here has a cache",
    "Answers kept": "no policy here has a cache",
    "Shadow answers": "no policy here has another model asked",
    "Bandits: chance of a good answer": "no policy here learns from feedback",
    "Bandits: rewards": "no policy here learns from feedback",
    "Decisions for Envoy": "no Envoy asks here",
    "Client keys": "every key here stands in the configuration",
    "Requests to classifiers elsewhere": "every classifier here is a bundle",
    "Answers of classifiers elsewhere": "every classifier here is a bundle",
    "Hedged requests": "every classifier here is a bundle",
    "Escalations": "no policy here checks answers",
    "Checked answers": "no policy here checks answers",
    "Cost of answers that nobody got": "no policy here checks answers",
}
# Panels in which nothing happens here, so that all they show is zero, and why.
CALM = {
    "Device fallbacks": "the CPU is what `device: auto` takes where there is no GPU",
    "State that providers keep": "no request of the traffic names any",
    "Budgets reached": "the budget here is far larger than what the traffic costs",
    "Registry of client keys unread": "every key here stands in the configuration",
    "Questions to the source": "the configuration here is a file",
    "Watches missing": "every folder with files is there",
    "Watches lost": "no folder is moved or replaced",
    "Refused connections": "the clients of the traffic are few and prompt",
    "WebSockets": "no client of the traffic speaks by WebSocket",
    "WebSockets closed": "no client of the traffic speaks by WebSocket",
    "WebSocket messages": "no client of the traffic speaks by WebSocket",
    "Admin callers refused": "the admin plane here asks nobody who they are",
    "Decisions without a request": "every request of the traffic is sent",
    "Requests that Envoy asks about": "no Envoy asks here",
    "Messages of Envoy's": "no Envoy asks here",
    "Streams of Envoy's": "no Envoy asks here",
}
# Panels that may show nothing but zero, and why.
CHANCE = {
    "Prompts that wait": "a scrape sees the queue of one moment",
    "Queue depth": "a scrape sees the queue of one moment",
    "In flight": "a scrape sees the requests of one moment",
    "Requests in flight": "a scrape sees the requests of one moment",
    "Bodies in flight": "a scrape sees the bodies of one moment",
    "Decisions by rule": "the traffic asks for little that a rule decides",
    "Padding": "a classifier that serves prompts best alone, as it finds out at its start, pads nothing",
    "Frozen thresholds": "drift is told from 500 prompts on, and fewer may come here",
    "Retries refused": "the budget allows ten retries a second, and a slow machine wants fewer",
}
# What Grafana puts in place of its variables when all is chosen; rates need a few scrapes.
VARIABLES = {
    "$__rate_interval": "30s",
    "$__range": "5m",
    "$instance": ".*",
    "$policy": ".*",
    "$model": ".*",
    "$classifier": ".*",
    "$head": ".*",
    "$provider": ".*",
}


def main() -> None:
    check_files()
    started = time.time()
    with running(SCRAPE) as stack:
        with Load(stack) as load:
            troubles(stack, SECONDS)
            time.sleep(3 * SCRAPE)  # the last scrapes, while all still happens
            problems = [*queries(stack.prometheus, started), *variables(stack.prometheus), *rules(stack.prometheus)]
        print(f"{load.sent} requests, {load.failed} answered with 5xx")
    if problems:
        sys.exit("\n".join(["FAILED", *problems]))
    print(f"ok: every query has data, {time.time() - started:.0f} s")


def check_files() -> None:
    """Checks what is committed: dashboards are those of the generator, rules are sound and do what their tests say."""
    prometheus = ROOT / "config" / "prometheus"
    run([sys.executable, str(ROOT / "config" / "grafana" / "generate.py"), "--check"])
    run(["promtool", "check", "config", str(prometheus / "prometheus.yaml")])
    run(["promtool", "test", "rules", str(prometheus / "tests.yaml")])
    alerts = re.findall(r"- alert: (\w+)", (prometheus / "alerts.yaml").read_text())
    for page in (prometheus / "tests.yaml", ROOT / "docs" / "observability.md"):
        missing = [alert for alert in alerts if alert not in page.read_text()]
        if missing:
            sys.exit(f"{page} does not speak of {', '.join(missing)}")


def run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}")


def queries(prometheus: Prometheus, started: float) -> list[str]:
    """Runs every panel's queries over the time since `started`; returns what is wrong."""
    problems = []
    panels = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
    for dashboard, panel in panels:
        name = f"{dashboard.title} / {panel.title}"
        try:
            found = [numbers(prometheus, filled(query.expr), started) for query in panel.queries]
        except RuntimeError as error:
            problems.append(f"{name}: {error}")
            continue
        if panel.title in EMPTY:
            problems += [f"{name} has data, but is listed as empty"] if any(found) else []
            continue
        for query, values in zip(panel.queries, found, strict=True):
            problems += [] if values else [f"{name} finds nothing: {filled(query.expr)}"]
        if panel.title not in CHANCE and any(map(any, found)) == (panel.title in CALM):
            problems.append(f"{name} {'is not calm' if panel.title in CALM else 'shows nothing but zero'}")
    print(f"{sum(len(panel.queries) for _, panel in panels)} queries of {len(panels)} panels")
    return problems


def numbers(prometheus: Prometheus, expr: str, started: float) -> list[float]:
    series = prometheus.range(expr, started, time.time(), SCRAPE)
    values = (float(value) for one in series for _, value in one["values"])
    return [value for value in values if math.isfinite(value)]


def filled(expr: str) -> str:
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr, expr
    return expr


def variables(prometheus: Prometheus) -> list[str]:
    """Asks for the values of every variable as Grafana does; each has some, and every policy is among the policies."""
    lists = {name: values(prometheus, query) for name, (_, query) in LISTS.items()}
    problems = [f"the variable {name} has no values" for name, found in lists.items() if not found]
    series = prometheus.query('group by (policy) ({__name__=~"pointsman_(shadow_)?decisions_total"})')
    unlisted = {one["metric"]["policy"] for one in series} - lists["policy"]
    print(f"{len(lists)} variables, policies: {', '.join(sorted(lists['policy']))}")
    return problems + [f"the variable policy lacks {name}" for name in sorted(unlisted)]


def values(prometheus: Prometheus, query: str) -> set[str]:
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", filled(query))
    assert match, query
    selector, label = match.groups()
    return set(prometheus.ask(f"/api/v1/label/{label}/values", **{"match[]": selector}))


def rules(prometheus: Prometheus) -> list[str]:
    """Checks that every recording rule has a value and every alert can be evaluated."""
    problems, count = [], 0
    for group in prometheus.ask("/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            count += 1
            if rule["health"] != "ok":
                problems.append(f"{rule['name']}: {rule.get('lastError', rule['health'])}")
            elif rule["type"] == "recording" and not prometheus.query(rule["name"]):
                problems.append(f"{rule['name']} has no value")
    print(f"{count} rules")
    return problems if count else ["no rules were loaded"]


if __name__ == "__main__":
    main()
