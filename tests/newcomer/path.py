#!/usr/bin/env python3
"""A newcomer's path, step by step, as it is typed: clone, demo, init, Claude Code, console, a budget hit, rollback.

Everything is real but the vendor, a scripted one on loopback: the clone, the commands of the pages, Claude Code and
Chromium. POINTSMAN names a binary that stands for the one that `make demo` builds; then nothing is cloned or built.
`--docs` writes docs/newcomer.md.
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "clients"), str(TESTS / "reports")]

from browser import Browser, program  # noqa: E402
from harness import KEY, ClaudeCode  # noqa: E402
from script import ScriptedModel, Step  # noqa: E402

ROOT = TESTS.parent
PAGE = ROOT / "docs" / "newcomer.md"
PICTURE = ROOT / "docs" / "newcomer-console.png"
PATIENCE = 60.0
EASY = "What is the capital of Australia? One word."
HARD = "Prove that this lock-free queue is linearizable, and say which memory orderings the proof needs."
# What a newcomer adds by hand: who may ask, and what a day may cost.
BOUNDS = """
clients:
  me: {{keys: [{{sha256: {hash}}}]}}
budgets:
  - {{name: daily, per: client, dollars: {dollars}, period: day}}
"""


class Path:
    """The steps so far: what was typed, what came back, and the seconds that it took."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, list[tuple[str, str]], float]] = []

    def step(self, title: str, act: Callable[[], list[tuple[str, str]]]) -> None:
        started = time.monotonic()
        shown = act()
        self.steps.append((title, shown, time.monotonic() - started))
        print(f"{title}: {self.steps[-1][2]:.1f} s", flush=True)

    def page(self, built: bool) -> str:
        total = sum(seconds for _, _, seconds in self.steps)
        lines = [
            "# A newcomer's path",
            "",
            "What is typed from a fresh clone to a budget that holds, and what comes back. `make newcomer` plays it:",
            "the clone, the commands, Claude Code and the browser are real, the vendor is a scripted one on loopback,",
            "which is why `init` is given its address.",
            f"Seconds on two cores, {'with' if built else 'without'} the build of `make demo`; {total:.0f} in all.",
            "",
            "| step | seconds |",
            "|---|---|",
            *(f"| {title} | {seconds:.1f} |" for title, _, seconds in self.steps),
        ]
        for title, shown, _ in self.steps:
            lines += ["", f"## {title}"]
            for typed, answer in shown:
                lines += [
                    "",
                    "```console",
                    *prompted(typed),
                    *answer.strip().splitlines(),
                    "```",
                ]
            if title == "Look at the console":
                lines += ["", f"![The console's overview]({PICTURE.name})"]
        return "\n".join(lines) + "\n"


def main() -> None:
    chromium = program()
    if chromium is None:
        sys.exit("tests/newcomer: there is no Chromium (Debian's package chromium, or name one in CHROMIUM)")
    given = os.environ.get("POINTSMAN")
    path = Path()
    with tempfile.TemporaryDirectory(prefix="pointsman-newcomer-") as folder:
        clone = pathlib.Path(folder) / "pointsman"
        if given:
            clone.mkdir()
            for name in ("models", ".tools"):
                (clone / name).symlink_to(ROOT / name)
        else:
            path.step(
                "Clone",
                lambda: [
                    run(
                        "git clone --quiet ORIGIN pointsman",
                        ["git", "clone", "--quiet", str(ROOT), "pointsman"],
                        clone.parent,
                    )
                ],
            )
            path.step(
                "Watch the demo",
                lambda: [last("make demo DEMO_FLAGS=--once", ["make", "demo", "DEMO_FLAGS=--once"], clone, 14)],
            )
        binary = given or str(clone / "target" / "quick" / "pointsman")
        Newcomer(path, clone, binary).walk(chromium)
    text = path.page(not given)
    if "--docs" in sys.argv:
        PAGE.write_text(text)
    print(json.dumps({"steps": len(path.steps), "seconds": round(sum(step[2] for step in path.steps), 1)}))


class Newcomer:
    """Somebody in a clone, with a binary and a key of a vendor."""

    def __init__(self, path: Path, clone: pathlib.Path, binary: str) -> None:
        self.path, self.clone, self.binary = path, clone, binary
        steps = {EASY: [Step("Canberra.")], HARD: [Step("By its linearization points.")]}
        self.vendor = ScriptedModel(steps)
        self.address = f"http://127.0.0.1:{self.vendor.server_address[1]}"
        self.file = clone / "pointsman.yaml"
        self.environment = os.environ | {"ANTHROPIC_API_KEY": "sk-of-the-vendor"}
        self.gateway: subprocess.Popen[bytes] | None = None
        self.listen = self.admin = ""

    def walk(self, chromium: str) -> None:
        threading.Thread(target=self.vendor.serve_forever, daemon=True).start()
        try:
            self.path.step("Write a configuration", self.init)
            self.path.step("Say who may ask, and what a day may cost", self.bound)
            self.path.step("Serve", self.serve)
            with tempfile.TemporaryDirectory() as home:
                agent = ClaudeCode(f"http://{self.listen}", pathlib.Path(home), "auto")
                try:
                    self.path.step("Ask with Claude Code", lambda: self.ask(agent, [EASY, HARD]))
                    self.path.step("Look at the console", lambda: self.look(chromium))
                    self.path.step("Hit the budget", lambda: self.hit(agent))
                    self.path.step("Raise it, and take that back", lambda: self.roll_back(agent))
                finally:
                    agent.close()
        finally:
            if self.gateway:
                self.gateway.terminate()
                self.gateway.wait(PATIENCE)
            self.vendor.shutdown()
            self.vendor.server_close()

    def init(self) -> list[tuple[str, str]]:
        typed = "export ANTHROPIC_API_KEY=sk-...\npointsman init --yes --provider anthropic=URL"
        command = ["init", "--yes", "--provider", f"anthropic={self.address}", "--local", ""]
        said = self.pointsman([*command, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        return [(typed, said.replace(self.address, "URL"))]

    def bound(self) -> list[tuple[str, str]]:
        hash_ = subprocess.run([self.binary, "hash-key"], input=KEY, capture_output=True, text=True, check=True)
        self.file.write_text(self.file.read_text() + BOUNDS.format(hash=hash_.stdout.strip(), dollars="0.40"))
        added = BOUNDS.format(hash="THE-HASH", dollars="0.40").strip()
        checked = self.pointsman(["check", "-c", "pointsman.yaml"])
        return [
            ("echo -n MY-KEY | pointsman hash-key", "THE-HASH"),
            ("cat >> pointsman.yaml\n" + added, ""),
            ("pointsman check -c pointsman.yaml", checked),
        ]

    def serve(self) -> list[tuple[str, str]]:
        log = self.clone / "log"
        with log.open("wb") as written:
            command = [self.binary, "serve", "-c", "pointsman.yaml"]
            self.gateway = subprocess.Popen(
                command, cwd=self.clone, env=self.environment, stdout=written, stderr=written
            )
        found = self.until(lambda: re.search(r"ready listen=(\S+) admin=(\S+)", log.read_text(errors="replace")), log)
        self.listen, self.admin = found[1], found[2]
        return [("pointsman serve -c pointsman.yaml", f"... ready listen={self.listen} admin={self.admin}")]

    def ask(self, agent: ClaudeCode, asks: list[str]) -> list[tuple[str, str]]:
        shown = [("ANTHROPIC_BASE_URL=http://LISTEN ANTHROPIC_API_KEY=MY-KEY claude --model auto", "")]
        for text in asks:
            self.vendor.drain()
            said = agent.say(text).text
            went = [seen.model for seen in self.vendor.drain() if seen.purpose == "answer"]
            assert went, f"`{text}` reached no model: {said}"
            shown[-1] = (shown[-1][0], f"{shown[-1][1]}> {text}\n{said}      ({went[-1]})\n")
        return shown

    def look(self, chromium: str) -> list[tuple[str, str]]:
        with Browser(chromium) as browser:
            browser.resize(1600, 1000, "light")
            browser.call("Page.navigate", url=f"http://{self.admin}/console/")
            browser.until("(document.querySelector('#content')?.innerText ?? '').includes('Savings by policy')")
            target = PICTURE if "--docs" in sys.argv else self.clone / PICTURE.name
            browser.picture(target)
        return [("xdg-open http://ADMIN/console/", "")]

    def hit(self, agent: ClaudeCode) -> list[tuple[str, str]]:
        for _ in range(20):
            said = agent.say(HARD).text
            if "daily" in said:
                break
        else:
            raise AssertionError(f"20 asks, and the budget was not hit: {said}")
        return [("# the same conversation", f"> {HARD}\n{said}")]

    def roll_back(self, agent: ClaudeCode) -> list[tuple[str, str]]:
        self.file.write_text(self.file.read_text().replace("dollars: 0.40", "dollars: 10.00"))
        self.until_generation(2)
        said = agent.say(EASY).text
        assert "daily" not in said, said
        rolled = self.call("POST", "/rollback")
        self.until_generation(3)
        refused = agent.say(EASY).text
        assert "daily" in refused, refused
        return [
            ("sed -i 's/dollars: 0.40/dollars: 10.00/' pointsman.yaml   # taken at once", f"> {EASY}\n{said}"),
            ("curl -X POST http://ADMIN/rollback", json.dumps(rolled)),
            ("# the old budget holds again, and what was spent is remembered", f"> {EASY}\n{refused}"),
        ]

    def until_generation(self, wanted: int) -> None:
        self.until(lambda: self.call("GET", "/generation")["generation"] == wanted or None, self.clone / "log")

    def call(self, method: str, path: str) -> dict[str, object]:
        connection = http.client.HTTPConnection(self.admin, timeout=PATIENCE)
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        found: dict[str, object] = json.loads(text)
        return found

    def until(self, found: Callable[[], object], log: pathlib.Path) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := found():
                return result  # type: ignore[return-value]
            time.sleep(0.05)
        raise SystemExit(log.read_text(errors="replace")[-4000:])

    def pointsman(self, arguments: list[str]) -> str:
        done = subprocess.run(
            [self.binary, *arguments], cwd=self.clone, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def prompted(typed: str) -> list[str]:
    """Returns typed lines with a shell's prompt; what follows `cat >>` is its input."""
    follows = "> " if typed.startswith("cat >>") else "$ "
    return [f"{follows if number else '$ '}{line}" for number, line in enumerate(typed.splitlines())]


def run(typed: str, command: list[str], folder: pathlib.Path) -> tuple[str, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return typed, done.stdout


def last(typed: str, command: list[str], folder: pathlib.Path, lines: int) -> tuple[str, str]:
    typed, said = run(typed, command, folder)
    return typed, "...\n" + "\n".join(said.rstrip().splitlines()[-lines:])


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("tests/newcomer: git is missing")
    main()
