"""A relay between the agents and the proxy, which keeps what only the agent would see: the header fields of answers.

A path begins with the name of a run. Each request gets an id, by which upstreams and answers are brought together.
"""

from __future__ import annotations

import http.client
import itertools
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIMIT = 60
# Header fields of one connection: the relay's own are others.
OF_CONNECTIONS = {"connection", "content-length", "host", "transfer-encoding"}


@dataclass(frozen=True)
class Relayed:
    """The head of an answer, and which request it belongs to."""

    path: str
    status: int
    headers: dict[str, str]


class Relay(ThreadingHTTPServer):
    """Passes everything on to the proxy at `target`, HOST:PORT."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RelayHandler)
        self.target = ""
        self.ids = itertools.count(1)
        self.answers: dict[str, dict[str, Relayed]] = {}  # by the run and the id of the request
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Says nothing: agents leave connections as they like."""


class RelayHandler(BaseHTTPRequestHandler):
    """Passes one connection's requests on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Relay

    def do_GET(self) -> None:
        self.relay()

    def do_HEAD(self) -> None:
        self.relay()

    def do_POST(self) -> None:
        self.relay()

    def relay(self) -> None:
        _, run, path = self.path.split("/", 2)
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        fields = {name: value for name, value in self.headers.items() if name.lower() not in OF_CONNECTIONS}
        request_id = f"{run}.{next(self.server.ids)}"
        proxy = http.client.HTTPConnection(self.server.target, timeout=LIMIT)
        try:
            proxy.request(self.command, f"/{path}", body or None, {**fields, "x-request-id": request_id, "x-run": run})
            answer = proxy.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            relayed = Relayed(path, answer.status, headers)
            self.server.answers.setdefault(run, {})[request_id] = relayed
            self.answer(answer)
        finally:
            proxy.close()

    def answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in OF_CONNECTIONS:
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass
