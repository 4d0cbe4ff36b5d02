"""A soak: mixed traffic over reloads, swaps of weights and failing upstreams, every answer checked against its request.

`make soak` runs it for SOAK_SECONDS (600) at RATE (40) requests a second. Bodies have 30 bytes to 5 MB, in every API, plain
and compressed, whole and streamed. Upstreams answer with the digest of what they got, so an answer of another request, a byte
too few or another model shows at once. Some upstreams fail, stay silent, or close a kept connection without a word. Clients
leave before the first byte, within a stream, and after its last event. The configuration changes every RELOAD_SECONDS (30),
each third time to a bad one; the bundle behind a link every SWAP_SECONDS (120), and its hash with it.

The verdict: nothing lost, nothing wrong, errors only where an upstream was told to fail, as many lines of the access log as
requests, and memory, file descriptors and threads flat after the first tenth.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter

from mixed import Client
from process import Gateway, Usage, serving
from soak_bundles import Bundles
from soak_figures import Sample, Verdict, draw, judge
from soak_traffic import KINDS, Ask, Books, Upstream, expected, left_early, outgoing

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
RATE = float(os.environ.get("RATE", "40"))
SEED = int(os.environ.get("SEED", "17"))
RELOAD_SECONDS = float(os.environ.get("RELOAD_SECONDS", "30"))
SWAP_SECONDS = float(os.environ.get("SWAP_SECONDS", "120"))
CLIENTS = int(os.environ.get("CLIENTS", "64"))
REPORT = pathlib.Path(os.environ.get("REPORT", "target/soak"))
PATIENCE = 90

CONFIG = """\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
limits: {{max_body_bytes: 16777216}}
default_provider: a
retry: {{max_attempts: 4, pause: 5ms, budget: 1.0}}
providers:
  a:
    base_url: http://127.0.0.1:{a}/v1
    timeouts: {{first_byte: 20s, whole: 20s}}
    breaker: {{failure_ratio: 1.0, consecutive_failures: 50}}
  b: {{base_url: "http://127.0.0.1:{b}/v1"}}
models:
  small: {{provider: a, name: small-up, price: {{input: 1.0, output: 2.0}}}}
  large: {{provider: b, name: large-up, price: {{input: 10.0, output: 20.0}}}}
classifiers:
  default: {{bundle: {bundle}, deadline: 250ms}}
policies:
  - name: auto
    match: {{model: [auto]}}
    strategy: {{kind: tiers, classifier: default, tiers: {{simple: small, medium: small, complex: small}}, otherwise: small}}
    fallback: [large]
# change {change}
"""


class Soak:
    """The run: its clients, and what is done to the proxy meanwhile."""

    def __init__(self, gateway: Gateway, ports: dict[str, int], bundles: Bundles, books: Books) -> None:
        self.gateway, self.ports, self.bundles, self.books = gateway, ports, bundles, books
        self.random = random.Random(SEED)
        self.began = time.monotonic()
        self.wrong: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.reloads: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.sizes: list[int] = []
        self.idle: list[Client] = []
        self.turn = asyncio.Lock()  # of a reload or a swap: each is judged by itself
        self.lost = 0
        self.behind = 0.0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    async def traffic(self) -> None:
        """Starts a request every 1/RATE seconds, with CLIENTS of them open at most."""
        places, number, running = asyncio.Semaphore(CLIENTS), 0, set[asyncio.Task[None]]()
        while self.elapsed < SECONDS:
            due = number / RATE
            if due > self.elapsed:
                await asyncio.sleep(due - self.elapsed)
            self.behind = max(self.behind, self.elapsed - due)
            await places.acquire()
            task = asyncio.create_task(self.one(number))
            running.add(task)
            task.add_done_callback(running.discard)
            task.add_done_callback(lambda _: places.release())
            number += 1
        await asyncio.gather(*running)

    async def one(self, number: int) -> None:
        kind = self.random.choices([name for name, _ in KINDS], [weight for _, weight in KINDS])[0]
        ask = outgoing(kind, number, self.random)
        self.kinds[kind] += 1
        self.sizes.append(len(ask.body))
        try:
            if ask.leaves:
                await asyncio.wait_for(left_early(self.gateway.listen[1], ask), PATIENCE)
                return
            await asyncio.wait_for(self.answered(ask), PATIENCE)
        except (OSError, AssertionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.lost += 1
            self.wrong.append(f"{number} ({kind}): lost: {type(error).__name__} {error}"[:300])

    async def answered(self, ask: Ask) -> None:
        client = self.idle.pop() if self.idle else Client(self.gateway.listen[1])
        status, fields, answer = await client.send(ask.method, ask.path, ask.sent(), ask.fields())
        self.idle.append(client)
        self.statuses[status] += 1
        if problem := expected(ask, status, fields, answer):
            self.wrong.append(
                f"{ask.number} ({ask.kind}, {ask.failure or 'no failure'}, {len(ask.body)} bytes): {problem}"[:400]
            )

    def write(self, change: int, tail: str = "") -> None:
        """Writes the configuration anew, by renaming a whole file over it."""
        text = CONFIG.format(**self.ports, bundle=self.bundles.link, change=change) + tail
        fresh = self.gateway.path.with_suffix(".new")
        fresh.write_text(text, "utf-8")
        fresh.replace(self.gateway.path)

    async def reload_now_and_then(self) -> None:
        change = 0
        while self.elapsed + RELOAD_SECONDS < SECONDS:
            await asyncio.sleep(RELOAD_SECONDS)
            async with self.turn:
                change += 1
                if change % 3 == 0:
                    await self.reload_badly(change)
                self.write(change)
                if change % 4 == 1:
                    self.gateway.send_signal(signal.SIGHUP)
                told = await asyncio.to_thread(self.gateway.reload, 60.0)
                self.reloads["good"] += 1
                if told[0] >= 400:
                    self.wrong.append(f"reload {change}: a good configuration, answered {told}"[:300])

    async def reload_badly(self, change: int) -> None:
        before = await asyncio.to_thread(self.gateway.generation)
        self.write(change, "unknown_key: 1\n")
        told = await asyncio.to_thread(self.gateway.reload, 60.0)
        await asyncio.sleep(2)
        after = await asyncio.to_thread(self.gateway.generation)
        self.reloads["bad"] += 1
        if told[0] < 400 or after != before:
            self.wrong.append(f"reload {change}: bad, answered {told}, generation {before} -> {after}"[:300])

    async def swap_now_and_then(self) -> None:
        """Swaps twice within the first tenth, so that what is kept for a rollback is there before memory is compared."""
        for _ in range(2):
            await asyncio.sleep(SECONDS * 0.03)
            await self.swap()
        while self.elapsed + SWAP_SECONDS < SECONDS:
            await asyncio.sleep(SWAP_SECONDS)
            await self.swap()

    async def swap(self) -> None:
        async with self.turn:
            version = await asyncio.to_thread(self.bundles.swap)
            for _ in range(PATIENCE * 5):
                await asyncio.sleep(0.2)
                seen = await asyncio.to_thread(self.gateway.metrics)
                if any(name.startswith("pointsman_model_info{") and f'"{version}"' in name for name in seen):
                    self.reloads["weights"] += 1
                    return
        self.wrong.append(f"weights {version} did not serve within {PATIENCE} s")

    async def sample(self) -> None:
        every = max(0.5, min(5.0, SECONDS / 200))
        while self.elapsed < SECONDS:
            usage: Usage = self.gateway.usage()
            self.samples.append(Sample(round(self.elapsed, 1), usage, self.bundles.swaps))
            await asyncio.sleep(every)

    async def run(self) -> None:
        jobs = [self.reload_now_and_then(), self.swap_now_and_then(), self.sample()]
        tasks = [asyncio.create_task(job) for job in jobs]
        await self.traffic()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def logged(gateway: Gateway) -> list[str]:
    return [line for line in gateway.log if " access: Request " in line]


def compare_log(soak: Soak) -> list[str]:
    """Returns where the access log differs from what the clients saw."""
    gone = [line for line in logged(soak.gateway) if 'code="client_gone"' in line]
    left = soak.kinds["leaves at once"] + soak.kinds["leaves mid-stream"]
    problems = [] if len(gone) == left else [f"{left} clients left before the end, {len(gone)} lines say client_gone"]
    statuses = Counter(
        int(found[1])
        for line in logged(soak.gateway)
        if 'code="client_gone"' not in line and (found := re.search(r" status=(\d+)", line))
    )
    seen = soak.statuses + Counter({200: soak.kinds["leaves after the end"]})
    return problems + ([] if statuses == seen else [f"statuses seen {dict(seen)}, in the log {dict(statuses)}"])


async def quiet(gateway: Gateway, asked: int) -> int:
    """Waits until every request has its line in the access log; returns how many have."""
    for _ in range(150):
        if len(logged(gateway)) >= asked:
            break
        await asyncio.sleep(0.1)
    return len(logged(gateway))


async def main() -> None:
    books = Books()
    peers = {"a": Upstream("a", "small-up", books), "b": Upstream("b", "large-up", books)}
    for peer in peers.values():
        await peer.start()
    ports = {name: peer.port for name, peer in peers.items()}
    with tempfile.TemporaryDirectory() as folder:
        bundles = Bundles(pathlib.Path(folder))
        config = CONFIG.format(**ports, bundle=bundles.link, change=0)
        with serving(Gateway(pathlib.Path(folder), config)) as gateway:
            soak = Soak(gateway, ports, bundles, books)
            await soak.run()
            asked = sum(soak.kinds.values())
            lines = await quiet(gateway, asked)
            counted = sum(
                value
                for name, value in (await asyncio.to_thread(gateway.metrics)).items()
                if name.startswith("pointsman_request_duration_seconds_count")
            )
            still_open = await asyncio.to_thread(gateway.total, "pointsman_requests_in_flight")
            for client in soak.idle:
                if client.streams:
                    client.streams[1].close()
            ended = await asyncio.to_thread(gateway.stop)
            report(soak, Verdict(asked=asked, logged=lines, counted=int(counted), open=int(still_open), ended=ended))


def report(soak: Soak, verdict: Verdict) -> None:
    judge(verdict, soak.samples, SECONDS)
    verdict.problems += [f"panic: {line}" for line in soak.gateway.panics()]
    verdict.problems += compare_log(soak)
    verdict.problems += soak.wrong[:50]
    verdict.lost, verdict.wrong = soak.lost, len(soak.wrong) - soak.lost
    verdict.facts |= {
        "seconds": SECONDS, "rate": RATE, "seed": SEED, "requests": verdict.asked, "lost": soak.lost,
        "wrong": len(soak.wrong) - soak.lost, "kinds": dict(soak.kinds), "statuses": dict(soak.statuses),
        "reloads": dict(soak.reloads), "bytes sent": sum(soak.sizes), "smallest": min(soak.sizes),
        "largest": max(soak.sizes), "failures played": dict(soak.books.failures),
        "connections closed without a word": soak.books.closed, "seconds behind the rate at most": round(soak.behind, 1),
    }  # fmt: skip
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "soak.json").write_text(json.dumps(verdict.document(soak.samples), indent=1) + "\n", "utf-8")
    (REPORT / "soak.md").write_text(verdict.markdown(), "utf-8")
    (REPORT / "soak.log").write_text("\n".join(soak.gateway.log) + "\n", "utf-8")
    draw(soak.samples, REPORT / "soak.svg")
    print(verdict.markdown())
    if verdict.problems:
        sys.exit(f"{len(verdict.problems)} problems; {REPORT}/soak.json has all of it")


if __name__ == "__main__":
    asyncio.run(main())
