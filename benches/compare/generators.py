"""Load generators that nobody here wrote, beside ours: the same streams through the same proxy, each one's own figures.

GuideLLM and AIPerf are Python and serve to check what ours says, not to load a proxy to its limit: they take more CPU
for a request than most proxies here. So the upstream paces the streams: it thinks for 200 ms and then sends an event
every 20 ms.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from child import FailedError, figures_of, json_of
from results import DIRECT, GeneratorRun
from target import ROOT, Target

if TYPE_CHECKING:
    from phases import Comparison

AT_ONCE, EACH = 16, 24
EVENTS, EVERY_US, AFTER_US = 20, 20_000, 200_000
PROMPT = f"Tell me a story. [events {EVENTS} every {EVERY_US} us after {AFTER_US} us]"
RATE, WHOLE, FIRST = "requests/s", "latency, mean ms", "first event, mean ms"
LIMIT = 180.0
# Their libraries look for models and report usage over the network unless they are told not to.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DO_NOT_TRACK": "1"}

Runner = Callable[["Comparison", Target], dict[str, float]]


def measure(comparison: Comparison) -> None:
    """Adds a row for each generator that is installed; ours comes first."""
    runners: dict[str, Runner] = {"guidellm": guidellm, "aiperf": aiperf}
    peers = comparison.site.peers
    there = {name: run for name, run in runners.items() if (peers / name / "bin" / name).exists()}
    for name in there:
        comparison.data.absent.pop(name, None)
    for name in runners.keys() - there.keys():
        comparison.data.absent[name] = f"not installed (`benches/compare/install.sh {name}`)"
    target = next((each for each in comparison.targets if each.name == "pointsman-rule"), comparison.targets[-1])
    if not there or target.name == DIRECT or not comparison.has_time_for("the generators of others"):
        return
    work = (
        f"{AT_ONCE} streams at a time through {target.name}, {AT_ONCE * EACH} in all, each of {EVENTS} events: "
        f"the first after {AFTER_US / 1000:.0f} ms, then one every {EVERY_US / 1000:.0f} ms."
    )
    with comparison.telling_upstream() as (_, port), comparison.running([target], port):
        for name, run in {"load": ours, **there}.items():
            try:
                figures = run(comparison, target)
            except (FailedError, OSError, KeyError, ValueError) as failure:
                comparison.data.absent[name] = f"it did not run: {str(failure)[-200:]}"
                continue
            comparison.data.generators.append(GeneratorRun(name, version(peers, name), work, figures))
            time.sleep(0.5)


def ours(comparison: Comparison, target: Target) -> dict[str, float]:
    arguments = [str(comparison.loader), "streams", "--port", str(target.port), "--model", target.spec.model]
    arguments += ["--at-once", str(AT_ONCE), "--each", str(EACH), "--events", str(EVENTS)]
    arguments += ["--every-us", str(EVERY_US), "--after-us", str(AFTER_US)]
    found = json_of(figures_of(arguments, {}, LIMIT))
    return {
        RATE: found["streams"] / found["seconds"],
        WHOLE: found["whole_us"]["mean"] / 1e3,
        FIRST: found["first_event_us"]["mean"] / 1e3,
    }


def guidellm(comparison: Comparison, target: Target) -> dict[str, float]:
    folder = folder_of(comparison, "guidellm")
    prompts = folder / "prompts.jsonl"
    prompts.write_text((json.dumps({"prompt": PROMPT}) + "\n") * AT_ONCE * EACH, "utf-8")
    backend = {
        "kind": "openai_http",
        "target": f"http://127.0.0.1:{target.port}",
        "model": target.spec.model,
        "http2": False,
        "validate_backend": False,
    }
    arguments = [str(comparison.site.peers / "guidellm" / "bin" / "guidellm"), "run", "--disable-console"]
    arguments += ["--backend", json.dumps(backend)]
    arguments += ["--profile", json.dumps({"kind": "concurrent", "streams": [AT_ONCE]})]
    arguments += ["--constraint", json.dumps({"kind": "max_requests", "count": AT_ONCE * EACH})]
    arguments += ["--data", json.dumps({"kind": "json_file", "path": str(prompts)})]
    arguments += ["--tokenizer", json.dumps({"kind": "huggingface_auto", "model": str(tokenizer(folder))})]
    arguments += ["--output", json.dumps({"kind": "json", "path": str(folder / "benchmarks.json")})]
    # Ten processes by default, each of which imports torch: here they would wait for each other.
    figures_of(arguments, OFFLINE | {"GUIDELLM__MAX_WORKER_PROCESSES": "1"}, LIMIT)
    metrics = json.loads((folder / "benchmarks.json").read_text("utf-8"))["benchmarks"][0]["metrics"]

    def mean(name: str) -> float:
        return float(metrics[name]["successful"]["mean"])

    return {
        RATE: mean("requests_per_second"),
        WHOLE: mean("request_latency") * 1e3,
        FIRST: mean("time_to_first_token_ms"),
    }


def aiperf(comparison: Comparison, target: Target) -> dict[str, float]:
    folder = folder_of(comparison, "aiperf")
    prompts = folder / "prompts.jsonl"
    prompts.write_text((json.dumps({"text": PROMPT}) + "\n") * AT_ONCE * EACH, "utf-8")
    arguments = [str(comparison.site.peers / "aiperf" / "bin" / "aiperf"), "profile", "--ui", "none"]
    arguments += ["--model", target.spec.model, "--url", f"http://127.0.0.1:{target.port}", "--endpoint-type", "chat"]
    arguments += ["--streaming", "--concurrency", str(AT_ONCE), "--request-count", str(AT_ONCE * EACH)]
    arguments += ["--warmup-request-count", str(AT_ONCE), "--input-file", str(prompts)]
    arguments += ["--custom-dataset-type", "single_turn", "--tokenizer", str(tokenizer(folder))]
    arguments += ["--no-gpu-telemetry", "--no-server-metrics", "--output-artifact-dir", str(folder / "out")]
    # Not told to stay offline: it then takes the tokenizer's folder for the name of a model.
    figures_of(arguments, {"DO_NOT_TRACK": "1"}, LIMIT)
    metrics = json.loads((folder / "out" / "profile_export_aiperf.json").read_text("utf-8"))
    return {
        RATE: average(metrics, "request_throughput"),
        WHOLE: average(metrics, "request_latency"),
        FIRST: average(metrics, "time_to_first_token"),
    }


def average(metrics: dict[str, Any], name: str) -> float:
    return float(metrics[name]["avg"])


def folder_of(comparison: Comparison, name: str) -> Path:
    folder = comparison.site.work / name
    folder.mkdir(exist_ok=True)
    return folder


def tokenizer(folder: Path) -> Path:
    """Returns a folder with a tokenizer as transformers wants it: both count tokens, and neither may fetch one."""
    home = folder / "tokenizer"
    home.mkdir(exist_ok=True)
    shutil.copy(ROOT / "models" / "pointsman-mini" / "tokenizer.json", home)
    (home / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}), "utf-8")
    return home


def version(peers: Path, name: str) -> str:
    pinned = next((peers / name).glob(f"lib/*/site-packages/{name}-*.dist-info"), None)
    return pinned.name.removesuffix(".dist-info").split("-")[1] if pinned else "of this folder"
