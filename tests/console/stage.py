"""A gateway between scripted providers, as the console is tried on: a peer that is away, keys, clients."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
POINTSMAN = os.environ.get("POINTSMAN", str(ROOT / "target" / "debug" / "pointsman"))
KEYS = {"search-team": "pm-key-of-the-search-team", "support": "pm-key-of-support"}
ROLES = ("view", "decide", "operate", "edit")
PATIENCE = 30.0

PROMPTS = [
    "hi, how are you?",
    "What is the capital of Australia?",
    "Translate to French: the meeting is moved to Thursday.",
    "Write a polite email that asks a landlord to fix the heating within a week.",
    "Explain the difference between TCP and UDP to someone who has just learned to program.",
    "Write a Python function that merges overlapping intervals, with type hints and tests for the edge cases.",
    "Prove that there are infinitely many primes congruent to 3 modulo 4, and say where the argument fails.",
    "Design a rate limiter for a fleet of 200 proxies that share one quota, and derive the error bound of each way.",
]

CONFIG = """\
# The configuration that the console's pictures are of.
version: 1
listen: {{address: 127.0.0.1:0}}
admin:
  address: 127.0.0.1:0
  console: {{edit: {edit}}}
{auth}
providers:
  economy:
    base_url: http://127.0.0.1:{economy}/v1
    peers: [127.0.0.1:{economy}, 127.0.0.1:{away}]
    breaker: {{consecutive_failures: 3, backoff: 20s}}
  premium:
    base_url: http://127.0.0.1:{premium}/v1
    max_concurrent: 64
    keys:
      - {{env: CONSOLE_KEY_A, name: first, weight: 2}}
      - {{env: CONSOLE_KEY_B, name: second}}

# US dollars per million tokens.
models:
  small: {{provider: economy, name: tiny-1, price: {{input: 0.10, output: 0.40}}, context: 128000}}
  standard: {{provider: economy, name: middle-1, price: {{input: 0.40, output: 1.60}}, context: 128000}}
  frontier: {{provider: premium, name: large-1, price: {{input: 2.00, output: 8.00}}, context: 200000}}

classifiers:
  default: {{bundle: {bundle}, deadline: 250ms}}

decision_log: {{path: decisions.jsonl, text: true}}
{clients}
policies:
  - name: auto
    match: {{model: [auto]}}
    rules:
      - {{when: 'prompt.images > 0', use: frontier}}
      - {{when: 'features.tokens > 6000', use: frontier}}
      - {{when: 'prompt.images > 2', use: standard}}
    strategy:
      kind: tiers
      classifier: default
      tiers: {{simple: small, medium: standard, complex: frontier}}
      min_confidence: 0.45
      otherwise: standard
    affinity: {{key: conversation, hold: 1h, move: up_only}}
{cache}
  - name: pair
    match: {{model: [pair]}}
    strategy:
      kind: threshold
      classifier: default
      head: strong_wins
      weak: small
      strong: frontier
      threshold: 0.13

tests:
  - {{prompt: "What is the capital of France?", expect: {{model: small}}}}
  - name: an image needs eyes
    body: {{messages: [{{role: user, content: [{{type: image_url, image_url: {{url: "https://example.com/a.png"}}}}]}}]}}
    expect: {{model: frontier, rule: 0}}
"""


def token(role: str) -> str:
    """Returns the line of a caller with a role, whose token is called after it."""
    return f"{{name: {role}, sha256: {hashlib.sha256(f'{role}-token'.encode()).hexdigest()}, role: {role}}}"


class ScriptedProvider(ThreadingHTTPServer):
    """Chat completions on a free port of loopback; the model's name decides how long an answer takes."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ProviderHandler)
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ProviderHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        words = f"This is what {asked['model']} says. " * (2 if asked["model"] == "tiny-1" else 5)
        prompt = sum(len(str(message["content"])) for message in asked["messages"])
        usage = {"prompt_tokens": 8 + prompt // 4, "completion_tokens": len(words) // 4}
        usage["total_tokens"] = sum(usage.values())
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words.strip()}}
        answer = {"id": "chat-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        body = json.dumps(answer | {"choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Stage:
    """A gateway, its providers and its folder; all end together."""

    def __init__(self, *, edit: bool, clients: bool, auth: bool = False, cache: bool = False) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="pointsman-console-")
        self.economy, self.premium = ScriptedProvider(), ScriptedProvider()
        away = ScriptedProvider()
        away.shutdown()
        away.server_close()  # nobody listens there any more
        hashes = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
        named = "".join(f"  {name}: {{keys: [{{sha256: {value}}}]}}\n" for name, value in hashes.items())
        text = CONFIG.format(
            edit=str(edit).lower(),
            auth=f"  auth: {{tokens: [{', '.join(map(token, ROLES))}]}}\n" if auth else "",
            economy=self.economy.port,
            premium=self.premium.port,
            away=away.port,
            bundle="models/pointsman-mini",
            clients=f"clients:\n{named}" if clients else "",
            cache="    cache: {ttl: 1h, max_temperature: 2}\n" if cache else "",
        )
        (pathlib.Path(self.folder.name) / "models").symlink_to(ROOT / "models")
        self.file = pathlib.Path(self.folder.name) / "pointsman.yaml"
        self.file.write_text(text)
        self.key = KEYS["search-team"] if clients else None
        environment = os.environ | {"CONSOLE_KEY_A": "one", "CONSOLE_KEY_B": "two"}
        self.log = (pathlib.Path(self.folder.name) / "log").open("w+b")
        command = [POINTSMAN, "serve", "-c", str(self.file)]
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        self.listen, self.admin = self.ready()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self.log.close()
        for provider in (self.economy, self.premium):
            provider.shutdown()
            provider.server_close()
        self.folder.cleanup()

    def ready(self) -> tuple[str, str]:
        """Waits for the line that says where the gateway listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            text = (pathlib.Path(self.folder.name) / "log").read_text(errors="replace")
            if found := re.search(r"ready listen=(\S+) admin=(\S+)", text):
                return found[1], found[2]
            time.sleep(0.02)
        raise SystemExit((pathlib.Path(self.folder.name) / "log").read_text(errors="replace"))

    def ask(self, count: int, threads: int = 8) -> None:
        """Sends so many requests, over one connection for each thread."""
        numbers = iter(range(count))
        lock = threading.Lock()

        def taken() -> Iterator[int]:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                yield number

        def work() -> None:
            connection = http.client.HTTPConnection(self.listen, timeout=PATIENCE)
            for number in taken():
                model = "pair" if number % 5 == 4 else "auto"
                prompt = PROMPTS[number % len(PROMPTS)]
                body = {"model": model, "messages": [{"role": "user", "content": f"{prompt} ({number // 64})"}]}
                client = list(KEYS.values())[number % 3 == 0]
                headers = {"content-type": "application/json"}
                headers |= {"authorization": f"Bearer {client}"} if self.key else {}
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
            connection.close()

        workers = [threading.Thread(target=work) for _ in range(min(threads, count))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
