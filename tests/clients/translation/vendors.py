"""Upstreams of four APIs in one server, each strict, each with its own seal: a process of its own."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

from translation import plays, vendor_chat, vendor_gemini, vendor_messages, vendor_responses

WAIT = 10
KEY = "key-of-the-client"
# By the beginning of a path: the API, the field of its key, and what stands before the key there.
PATHS: dict[str, tuple[ModuleType, str, str]] = {
    "/v1/chat/completions": (vendor_chat, "authorization", "Bearer "),
    "/v1/responses": (vendor_responses, "authorization", "Bearer "),
    "/v1/messages": (vendor_messages, "x-api-key", ""),
    "/v1beta/models/": (vendor_gemini, "x-goog-api-key", ""),
}
# Fields that SDKs send, and that do not go on where a request is translated.
UNTRANSLATED = {"x-stainless-lang", "x-goog-api-client"}
# Fields of one vendor's API that no other may see.
OWN_FIELDS = {
    "anthropic-": (vendor_messages,),
    "x-goog-": (vendor_gemini,),
    "openai-": (vendor_chat, vendor_responses),
}


class Vendors(ThreadingHTTPServer):
    """The upstreams, and which of their clients left in the middle of an answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.left: dict[str, threading.Event] = defaultdict(threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Answers as the API of the path does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Vendors
    key = KEY

    def do_GET(self) -> None:
        """Tells whether the client of a run has left: `/left/RUN`."""
        self.send(200, {"left": self.server.left[self.path.removeprefix("/left/")].wait(WAIT)})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        api, field, before = next(found for path, found in PATHS.items() if self.path.startswith(path))
        try:
            body = json.loads(raw)
            self.demand_fields(api, field, before)
            plays.demand(b"cG0xL" not in raw, "a thought that Pointsman carries for another vendor")
            if not UNTRANSLATED & {name.lower() for name in self.headers}:  # SDKs are laxer than their own types
                api.validate(body)
            ask = api.read(body, self.path)
            parts = plays.played(ask, api.VENDOR)
        except Exception as problem:
            print(f"{self.path}: {problem!r}\n{raw.decode()}", file=sys.stderr, flush=True)
            return self.send(400, api.error(400, f"unfit: {problem}"))
        if status := plays.ERRORS.get(ask.play):
            return self.send(status, api.error(status, plays.WORDS))
        if not ask.stream:
            return self.send(200, api.answer(parts, body))
        run = re.search(r"\[run:([^\]]*)\]", raw.decode())
        return self.stream(api.events(parts, body), ask.play, api, run[1] if run else "")

    def demand_fields(self, api: ModuleType, field: str, before: str) -> None:
        # Anthropic's newest SDK sends its key as a bearer, and untranslated it goes on so.
        bearer = api is vendor_messages and self.headers.get("authorization") == f"Bearer {self.key}"
        plays.demand(bearer or self.headers.get(field) == before + self.key, f"no key in {field}")
        for name in self.headers:
            for prefix, owners in OWN_FIELDS.items():
                plays.demand(not name.lower().startswith(prefix) or api in owners, f"another vendor's field {name}")
        if api is vendor_messages:
            plays.demand("anthropic-version" in self.headers, "no anthropic-version")

    def send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(content)

    def stream(self, events: list[str], play: str, api: ModuleType, run: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        breaks = play in plays.BREAKS
        first = next((index for index, event in enumerate(events) if plays.TEXT[:5] in event), 0) if breaks else 0
        for event in events[: first + 1] if breaks else events:
            self.chunk(event)
        if play == "slow":
            self.wait_for_the_client_to_leave(run)
        elif play == "cut":
            self.close_connection = True
        else:
            if play == "midfail":
                self.chunk(api.failed(plays.WORDS))
            self.wfile.write(b"0\r\n\r\n")

    def chunk(self, event: str) -> None:
        content = event.encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def wait_for_the_client_to_leave(self, run: str) -> None:
        self.close_connection = True
        self.connection.settimeout(WAIT)
        try:
            gone = self.connection.recv(1) == b""
        except ConnectionResetError:
            gone = True
        if gone:
            self.server.left[run].set()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = Vendors()
    print(server.server_port, flush=True)
    server.serve_forever()
