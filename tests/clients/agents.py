"""Coding agents through the proxy, conversation by conversation: each request goes where the person's ask belongs.

`make clients-agents` runs this. The truth is what the admin plane decides for the bare ask.
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator

import gateway
import replays
from asks import AGAIN, EASY, HARD, PLAN, REPLIES, REVIEW, TASK
from conversations import CONVERSATIONS
from decisions import DecisionLog
from harness import Agent, ClaudeCode, Codex, wait_for_the_agent
from script import ScriptedModel, ScriptedRequest, Step
from upstream import DEADLINE

AFFINITY = "    affinity: {key: conversation}\n"
CLAUDE = "  - name: claude\n    match: {model: ['claude-*']}\n    strategy: *strategy\n"


def main() -> int:
    """Plays every scenario, or those that are named, and tells what went wrong."""
    named = sys.argv[1:]
    failures = [failure for affinity in ("", AFFINITY) for failure in check(affinity, named)]
    for failure in failures:
        print(f"FAILED: {failure}", flush=True)
    return 1 if failures else 0


def check(affinity: str, named: list[str]) -> Iterator[str]:
    """Plays scenarios through one proxy, and yields what went to another model than it should."""
    upstream, log = ScriptedModel({}), DecisionLog()
    with log, gateway.started(log.section, upstream=upstream, policies=affinity + CLAUDE + affinity) as (url, admin, _):
        decided = functools.cache(functools.partial(decide, admin))
        far_apart = [decided(ask) for ask in (EASY, AGAIN, HARD, TASK)]
        assert far_apart == ["small-1", "small-1", "frontier-1", "frontier-1"], (
            f"the asks do not lie far apart: {far_apart}"
        )
        for play in (*AGENTS, *CONVERSATIONS):
            if named and play.__name__ not in named:
                continue
            play(url, upstream)
            seen = upstream.drain()
            assert len(seen) >= 8, f"only {len(seen)} requests came of {play.__name__}"
            wrong = [*misrouted(seen, decided, held=bool(affinity)), *misread(seen, log)]
            yield from tell(f"{play.__name__}, {'with' if affinity else 'without'} affinity", wrong, len(seen))
        if not affinity and (not named or "recorded" in named):
            results = list(replays.replay(url, upstream, decided, log))
            yield from tell("recorded", [f"{name} {what}" for name, what in results if what], len(results))


def tell(name: str, wrong: list[str], count: int) -> Iterator[str]:
    name = name.replace("_", " ")
    print(f"{'WRONG' if wrong else 'ok'}: {name}: {count} requests, {len(wrong)} faults", flush=True)
    yield from (f"{name}: {each}" for each in wrong)


def misrouted(seen: list[ScriptedRequest], decided: Callable[[str], str], held: bool) -> Iterator[str]:
    """Yields what did not go where its ask belongs.

    In a conversation that is `held` it belongs where a harder one went before.
    """
    pins: dict[tuple[str | None, bool], str] = {}
    for each in seen:
        if each.purpose == "answer":
            wanted = decided(REPLIES.get(each.ask, each.ask))
            key = (each.headers.get("thread-id") or each.headers.get("x-claude-code-session-id"), each.ask == TASK)
            pins[key] = min(wanted, pins.get(key, wanted))  # `frontier-1` stands before `small-1`
            wanted = pins[key] if held else wanted
        else:
            wanted = "small-1"
        if each.model != wanted:
            yield f"{each} went to {each.model} instead of {wanted}"


def misread(seen: list[ScriptedRequest], log: DecisionLog) -> Iterator[str]:
    """Yields each request whose purpose or whose ask was taken for another than it is."""
    for each in seen:
        line = log.of(each)
        purpose, text = line["features"]["purpose"], line["text"].strip()
        wanted = f"{REPLIES[each.ask]}\n{each.ask}" if each.ask in REPLIES else each.ask
        if purpose != each.purpose:
            yield f"{each} was taken for {purpose}"
        elif purpose == "answer" and text != wanted:
            yield f"{each} was read as {text[:200]!r}"
        elif (each.ask == PLAN and is_claude_code(each)) != line["features"]["plan_mode"]:
            yield f"{each} has plan_mode {line['features']['plan_mode']}"


def is_claude_code(seen: ScriptedRequest) -> bool:
    return "x-claude-code-session-id" in seen.headers


def decide(admin: str, ask: str) -> str:
    """Returns what the bare ask is sent to."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": ask}]}).encode()
    with urllib.request.urlopen(f"{admin}/v1/decide", body, DEADLINE) as answer:
        return f"{json.load(answer)['model']}-1"


# The agents


def claude_code_with_a_name_that_it_does_not_know(url: str, upstream: ScriptedModel) -> None:
    play_claude_code(url, upstream, "auto")


def claude_code_with_a_name_that_it_knows(url: str, upstream: ScriptedModel) -> None:
    play_claude_code(url, upstream, "claude-sonnet-4-5")


def play_claude_code(url: str, upstream: ScriptedModel, model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agent = ClaudeCode(url, pathlib.Path(folder), model)
        upstream.script = {
            **steps(agent),
            TASK: [Step("I look.", (agent.shell("ls"),)), Step("Designed.")],
            REVIEW: [Step("None.")],
        }
        try:
            agent.say(EASY)
            agent.say("yes")
            agent.control("generate_session_title", description=EASY, persist=False)
            agent.say(HARD)
            agent.say("continue")
            agent.say(AGAIN)
            agent.say("/review-file main.rs")
            agent.say("/compact")
            agent.control("set_permission_mode", mode="plan")
            agent.say(PLAN)
        finally:
            agent.close()


def codex(url: str, upstream: ScriptedModel) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agent = Codex(url, pathlib.Path(folder), "auto")
        script = steps(agent)
        script[EASY].insert(3, Step("I wait.", wait_for_the_agent))
        upstream.script = {**script, TASK: [Step("I look.", (agent.shell("ls"),)), Step("Designed.")]}
        agent.say(EASY)
        agent.say("yes")
        agent.say(HARD)
        agent.say("continue")
        agent.say(AGAIN)
        agent.say(PLAN, "-c", "model_auto_compact_token_limit=1000")
        with agent.terminal(AGAIN):
            assert upstream.wait_for("title", 2 * DEADLINE), "Codex asked for no title"


def steps(agent: Agent) -> dict[str, list[Step]]:
    """Returns what the model does about each ask: tools, one that fails, one that hands the work on, and words."""
    return {
        EASY: [
            Step("I look.", (agent.read(),)),
            Step("Once more.", (agent.shell("cat nothing-here"),)),
            Step("I hand it on.", (agent.delegate(TASK),)),
            Step("It prints hello. Shall I change that?"),
        ],
        "yes": [Step("I do.", (agent.shell("ls"),)), Step("Done.")],
        HARD: [
            Step("I look.", (agent.read(), agent.shell("ls"))),
            Step("Hm.", (agent.shell("exit 3"),)),
            Step("The first half."),
        ],
        "continue": [Step("The second half.")],
        AGAIN: [Step("Four of them.", input_tokens=100_000)],
        PLAN: [Step("Here is the plan.")],
    }


AGENTS = [claude_code_with_a_name_that_it_does_not_know, claude_code_with_a_name_that_it_knows, codex]

if __name__ == "__main__":
    sys.exit(main())
