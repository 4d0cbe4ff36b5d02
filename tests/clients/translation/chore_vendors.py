"""Upstreams of four APIs that have an agent do its chores, and demand of each request what their vendor would."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from types import ModuleType
from typing import Any

from harness import KEY
from translation import chores, plays, vendor_chat, vendor_gemini, vendor_messages, vendor_responses, vendors
from translation.plays import Ask, Call, Part, Thought, demand

NAMES = {vendor_chat: "chat", vendor_responses: "responses", vendor_messages: "messages", vendor_gemini: "gemini"}
COUNTS = ("/count_tokens", ":countTokens", "/input_tokens")
ROOT = pathlib.Path(__file__).resolve().parents[3]
IDS = re.compile(r'"(chatcmpl-1|msg_\d+|resp_1|g1|rs_\d+|fc_68a1f0own\d+)"')
# The beginnings of images in base64: PNG, JPEG, WebP.
IMAGE = re.compile(r"iVBORw0KGgo|/9j/|UklGR")


@dataclass(frozen=True)
class Turn:
    """What a vendor said in one turn of the loop."""

    api: str
    calls: tuple[Call, ...]
    seal: str


@dataclass(frozen=True)
class Work:
    """A call of one of the agent's tools, and what its result must hold."""

    tool: str
    arguments: dict[str, Any]
    holds: tuple[str, ...]


@dataclass
class Run:
    """One agent's loop: where it begins, where it goes on and why, and what came of it."""

    name: str
    own: str  # the API that the agent speaks
    first: str
    second: str
    change: str  # outage: the first vendor fails from the fifth turn on; hiccup: in the fifth alone; rule: it is left
    tools: Sequence[Sequence[Work]] = ()
    turns: dict[int, Turn] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)  # of each request's id the turn that it asked for
    asides: int = 0
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_down(self, api: str, turn: int) -> bool:
        """Tells whether the vendor of an API has an outage at a turn."""
        late = turn >= chores.CHANGE if self.change == "outage" else turn == chores.CHANGE
        return self.change != "rule" and api == self.first and late

    def turn_of(self, ask: Ask) -> int:
        """Returns which turn a request asks for, by the calls in its history, which must be those that were made."""
        wanted = [call for turn in sorted(self.turns) for call in self.turns[turn].calls]
        lengths = [sum(map(len, self.tools[:turn])) for turn in range(len(self.tools) + 1)]
        demand(len(ask.calls) in lengths, f"{len(ask.calls)} calls in the history: {ask.calls}")
        found = [(call.name.split("__")[-1], call.arguments) for call in ask.calls]
        made = [(call.name, call.arguments) for call in wanted[: len(found)]]
        demand(found == made, f"the calls came back as {found} instead of {made}")
        return lengths.index(len(ask.calls))


class DownError(Exception):
    """An upstream that does not work."""


class ChoreVendors(ThreadingHTTPServer):
    """The upstreams of all runs."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, runs: list[Run]) -> None:
        super().__init__(("127.0.0.1", 0), ChoreHandler)
        self.runs = {run.name: run for run in runs}

    def handle_error(self, *_: object) -> None:
        """Says nothing: a connection that the proxy keeps may end at any time."""


class ChoreHandler(vendors.Handler):
    """Answers as the API of the path does; the path begins with the name of a run."""

    server: ChoreVendors  # type: ignore[assignment]
    key = KEY

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        _, name, path = self.path.split("/", 2)
        api, key_field, before = next(found for start, found in vendors.PATHS.items() if f"/{path}".startswith(start))
        if path.split("?")[0].endswith(COUNTS):
            return self.send(200, {"input_tokens": 100, "totalTokens": 100})
        run = self.server.runs[name]
        try:
            body = json.loads(raw)
            self.demand_fields(api, key_field, before)
            demand(b"cG0xL" not in raw, "a seal that Pointsman carries for another vendor")
            if NAMES[api] != run.own:  # agents are laxer than their vendor's types, which is their vendor's matter
                api.validate(body)
            ask = api.read(body, path)
            parts = self.parts(run, api, ask, body)
        except DownError:
            status = 529 if api is vendor_messages else 503
            return self.send(status, api.error(status, plays.WORDS))
        except Exception as problem:
            log_unfit(run, raw, problem)
            run.problems.append(f"{NAMES[api]}: {problem!r}"[:1500])
            return self.send(400, api.error(400, f"unfit: {problem}"))
        number = len(run.turns)
        if not ask.stream:
            return self.send(200, json.loads(numbered(json.dumps(api.answer(parts, body)), number)))
        return self.stream([numbered(event, number) for event in api.events(parts, body)], "chores", api, "")

    def parts(self, run: Run, api: ModuleType, ask: Ask, body: dict[str, Any]) -> list[Part]:
        if not offered(run.tools[0][0].tool, ask):  # a title, a summary, a check of the key
            run.asides += 1
            return ['{"title": "Chores"}']
        with run.lock:
            turn = run.turn_of(ask)
            run.requests[self.headers["x-request-id"]] = turn
            if run.is_down(NAMES[api], turn):
                raise DownError
            demand_results(run, turn, ask, body)
            demand_seals(run, turn, api, ask)
            if api is vendor_gemini:
                demand_signatures(body)
            if api is vendor_messages:
                demand_thoughts_first(body)
            return said(run, turn, api, ask)


def numbered(text: str, number: int) -> str:
    """Returns an answer under ids of its own: agents take two answers of one id for one."""
    return IDS.sub(rf'"\g<1>_{number}"', text)


def log_unfit(run: Run, raw: bytes, problem: Exception) -> None:
    """Keeps what an upstream refuses in target/agents-translation."""
    folder = ROOT / "target" / "agents-translation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{run.name}.txt").write_text(f"{problem!r}\n{raw.decode(errors='replace')}\n", "utf-8")


def said(run: Run, turn: int, api: ModuleType, ask: Ask) -> list[Part]:
    """Returns what the vendor's model says in a turn: a thought, a text, calls; or that the chores are done."""
    name = NAMES[api]
    seal = base64.b64encode(f"{name}>>>seal???of turn {turn} of {run.name}".encode()).decode()
    tools = run.tools[turn] if turn < len(run.tools) else ()
    made = enumerate(tools)
    calls = tuple(Call(f"{api.VENDOR.ids[0][:-2]}{turn}{n}", work.tool, work.arguments) for n, work in made)
    thinks = ask.thinks or api is not vendor_messages  # the other vendors' models think unasked
    seals = thinks and api is not vendor_chat
    run.turns[turn] = Turn(name, calls, seal if seals else "")
    thoughts: list[Part] = [Thought(f"I think about turn {turn}.", seal)] if thinks else []
    named = [Call(call.id, offered(call.name, ask), call.arguments) for call in calls]
    return [*thoughts, f"Turn {turn}." if calls else chores.DONE, *named]


def offered(tool: str, ask: Ask) -> str:
    """Returns the name under which a request offers a tool; in other APIs that of its namespace stands before it."""
    return next((name for name in ask.tools if name == tool or name.endswith(f"__{tool}")), "")


def demand_results(run: Run, turn: int, ask: Ask, body: dict[str, Any]) -> None:
    """Demands the calls by legal ids, those of the vendor's own as it made them, and of each the whole result."""
    made = [(past.api, call) for _, past in sorted(run.turns.items()) for call in past.calls][: len(ask.calls)]
    ids = [call.id for call in ask.calls]
    demand(len(set(ids)) == len(ids), f"ids come twice: {ids}")
    demand(all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", found) for found in ids), f"ids {ids}")
    demand([found for found, _ in ask.results] == ids or sorted(i for i, _ in ask.results) == sorted(ids),
           f"calls {ids} have results {[found for found, _ in ask.results]}")  # fmt: skip
    results = dict(ask.results)
    works = (work for turn in run.tools for work in turn)
    for (_, call), seen, work in zip(made, ask.calls, works, strict=False):
        for held in work.holds:
            demand(json.dumps(held)[1:-1] in results[seen.id], f"the result of {call} is {results[seen.id][:300]}")
    if turn > [each[0].kind for each in chores.TURNS].index("view"):
        demand(bool(IMAGE.search(json.dumps(body))), "no image came of the chore that looks at one")


def demand_seals(run: Run, turn: int, api: ModuleType, ask: Ask) -> None:
    """Demands the vendor's own seals, each before the call that it led to, and no other's."""
    name = NAMES[api]
    past = [run.turns[index] for index in range(turn)]
    made = [
        f"{each.seal if index == 0 and each.api == name else ''}" for each in past for index, _ in enumerate(each.calls)
    ]
    demand(ask.call_seals == made, f"seals {ask.call_seals} instead of {made}")
    own = {each.seal for each in run.turns.values() if each.api == name}
    demand(set(ask.seals) <= own, f"another vendor's seal among {ask.seals}")
    ids = {call.id for each in past if each.api == name for call in each.calls}
    demand(ids <= {call.id for call in ask.calls}, f"own ids {ids} came back as {[call.id for call in ask.calls]}")


def demand_signatures(body: dict[str, Any]) -> None:
    """Demands what Gemini 3 does: the first call of each step has a signature, if only the documented one."""
    for content in body["contents"]:
        calls = [part for part in content["parts"] if "functionCall" in part]
        demand(not calls or bool(calls[0].get("thoughtSignature")), f"a step without a signature: {calls[:1]}")


def demand_thoughts_first(body: dict[str, Any]) -> None:
    """Demands what Anthropic's API does of a turn that holds thoughts: it begins with one."""
    for turn in body["messages"]:
        kinds = [block["type"] for block in turn["content"] if isinstance(block, dict)]
        demand("thinking" not in kinds or kinds[0] == "thinking", f"a turn of {kinds}")
