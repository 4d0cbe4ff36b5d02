"""The answers of the scripted upstream: each API's objects and events, in the name of the model that was asked."""

from __future__ import annotations

import json
from collections.abc import Iterable

from wire import JsonObject, ServerEvent

TOOL_ARGUMENTS = '{"city":"Paris"}'
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
INPUT_OUTPUT = {"input_tokens": 5, "output_tokens": 2}


def text_for(body: JsonObject) -> str:
    """Returns the answer's text: JSON if that was asked for, and the model's name otherwise."""
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    return TOOL_ARGUMENTS if wanted.get("type") == "json_schema" else f"by {body['model']}"


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


# OpenAI: chat completions


def completion(body: JsonObject) -> JsonObject:
    if body.get("tools"):
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": TOOL_ARGUMENTS}}
        message, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    else:
        message, reason = {"role": "assistant", "content": text_for(body)}, "stop"
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return {**chat_object(body, "chat.completion"), "choices": [choice], "usage": USAGE}


def chunks(body: JsonObject) -> list[ServerEvent]:
    if body.get("tools"):
        head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        parts = [{"index": 0, "function": {"arguments": part}} for part in halves(TOOL_ARGUMENTS)]
        deltas: list[JsonObject] = [
            {"role": "assistant", "tool_calls": [head]},
            *({"tool_calls": [part]} for part in parts),
        ]
    else:
        deltas = [{"role": "assistant", "content": ""}, *({"content": part} for part in halves(text_for(body)))]
    objects = [chunk(body, delta, None) for delta in deltas]
    objects.append(chunk(body, {}, "tool_calls" if body.get("tools") else "stop"))
    asked = (body.get("stream_options") or {}).get("include_usage")
    if asked:
        objects.append({**chat_object(body, "chat.completion.chunk"), "choices": [], "usage": USAGE})
    return [(None, data) for data in [*map(json.dumps, objects), "[DONE]"]]


def chunk(body: JsonObject, delta: JsonObject, finish_reason: str | None) -> JsonObject:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**chat_object(body, "chat.completion.chunk"), "choices": [choice]}


def chat_object(body: JsonObject, kind: str) -> JsonObject:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body["model"]}


# OpenAI: legacy completions, responses, embeddings


def text_completion(body: JsonObject) -> JsonObject:
    choice = {"index": 0, "finish_reason": "stop", "text": text_for(body), "logprobs": None}
    return {**chat_object(body, "text_completion"), "choices": [choice], "usage": USAGE}


def response(body: JsonObject) -> JsonObject:
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {**INPUT_OUTPUT, "total_tokens": 7, **details}
    return {**response_object(body, "completed", [output_message(text_for(body))]), "usage": usage}


def response_events(body: JsonObject) -> list[ServerEvent]:
    place = {"item_id": "msg_1", "output_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {**output_message(""), "status": "in_progress", "content": []}
    events: list[JsonObject] = [
        {"type": "response.created", "response": response_object(body, "in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "content_index": 0, "part": part},
        *(
            {"type": "response.output_text.delta", **place, "content_index": 0, "delta": half}
            for half in halves(text_for(body))
        ),
        {"type": "response.completed", "response": response(body)},
    ]
    return named({**event, "sequence_number": number} for number, event in enumerate(events))


def response_object(body: JsonObject, status: str, output: list[JsonObject]) -> JsonObject:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def output_message(text: str) -> JsonObject:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def embeddings(body: JsonObject) -> JsonObject:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}
    return {
        "object": "list",
        "model": body["model"],
        "data": [vector],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


# Anthropic: messages


def contents(body: JsonObject) -> JsonObject:
    return contents_object(body, [text_for(body)], "STOP")


def contents_events(body: JsonObject) -> list[ServerEvent]:
    first, last = halves(text_for(body))
    return [
        (None, json.dumps(contents_object(body, [first], None))),
        (None, json.dumps(contents_object(body, [last], "STOP"))),
    ]


def contents_object(body: JsonObject, texts: list[str], reason: str | None) -> JsonObject:
    if body.get("tools"):
        parts: list[JsonObject] = [{"functionCall": {"name": "weather", "args": json.loads(TOOL_ARGUMENTS)}}]
    else:
        parts = [{"text": text} for text in texts]
    candidate = {
        "content": {"role": "model", "parts": parts},
        "index": 0,
        **({"finishReason": reason} if reason else {}),
    }
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": body["model"]}


def message(body: JsonObject) -> JsonObject:
    if body.get("tools"):
        content = [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": json.loads(TOOL_ARGUMENTS)}]
    else:
        content = [{"type": "text", "text": text_for(body)}]
    reason = "tool_use" if body.get("tools") else "end_turn"
    return {**message_object(body), "content": content, "stop_reason": reason, "usage": INPUT_OUTPUT}


def message_events(body: JsonObject) -> list[ServerEvent]:
    if body.get("tools"):
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves(TOOL_ARGUMENTS)]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": half} for half in halves(text_for(body))]
    end = {"stop_reason": "tool_use" if body.get("tools") else "end_turn", "stop_sequence": None}
    start = {
        **message_object(body),
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }
    return named([
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ])  # fmt: skip


def message_object(body: JsonObject) -> JsonObject:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}


def named(events: Iterable[JsonObject]) -> list[ServerEvent]:
    return [(event["type"], json.dumps(event)) for event in events]


# Errors


def error(path: str, status: int, code: str) -> JsonObject:
    if "/messages" in path:
        kind = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": f"the upstream says {code}"}}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": f"the upstream says {code}", "type": kind, "param": None, "code": code}}
