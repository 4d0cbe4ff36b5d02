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
from harness import Agent, ClaudeCode, Codex, wait_for_the_agent
from script import Scripted, Seen, Step
from upstream import DEADLINE

AFFINITY = "    affinity: {key: conversation}\n"
CLAUDE = "  - name: claude\n    match: {model: ['claude-*']}\n    strategy: *strategy\n"


def main() -> int:
    plays = [*AGENTS, *CONVERSATIONS]
    plays = [play for play in plays if not sys.argv[1:] or play.__name__ in sys.argv[1:]]
    failures = [failure for affinity in ("", AFFINITY) for play in plays for failure in check(play, affinity)]
    failures += check_replays() if not sys.argv[1:] or "replays" in sys.argv[1:] else []
    for failure in failures:
        print(f"FAILED: {failure}", flush=True)
    return 1 if failures else 0


def check(play: Callable, affinity: str) -> Iterator[str]:
    """Plays one scenario and yields what went to another model than it should."""
    upstream = Scripted({})
    with gateway.started(upstream=upstream, policies=affinity + CLAUDE + affinity) as (url, admin, _):
        play(url, upstream)
        decided = functools.cache(functools.partial(decide, admin))
        assert (decided(EASY), decided(AGAIN), decided(HARD), decided(TASK)) == ("small-1", "small-1", "frontier-1", "frontier-1")
        seen = upstream.drain()
        name = f"{play.__name__.replace('_', ' ')}, {'with' if affinity else 'without'} affinity"
        wrong = list(misrouted(seen, decided, held=bool(affinity)))
        assert len(seen) >= 8, f"{name}: only {len(seen)} requests came"
        print(f"{'WRONG' if wrong else 'ok'}: {name}: {len(seen) - len(wrong)} of {len(seen)} requests", flush=True)
        yield from (f"{name}: {each}" for each in wrong)


def check_replays() -> Iterator[str]:
    """Sends what was recorded and yields what went to another model than it should."""
    upstream = Scripted({})
    with gateway.started(upstream=upstream, policies=CLAUDE) as (url, admin, _):
        results = list(replays.replay(url, upstream, functools.partial(decide, admin)))
    wrong = [f"{name} {what}" for name, what in results if what]
    print(f"{'WRONG' if wrong else 'ok'}: recorded requests: {len(results) - len(wrong)} of {len(results)}", flush=True)
    yield from wrong


def misrouted(seen: list[Seen], decided: Callable[[str], str], held: bool) -> Iterator[str]:
    """Yields what did not go where its ask belongs or, in a conversation that is held, where a harder one went before."""
    pins: dict[tuple, str] = {}
    for each in seen:
        if each.purpose == "turn":
            wanted = decided(REPLIES.get(each.ask, each.ask))
            key = (each.headers.get("thread-id") or each.headers.get("x-claude-code-session-id"), each.ask == TASK)
            pins[key] = min(wanted, pins.get(key, wanted))  # `frontier-1` stands before `small-1`
            wanted = pins[key] if held else wanted
        else:
            wanted = "small-1"
        if each.model != wanted:
            yield f"{each} went to {each.model} instead of {wanted}"


def decide(admin: str, ask: str) -> str:
    """Returns what the bare ask is sent to."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": ask}]}).encode()
    with urllib.request.urlopen(f"{admin}/v1/decide", body, DEADLINE) as answer:
        return f"{json.load(answer)['model']}-1"


# The agents


def claude_code_with_a_name_that_it_does_not_know(url: str, upstream: Scripted) -> None:
    play_claude_code(url, upstream, "auto")


def claude_code_with_a_name_that_it_knows(url: str, upstream: Scripted) -> None:
    play_claude_code(url, upstream, "claude-sonnet-4-5")


def play_claude_code(url: str, upstream: Scripted, model: str) -> None:
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


def codex(url: str, upstream: Scripted) -> None:
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
