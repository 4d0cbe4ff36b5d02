"""The same architectures in PyTorch, bf16 and compiled, on the same card; the card's matmul ceiling; the table.

python benches/gpu/compare.py WORK: reads WORK/{name}.{cpu,cuda}.json of `cargo bench --bench device`, writes
WORK/table.md.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import bundles

SECONDS = 3.0
TOLERANCE = 2e-2  # TF32 and fused kernels against fp32 on the CPU


def timed(run: Callable[[], object]) -> list[float]:
    """Returns milliseconds a run, after a warm-up, each run waited for."""
    for _ in range(10):
        run()
    torch.cuda.synchronize()
    times: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS or len(times) < 10:
        before = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - before) * 1e3)
    return times


def ceiling() -> float:
    """Returns TFLOP/s of the best of a few large bf16 products."""
    best = 0.0
    for n in (4096, 8192, 16384):
        a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        best = max(best, 2 * n**3 / min(timed(partial(torch.matmul, a, b))) / 1e9)
    return best


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


def main() -> None:
    work = Path(sys.argv[1])
    limit = ceiling()
    lines = [f"{torch.cuda.get_device_name()}: bf16 matmul ceiling {limit:.0f} TFLOP/s, torch {torch.__version__}", ""]
    for name, module in bundles.modules().items():
        cpu, cuda = (json.loads((work / f"{name}.{device}.json").read_text()) for device in ("cpu", "cuda"))
        worst = largest_difference(cpu["scores"], cuda["scores"])
        verdict = "ok" if worst <= TOLERANCE else "WRONG"
        lines += [
            f"## {name}",
            "",
            f"{len(cpu['scores'])} prompts, largest difference to the CPU {worst:.2e}: {verdict}",
            "",
        ]
        lines += [
            "| tokens | batch | Pointsman p50 ms | prompts/s | PyTorch p50 ms | prompts/s | ratio | of the ceiling |",
            "|---|---|---|---|---|---|---|---|",
        ]
        # Attention over ids and mask in its own dtype: weights in bf16, compiled once a shape.
        compiled = torch.compile(module.to("cuda", torch.bfloat16), dynamic=False)
        for point in cuda["points"]:
            tokens, batch = point["tokens"], point["batch"]
            ids = torch.randint(4, 12, (batch, tokens), device="cuda")
            mask = torch.ones_like(ids)
            with torch.no_grad():
                p50 = statistics.median(timed(partial(compiled, ids, mask)))
            rate = batch / p50 * 1e3
            share = point["prompts_per_second"] * flops(module, tokens) / limit / 1e12
            lines.append(
                f"| {tokens} | {batch} | {point['p50_ms']:.3f} | {point['prompts_per_second']:.0f} "
                f"| {p50:.3f} | {rate:.0f} | {point['prompts_per_second'] / rate:.2f} | {share:.1%} |"
            )
        lines.append("")
    (work / "table.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
