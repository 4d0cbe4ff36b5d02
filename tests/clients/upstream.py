"""A scripted upstream that speaks OpenAI's, Anthropic's and Google's APIs.

It misbehaves when a request's user is a plight's name.
"""

from __future__ import annotations

import base64
import json
import queue
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import answers
from wire import JsonObject, ServerEvent

DEADLINE = 30

# By the request's `user` (Anthropic: `metadata.user_id`). Besides there are, for streams, after the first real event:
# `paused`: waits until the client has seen it; `endless`: nothing more comes; `broken`: the connection closes, as it
# does amid other answers. And `silent`: no answer at all.
FAILURES = {
    "picky": (400, "string_above_max_length"),
    "busy": (429, "rate_limit_exceeded"),
    "failing": (500, "internal_error"),
    "overloaded": (503, "overloaded"),
    "crowded": (529, "overloaded"),
}

Answer = Callable[[JsonObject], JsonObject]
AnswerEvents = Callable[[JsonObject], list[ServerEvent]]
# By path: the whole answer, and the events of its stream where the API has one.
ANSWERS: dict[str, tuple[Answer, AnswerEvents | None]] = {
    "/v1/chat/completions": (answers.completion, answers.chunks),
    "/v1/completions": (answers.text_completion, None),
    "/v1/responses": (answers.response, answers.response_events),
    "/v1/embeddings": (answers.embeddings, None),
    "/v1/messages": (answers.message, answers.message_events),
    "/v1/messages/count_tokens": (lambda _: {"input_tokens": 5}, None),
    "generateContent": (answers.contents, None),
    "streamGenerateContent": (answers.contents, answers.contents_events),
    "countTokens": (lambda _: {"totalTokens": 5}, None),
}

# Google's paths name the model and what is asked of it.
GOOGLE = re.compile(r"/v1/models/(?P<model>[^/:]+):(?P<operation>[A-Za-z]+)")


class Upstream(ThreadingHTTPServer):
    """Keeps what it was asked, and what it saw of its clients."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.requests: queue.Queue[JsonObject] = queue.Queue()
        self.first_event_seen = threading.Event()
        self.disconnected = threading.Event()

    def request(self) -> JsonObject:
        """Takes the one request that came."""
        request = self.requests.get(timeout=DEADLINE)
        assert self.requests.empty(), "more than one request came"
        return request

    def forget(self) -> None:
        """Drops what a failed test left behind."""
        self.requests = queue.Queue()
        self.disconnected.clear()

    def saw_the_client_leave(self) -> bool:
        """Waits for the end of a connection whose answer is not complete."""
        left = self.disconnected.wait(DEADLINE)
        self.disconnected.clear()
        return left


def is_prelude(event: ServerEvent) -> bool:
    """Tells whether an event says only that an answer will begin: until then a proxy may still ask elsewhere."""
    return event[0] in ("message_start", "ping", "response.created", "response.in_progress")


class UpstreamHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests as the API does, or as the plight wants it."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.put({"path": self.path, "headers": headers, "raw": raw, "body": body})
        path = self.path.split("?")[0]
        if named := GOOGLE.fullmatch(path):
            path = named["operation"]
            body = {**body, "model": named["model"], "stream": path.startswith("stream")}
        plight = body.get("user") or (body.get("metadata") or {}).get("user_id")
        answer, events = ANSWERS[path]
        if plight in FAILURES:
            status, code = FAILURES[plight]
            self.send(status, answers.error(path, status, code))
        elif plight == "silent":
            self.wait_for_the_client_to_leave()
        elif body.get("stream"):
            assert events, f"{path} has no streams"
            self.stream(events(body), plight)
        elif plight == "broken":
            self.cut(answer(body))
        else:
            self.send(200, answer(body))

    def do_GET(self) -> None:
        """Does for tests in another process what those in this one do by calls."""
        if self.path == "/forget":
            self.server.forget()
            self.send(200, {})
        elif self.path == "/request":
            request = self.server.request()
            self.send(200, {**request, "raw": base64.b64encode(request["raw"]).decode()})
        elif self.path == "/first-event-seen":
            self.server.first_event_seen.set()
            self.send(200, {})
        else:
            self.send(200, {"left": self.server.saw_the_client_leave()})

    def send(self, status: int, body: JsonObject) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(content)

    def cut(self, body: JsonObject) -> None:
        """Sends half an answer."""
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def stream(self, events: list[ServerEvent], plight: str | None) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.server.first_event_seen.clear()
        first = next(index for index, event in enumerate(events) if not is_prelude(event))
        for event in events[: first + 1]:
            self.event(*event)
        if plight == "paused":
            assert self.server.first_event_seen.wait(DEADLINE), "the client never saw the first event"
        elif plight == "endless":
            return self.wait_for_the_client_to_leave()
        elif plight == "broken":
            self.close_connection = True
            return None
        for event in events[first + 1 :]:
            self.event(*event)
        self.wfile.write(b"0\r\n\r\n")
        return None

    def event(self, name: str | None, data: str) -> None:
        content = ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def wait_for_the_client_to_leave(self) -> None:
        self.close_connection = True
        self.connection.settimeout(DEADLINE)
        try:
            left = self.connection.recv(1) == b""
        except ConnectionResetError:
            left = True
        if left:
            self.server.disconnected.set()

    def log_message(self, *_: object) -> None:
        pass
