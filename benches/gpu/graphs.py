"""What CUDA graphs would gain: bare ONNX Runtime with buffers on the device, plain and captured once as a CUDA graph.

Pointsman itself captures none: a graph holds one shape and its buffers, and prompts come in every length. Needs
onnxruntime-gpu; with the CPU's onnxruntime there is nothing to capture, and the plain runs are all that is measured.

python benches/gpu/graphs.py BUNDLE --points '[[64, 1], ...]': prints one JSON object like `cargo bench --bench device`.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import yaml

CUDA = "CUDAExecutionProvider"


def session(model: Path, is_captured: bool) -> ort.InferenceSession:
    if CUDA not in ort.get_available_providers():
        return ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return ort.InferenceSession(
        str(model), providers=[(CUDA, {"enable_cuda_graph": str(int(is_captured))}), "CPUExecutionProvider"]
    )


def point(model: Path, tokens: int, batch: int, seconds: float, is_captured: bool) -> float:
    """Returns the median of the milliseconds of a run; each is waited for."""
    run = session(model, is_captured)
    device = "cuda" if CUDA in run.get_providers() else "cpu"
    binding = run.io_binding()
    for wanted in run.get_inputs():
        ids = np.full((batch, tokens), 4 if wanted.name == "input_ids" else 1, dtype=np.int64)
        binding.bind_ortvalue_input(wanted.name, ort.OrtValue.ortvalue_from_numpy(ids, device, 0))
    first = run.get_outputs()[0]
    element = {"tensor(float16)": np.float16}.get(first.type, np.float32)
    shape = [batch if index == 0 else size for index, size in enumerate(first.shape)]
    binding.bind_ortvalue_output(first.name, ort.OrtValue.ortvalue_from_shape_and_type(shape, element, device, 0))
    for _ in range(3):  # the first run captures
        run.run_with_iobinding(binding)
    times: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(times) < 5:
        before = time.perf_counter()
        run.run_with_iobinding(binding)
        binding.synchronize_outputs()
        times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--points", type=json.loads, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    manifest = yaml.safe_load((arguments.bundle / "bundle.yaml").read_text("utf-8"))
    model = arguments.bundle / manifest["encoder"]["file"]
    points = []
    for tokens, batch in arguments.points:
        plain, captured = (point(model, tokens, batch, arguments.seconds, flag) for flag in (False, True))
        points.append({"tokens": tokens, "batch": batch, "plain_ms": plain, "captured_ms": captured})
    print(json.dumps({"has_cuda": CUDA in ort.get_available_providers(), "points": points}))


if __name__ == "__main__":
    main()
