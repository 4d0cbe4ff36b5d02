"""OpenAI's chat completions, as an upstream: requests read, answers and events written."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from translation import strict
from translation.plays import TOKENS, Ask, Call, Part, Thought, Vendor, play_of

VENDOR = Vendor(("call_Chat0000000000000000001", "call_Chat0000000000000000002"), "")
USAGE = {
    "prompt_tokens": TOKENS["input"],
    "completion_tokens": TOKENS["output"],
    "total_tokens": TOKENS["input"] + TOKENS["output"],
    "prompt_tokens_details": {"cached_tokens": TOKENS["cached"]},
    "completion_tokens_details": {"reasoning_tokens": TOKENS["thought"]},
}


def validate(body: dict[str, Any]) -> None:
    body = copy.deepcopy(body)
    for message in body["messages"]:
        message.pop("reasoning_content", None)  # of the open models' servers, and not in the SDK's types
    strict.validate("chat", body)


def read(body: dict[str, Any], _: str) -> Ask:
    ask = Ask(play_of(json.dumps(body)), bool(body.get("stream")), wants_seal=False)
    ask.thinks = body.get("reasoning_effort", "none") != "none"
    ask.schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    ask.tools = {t["function"]["name"]: t["function"].get("parameters", {}) for t in body.get("tools", [])}
    for message in body["messages"]:
        for call in message.get("tool_calls") or []:
            function = call["function"]
            ask.calls.append(Call(call["id"], function["name"], json.loads(function["arguments"])))
            ask.call_seals.append("")
            ask.sealed_last = bool(message.get("reasoning_content"))
        content = message.get("content") or ""
        if message["role"] == "tool":
            ask.results.append((message["tool_call_id"], json.dumps(content)))
        elif isinstance(content, list):
            for part in content:
                if found := re.match("data:([^;]*);base64,(.*)", part.get("image_url", {}).get("url", "")):
                    ask.images.append((found[1], found[2]))
    return ask


def message_of(parts: list[Part]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(p for p in parts if isinstance(p, str)) or None}
    for part in parts:
        if isinstance(part, Thought):
            message["reasoning_content"] = part.text
        elif isinstance(part, Call):
            calls = message.setdefault("tool_calls", [])
            function = {"name": part.name, "arguments": json.dumps(part.arguments)}
            calls.append({"id": part.id, "type": "function", "function": function})
    return {**message, "refusal": None}


def finish_of(parts: list[Part]) -> str:
    return "tool_calls" if any(isinstance(part, Call) for part in parts) else "stop"


def answer(parts: list[Part], body: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message_of(parts), "logprobs": None, "finish_reason": finish_of(parts)}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": body["model"]}
    return {**head, "choices": [choice], "usage": USAGE}


def events(parts: list[Part], body: dict[str, Any]) -> list[str]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": body["model"]}
    found = []

    def chunk(delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        found.append(json.dumps({**head, "choices": [choice]}))

    chunk({"role": "assistant", "content": ""})
    index = 0
    for part in parts:
        if isinstance(part, str):
            chunk({"content": part[:5]})
            chunk({"content": part[5:]})
        elif isinstance(part, Thought):
            chunk({"reasoning_content": part.text})
        else:
            function = {"name": part.name, "arguments": ""}
            chunk({"tool_calls": [{"index": index, "id": part.id, "type": "function", "function": function}]})
            arguments = json.dumps(part.arguments)
            for piece in (arguments[:4], arguments[4:]):
                chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            index += 1
    chunk({}, finish_of(parts))
    if (body.get("stream_options") or {}).get("include_usage"):
        found.append(json.dumps({**head, "choices": [], "usage": USAGE}))
    return [f"data: {event}\n\n" for event in [*found, "[DONE]"]]


def error(status: int, message: str) -> dict[str, Any]:
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 429: "rate_limit_error"}
    return {"error": {"message": message, "type": kinds.get(status, "server_error"), "param": None, "code": None}}


def failed(message: str) -> str:
    return f"data: {json.dumps(error(500, message))}\n\n"
