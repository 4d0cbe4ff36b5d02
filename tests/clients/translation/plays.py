"""Plays: what an upstream does with a request, in no API's words. The prompt names the play: `[play:tools] ...`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TEXT = "The capital is Paris."
THOUGHT = "Let me think about Paris."
PLACE = '{"city": "Paris"}'
DEGREES = {"Paris": "18 degrees", "Rome": "24 degrees"}
WORDS = "upstream's own words"
# Said where the history came back without the thought that the vendor has sealed.
WITHOUT = " (without my thought)"
TOKENS = {"input": 100, "cached": 40, "output": 20, "thought": 5}
ERRORS = {"err400": 400, "err401": 401, "err429": 429, "err500": 500, "err529": 529}
# Streams that do not end well after the first piece of text: cut, an error event, nothing more.
BREAKS = {"cut", "midfail", "slow"}


@dataclass(frozen=True)
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Ask:
    """What a request says."""

    play: str
    stream: bool
    names_ids: bool = True
    thinks: bool = False
    schema: dict[str, Any] | None = None
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: list[tuple[str, str]] = field(default_factory=list)  # media type, base64
    calls: list[Call] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)  # id of the call, text
    seals: list[str] = field(default_factory=list)
    call_seals: list[str] = field(default_factory=list)  # of each call the seal of the thought that led to it, or ""
    sealed_last: bool = False  # whether the thought before the last call came back, as the vendor wants it
    wants_seal: bool = True


@dataclass(frozen=True)
class Thought:
    """A thought, and what the vendor sealed of it."""

    text: str
    seal: str


Part = str | Thought | Call


class UnfitError(Exception):
    """A request that the vendor would not take."""


@dataclass(frozen=True)
class Vendor:
    """The ids and the seal of one API's vendor."""

    ids: tuple[str, str]
    seal: str


def play_of(raw: str) -> str:
    found = re.search(r"\[play:([a-z0-9]+)\]", raw)
    return found.group(1) if found else "text"


def text(_: Ask, __: Vendor) -> list[Part]:
    return [TEXT]


def tools(ask: Ask, vendor: Vendor) -> list[Part]:
    call = Call(vendor.ids[0], "weather", {"city": "Paris"})
    if not ask.results:
        demand_tool(ask)
        return ["I will look.", call]
    demand_results(ask, [call])
    return ["It is 18 degrees in Paris."]


def parallel(ask: Ask, vendor: Vendor) -> list[Part]:
    calls = [Call(vendor.ids[index], "weather", {"city": city}) for index, city in enumerate(DEGREES)]
    if not ask.results:
        demand_tool(ask)
        return list(calls)
    demand_results(ask, calls)
    return ["Paris has 18 degrees, Rome has 24 degrees."]


def thinking(ask: Ask, vendor: Vendor) -> list[Part]:
    call = Call(vendor.ids[0], "weather", {"city": "Paris"})
    if not ask.results:
        demand(ask.thinks, "the request does not ask for thinking")
        demand_tool(ask)
        return [Thought(THOUGHT, vendor.seal), call]
    demand_results(ask, [call])
    demand(ask.sealed_last or not ask.thinks or not ask.wants_seal, "a call came back without its thought")
    return ["It is 18 degrees in Paris." + ("" if ask.sealed_last else WITHOUT)]


def moved(ask: Ask, vendor: Vendor) -> list[Part]:
    """Thinks and calls, or goes on after a model of another vendor: its ids are others, its thoughts are gone."""
    if not ask.results:
        return thinking(ask, vendor)
    [call] = ask.calls
    demand((call.name, call.arguments) == ("weather", {"city": "Paris"}), f"the call came back as {call}")
    [(result_of, result)] = ask.results
    demand(result_of == call.id and DEGREES["Paris"] in result, f"the result of {call} is {result} of {result_of}")
    demand(ask.sealed_last or not ask.thinks or not ask.wants_seal, "a call came back without its thought")
    return ["It is 18 degrees in Paris."]


def image(ask: Ask, _: Vendor) -> list[Part]:
    demand(len(ask.images) == 1, f"{len(ask.images)} images")
    media, data = ask.images[0]
    try:
        content = base64.b64decode(data.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as error:
        raise UnfitError(f"the image is no base64: {error}") from error
    demand(content.startswith(b"\x89PNG"), "the image is no PNG")
    return [f"{media} {len(content)} bytes"]


def structured(ask: Ask, vendor: Vendor) -> list[Part]:
    """Answers as the schema wants it, or as the parameters of the only tool do: some SDKs ask so."""
    if ask.schema:
        demand("city" in ask.schema.get("properties", {}), "the schema lost its property")
        return [PLACE]
    demand(len(ask.tools) == 1, "neither a schema nor one tool")
    [(name, schema)] = ask.tools.items()
    demand("city" in schema.get("properties", {}), "the tool's schema lost its property")
    return [Call(vendor.ids[0], name, {"city": "Paris"})]


PLAYS: dict[str, Callable[[Ask, Vendor], list[Part]]] = {
    "text": text,
    "tools": tools,
    "parallel": parallel,
    "thinking": thinking,
    "moved": moved,
    "image": image,
    "structured": structured,
}


def played(ask: Ask, vendor: Vendor) -> list[Part]:
    """Returns what the vendor's model says to a request."""
    foreign = [seal for seal in ask.seals if seal != vendor.seal]
    demand(not foreign, f"another vendor's seal: {foreign}")
    return PLAYS.get(ask.play, text)(ask, vendor)


def demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UnfitError(otherwise)


def demand_tool(ask: Ask) -> None:
    demand("weather" in ask.tools, f"no tool `weather` among {list(ask.tools)}")
    demand("city" in ask.tools["weather"].get("properties", {}), "the tool's schema lost its property")


def demand_results(ask: Ask, calls: list[Call]) -> None:
    """Demands the calls as they were made, and of each the result that belongs to it."""
    if ask.names_ids:
        demand(ask.calls == calls, f"the calls came back as {ask.calls}")
        demand(sorted(i for i, _ in ask.results) == sorted(call.id for call in calls), f"results of {ask.results}")
        by_id = dict(ask.results)
        results = [by_id[call.id] for call in calls]
    else:
        demand([(c.name, c.arguments) for c in ask.calls] == [(c.name, c.arguments) for c in calls], "other calls")
        results = [result for _, result in ask.results]
    demand(len(results) == len(calls), f"{len(results)} results")
    for call, result in zip(calls, results, strict=True):
        demand(DEGREES[call.arguments["city"]] in result, f"the result of {call} is {result}")
