"""OpenAI's responses, as an upstream: requests read, answers and events written."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from translation import strict
from translation.plays import TOKENS, Ask, Call, Part, Thought, Vendor, demand, play_of

VENDOR = Vendor(("call_Resp0000000000000000001", "call_Resp0000000000000000002"), "gAAAAABresponses-seal==")
# How the ids of this vendor's calls begin, as no other's do.
OWN_CALL = "fc_68a1f0own"
USAGE = {
    "input_tokens": TOKENS["input"],
    "input_tokens_details": {"cached_tokens": TOKENS["cached"], "cache_write_tokens": 0},
    "output_tokens": TOKENS["output"],
    "output_tokens_details": {"reasoning_tokens": TOKENS["thought"]},
    "total_tokens": TOKENS["input"] + TOKENS["output"],
}


def validate(body: dict[str, Any]) -> None:
    body = copy.deepcopy(body)
    items = body["input"] if isinstance(body["input"], list) else []
    for part in (part for item in items if isinstance(item.get("content"), list) for part in item["content"]):
        if part["type"] == "input_image":
            part.setdefault("detail", "auto")  # Vercel's SDK leaves it out, and the vendor does not mind
    strict.validate("responses", body)
    demand(not items or items[-1].get("type") != "reasoning", "a reasoning item without the item that follows it")


def read(body: dict[str, Any], _: str) -> Ask:
    ask = Ask(play_of(json.dumps(body)), bool(body.get("stream")))
    ask.thinks = (body.get("reasoning") or {}).get("effort", "none") != "none"
    ask.wants_seal = False
    ask.schema = (body.get("text") or {}).get("format", {}).get("schema")
    ask.tools = {tool["name"]: tool.get("parameters") or {} for _, tool in tools_of(body) if "name" in tool}
    reasoned, seal = False, ""
    for item in body["input"] if isinstance(body["input"], list) else []:
        match item.get("type", "message"):
            case "function_call" | "custom_tool_call" as kind:
                given = {"input": item["input"]} if kind == "custom_tool_call" else json.loads(item["arguments"])
                ask.calls.append(Call(item["call_id"], item["name"], given))
                ask.call_seals.append(seal)
                ask.sealed_last, seal = reasoned, ""
                # A call by its id is one with the reasoning before it; a call without an id is one of anybody's.
                ask.wants_seal = item.get("id", "").startswith(OWN_CALL) and "reasoning.encrypted_content" in (
                    body.get("include") or []
                )
            case "function_call_output" | "custom_tool_call_output":
                ask.results.append((item["call_id"], json.dumps(item["output"])))
            case "reasoning":
                seal = item.get("encrypted_content") or ""
                reasoned = seal == VENDOR.seal
                ask.seals += [seal] if seal else []
            case "message" if isinstance(item["content"], list):
                for part in item["content"]:
                    if found := re.match("data:([^;]*);base64,(.*)", part.get("image_url") or ""):
                        ask.images.append((found[1], found[2]))
    return ask


def tools_of(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns all tools, those that an item of the input offers as well, each with the name of its namespace."""
    items = body["input"] if isinstance(body["input"], list) else []
    offered = [
        *body.get("tools", []),
        *(t for item in items if item.get("type") == "additional_tools" for t in item["tools"]),
    ]
    spaces = [(tool["name"], tool["tools"]) if tool["type"] == "namespace" else ("", [tool]) for tool in offered]
    return [(space, tool) for space, tools in spaces for tool in tools]


def item_of(part: Part, index: int, body: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part, str):
        text = {"type": "output_text", "text": part, "annotations": [], "logprobs": []}
        return {"id": f"msg_{index}", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    if isinstance(part, Thought):
        summary = [{"type": "summary_text", "text": part.text}]
        item = {"id": f"rs_{index}", "type": "reasoning", "summary": summary}
        sealed = "reasoning.encrypted_content" in (body.get("include") or [])
        return {**item, "encrypted_content": part.seal} if sealed else item
    call = {"id": f"{OWN_CALL}{index}", "type": "function_call", "call_id": part.id, "name": part.name}
    space, tool = next((space, tool) for space, tool in tools_of(body) if tool.get("name") == part.name)
    call |= {"namespace": space} if space else {}
    if tool["type"] == "custom":
        return {**call, "type": "custom_tool_call", "input": part.arguments["input"], "status": "completed"}
    return {**call, "arguments": json.dumps(part.arguments), "status": "completed"}


def answer(parts: list[Part], body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1700000000, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": body.get("instructions"), "max_output_tokens": None,
        "model": body["model"], "output": [item_of(part, index, body) for index, part in enumerate(parts)],
        "parallel_tool_calls": True, "previous_response_id": None, "temperature": 1.0, "top_p": 1.0,
        "reasoning": {"effort": None, "summary": None}, "store": False, "text": {"format": {"type": "text"}},
        "tool_choice": "auto", "tools": [], "truncation": "disabled", "user": None, "metadata": {}, "usage": USAGE,
    }  # fmt: skip


def item_events(part: Part, index: int, body: dict[str, Any]) -> list[dict[str, Any]]:
    item = item_of(part, index, body)
    place = {"item_id": item["id"], "output_index": index}
    if isinstance(part, str):
        at = {**place, "content_index": 0}
        first, empty = {**item, "status": "in_progress", "content": []}, {**item["content"][0], "text": ""}
        between = [
            {"type": "response.content_part.added", **at, "part": empty},
            *({"type": "response.output_text.delta", **at, "delta": t, "logprobs": []} for t in (part[:5], part[5:])),
            {"type": "response.output_text.done", **at, "text": part, "logprobs": []},
            {"type": "response.content_part.done", **at, "part": item["content"][0]},
        ]
    elif isinstance(part, Thought):
        at = {**place, "summary_index": 0}
        first, whole = {**item, "summary": []}, item["summary"][0]
        between = [
            {"type": "response.reasoning_summary_part.added", **at, "part": {**whole, "text": ""}},
            {"type": "response.reasoning_summary_text.delta", **at, "delta": part.text},
            {"type": "response.reasoning_summary_text.done", **at, "text": part.text},
            {"type": "response.reasoning_summary_part.done", **at, "part": whole},
        ]
    else:
        is_custom = item["type"] == "custom_tool_call"
        member, kind = ("input", "custom_tool_call_input") if is_custom else ("arguments", "function_call_arguments")
        first, text = {**item, "status": "in_progress", member: ""}, item[member]
        between = [
            *({"type": f"response.{kind}.delta", **place, "delta": piece} for piece in (text[:4], text[4:])),
            {"type": f"response.{kind}.done", **place, member: text, "name": part.name},
        ]
    added = {"type": "response.output_item.added", "output_index": index, "item": first}
    return [added, *between, {"type": "response.output_item.done", "output_index": index, "item": item}]


def events(parts: list[Part], body: dict[str, Any]) -> list[str]:
    whole = answer(parts, body)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    found: list[dict[str, Any]] = [
        {"type": f"response.{name}", "response": begun} for name in ("created", "in_progress")
    ]
    for index, part in enumerate(parts):
        found.extend(item_events(part, index, body))
    found.append({"type": "response.completed", "response": whole})
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(found)
    ]


def error(status: int, message: str) -> dict[str, Any]:
    kinds = {400: "invalid_request_error", 401: "invalid_request_error", 429: "rate_limit_error"}
    return {"error": {"message": message, "type": kinds.get(status, "server_error"), "param": None, "code": None}}


def failed(message: str) -> str:
    event = {"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 7}
    return f"event: error\ndata: {json.dumps(event)}\n\n"
