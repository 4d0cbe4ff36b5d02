"""The tables of docs/agents.md about agents on other vendors' models: rendered from a run of which everything holds."""

from __future__ import annotations

import itertools
import json
import pathlib
from collections import defaultdict

from translation.chore_vendors import Run
from translation.page import difference

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "agents.md"
BEGIN, END = "<!-- Rendered by `make clients-agents-translation BLESS=--bless` -->\n", "<!-- Rendered until here -->\n"
PROGRAMS = {
    "claude": ("Claude Code, `auto`", "@anthropic-ai/claude-agent-sdk"),
    "claude45": ("Claude Code, `claude-sonnet-4-5`", "@anthropic-ai/claude-agent-sdk"),
    "codex": ("Codex, `auto`", "@openai/codex"),
    "codex56": ("Codex, `gpt-5.6-luna`", "@openai/codex"),
    "gemini": ("Gemini CLI, `gemini-3-pro-preview`", "@google/gemini-cli"),
    "gemini25": ("Gemini CLI, `gemini-2.5-pro`", "@google/gemini-cli"),
}
APIS = ("chat", "responses", "messages", "gemini")
KINDS = ("dropped", "changed")


class Page:
    """What the tables say: the changes that each pair went through, and what was said to be lost."""

    def __init__(self) -> None:
        self.changes: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self.losses: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(self, run: Run, headers: list[str]) -> None:
        """Adds a run, and what `x-pointsman-translated` said of each of its turns."""
        agent = run.name.split("-")[0]
        self.changes[agent, run.first, run.second].append(run.change)
        for header in filter(None, headers):
            pair, *lists = header.split("; ")
            found = self.losses[agent, pair.split("->")[1]]
            for kind, fields in (each.split("=") for each in lists):
                found[kind] |= set(fields.split(","))

    def rendered(self) -> str:
        packages = json.loads((ROOT / "tests/clients/agents/package.json").read_text("utf-8"))["dependencies"]
        lines = [
            f"\n| agent, asks for | begins at | {' | '.join(f'goes on at {api}' for api in APIS)} |",
            "|---" * 6 + "|",
        ]
        for agent, first in itertools.product(PROGRAMS, APIS):
            cells = (", ".join(sorted(self.changes.get((agent, first, second), ["-"]))) for second in APIS)
            lines.append(f"| {PROGRAMS[agent][0]} | {first} | {' | '.join(cells)} |")
        lines += ["\n| agent, asks for | asked in | dropped | changed |", "|---|---|---|---|"]
        for agent, api in itertools.product(PROGRAMS, APIS):
            if (agent, api) in self.losses:
                said = (", ".join(f"`{field}`" for field in sorted(self.losses[agent, api][kind])) for kind in KINDS)
                lines.append(f"| {PROGRAMS[agent][0]} | {api} | {' | '.join(cell or '-' for cell in said)} |")
        used = dict.fromkeys(package for _, package in PROGRAMS.values())
        versions = ", ".join(f"`{package}` {packages[package]}" for package in used)
        return "\n".join(lines) + f"\n\nnpm: {versions}.\n\n"

    def check(self, *, bless: bool) -> bool:
        """Writes the tables, or tells whether they say something else than the run."""
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        old, _, after = rest.partition(END)
        if bless:
            PAGE.write_text(before + BEGIN + self.rendered() + END + after, "utf-8")
        elif old != self.rendered():
            print(f"{PAGE.name} is stale: `make clients-agents-translation BLESS=--bless` writes its tables")
            print(difference(old, self.rendered()))
            return True
        return False
