"""Anthropic's messages, as an upstream: requests read, answers and events written."""

from __future__ import annotations

import json
import re
from typing import Any

from translation import strict
from translation.plays import TOKENS, Ask, Call, Part, Thought, UnfitError, Vendor, demand, play_of

VENDOR = Vendor(("toolu_01MessagesMessages0001", "toolu_01MessagesMessages0002"), "RXF3RG1lc3NhZ2VzLXNlYWw=")
FIRST_USAGE = {
    "input_tokens": TOKENS["input"] - TOKENS["cached"],
    "cache_read_input_tokens": TOKENS["cached"],
    "cache_creation_input_tokens": 0,
    "output_tokens": 1,
}
USAGE = {**FIRST_USAGE, "output_tokens": TOKENS["output"]}


def validate(body: dict[str, Any]) -> None:
    strict.validate("messages", body)
    thinking = body.get("thinking", {})
    demand(thinking.get("budget_tokens", 0) < body["max_tokens"], "max_tokens must be greater than the budget")
    ids = [block["id"] for _, block in blocks_of(body) if block["type"] == "tool_use"]
    demand(all(re.fullmatch("[a-zA-Z0-9_-]+", found) for found in ids), f"ids {ids}")
    previous: list[str] = []
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        if message["role"] == "user":
            results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            kinds = [block["type"] for block in blocks[: len(results)]]
            demand(kinds == ["tool_result"] * len(results), "tool results come first in a turn")
            demand(sorted(results) == sorted(previous), f"calls {previous} have results {results}")
        previous = [block["id"] for block in blocks if block["type"] == "tool_use"]


def blocks_of(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the blocks of all turns, each with its turn's role."""
    turns = (turn for turn in body["messages"] if isinstance(turn["content"], list))
    return [(turn["role"], block) for turn in turns for block in turn["content"]]


def read(body: dict[str, Any], _: str) -> Ask:
    ask = Ask(play_of(json.dumps(body)), bool(body.get("stream")))
    thinking = body.get("thinking", {}).get("type", "disabled")
    ask.thinks, ask.wants_seal = thinking != "disabled", thinking == "enabled"  # adaptive thinking demands nothing
    ask.schema = (body.get("output_config") or {}).get("format", {}).get("schema")
    ask.tools = {tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools", [])}
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        seal = ""
        for position, block in enumerate(blocks):
            match block["type"]:
                case "tool_use":
                    ask.calls.append(Call(block["id"], block["name"], block["input"]))
                    ask.call_seals.append(seal)
                    seal = ""
                    first = blocks[0]
                    ask.sealed_last = first["type"] == "thinking" and first["signature"] == VENDOR.seal and position > 0
                case "tool_result":
                    ask.results.append((block["tool_use_id"], json.dumps(block.get("content", ""))))
                case "thinking":
                    seal = block["signature"]
                    ask.seals.append(seal)
                case "image" if block["source"]["type"] == "base64":
                    ask.images.append((block["source"]["media_type"], block["source"]["data"]))
                    if set("-_") & set(block["source"]["data"]):
                        raise UnfitError("the image is not in the standard alphabet of base64")
    return ask


def block_of(part: Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Thought):
        return {"type": "thinking", "thinking": part.text, "signature": part.seal}
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}


def stop_of(parts: list[Part]) -> str:
    return "tool_use" if any(isinstance(part, Call) for part in parts) else "end_turn"


def answer(parts: list[Part], body: dict[str, Any]) -> dict[str, Any]:
    head = {"id": "msg_01", "type": "message", "role": "assistant", "model": body["model"]}
    content = [block_of(part) for part in parts]
    return {**head, "content": content, "stop_reason": stop_of(parts), "stop_sequence": None, "usage": USAGE}


def deltas(part: Part) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns how a block begins, and what is added to it."""
    block = block_of(part)
    if isinstance(part, str):
        return {**block, "text": ""}, [{"type": "text_delta", "text": text} for text in (part[:5], part[5:])]
    if isinstance(part, Thought):
        added = [{"type": "thinking_delta", "thinking": part.text}, {"type": "signature_delta", "signature": part.seal}]
        return {**block, "thinking": "", "signature": ""}, added
    text = json.dumps(part.arguments)
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in ("", text[:4], text[4:])]


def events(parts: list[Part], body: dict[str, Any]) -> list[str]:
    message = {**answer([], body), "stop_reason": None, "usage": FIRST_USAGE}
    found: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, part in enumerate(parts):
        block, added = deltas(part)
        found.append({"type": "content_block_start", "index": index, "content_block": block})
        found.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in added)
        found.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": stop_of(parts), "stop_sequence": None}
    found.append({"type": "message_delta", "delta": stop, "usage": USAGE})
    found.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in found]


def error(status: int, message: str) -> dict[str, Any]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}, "request_id": "r1"}


def failed(message: str) -> str:
    return f"event: error\ndata: {json.dumps(error(529, message))}\n\n"
