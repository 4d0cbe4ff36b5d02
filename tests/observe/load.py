"""Traffic for the stack: clients of three teams, and what goes wrong in a day, in a minute or two."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prompts import prompt
from stack import KEYS, Gateway, JsonObject, Stack

WORKERS = 16


@dataclass
class Load:
    """Sends requests from several threads until it is told to stop."""

    stack: Stack
    seed: int = 7
    rate: float = 40.0
    sent: int = 0
    failed: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        for worker in range(WORKERS):
            thread = threading.Thread(target=self._work, args=(random.Random(self.seed + worker),), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _work(self, rng: random.Random) -> None:
        while not self._stopped.wait(rng.expovariate(self.rate / WORKERS)):
            gateway = rng.choices(self.stack.gateways, [3, 2])[0]
            status = ask(gateway, *request(rng))
            with self._lock:
                self.sent += 1
                self.failed += status >= 500


def request(rng: random.Random) -> tuple[str, JsonObject, str | None]:
    """Draws a path, a body and a key."""
    drawn = rng.random()
    client = rng.choices(["search", "chat", "batch"], [5, 4, 1])[0]
    key = None if drawn < 0.01 else KEYS[client]
    if drawn < 0.02:
        return "/v1/chat/completions", {"messages": [{"role": "user", "content": "to whom?"}]}, key
    if drawn < 0.06:
        kinds: list[JsonObject] = [{"rating": "up"}, {"correct": False}, {"comment": "fine"}]
        return "/v1/feedback", {"request_id": f"r-{rng.randrange(10**6)}", **rng.choice(kinds)}, key
    if drawn < 0.10:
        return "/v1/chat/completions", {"model": "nano", "messages": [{"role": "user", "content": "hello"}]}, key
    model = rng.choices(["auto", "pair", "hurried", "watched", "judged"], [16, 6, 2, 1, 1])[0]
    body: JsonObject = {
        "model": model,
        "messages": [{"role": "user", "content": prompt(rng)}],
        "stream": rng.random() < 0.5,
    }
    if drawn > 0.96:
        image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        body["messages"][0]["content"] = [{"type": "text", "text": "What is on this picture?"}, image]
    elif drawn > 0.93:
        body["messages"][0]["content"] = "What is the capital of France?"  # the cache knows it
    return "/v1/chat/completions", body, key


def ask(gateway: Gateway, path: str, body: JsonObject, key: str | None) -> int:
    """Sends one request, reads the answer to its end and returns its status; 0 when the answer broke."""
    host, port = gateway.listen.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def burst(stack: Stack, size: int = 64, rounds: int = 5) -> None:
    """Sends different prompts at once, so that they wait and are judged together, and one prompt many times over."""
    rng = random.Random(time.time_ns())  # texts that no cache knows
    with concurrent.futures.ThreadPoolExecutor(size) as pool:
        for turn in range(rounds):
            texts = [prompt(rng) for _ in range(size - 4)] + [f"Weigh the same thing twice, round {turn}."] * 4
            bodies = [{"model": "pair", "messages": [{"role": "user", "content": text}]} for text in texts]
            list(pool.map(lambda body: ask(stack.gateways[0], "/v1/chat/completions", body, KEYS["search"]), bodies))


def troubles(stack: Stack, seconds: float) -> None:
    """Lets a day's troubles happen, evenly over `seconds`.

    Limits, a sick peer, broken streams, a store that hangs, reloads good and bad.
    """
    first, second = stack.gateways
    economy, premium, local = (stack.upstreams[name] for name in ("economy", "premium", "local"))
    machines = [economy, stack.upstreams["economy_too"]]
    good = first.config.read_text()
    steps: list[Callable[[], object]] = [
        lambda: economy.faults.update(silent=0.05, zipped=0.05),
        lambda: burst(stack),
        lambda: premium.faults.update(limited=0.4, failing=0.1),
        lambda: local.faults.update(cut=0.2, hang_up=0.1),
        lambda: [each.faults.update(failing=0.95) for each in machines],
        lambda: [each.faults.pop("failing") for each in machines],
        lambda: reload(first, good + "# a new generation\n"),
        lambda: setattr(economy, "healthy", False),
        lambda: burst(stack),
        lambda: reload(first, good.replace("otherwise: standard", "otherwise: nobody")),
        lambda: stack.store.send_signal(signal.SIGSTOP),
        premium.faults.clear,
        lambda: stack.store.send_signal(signal.SIGCONT),
        lambda: reload(first, good + "# a third generation\n"),
        lambda: setattr(economy, "healthy", True),
        lambda: first.post("/rollback"),
        lambda: second.post("/reload"),
        local.faults.clear,
        lambda: reload(second, good + "# a new generation\n"),
    ]
    for step in steps:
        step()
        time.sleep(seconds / len(steps))


def reload(gateway: Gateway, text: str) -> None:
    """Writes the configuration as editors do, in one step; the running process notices by itself."""
    beside = gateway.config.with_suffix(".next")
    beside.write_text(text)
    beside.rename(gateway.config)
