"""The same architectures in PyTorch, bf16 and compiled, on the same card; the card's matmul ceiling; the tables.

python benches/gpu/compare.py WORK [--dry]: reads WORK/NAME.DEVICE.json of `cargo bench --bench device`,
WORK/NAME.graphs.json of graphs.py and WORK/proxy.*.json of through_proxy.py, as far as they are there; writes
WORK/table.md.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import bundles

# TF32, 16-bit floats and fused kernels against float32 on the CPU; int8 against int8 there.
TOLERANCE = {"fp32": 2e-2, "fp16": 2e-2, "bf16": 8e-2, "int8": 8e-2}
GOAL = 2.0  # tokens a second, beside compiled PyTorch in bf16


@dataclass
class Card:
    """What the tables compare with: a device of PyTorch, how long each figure is measured, and what the card can do."""

    device: str
    seconds: float
    is_compiled: bool
    limit: float = 0.0

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def timed(self, run: Callable[[], object]) -> list[float]:
        """Returns milliseconds a run, after a warm-up, each run waited for."""
        for _ in range(3):
            run()
        self.wait()
        times: list[float] = []
        start = time.perf_counter()
        while time.perf_counter() - start < self.seconds or len(times) < 5:
            before = time.perf_counter()
            run()
            self.wait()
            times.append((time.perf_counter() - before) * 1e3)
        return times

    def ceiling(self) -> float:
        """Returns TFLOP/s of the best of a few large bf16 products."""
        best = 0.0
        for n in (4096, 8192, 16384) if self.device == "cuda" else (256,):
            a, b = (torch.randn(n, n, device=self.device, dtype=torch.bfloat16) for _ in range(2))
            best = max(best, 2 * n**3 / min(self.timed(partial(torch.matmul, a, b))) / 1e9)
        return best

    def rates(self, module: torch.nn.Module, points: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
        """Returns prompts a second of PyTorch in bf16 by tokens and batch, compiled once a shape."""
        halved = module.to(self.device, torch.bfloat16)
        run = torch.compile(halved, dynamic=False) if self.is_compiled else halved
        rates = {}
        for tokens, batch in points:
            ids = torch.randint(4, 12, (batch, tokens), device=self.device)
            with torch.no_grad():
                rates[tokens, batch] = (
                    batch / statistics.median(self.timed(partial(run, ids, torch.ones_like(ids)))) * 1e3
                )
        return rates


def flops(module: torch.nn.Module, tokens: int) -> float:
    """Returns the multiply-adds of the linear layers and of attention for one prompt, each counted twice."""
    linear = sum(
        layer.in_features * layer.out_features for layer in module.modules() if isinstance(layer, torch.nn.Linear)
    )
    config = next(part.config for part in module.modules() if hasattr(part, "config"))
    attention: int = config.hidden_size * config.num_hidden_layers
    return float(2 * tokens * linear + 4 * tokens**2 * attention)


def largest_difference(ours: list[list[float]], theirs: list[list[float]]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(abs(a - b) for one, two in pairs for a, b in zip(one, two, strict=True))


def read(path: Path) -> dict[str, Any]:
    """Returns a measurement, or why there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {"error": "not measured"}
    return found


def correctness(work: Path, name: str, device: str) -> str:
    """Says how far the scores on a device are from the CPU's; where the CPU has no kernels, from those in float32."""
    cpu, there = read(work / f"{name}.cpu.json"), read(work / f"{name}.{device}.json")
    if "error" in cpu and name.endswith("-bf16"):
        cpu = read(work / f"{name.removesuffix('-bf16')}-fp32.cpu.json")
    for measured, where in ((there, device), (cpu, "cpu")):
        if "error" in measured:
            return f"| {name} | {device} | {where}: {measured['error']} | |"
    worst = largest_difference(cpu["scores"], there["scores"])
    verdict = "ok" if worst <= TOLERANCE.get(name.rpartition("-")[2], 8e-2) else "WRONG"
    return f"| {name} | {there['device']} | {worst:.2e} of {len(cpu['scores'])} prompts | {verdict} |"


def speed(work: Path, architecture: str, module: torch.nn.Module, card: Card) -> list[str]:
    """Returns the lines of an architecture's table: every precision and device, beside PyTorch at the same points."""
    measured = {
        (precision, device): read(work / f"{architecture}-{precision}.{device}.json").get("points", [])
        for precision in bundles.PRECISIONS
        for device in ("cuda", "tensorrt")
    }
    points = sorted({(point["tokens"], point["batch"]) for found in measured.values() for point in found})
    work_of = {tokens: flops(module, tokens) for tokens, _ in points}
    theirs = card.rates(module, points)
    lines = [
        f"## {architecture}",
        "",
        "| precision | device | tokens | batch | p50 ms | tokens/s | PyTorch bf16 tokens/s | ratio | of the ceiling |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ratios = []
    for (precision, device), found in measured.items():
        for point in found:
            tokens, batch, rate = point["tokens"], point["batch"], point["prompts_per_second"]
            ratios.append(rate / theirs[tokens, batch])
            share = rate * work_of[tokens] / card.limit / 1e12
            lines.append(
                f"| {precision} | {device} | {tokens} | {batch} | {point['p50_ms']:.3f} | {rate * tokens:.0f} "
                f"| {theirs[tokens, batch] * tokens:.0f} | {ratios[-1]:.2f} | {share:.1%} |"
            )
    met = sum(ratio >= GOAL for ratio in ratios)
    lines += ["", f"At least {GOAL:.0f} times PyTorch's tokens a second: {met} of {len(ratios)} points.", ""]
    return lines


def shipped(work: Path, names: list[str]) -> list[str]:
    """Returns the table of the bundles of `models`, which have no twin in PyTorch here."""
    rows = [
        f"| {name} | {device} | {point['tokens']} | {point['batch']} | {point['p50_ms']:.3f} "
        f"| {point['prompts_per_second'] * point['tokens']:.0f} |"
        for name in names
        for device in ("cuda", "tensorrt")
        for point in read(work / f"{name}.{device}.json").get("points", [])
    ]
    head = ["| bundle | device | tokens | batch | p50 ms | tokens/s |", "|---|---|---:|---:|---:|---:|"]
    return ["## Shipped bundles", "", *head, *rows, ""]


def graphs(work: Path) -> list[str]:
    """Returns the table of CUDA graphs, as far as they were measured."""
    rows = []
    for path in sorted(work.glob("*.graphs.json")):
        found = read(path)
        name = path.name.removesuffix(".graphs.json")
        if not found.get("has_cuda"):
            rows.append(f"| {name} | | | {found.get('error', 'this onnxruntime for Python has no CUDA provider')} | |")
            continue
        rows += [
            f"| {name} | {point['tokens']} | {point['batch']} | {point['plain_ms']:.3f} | {point['captured_ms']:.3f} |"
            for point in found["points"]
        ]
    head = ["| bundle | tokens | batch | bound buffers, p50 ms | CUDA graph, p50 ms |", "|---|---:|---:|---:|---:|"]
    return ["## CUDA graphs, bare ONNX Runtime", "", *head, *rows, ""]


def proxy(work: Path) -> list[str]:
    """Returns the table of requests through the proxy."""
    head = [
        "| bundle | device | tokens | connections | requests/s | p50 ms | p99 ms | decided by |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    rows = []
    for path in sorted(work.glob("proxy.*.json")):
        found, name = read(path), path.name.removeprefix("proxy.").removesuffix(".json")
        if "error" in found:
            rows.append(f"| {name} | {found['error']} | | | | | | |")
            continue
        rows.append(
            f"| {name} | {found['device']} | {found['tokens']} | {found['connections']} "
            f"| {found['requests_per_second']:.0f} | {found['p50_ms']:.2f} | {found['p99_ms']:.2f} "
            f"| {', '.join(f'{source} {count}' for source, count in found['sources'].items())} |"
        )
    return [
        "## Through the proxy",
        "",
        "The client is one thread of Python, and may be what bounds it.",
        "",
        *head,
        *rows,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument(
        "--dry", action="store_true", help="on the CPU, to try the scripts out: the figures mean nothing"
    )
    arguments = parser.parse_args()
    work, is_dry = arguments.work, arguments.dry
    card = Card("cpu", 0.05, False) if is_dry else Card("cuda", 3.0, True)
    card.limit = card.ceiling()
    what = "dry run on the CPU, no figure means anything" if is_dry else torch.cuda.get_device_name()
    lines = [f"{what}: bf16 matmul ceiling {card.limit:.2f} TFLOP/s, torch {torch.__version__}", ""]
    names = sorted({path.name.split(".")[0] for path in work.glob("*.*.json")} - {"proxy"})
    lines += ["| bundle | device | largest difference to the CPU | |", "|---|---|---|---|"]
    lines += [correctness(work, name, device) for name in names for device in ("cuda", "tensorrt")] + [""]
    for architecture, module in bundles.modules(is_dry).items():
        lines += speed(work, architecture, module, card)
    made = {
        f"{architecture}-{precision}"
        for architecture in ("teacher", "student", "deberta")
        for precision in bundles.PRECISIONS
    }
    lines += shipped(work, [name for name in names if name not in made]) + graphs(work) + proxy(work)
    (work / "table.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
