"""Traffic through one proxy, from which a build learns what is hot: `traffic.py --requests N --seconds S`.

`POINTSMAN` names the instrumented binary; it writes its counts when it ends. Chat, messages, responses and embeddings,
whole and streamed, plain and compressed, are decided by a rule, by the lexical forms and by the cascade, or go to a
model whose provider speaks another API. One provider answers over TLS, the other fails now and then. Prompts are drawn
as those of `benches/compare`, from another seed: what is measured there is not what was learnt here. The requests are
the same on every run, and their number is bounded, as the time is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import random
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "benches" / "compare"), str(ROOT / "tests" / "clients")]

import bodies  # noqa: E402 - found by the line above
import mixed  # noqa: E402
from wire import JsonObject  # noqa: E402

SEED = 18
CLIENTS = 32
DELTAS = 40
FAILING = 0.01
RECONNECTS = 0.03
TLS = ROOT / "tests" / "fixtures" / "tls"

POLICIES = [("rule", 40), ("lexical", 20), ("cascade", 20), ("translated", 20)]
KINDS = [
    ("chat", 34), ("chat stream", 30), ("messages", 8), ("messages stream", 9), ("responses", 6),
    ("responses stream", 6), ("gzip", 4), ("embeddings", 3),
]  # fmt: skip
# Bytes of the last user message: 0 is a short question.
SIZES = [((0, 0), 50), ((300, 2_000), 30), ((2_000, 8_000), 14), ((8_000, 20_000), 5), ((100_000, 200_000), 1)]

CONFIG = Template("""\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
default_provider: plain
retry: {max_attempts: 3, pause: 5ms, budget: 1.0}
providers:
  plain: {base_url: "http://127.0.0.1:$plain/v1", credential: passthrough}
  secure: {base_url: "https://llm.test:$secure/v1", peers: [127.0.0.1:$secure], tls: {ca: "$tls/ca.pem"}}
  messages: {base_url: "http://127.0.0.1:$plain/v1", credential: passthrough, dialects: [messages]}
  chat: {base_url: "http://127.0.0.1:$plain/v1", credential: passthrough, dialects: [chat]}
models:
  small: {provider: plain, name: small-up, price: {input: 0.1, output: 0.4, cached_input: 0.01}}
  large: {provider: secure, name: large-up, price: {input: 2.0, output: 8.0, cached_input: 0.2}}
  claude: {provider: messages, name: claude-up, price: {input: 2.0, output: 8.0, cached_input: 0.2}}
  gpt: {provider: chat, name: gpt-up, price: {input: 2.0, output: 8.0, cached_input: 0.2}}
classifiers:
  default: {bundle: "$root/models/pointsman-mini", deadline: 5s, queue: 1024}
policies:
  - name: rule
    match: {model: [rule]}
    rules:
      - {when: 'prompt.images > 0', use: large}
      - {when: 'prompt.tokens >= 400', use: large}
    strategy: {kind: split, models: {small: 1}}
    fallback: [large]
  - name: lexical
    match: {model: [lexical]}
    strategy: {kind: tiers, classifier: default, head: tier_lexical, tiers: {$tiers}, otherwise: large}
    fallback: [large]
  - name: cascade
    match: {model: [cascade]}
    strategy: {kind: tiers, classifier: default, head: tier, tiers: {$tiers}, otherwise: large}
    fallback: [large]
  - name: translated
    match: {model: [translated]}
    rules: [{when: 'request.path == "/v1/messages"', use: gpt}]
    strategy: {kind: split, models: {claude: 1}}
""")


@dataclass
class Ask:
    """A request that is ready to be sent."""

    path: str
    data: bytes
    fields: str = "content-type: application/json\r\nauthorization: Bearer test\r\nuser-agent: traffic/1\r\n"


def drawn(chance: random.Random, number: int) -> Ask:
    """Draws a request; its text names its number, so that no two are equal."""
    policy, kind = picked(chance, POLICIES), picked(chance, KINDS)
    least, most = chance.choices([size for size, _ in SIZES], [weight for _, weight in SIZES])[0]
    body = bodies.chat(chance, number, chance.randint(least, most))
    body |= {"model": policy}
    if kind.endswith("stream"):
        body["stream"] = True
    path = "/v1/chat/completions"
    if kind.startswith("messages"):
        path, body = "/v1/messages", as_messages(body)
    elif kind.startswith("responses"):
        path, body = "/v1/responses", as_responses(body)
    elif kind == "embeddings":
        path, body = "/v1/embeddings", {"model": "small", "input": body["messages"][-1]["content"]}
    elif kind == "chat stream" and number % 2:
        body["stream_options"] = {"include_usage": True}
    data = json.dumps(body).replace("NONCE00000", f"{number:010d}").encode()
    if kind == "gzip":
        return Ask(path, gzip.compress(data, 1), Ask.fields + "content-encoding: gzip\r\n")
    return Ask(path, data)


def picked(chance: random.Random, weighted: list[tuple[str, int]]) -> str:
    return chance.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]


def as_messages(body: JsonObject) -> JsonObject:
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    system = [turn["content"] for turn in body["messages"] if turn["role"] == "system"]
    made: JsonObject = {"model": body["model"], "max_tokens": 256, "messages": turns, "stream": "stream" in body}
    if "tools" in body:
        functions = [tool["function"] for tool in body["tools"]]
        made["tools"] = [{"name": each["name"], "input_schema": each["parameters"]} for each in functions]
    return made | ({"system": system[0]} if system else {})


def as_responses(body: JsonObject) -> JsonObject:
    return {"model": body["model"], "input": body["messages"], "stream": "stream" in body}


class Upstream:
    """A provider that answers at once; it fails one request in a hundred when it is flaky."""

    def __init__(self, failing: float = 0.0) -> None:
        self.failing, self.chance, self.port, self.number = failing, random.Random(SEED), 0, 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await mixed.read_head(reader):
                _, path, fields = head
                await self.answer(path, json.loads(await mixed.read_body(reader, fields)), writer)
                await writer.drain()
        writer.close()

    async def answer(self, path: str, asked: JsonObject, writer: asyncio.StreamWriter) -> None:
        self.number += 1
        usage = (100 + self.number % 900, 1 + self.number % 50, self.number % 100)
        if self.chance.random() < self.failing:
            writer.write(mixed.whole({"error": {"message": "not now", "type": "server_error"}}, 503))
        elif not asked.get("stream"):
            writer.write(mixed.whole(mixed.document(path, "kept", "word " * (self.number % 200), usage, asked)))
        else:
            await mixed.send_events(writer, events(path, usage, asked))
            writer.write(mixed.STREAM_END)


def events(path: str, usage: tuple[int, int, int], asked: JsonObject) -> list[str]:
    """Returns a stream whose delta comes many times."""
    made = mixed.stream(path, "kept", "a few words", usage, asked)
    delta = next(index for index, event in enumerate(made) if "a few words" in event)
    return made[:delta] + made[delta : delta + 1] * DELTAS + made[delta + 1 :]


@dataclass
class Run:
    """The requests that are to be sent, and what came of them."""

    requests: int
    end: float
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    sent: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    async def work(self, port: int) -> None:
        client = mixed.Client(port)
        while self.sent < self.requests and time.monotonic() < self.end:
            self.sent += 1
            ask = drawn(self.chance, self.sent)
            status, _, answer = await asyncio.wait_for(
                client.send("POST", ask.path, ask.data, ask.fields), mixed.DEADLINE
            )
            if status != 200:
                self.wrong.append(f"{ask.path}: {status} {answer[:200]!r}")
            if client.streams and self.chance.random() < RECONNECTS:
                client.streams[1].close()
                client = mixed.Client(port)


async def drive(run: Run) -> None:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    plain, encrypted = Upstream(FAILING), Upstream()
    await plain.start()
    await encrypted.start(secure)
    tiers = "simple: small, medium: large, complex: large"
    config = CONFIG.substitute(plain=plain.port, secure=encrypted.port, tls=TLS, root=ROOT, tiers=tiers)
    with tempfile.TemporaryDirectory() as folder:
        process, listen, admin = await mixed.launch(config, folder)
        try:
            await asyncio.gather(*(run.work(listen) for _ in range(CLIENTS)))
            await mixed.metrics(admin)
        finally:
            process.terminate()
            ended = process.wait(mixed.DEADLINE)
    run.answered = {"plain": plain.number, "TLS": encrypted.number}
    if ended != 0:
        sys.exit(f"the proxy ended with {ended}, so it wrote no counts")


def main() -> None:
    parser = argparse.ArgumentParser(description="Sends traffic through the proxy that POINTSMAN names.")
    parser.add_argument("--requests", type=int, default=12_000)
    parser.add_argument("--seconds", type=float, default=180.0, help="the longest that the traffic may take")
    options = parser.parse_args()
    began = time.monotonic()
    run = Run(options.requests, began + options.seconds)
    asyncio.run(drive(run))
    took = time.monotonic() - began
    print(
        f"traffic: {run.sent} requests in {took:.0f} s, asked of upstreams: {run.answered}; not 200: {len(run.wrong)}"
    )
    if len(run.wrong) > run.sent // 100:
        sys.exit("\n".join(run.wrong[:5]))


if __name__ == "__main__":
    main()
