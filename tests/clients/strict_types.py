"""What the translation writes, against the types of the vendors' own SDKs: strict, and nothing that they do not know.

Every request, answer and stream of the crate's fixtures goes through every pair of APIs. `EXTRAS` is what goes out
beyond the types, each with its reason.
"""

from __future__ import annotations

import collections
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydantic
from pydantic import TypeAdapter

from translation.sdk_types import ANSWERS, EVENTS, REQUESTS, known_members

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "crates" / "translation" / "tests" / "fixtures" / "data"
TRANSLATE = ROOT / "target" / "debug" / "examples" / "translate"
APIS = ("chat", "responses", "messages", "gemini")
MODELS = {"chat": "gpt-6", "responses": "gpt-6", "messages": "claude-opus-5", "gemini": "gemini-3-pro"}

# Members of answers that no type of the SDK has, by their places without numbers. Each is meant.
EXTRAS = {
    # Thoughts, as DeepSeek, OpenRouter and vLLM have them: clients of chat completions know no other place.
    r"choices\.(message|delta)\.reasoning_content",
    # Seals of thoughts, as OpenRouter has them.
    r"choices\.(message|delta)\.reasoning_details.*",
    # Google's signature of a call, as Google's own endpoint for OpenAI's clients has it.
    r"choices\.(message|delta)\.(tool_calls\.)?extra_content.*",
    # Citations of a stream: the whole answer's type has them, the stream's lacks them.
    r"choices\.delta\.annotations.*",
    # A custom call in a stream: the whole answer's type has it, the stream's knows functions only.
    r"choices\.delta\.tool_calls\.custom",
    # The bytes of a token: the whole answer's type wants them, the stream's lacks them.
    r"logprobs\.(top_logprobs\.)?bytes",
}
# What a type says of members that are meant, likewise.
MISFITS = {r"choices\.delta\.tool_calls\.type: Input should be 'function'"}


def extras(value: Any, place: str = "") -> list[str]:
    """Returns the places of what a model holds beyond its type."""
    found: list[str] = []
    if isinstance(value, pydantic.BaseModel):
        found += [f"{place}.{name}".strip(".") for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += extras(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for element in value:
            found += extras(element, place)
    return found


def problems(types: TypeAdapter[Any], body: Any) -> list[str]:
    """Returns what is wrong with a body."""
    try:
        # Strict, but for what JSON cannot say: a tuple, an enumeration's member, bytes.
        read = types.validate_json(json.dumps(body), strict=True)
    except pydantic.ValidationError as error:
        return [text for text in map(said, error.errors()) if not is_meant(text, MISFITS)][:4]
    return [f"{place}: unknown" for place in extras(read) if not is_meant(place, EXTRAS)]


def said(error: Any) -> str:
    """Returns a problem with its place, without numbers."""
    place = ".".join(str(part) for part in error["loc"] if not isinstance(part, int))
    return f"{place}: {error['msg']}"


def is_meant(text: str, known: set[str]) -> bool:
    """Tells whether one of the patterns is of the text."""
    return any(re.fullmatch(pattern, text) for pattern in known)


def framed(api: str, events: list[Any]) -> str:
    """Writes a stream as its API frames it."""
    out = ""
    for event in events:
        named = f"event: {event['type']}\n" if api in ("messages", "responses") else ""
        out += f"{named}data: {event if isinstance(event, str) else json.dumps(event)}\n\n"
    return out


def unframed(out: str) -> list[Any]:
    """Returns the events of a stream that are JSON and no errors."""
    found = []
    for block in re.split(r"\r?\n\r?\n", out):
        data = [line.removeprefix("data: ") for line in re.split(r"\r?\n", block) if line.startswith("data: ")]
        if data and data[0] != "[DONE]":
            found.append(json.loads("\n".join(data)))
    return found


def cases(api: str, kind: str) -> list[Any]:
    """Returns the fixtures of an API."""
    text = (FIXTURES / f"{api}_{kind}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def jobs() -> list[Any]:
    """Returns everything that is to be translated."""
    found: list[Any] = []
    for client in APIS:
        for upstream in APIS:
            if client == upstream:
                continue
            pair = {"client": client, "upstream": upstream, "model": MODELS[upstream]}
            asked = cases(client, "requests")
            for number, case in enumerate(asked):
                model = "gemini-2.5-flash" if upstream == "gemini" and number % 2 else pair["model"]
                body = json.dumps(case["body"])
                found.append({**pair, "model": model, "kind": "request", "body": body, "name": case["name"]})
            for kind in ("answers", "streams"):
                for number, case in enumerate(cases(upstream, kind)):
                    request = json.dumps(asked[number % len(asked)]["body"])
                    body = framed(upstream, case["body"]) if kind == "streams" else json.dumps(case["body"])
                    told = {"request": request, "body": body, "name": case["name"]}
                    found.append({**pair, "kind": kind[:-1], **told})
    return found


def is_error(event: Any) -> bool:
    """Tells whether an event says that the stream failed: the SDKs have no types for those of three APIs."""
    return "error" in event and event.get("object") != "response" and "response" not in event


def found_in(job: Any, answer: Any) -> tuple[int, list[str]]:
    """Returns how many bodies and events a translation came to, and what is wrong with them."""
    if "refusal" in answer:
        return 0, []
    client = job["client"]
    if job["kind"] == "request":
        body = json.loads(answer["out"])
        return 1, problems(REQUESTS[job["upstream"]], known_members(job["upstream"], body))
    if job["kind"] == "answer":
        return 1, problems(ANSWERS[client], json.loads(answer["out"]))
    events = [event for event in unframed(answer["out"]) if not is_error(event) and event.get("type") != "ping"]
    return len(events), [problem for event in events for problem in problems(EVENTS[client], event)]


def main() -> None:
    """Translates everything, validates it and says what was found."""
    asked = jobs()
    lines = "".join(json.dumps(job) + "\n" for job in asked)
    ran = subprocess.run([TRANSLATE], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in ran.stdout.split("\n") if line]
    counts: collections.Counter[str] = collections.Counter()
    wrong: dict[str, list[str]] = collections.defaultdict(list)
    for job, answer in zip(asked, answers, strict=True):
        count, found = found_in(job, answer)
        counts[f"{job['kind']}s" if count else "refused"] += count or 1
        for problem in found:
            wrong[f"{job['client']}->{job['upstream']} {job['kind']}: {problem}"].append(job["name"])
    for problem, names in sorted(wrong.items()):
        print(f"{problem}  ({len(names)} times, {names[0]})")
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    if wrong:
        sys.exit(f"{len(wrong)} kinds of problems")


if __name__ == "__main__":
    main()
