"""The bench of the hostile inputs: one proxy for all, its recording upstreams, and what must hold after each."""

from __future__ import annotations

import contextlib
import json
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import raw
from peer import Peer, answer
from process import Gateway, chat_body, waited
from stage import Scene
from table import Outcome, Row, must

MARK = "smuggled"  # stands in bytes that must never become a request of their own
FORBIDDEN = "forbidden-word"  # a prompt with it is denied by the policy
LARGEST = 1 << 20

RULED = Scene(
    limits=f"max_body_bytes: {LARGEST}, header: 2s, body: 3s, body_idle: 2s",
    provider="",
    policy=f"""    rules:
      - {{when: "prompt.contains_any(['{FORBIDDEN}'])", deny: {{status: 403, message: denied}}}}
      - {{when: 'prompt.images > 0 || prompt.files > 0', use: frontier}}
""",
)


@dataclass
class Bench:
    """The proxy and its upstreams. A row at a time uses it."""

    gateway: Gateway
    one: Peer
    two: Peer

    def __post_init__(self) -> None:
        self.lock = threading.Lock()

    def clear(self) -> None:
        self.one.clear()
        self.two.clear()

    def arrived(self) -> int:
        return len(self.one.requests) + len(self.two.requests)

    def send(self, data: raw.Parts, timeout: float = 8.0, linger: float = 0.0) -> raw.Seen:
        return raw.talk(self.gateway.listen, data, timeout, linger)

    def holds(self) -> None:
        """Raises where what holds after every input does not."""
        must(self.gateway.is_running(), f"the process ended: {self.gateway.log[-3:]}")
        must(not self.gateway.panics(), self.gateway.panics())
        for peer in (self.one, self.two):
            must(not peer.broken, f"a strict reader upstream saw {peer.broken}")
            for request in peer.requests:
                must(MARK not in request.line, f"a smuggled request arrived: {request.line}")
                must(not request.get("x-pointsman-model"), f"a field of ours went upstream: {request.fields}")

    def serves(self) -> None:
        seen = self.send(raw.post("/v1/chat/completions", chat_body()))
        must(seen.final == [200], f"an ordinary request afterwards got {seen.final} {seen.data[:200]!r}")


@contextlib.contextmanager
def bench(scene: Scene = RULED) -> Iterator[Bench]:
    one, two = Peer(), Peer()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        gateway = Gateway(pathlib.Path(folder), scene.text(one, two).replace("FOLDER", folder))
        gateway.start("--log-format", "json")
        try:
            yield Bench(gateway, one, two)
        finally:
            gateway.stop(5)
            one.close()
            two.close()


Judge = Callable[[Bench, raw.Seen], str]  # returns what was seen, and raises a violation


@dataclass
class Input:
    """Bytes that are sent to the proxy as they are, and what must hold; `known` as in `Row`."""

    family: str
    name: str
    holds: str
    data: raw.Parts
    known: str = ""


def input_row(on: Bench, entry: Input, judge: Judge) -> Row:

    def check() -> Outcome:
        with on.lock:
            if not on.gateway.is_running():
                on.gateway.start("--log-format", "json")
            on.clear()
            on.one.act = on.two.act = answer
            seen = on.send(entry.data)
            said = judge(on, seen)
            on.holds()
            return Outcome(said, 1, 0)

    return Row(entry.family, entry.name, entry.holds, check, entry.known)


def refused(*statuses: int) -> Judge:
    """Returns a judge: refused with such a status (any 4xx or 5xx without), and nothing went upstream."""

    def judge(on: Bench, seen: raw.Seen) -> str:
        final = seen.final
        must(final or seen.is_closed, f"no answer, and the connection is open: {seen.data[:100]!r}")
        must(not final or final[0] in statuses or (not statuses and final[0] >= 400), f"{final} {seen.data[-200:]!r}")
        must(on.arrived() == 0, f"{on.arrived()} requests went upstream")
        return f"{final or 'closed'}"

    return judge


def refused_or(check: Callable[[Bench, raw.Seen], object]) -> Judge:
    """Returns a judge: refused as above, or passed on in a way that a check finds right."""

    def judge(on: Bench, seen: raw.Seen) -> str:
        if seen.final and seen.final[0] < 400:
            check(on, seen)
            return f"{seen.final}, passed on right"
        return refused()(on, seen)

    return judge


def one_whole(body: bytes) -> Callable[[Bench, raw.Seen], None]:
    """Returns a check: one request arrived, with this body, framed once."""

    def check(on: Bench, seen: raw.Seen) -> None:
        requests = on.one.requests + on.two.requests
        must(len(requests) == 1, f"{len(requests)} requests arrived")
        must(as_sent(requests[0].body) == as_sent(body), f"another body arrived: {requests[0].body[:200]!r}")
        must(len(seen.final) == 1, f"{seen.final}: more than one answer")

    return check


def as_sent(body: bytes) -> object:
    """Returns a body without its model, which a policy replaces."""
    try:
        found = json.loads(body)
    except ValueError:
        return body
    if isinstance(found, dict):
        found.pop("model", None)
    return found


def routed_to(model: str) -> Callable[[Bench, raw.Seen], None]:
    """Returns a check: the request was decided with all that is in it, so that it went to this model."""

    def check(on: Bench, _: raw.Seen) -> None:
        models = [request.model for request in on.one.requests + on.two.requests]
        must(models == [model], f"went to {models} instead of {model}")

    return check


def never_serves(on: Bench, seen: raw.Seen) -> str:
    """Judges an input that must not reach a model in any form."""
    must(on.arrived() == 0, f"went upstream as {[r.line for r in on.one.requests + on.two.requests]}")
    must((seen.final and seen.final[0] >= 400) or seen.is_closed, f"{seen.final}")
    return f"{seen.final}"


def settled(on: Bench) -> bool:
    return waited(lambda: on.gateway.total("pointsman_request_body_bytes_in_flight") == 0)
