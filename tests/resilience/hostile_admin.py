"""Requests to the admin listener that do not come from its operator: other sites, other names, other bodies."""

from __future__ import annotations

from dataclasses import dataclass

import raw
from bench import Bench
from table import Outcome, Row, must

CHANGES: dict[str, tuple[str, bytes]] = {
    "/reload": ("POST", b""),
    "/rollback": ("POST", b""),
    "/kill-switch": ("PUT", b'{"killed": true}'),
    "/v1/feedback": ("POST", b'{"request_id": "a", "rating": "down"}'),
    "/v1/decide": ("POST", b'{"model": "auto", "messages": [{"role": "user", "content": "a"}]}'),
    "/predict": ("POST", b'{"text": "a"}'),
    "/predict/batch": ("POST", b'{"texts": ["a"]}'),
}
READS = [
    "/config",
    "/generation",
    "/docs",
    "/openapi.json",
    "/",
    "/kill-switch",
    "/console/",
    "/console/main.js",
    "/api/overview",
    "/api/decisions",
    "/api/configuration",
]
OPEN = ["/metrics", "/healthz", "/readyz", "/health"]
FOREIGN = [
    ("Origin https", ["origin: https://evil.example"]), ("Origin null", ["origin: null"]), ("Origin with another port", ["origin: http://127.0.0.1:1"]), ("Origin file", ["origin: file://"]),
    ("Origin that begins alike", ["origin: http://localhost.evil.example"]), ("cross-site", ["sec-fetch-site: cross-site"]), ("same-site", ["sec-fetch-site: same-site"]), ("cross-site navigation", ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate"]),
    ("both", ["origin: https://evil.example", "sec-fetch-site: cross-site"]),
]  # fmt: skip
HOSTS = [
    "evil.example",
    "evil.example:PORT",
    "localhost.evil.example",
    "127.0.0.1.evil.example:PORT",
    "evil.example@127.0.0.1",
    "0x7f.1",
    "x",
    "metadata.internal",
    "LOCALHOST.evil.example",
]
OWN_HOSTS = ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT", "127.0.0.1", "10.0.0.7:PORT"]
CURL_LABEL = "application/x-www-form-urlencoded"
QUESTIONS = ["/v1/decide", "/predict", "/predict/batch"]
NOT_JSON = [
    "text/plain",
    CURL_LABEL,
    "multipart/form-data; boundary=x",
    "text/plain; application/json",
    "",
    "application/octet-stream",
]


@dataclass
class Ask:
    """A request to the admin listener; PORT in its host stands for the listener's port."""

    method: str
    path: str
    fields: list[str]
    body: bytes = b""
    host: str = "127.0.0.1:PORT"

    def send(self, on: Bench) -> raw.Seen:
        port = str(on.gateway.admin[1])
        length = [f"content-length: {len(self.body)}"] if self.body or self.method != "GET" else []
        fields = [field.replace("PORT", port) for field in [*length, "connection: close", *self.fields]]
        data = raw.head(self.method, self.path, *fields, host=self.host.replace("PORT", port)) + self.body
        return raw.talk(on.gateway.admin, data, 10)


def admin_row(on: Bench, name: str, ask: Ask, allowed: set[int]) -> Row:
    def check() -> Outcome:
        with on.lock:
            before = on.gateway.generation()
            seen = ask.send(on)
            after = on.gateway.generation()
            is_killed = b"true" in on.gateway.ask_admin("GET", "/kill-switch")[2]
            if is_killed:
                on.gateway.ask_admin("PUT", "/kill-switch", b'{"killed": false}')
            must(seen.final and seen.final[0] in allowed, f"{seen.final} {seen.data[-150:]!r}")
            must(allowed == {200} or after == before, "the generation changed")
            must(not is_killed, "policies are out of service")
            must(b"access-control-allow" not in seen.data.lower(), "another site may read it")
            return Outcome(f"{seen.final}", 1, 0)

    holds = "200: it is the operator's" if allowed == {200} else f"one of {sorted(allowed)}, and nothing changes"
    return Row("admin", f"{ask.method} {ask.path}, {name}", holds, check)


def allowed(path: str, label: str) -> set[int]:
    # A question changes nothing, and pages of other origins are refused by their origin.
    return {200} if path in QUESTIONS and label == CURL_LABEL else {400, 403, 415}


def changes(on: Bench) -> list[Row]:
    made = []
    for path, (method, body) in CHANGES.items():
        kind = ["content-type: application/json"] if body else []
        made += [admin_row(on, name, Ask(method, path, kind + marks, body), {403, 415, 421}) for name, marks in FOREIGN]
        made += [admin_row(on, f"Host {host}", Ask(method, path, kind, body, host), {400, 421}) for host in HOSTS]
        if body:
            made += [
                admin_row(
                    on, f"as {label!r}", Ask(method, path, [f"content-type: {label}"], body), allowed(path, label)
                )
                for label in NOT_JSON
            ]
    return made


def rows(on: Bench) -> list[Row]:
    made = changes(on)
    for path in READS:
        made += [admin_row(on, f"Host {host}", Ask("GET", path, [], b"", host), {400, 421}) for host in HOSTS]
        made.append(framed(on, path))
    made += [admin_row(on, "Host of a scrape", Ask("GET", path, [], b"", "pointsman.svc:PORT"), {200}) for path in OPEN]
    made += [admin_row(on, f"Host {host}", Ask("GET", "/config", [], b"", host), {200}) for host in OWN_HOSTS]
    same = ["sec-fetch-site: same-origin", "origin: http://127.0.0.1:PORT"]
    made.append(admin_row(on, "without a mark", Ask("POST", "/reload", []), {200}))
    made.append(admin_row(on, "from its own page", Ask("POST", "/reload", same), {200}))
    return made


def framed(on: Bench, path: str) -> Row:
    def check() -> Outcome:
        with on.lock:
            seen = Ask("GET", path, ["accept: text/html"]).send(on).data.lower()
            must(b"x-frame-options: deny" in seen or b"frame-ancestors 'none'" in seen, "it may be framed")
            must(b"x-content-type-options: nosniff" in seen, "its type may be guessed")
            return Outcome("may not be framed", 1, 0)

    return Row("admin", f"GET {path} in a frame", "may not be framed, its type may not be guessed", check)
