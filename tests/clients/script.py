"""A scripted model behind the proxy: it answers each ask with steps of its own, in the dialects that agents speak."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wire import JsonObject

Call = tuple[str, JsonObject]
USAGE = {"input_tokens": 50, "output_tokens": 5}
# How agents begin the request that has a conversation summed up.
COMPACTIONS = ("CRITICAL: Respond with TEXT ONLY", "You are performing a CONTEXT CHECKPOINT COMPACTION")


@dataclasses.dataclass(frozen=True)
class Step:
    """One answer: a text, and the tools that it calls, which may depend on what the request holds."""

    text: str
    calls: tuple[Call, ...] | Callable[[JsonObject], tuple[Call, ...]] = ()
    input_tokens: int = 50


@dataclasses.dataclass(frozen=True)
class ScriptedRequest:
    """One request as it arrived: what it was for, whose ask it goes on with, and the model that it was sent to."""

    purpose: str  # answer | title | summary
    ask: str
    step: int
    model: str
    headers: dict[str, str]
    body: JsonObject

    def __str__(self) -> str:
        return f"{self.purpose} {self.step} of {self.ask[:48]!r}"


class ScriptedModel(ThreadingHTTPServer):
    """Answers by `script`, from an ask to its steps.

    The same request always gets the same answer, whatever else is under way.
    """

    daemon_threads = True

    def __init__(self, script: dict[str, list[Step]]) -> None:
        super().__init__(("127.0.0.1", 0), ScriptHandler)
        self.script = script
        self.seen: list[ScriptedRequest] = []
        self.changed = threading.Condition()

    def take(self, headers: dict[str, str], body: JsonObject) -> Step:
        """Remembers a request and returns its answer."""
        seen = read(body, self.script, headers)
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()
        if seen.purpose == "title":
            return Step('{"title": "A scripted title"}')
        if seen.purpose == "summary":
            return Step("<summary>The conversation so far.</summary>")
        steps = self.script.get(seen.ask, [])
        return steps[seen.step] if seen.step < len(steps) else Step("Noted.")

    def wait_for(self, purpose: str, deadline: float) -> bool:
        """Waits until a request for that purpose came."""
        with self.changed:
            return self.changed.wait_for(lambda: any(seen.purpose == purpose for seen in self.seen), deadline)

    def drain(self) -> list[ScriptedRequest]:
        """Takes everything that was seen."""
        with self.changed:
            seen, self.seen = self.seen, []
        return seen


def read(body: JsonObject, script: dict[str, list[Step]], headers: dict[str, str]) -> ScriptedRequest:
    """Finds, by what the script knows, what a request is for."""
    texts = [(role, text) for role, parts in turns(body) for text in parts]
    people = [text for role, text in texts if role == "user"]
    ask, step = "", 0
    for role, text in texts:
        if role == "user" and text.strip().strip('"') in script:
            ask, step = text.strip().strip('"'), 0
        elif role == "assistant":
            step += 1
    purpose = "answer"
    if people and people[-1].startswith(COMPACTIONS):
        purpose = "summary"
    elif not body.get("tools") and "title" in json.dumps(body):
        purpose = "title"
    return ScriptedRequest(purpose, ask, step, body["model"], headers, body)


def turns(body: JsonObject) -> list[tuple[str, list[str]]]:
    """Returns each turn's role and texts; items without a text, such as tool calls, have none."""
    found = []
    for turn in body.get("messages") or body.get("input") or []:
        content = turn.get("content") or []
        parts = [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]
        found.append((turn.get("role", ""), parts[:1] if turn.get("role") == "assistant" else parts))
    return found


class ScriptHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests by the script."""

    protocol_version = "HTTP/1.1"
    server: ScriptedModel

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        step = self.server.take({name.lower(): value for name, value in self.headers.items()}, body)
        calls = step.calls(body) if callable(step.calls) else step.calls
        write = next(write for path, write in WRITERS.items() if self.path.split("?")[0].endswith(path))
        whole, events = write(body["model"], step, calls, len(self.server.seen))
        if body.get("stream"):
            self.send("text/event-stream", "".join(map(event, events)))
        else:
            self.send("application/json", json.dumps(whole))

    def do_GET(self) -> None:
        self.send("application/json", '{"data": []}')

    def do_HEAD(self) -> None:
        self.send("application/json", "")

    def send(self, kind: str, content: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        pass


def event(data: JsonObject | str) -> str:
    if isinstance(data, str):
        return f"data: {data}\n\n"
    return (f"event: {data['type']}\n" if "type" in data else "") + f"data: {json.dumps(data)}\n\n"


Answer = tuple[JsonObject, Sequence[JsonObject | str]]

# The dialects: each returns a whole answer and the events of a stream.


def messages(model: str, step: Step, calls: tuple[Call, ...], number: int) -> Answer:
    uses = [
        {"type": "tool_use", "id": f"toolu_{number}_{n}", "name": name, "input": given}
        for n, (name, given) in enumerate(calls)
    ]
    content: list[JsonObject] = [{"type": "text", "text": step.text}, *uses]
    end: JsonObject = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    usage = {**USAGE, "input_tokens": step.input_tokens}
    whole = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **end,
        "usage": usage,
    }
    events: list[JsonObject] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    for index, block in enumerate(content):
        empty: JsonObject = {"text": ""} if block["type"] == "text" else {"input": {}}
        delta = {"type": "text_delta", "text": step.text}
        if block["type"] == "tool_use":
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events += [
            {"type": "content_block_start", "index": index, "content_block": {**block, **empty}},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    return whole, [*events, {"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]


def responses(model: str, step: Step, calls: tuple[Call, ...], number: int) -> Answer:
    text = {"type": "output_text", "text": step.text, "annotations": []}
    said = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text]}
    output: list[JsonObject] = [said, *(function_call(f"{number}_{n}", *call) for n, call in enumerate(calls))]
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": step.input_tokens, "output_tokens": 5, "total_tokens": step.input_tokens + 5, **details}
    whole = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": output,
        "usage": usage,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    events: list[JsonObject] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}
    ]
    for index, item in enumerate(output):
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return whole, [*events, {"type": "response.completed", "response": whole}]


def function_call(number: str, name: str, given: JsonObject) -> JsonObject:
    space, _, short = name.rpartition(".")
    names = {"namespace": space, "name": short} if space else {"name": name}
    call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
    return {**call, **names, "arguments": json.dumps(given)}


def chat(model: str, step: Step, calls: tuple[Call, ...], number: int) -> Answer:
    message: JsonObject = {"role": "assistant", "content": step.text}
    if calls:
        message["tool_calls"] = [
            {
                "index": n,
                "id": f"call_{number}_{n}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given)},
            }
            for n, (name, given) in enumerate(calls)
        ]
    reason = "tool_calls" if calls else "stop"
    frame = {"id": f"chatcmpl-{number}", "created": 1, "model": model}
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    parts: list[JsonObject] = [{"delta": message, "finish_reason": None}, {"delta": {}, "finish_reason": reason}]
    chunk: JsonObject = {**frame, "object": "chat.completion.chunk"}
    chunks = [{**chunk, "choices": [{"index": 0, **part}]} for part in parts]
    last = {**chunk, "choices": [], "usage": usage}
    return {**frame, "object": "chat.completion", "choices": choices, "usage": usage}, [*chunks, last, "[DONE]"]


WRITERS: dict[str, Callable[[str, Step, tuple[Call, ...], int], Answer]] = {
    "/messages": messages,
    "/responses": responses,
    "/chat/completions": chat,
}
