"""Real coding agents on models of other vendors, which change amid a loop: `make clients-agents-translation`.

Each agent does its chores (translation/chores.py) once for each pair of vendors, the one that it begins at and the one
that it goes on with. `--bless` writes the tables in docs/agents.md; without it a page that says something else fails.
Words choose runs by their names.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from string import Template

from gateway import started
from harness import Agent, ClaudeCode, Codex, CodexWithCode, GeminiCli, Outcome
from script import Call
from translation import chores
from translation.checks import PNG
from translation.chore_vendors import ChoreVendors, Run, Work
from translation.chores import Chore
from translation.chores_page import Page
from translation.plays import TOKENS
from translation.relay import Relay
from wire import JsonObject

AT_ONCE = 3
APIS = ("chat", "responses", "messages", "gemini")
NAMES = {"chat": "gpt-5.2", "responses": "gpt-5.2", "messages": "claude-opus-4-6", "gemini": "gemini-3-pro-preview"}
BASES = {"gemini": "v1beta"}
TURNS = len(chores.TURNS) + 1
INPUT, CACHED, OUTPUT = (TURNS * TOKENS[kind] for kind in ("input", "cached", "output"))


class Kind:
    """An agent: its program, the API that it speaks, and the name of the model that it asks for."""

    def __init__(self, program: Callable[[str, pathlib.Path, str], Agent], own: str, model: str) -> None:
        self.program, self.own, self.model = program, own, model


KINDS = {
    "claude": Kind(ClaudeCode, "messages", "auto"),
    "codex": Kind(Codex, "responses", "auto"),
    "gemini": Kind(GeminiCli, "gemini", "gemini-3-pro-preview"),
    # By default Codex offers its tools to JavaScript alone, which the model writes as the input of one custom tool.
    "codex56": Kind(CodexWithCode, "responses", "gpt-5.6-luna"),
    # For these names the programs want a budget of thinking, which has stricter rules in a history.
    "claude45": Kind(ClaudeCode, "messages", "claude-sonnet-4-5"),
    "gemini25": Kind(GeminiCli, "gemini", "gemini-2.5-pro"),
}
EVERY_PAIR = ("claude", "codex", "gemini")


def runs(chosen: list[str]) -> Iterator[Run]:
    """Yields every pair with an outage, and those of a ring through all vendors with the other changes as well."""
    for agent, kind in KINDS.items():
        for first, second in itertools.permutations(APIS, 2):
            is_of_ring = APIS[APIS.index(first) - 1] == second
            changes = ["outage"] if is_of_ring or agent in EVERY_PAIR else []
            for change in changes + (["hiccup", "rule"] if is_of_ring and agent in EVERY_PAIR else []):
                name = f"{agent}-{first}-{second}-{change}"
                if all(part in name for part in chosen):
                    yield Run(name, kind.own, first, second, change)


def configuration(all_runs: list[Run]) -> Template:
    """Returns a catalog with two providers for each run, and a policy that begins at one of them."""
    providers, models, policies = [], [], []
    for run in all_runs:
        for place, api in (("first", run.first), ("second", run.second)):
            at = f"{run.name}-{place}"
            base = f"http://127.0.0.1:$port/{run.name}/{BASES.get(api, 'v1')}"
            providers.append(f"  {at}: {{base_url: '{base}', credential: passthrough, dialects: [{api}]}}\n")
            models.append(f"  {at}: {{provider: {at}, name: {NAMES[api]}}}\n")
        leave = f"    rules: [{{when: 'prompt.tool_calls >= 5', use: {run.name}-second}}]\n    state: strip\n"
        policies.append(
            f"  - name: {run.name}\n    match: {{header: {{x-run: {run.name}}}}}\n    fallback: [{run.name}-second]\n"
            f"{leave if run.change == 'rule' else ''}"
            f"    strategy: {{kind: split, models: {{{run.name}-first: 1}}}}\n"
        )
    return Template(
        "version: 1\nlisten: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}\n"
        "retry: {budget: 1.0, pause: 1ms}\n"
        f"providers:\n{''.join(providers)}models:\n{''.join(models)}policies:\n{''.join(policies)}"
    )


def work_of(agent: Agent, turn: tuple[Chore, ...]) -> list[Work]:
    """Returns the agent's calls for the chores of a turn: one for all where its tools are called from code."""
    calls = [tool_of(agent, chore) for chore in turn]
    if isinstance(agent, CodexWithCode):
        code = "".join(arguments["input"] for _, arguments in calls)
        return [Work(calls[0][0], {"input": code}, tuple(chore.holds for chore in turn))]
    return [Work(name, arguments, (chore.holds,)) for (name, arguments), chore in zip(calls, turn, strict=True)]


def tool_of(agent: Agent, chore: Chore) -> Call:
    """Returns the agent's own tool for a chore."""
    match chore.kind:
        case "read":
            return agent.read(chore.given)
        case "save":
            return agent.save(chore.given, chores.NOTES)
        case "view":
            return agent.view(chore.given)
        case _:
            return agent.shell(chore.given)


def play(run: Run, url: str) -> Outcome:
    """Lets an agent do its chores; returns what it says at last."""
    kind = KINDS[run.name.split("-")[0]]
    with tempfile.TemporaryDirectory() as folder:
        agent = kind.program(f"{url}/{run.name}", pathlib.Path(folder), kind.model)
        (agent.project / chores.PIXEL).write_bytes(PNG)
        run.tools = [work_of(agent, turn) for turn in chores.TURNS]
        try:
            outcome = agent.say(chores.ASK)
        finally:
            agent.close()
        log = agent.project / chores.LOG
        logged = sorted(log.read_text().split()) if log.exists() else []
        if logged != chores.LOGGED:
            run.problems.append(f"the commands that were run left {logged}")
        notes = agent.project / "notes.txt"
        if not notes.exists() or notes.read_text() != chores.NOTES:
            run.problems.append("the file that was written holds something else")
    return outcome


def tokens(run: Run, usage: JsonObject) -> tuple[int, int, int]:
    """Returns input with what was cached, what was cached, and output, as the agent counted them in its API's terms."""
    match run.own:
        case "messages":
            cached = usage["cache_read_input_tokens"]
            return usage["input_tokens"] + cached, cached, usage["output_tokens"]
        case "responses":
            return usage["input_tokens"], usage["cached_input_tokens"], usage["output_tokens"]
        case _:
            found = [model["tokens"] for model in usage["models"].values()]
            count = {kind: sum(each[kind] for each in found) for kind in ("prompt", "cached", "candidates", "thoughts")}
            return count["prompt"], count["cached"], count["candidates"] + count["thoughts"]


def vendor_at(run: Run, turn: int) -> str:
    """Returns the API whose vendor is to answer a turn.

    What a model of the agent's own API has sealed binds the loop (docs/state.md), whatever was meant to happen next.
    """
    has_changed = turn >= chores.CHANGE
    if run.change == "hiccup" and turn > chores.CHANGE:
        has_changed = run.second == run.own
    return run.second if has_changed else run.first


def check(run: Run, relay: Relay, outcome: Outcome) -> None:
    """Adds what did not hold to the problems of a run."""
    if outcome.text != chores.DONE:
        run.problems.append(f"the agent ended with {outcome.text[:300]!r}")
    found = tokens(run, outcome.usage)
    if found != (INPUT, CACHED, OUTPUT):
        run.problems.append(f"tokens (input, cached, output) {found} instead of {(INPUT, CACHED, OUTPUT)}")
    answered = {turn: said.api for turn, said in sorted(run.turns.items())}
    if answered != {turn: vendor_at(run, turn) for turn in range(TURNS)}:
        run.problems.append(f"the turns were answered by {answered}")
    for request, turn in run.requests.items():
        head = relay.answers.get(run.name, {}).get(request)
        translated = head.headers.get("x-pointsman-translated", "") if head else "no answer"
        api = run.turns[turn].api if turn in run.turns else "nobody"
        wanted = "" if api == run.own else f"{run.own}->{api}"
        if translated.split(";")[0] != wanted or (head and head.status != 200):
            run.problems.append(f"turn {turn} says {translated!r} instead of {wanted!r}, {head}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bless", action="store_true")
    parser.add_argument("runs", nargs="*")
    options = parser.parse_args()
    began = time.monotonic()
    every, relay, page = list(runs(options.runs)), Relay(), Page()

    def done(run: Run) -> None:
        try:
            check(run, relay, play(run, relay.url))
        except Exception as error:
            run.problems.append(f"{type(error).__name__}: {error}")
        heads = relay.answers.get(run.name, {})
        asked = [heads[request].headers for request in run.requests if request in heads]
        page.add(run, [headers.get("x-pointsman-translated", "") for headers in asked])
        print(
            f"{'FAILED' if run.problems else 'ok'}: {run.name}: {len(run.turns)} turns, {run.asides} asides", flush=True
        )
        for problem in run.problems:
            print(f"    {problem}", flush=True)

    with started(upstream=ChoreVendors(every), config=configuration(every)) as (url, _, _):
        relay.target = url.removeprefix("http://")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(done, every))
    failed = [run.name for run in every if run.problems]
    print(f"{len(every) - len(failed)} of {len(every)} runs hold, in {time.monotonic() - began:.0f} s")
    if options.runs:
        return bool(failed)
    return bool(failed) or page.check(bless=options.bless)


if __name__ == "__main__":
    sys.exit(main())
