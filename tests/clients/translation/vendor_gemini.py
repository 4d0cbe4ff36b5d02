"""Google's generateContent, as an upstream: requests read, answers and events written."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

from translation import strict
from translation.plays import TOKENS, Ask, Call, Part, Thought, Vendor, demand, play_of

VENDOR = Vendor(("gem-call-1", "gem-call-2"), "R2VtaW5pLXNlYWwtKy8/Pj4=")
USAGE = {
    "promptTokenCount": TOKENS["input"],
    "cachedContentTokenCount": TOKENS["cached"],
    "candidatesTokenCount": TOKENS["output"] - TOKENS["thought"],
    "thoughtsTokenCount": TOKENS["thought"],
    "totalTokenCount": TOKENS["input"] + TOKENS["output"],
}
# What Google documents for calls that no model of its made.
NO_SEALS = ("skip/thought/signature/validator", base64.b64encode(b"skip_thought_signature_validator").decode())
# Calls of this play have no ids, as those of most models have none.
WITHOUT_IDS = {"tools"}


def validate(body: dict[str, Any]) -> None:
    strict.validate("gemini", body)
    roles = [content.get("role") for content in body["contents"]]
    demand(all(role in ("user", "model") for role in roles), f"roles {roles}")
    demand(all(content["parts"] for content in body["contents"]), "an empty turn")
    demand(all(one != other for one, other in pairwise(roles)), f"roles {roles} do not alternate")


def either(item: dict[str, Any], camel: str, snake: str) -> Any:
    return item.get(camel, item.get(snake))


def read(body: dict[str, Any], path: str) -> Ask:
    play = play_of(json.dumps(body))
    ask = Ask(play, "streamGenerateContent" in path, names_ids=play not in WITHOUT_IDS)
    config = body.get("generationConfig", {})
    thinks = config.get("thinkingConfig", {})
    ask.thinks = bool(
        either(thinks, "thinkingLevel", "thinking_level") or either(thinks, "thinkingBudget", "thinking_budget")
    )
    ask.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    for tool in body.get("tools", []):
        for function in tool.get("functionDeclarations", []):
            schema = either(function, "parametersJsonSchema", "parameters_json_schema") or function.get("parameters")
            ask.tools[function["name"]] = schema or {}
    for part in (part for content in body["contents"] for part in content["parts"]):
        seal = part.get("thoughtSignature", "").replace("-", "+").replace("_", "/")
        if seal and seal not in NO_SEALS:
            ask.seals.append(seal)
        elif seal:
            ask.wants_seal = False
        if call := part.get("functionCall"):
            ask.calls.append(Call(call.get("id") or "", call["name"], call.get("args") or {}))
            ask.call_seals.append(seal if seal not in NO_SEALS else "")
            ask.sealed_last = ask.sealed_last or seal == VENDOR.seal
        if result := part.get("functionResponse"):
            ask.results.append((result.get("id") or "", json.dumps(result["response"])))
        if data := part.get("inlineData"):
            ask.images.append((either(data, "mimeType", "mime_type"), data["data"]))
    return ask


def parts_of(parts: list[Part], play: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seal = next((part.seal for part in parts if isinstance(part, Thought)), None)
    for part in parts:
        if isinstance(part, str):
            found.append({"text": part})
        elif isinstance(part, Thought):
            found.append({"text": part.text, "thought": True})
        else:
            call = {"name": part.name, "args": part.arguments}
            call |= {} if play in WITHOUT_IDS or not part.id else {"id": part.id}
            found.append({"functionCall": call, **({"thoughtSignature": seal} if seal else {})})
            seal = None
    return found


def answer(parts: list[Part], body: dict[str, Any]) -> dict[str, Any]:
    content = {"role": "model", "parts": parts_of(parts, play_of(json.dumps(body)))}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-3-pro", "responseId": "g1"}


def events(parts: list[Part], body: dict[str, Any]) -> list[str]:
    found = []
    pieces = [piece for part in parts for piece in ((part[:5], part[5:]) if isinstance(part, str) else (part,))]
    written = parts_of(pieces, play_of(json.dumps(body)))
    for index, part in enumerate(written):
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if index == len(written) - 1:
            candidate["finishReason"] = "STOP"
        found.append({"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-3-pro"})
    return [f"data: {json.dumps(event)}\r\n\r\n" for event in found]


def error(status: int, message: str) -> dict[str, Any]:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}
    return {"error": {"code": status, "message": message, "status": names.get(status, "UNAVAILABLE")}}


def failed(message: str) -> str:
    return f"data: {json.dumps(error(503, message))}\r\n\r\n"
