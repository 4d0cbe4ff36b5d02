"""The section `translation`: what goes on in another vendor's API, beside the same ones untranslated.

Each translating proxy serves two models, one at an upstream that speaks the client's API (chat completions) and one at
an upstream that speaks Anthropic's messages. Its two targets differ in nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import closed_loop
import fidelity
import streams
from child import Child, FailedError, Request
from results import DIRECT, TRANSLATION, StreamRun
from target import Target

if TYPE_CHECKING:
    from phases import Comparison

# One connection for the latency, sixteen for the CPU.
CONNECTIONS = (1, 16)


def measure(comparison: Comparison) -> None:
    with comparison.selected([DIRECT], TRANSLATION):
        requests(comparison)
        events(comparison)


def requests(comparison: Comparison) -> None:
    with comparison.loaded() as upstream:
        for target in list(comparison.targets):
            with comparison.giving_up_on(target):
                comparison.load(target, load_of(comparison, 16, 0), upstream)
        for number in comparison.numbers(comparison.plan.rounds):
            for connections in CONNECTIONS:
                if not comparison.has_time_for(f"round {number} of {connections} connections"):
                    return
                for target in comparison.in_turn(number):
                    comparison.measure(target, load_of(comparison, connections, number), upstream)


def load_of(comparison: Comparison, connections: int, number: int) -> closed_loop.Load:
    file = comparison.files[TRANSLATION]
    return closed_loop.Load(connections, TRANSLATION, file, comparison.plan.seconds, number)


def events(comparison: Comparison) -> None:
    with comparison.telling_upstream() as (upstream, port), comparison.running(comparison.targets, port):
        for target in list(comparison.targets):
            with comparison.giving_up_on(target):
                must_reach(target, port)
        for number in stream_rounds(comparison):
            if not comparison.has_time_for(f"round {number} of the streams"):
                return
            for target in comparison.in_turn(number):
                with comparison.giving_up_on(target):
                    comparison.keep(stream_of(comparison, target, upstream, number))


def stream_rounds(comparison: Comparison) -> range:
    last = max((run.round for run in comparison.data.streams if run.kind == TRANSLATION), default=0)
    return range(last + 1, last + 1 + comparison.plan.stream_rounds)


def must_reach(target: Target, upstream: int) -> None:
    """Raises where a request does not arrive in the API that the target's name says, or its answer is no completion."""
    Request(upstream, "POST", "/forget").ask()
    status, _, data = fidelity.ask(target, target.question("fidelity"))
    path = (fidelity.seen(upstream)["last"] or {}).get("path", "nowhere")
    if path.endswith("/messages") != target.name.endswith("-translated"):
        raise FailedError(f"its request went to {path}")
    if status != 200 or b"chat.completion" not in data:
        raise FailedError(f"its answer is no completion: {status} {data[:100]!r}")


def stream_of(comparison: Comparison, target: Target, upstream: Child, number: int) -> StreamRun:
    shape = streams.SPARSE if target.spec.slow else streams.DENSE
    run = streams.run(target, shape, upstream, comparison.loader, number)
    run.kind = TRANSLATION
    return run
