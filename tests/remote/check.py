#!/usr/bin/env python3
"""Asks a real MLServer for the classes of prompts, over HTTP and over gRPC, and takes it away in between.

POINTSMAN names the binary. Needs the package mlserver (`make remote` installs it).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

sys.dont_write_bytecode = True
import triton  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
POINTSMAN = os.environ.get("POINTSMAN", str(ROOT / "target" / "debug" / "pointsman"))
PATIENCE = 180.0

CERTIFICATES = ROOT / "tests" / "fixtures" / "tls"

CONFIG = """
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
providers: {{p: {{base_url: http://127.0.0.1:1}}}}
models: {{small: {{provider: p}}, standard: {{provider: p}}, frontier: {{provider: p}}}}
classifiers:
  default:
    deadline: 10s
    bundle: {bundle}
    remote:
      protocol: {protocol}
      url: {url}
      model: keywords
      max_concurrent: 2
      breaker: {{failures: 3, rest: 200ms}}
      heads: {{tier: {head}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    strategy:
      kind: tiers
      classifier: default
      tiers: {{simple: small, medium: standard, complex: frontier}}
      otherwise: standard
"""

LABELS = "labels: [simple, medium, complex]"
# Every form in which the server's outputs can be taken.
HEADS = {
    "probabilities": f"{{output: probabilities, {LABELS}}}",
    "logits": f"{{output: logits, {LABELS}, activation: softmax}}",
    "labels": f"{{output: label, {LABELS}}}",
    "a number": f"{{output: difficulty, {LABELS}, cuts: [0.5, 1.5]}}",
    "a sum": f"{{{LABELS}, cuts: [0.4, 0.8], sum: [{{output: logits, activation: softmax, values: [0, 1, 2], divide: 2}}]}}",
}
PROMPTS = {
    "a greeting": ("simple", "small"),
    "a middling text": ("medium", "standard"),
    "a hard proof": ("complex", "frontier"),
}


class ModelServer:
    """A real MLServer with the runtime of keywords.py; its ports stay the same through restarts."""

    def __init__(self, folder: pathlib.Path, python: str = sys.executable) -> None:
        self.python = python
        self.folder = folder / "models"
        self.folder.mkdir()
        self.http, self.grpc, metrics = free_port(), free_port(), free_port()
        shutil.copy(HERE / "keywords.py", self.folder)
        settings = {
            "host": "127.0.0.1",
            "http_port": self.http,
            "grpc_port": self.grpc,
            "metrics_port": metrics,
            "parallel_workers": 0,
        }
        (self.folder / "settings.json").write_text(json.dumps(settings))
        model = {"name": "keywords", "implementation": "keywords.KeywordClassifier", "parameters": {"version": "v7"}}
        (self.folder / "model-settings.json").write_text(json.dumps(model))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [self.python, "-c", "from mlserver.cli import main; main()", "start", "."]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        ready = f"http://127.0.0.1:{self.http}/v2/models/keywords/ready"
        until("the model server", lambda: self.serves(ready))

    def serves(self, ready: str) -> bool:
        assert self.process and self.process.poll() is None, "the model server ended"
        return status(ready) == 200

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pointsman-remote-") as name:
        server = ModelServer(pathlib.Path(name))
        try:
            server.start()
            for protocol, port in (("oip_http", server.http), ("oip_grpc", server.grpc)):
                every_form(protocol, port)
                many_at_once(protocol, port)
                wrong_contracts(protocol, port)
                an_error(protocol, port)
                restarts(protocol, port, server)
        except BaseException:
            print((server.folder / "log").read_text(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            server.stop()
    for datatype in ("FP16", "FP32"):
        raw_contents(datatype)
    print("ok: MLServer over HTTP and gRPC, in every form, through errors and restarts; raw contents over TLS")


def every_form(protocol: str, port: int) -> None:
    for form, head in HEADS.items():
        with serving(protocol, port, head) as admin:
            for prompt, (label, model) in PROMPTS.items():
                decision = decided(admin, prompt)
                got = (decision["source"], decision["model"], best(decision), decision["degraded"])
                assert got == ("remote", model, label, None), (protocol, form, prompt, decision)
            state = read(f"{admin}/readyz")["classifiers"]["default"]
            assert state["state"] == "ready" and state["version"] == "v7", state
        print(f"{protocol}: {form}")


def many_at_once(protocol: str, port: int) -> None:
    with serving(protocol, port, HEADS["probabilities"]) as admin:
        prompts = [f"{prompt} number {number}" for number in range(20) for prompt in PROMPTS]
        with ThreadPoolExecutor(16) as pool:
            decisions = list(pool.map(lambda prompt: decided(admin, prompt), prompts))
        for prompt, decision in zip(prompts, decisions, strict=True):
            label = PROMPTS[prompt.rsplit(" number ", 1)[0]][0]
            assert (decision["source"], best(decision)) == ("remote", label), decision
        requests = counted(admin, 'pointsman_classifier_remote_requests_total{classifier="default",outcome="answered"}')
        assert 0 < requests <= len(prompts), requests
        print(f"{protocol}: {len(prompts)} prompts in {requests:.0f} requests")


def wrong_contracts(protocol: str, port: int) -> None:
    wrongs = {
        f"{{output: nothing, {LABELS}}}": "remote.heads.tier.output: the server has no output `nothing` (allowed: logits, probabilities, difficulty, label)",
        "{output: probabilities, labels: [simple, complex]}": "remote.heads.tier.labels: has 2 labels for the server's 3 values (allowed: one each)",
        f"{{output: logits, {LABELS}}}": "remote.heads.tier.activation: the server's values are no probabilities (allowed: softmax or sigmoid for logits)",
    }
    with tempfile.TemporaryDirectory() as name:
        file = pathlib.Path(name, "pointsman.yaml")
        for head, message in wrongs.items():
            file.write_text(config(protocol, port, head))
            checked = subprocess.run([POINTSMAN, "check", "-c", file], capture_output=True, text=True, check=False)
            said = checked.stdout + checked.stderr
            assert checked.returncode == 78 and message in said, (protocol, checked.returncode, said)
        file.write_text(config(protocol, port, HEADS["labels"]))
        findings = subprocess.run(
            [POINTSMAN, "doctor", "--json", "-c", file], capture_output=True, text=True, check=False
        )
        found = [it for it in json.loads(findings.stdout)["findings"] if it["check"] == "classifiers.default"]
        assert [it["grade"] for it in found] == ["ok"], found
    print(f"{protocol}: wrong contracts are named")


def an_error(protocol: str, port: int) -> None:
    with serving(protocol, port, HEADS["probabilities"]) as admin:
        decision = decided(admin, "let it crash, a question of chemistry")
        assert decision["source"] in {"encoder_fallback", "lexical_fallback"}, decision
        assert decision["degraded"] == "remote_refused", decision
        assert decided(admin, "a hard proof")["source"] == "remote"
    print(f"{protocol}: a model that raises is answered by the bundle")


def restarts(protocol: str, port: int, server: ModelServer) -> None:
    with serving(protocol, port, HEADS["probabilities"]) as admin:
        assert decided(admin, "a hard proof")["source"] == "remote"
        server.stop()
        for number in range(5):
            decision = decided(admin, f"a text {number} while nobody is there")
            assert decision["source"] in {"encoder_fallback", "lexical_fallback"}, decision
            assert decision["degraded"] in {"remote_unreachable", "remote_resting"}, decision
        assert read(f"{admin}/readyz")["classifiers"]["default"]["state"] == "degraded"
        server.start()
        tries = iter(range(100_000))
        until("the scores of the server", lambda: decided(admin, f"a hard text {next(tries)}")["source"] == "remote")
    print(f"{protocol}: a server that was away is asked again")


def raw_contents(datatype: str) -> None:
    """Triton's messages, over TLS that an operator's authority vouches for, with a key."""
    server, servicer, port = triton.serve(datatype, CERTIFICATES)
    ca = f"tls: {{ca: {CERTIFICATES / 'ca.pem'}, sni: llm.test}}"
    try:
        for head in (HEADS["logits"], HEADS["labels"]):
            with serving(
                "oip_grpc", port, head, f"https://127.0.0.1:{port}, credential: {{env: REMOTE_KEY}}, {ca}"
            ) as admin:
                for prompt, (label, model) in PROMPTS.items():
                    decision = decided(admin, prompt)
                    assert (decision["source"], decision["model"], best(decision)) == ("remote", model, label), decision
                assert read(f"{admin}/readyz")["classifiers"]["default"]["version"] == "2"
        assert set(servicer.keys) == {"Bearer sk-planted"}, servicer.keys
        with serving("oip_grpc", port, HEADS["labels"], f"https://127.0.0.1:{port}, tls: {{sni: llm.test}}") as admin:
            state = read(f"{admin}/readyz")["classifiers"]["default"]
            assert state["state"] == "degraded" and decided(admin, "a hard proof")["source"] != "remote", state
    finally:
        server.stop(None)
    print(f"oip_grpc: raw contents of {datatype} over TLS")


@contextlib.contextmanager
def serving(protocol: str, port: int, head: str, url: str = "") -> Iterator[str]:
    """Yields the admin plane's URL of a gateway that asks the server."""
    with tempfile.TemporaryDirectory() as name:
        file = pathlib.Path(name, "pointsman.yaml")
        file.write_text(config(protocol, port, head, url))
        environment = os.environ | {"REMOTE_KEY": "sk-planted"}
        process = subprocess.Popen(
            [POINTSMAN, "serve", "-c", file],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log: list[str] = []
        addresses: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=follow, args=(process, log, addresses), daemon=True).start()
        try:
            admin = addresses.get(timeout=PATIENCE)
            assert admin, "the gateway ended before it was ready"
            yield f"http://{admin}"
        except BaseException:
            print("--- log of the gateway", *log, "---", sep="\n", file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(PATIENCE)


def follow(process: subprocess.Popen[str], log: list[str], addresses: queue.Queue[str | None]) -> None:
    assert process.stdout
    for line in process.stdout:
        log.append(line.rstrip())
        if line.startswith("ready "):
            addresses.put(next(word.removeprefix("admin=") for word in line.split() if word.startswith("admin=")))
    addresses.put(None)


def config(protocol: str, port: int, head: str, url: str = "") -> str:
    """Returns the configuration; `url` may hold more keys behind the URL itself."""
    url = (url or f"http://127.0.0.1:{port}").replace(", ", "\n      ").replace("\n      sni", ", sni")
    return CONFIG.format(bundle=ROOT / "models" / "pointsman-mini", protocol=protocol, url=url, head=head)


def decided(admin: str, prompt: str) -> dict[str, Any]:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(
        f"{admin}/v1/decide", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        decision: dict[str, Any] = json.load(answer)
    return decision


def best(decision: dict[str, Any]) -> str:
    scores: dict[str, float] = decision["scores"]["tier"]
    return max(scores, key=scores.__getitem__)


def read(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def counted(admin: str, series: str) -> float:
    with urllib.request.urlopen(f"{admin}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(series))


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def until(what: str, holds: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
