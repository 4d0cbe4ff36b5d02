"""Scores a bundle with each instruction set, and counts the labels that flip between machines of one fleet.

    .venv/bin/python benches/instruction_sets/measure.py --bundle models/pointsman-mini --rows 0
    ... --machine "arm64, NEON=benches/instruction_sets/arm64.sh cortex-a76" --rows 300

ONNX Runtime chooses its kernels by `cpuid` and no option of it changes that, so a copy of the library is told less
(`limit.c`; needs gcc, binutils, an x86-64 processor). `--machine NAME=COMMAND` adds one: the command is given
`embed.py` and its arguments.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from models.train import features, ngrams  # noqa: E402
from models.train.arrays import Embeddings, Probabilities  # noqa: E402
from models.train.scorer import Bundle  # noqa: E402

SETS = {"sse": "", "avx": "avx", "avx2": "fma", "avx512f": "avx512f", "avx512_vnni": "avx512_vnni"}
FULL = "float32"
HEAD = "tier"

Scores = dict[str, Probabilities]  # by head
MachineRun = tuple[str, list[str], Path, dict[str, str]]  # name, command, graph, environment


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "pointsman-mini")
    parser.add_argument("--data", type=Path, default=ROOT / "models" / "data" / "tiers_validation.jsonl")
    parser.add_argument("--rows", type=int, default=300, help="of the data, drawn with the seed; 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--pointsman", type=Path, default=ROOT / "target" / "quick" / "pointsman", help="measures features"
    )
    parser.add_argument("--machine", action="append", default=[], metavar="NAME=COMMAND")
    return parser.parse_args()


def limited_library(folder: Path) -> dict[str, str]:
    """Copies onnxruntime into the folder without its `cpuid`, and builds what answers instead.

    Returns the environment of both.
    """
    package = Path(onnxruntime.__file__).parent
    shutil.copytree(package, folder / "onnxruntime")
    (library,) = (folder / "onnxruntime" / "capi").glob("onnxruntime_pybind11_state*.so")
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", library], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    headers = subprocess.run(["readelf", "-lW", library], stdout=subprocess.PIPE, text=True, check=True).stdout
    segments = [
        [int(n, 16) for n in found] for found in re.findall(r"LOAD\s+(0x\w+)\s+(0x\w+)\s+0x\w+\s+(0x\w+)", headers)
    ]
    content = bytearray(library.read_bytes())
    for found in re.finditer(r"^\s*([0-9a-f]+):\s+cpuid", code, re.MULTILINE):
        address = int(found[1], 16)
        at = next(offset + address - start for offset, start, size in segments if start <= address < start + size)
        content[at : at + 2] = b"\x0f\x0b"
    library.write_bytes(content)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", folder / "limit.so", HERE / "limit.c"], check=True)
    return {"PYTHONPATH": str(folder), "LD_PRELOAD": str(folder / "limit.so")}


def in_float32(model: Path, out: Path) -> None:
    """Writes the graph with the products of activations that were never rounded: the same weights, in float32."""
    graph = (loaded := onnx.load(model)).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    used: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            used.setdefault(name, []).append(node)
    for product in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        cast = used[product.output[0]][0]
        by_token = used[cast.output[0]][0]
        by_column = used[by_token.output[0]][0]
        divided = made[made[product.input[0]].input[0]]
        weights = values[product.input[1]].astype(np.float32) * values[by_column.input[1]]
        graph.initializer.append(numpy_helper.from_array(weights, f"{product.name}.float32"))
        inputs = [divided.input[0], f"{product.name}.float32"]
        index = list(graph.node).index(by_column)
        graph.node.remove(by_column)
        graph.node.insert(index, helper.make_node("MatMul", inputs, by_column.output, name=by_column.name))
    for product in [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]:
        activations, matrix, _, scale, _, _, bias = product.input
        weights, plain = values[matrix].astype(np.float32) * values[scale], f"{product.name}.plain"
        graph.initializer.append(numpy_helper.from_array(weights, f"{product.name}.float32"))
        index = list(graph.node).index(product)
        graph.node.remove(product)
        exact = [made[activations].input[0], f"{product.name}.float32"]
        graph.node.insert(index, helper.make_node("MatMul", exact, [plain], name=plain))
        graph.node.insert(index + 1, helper.make_node("Add", [plain, bias], product.output, name=product.name))
    onnx.save(loaded, out)


def embeddings(
    options: argparse.Namespace, bundle: Bundle, rows: list[list[int]], folder: Path
) -> dict[str, Embeddings]:
    """Returns the embeddings of the rows by machine."""
    flags = Path("/proc/cpuinfo").read_text("utf-8").split()
    own = [name for name, flag in SETS.items() if flag in flags or not flag]
    limited = limited_library(folder)
    model = options.bundle / bundle.manifest["encoder"]["file"]
    in_float32(model, folder / "float32.onnx")
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")
    runs: list[MachineRun] = [(FULL, [sys.executable], folder / "float32.onnx", {})]
    runs += [(name, [sys.executable], model, limited | {"INSTRUCTION_SET": name}) for name in own]
    runs += [(name, command.split(), model, {}) for name, command in (each.split("=", 1) for each in options.machine)]
    found = {}
    for name, command, graph, environment in runs:
        out = folder / "embeddings.npy"
        subprocess.run(
            [*command, HERE / "embed.py", graph, folder / "rows.json", out], env=os.environ | environment, check=True
        )
        found[name] = np.load(out)
        print(f"{name}: done", file=sys.stderr, flush=True)
    return found


def scores(
    bundle: Bundle, texts: list[str], options: argparse.Namespace, by_machine: dict[str, Embeddings]
) -> dict[str, Scores]:
    """Returns the probabilities of the heads that read the embedding, by machine and head."""
    blocks = {
        "features": features.scaled(features.measure(options.pointsman, texts), bundle.features),
        "ngrams": ngrams.matrix(texts),
    }
    heads = [head for head in bundle.heads if "embedding" in head.spec["inputs"]]
    return {
        name: {head.spec["name"]: head.scores(blocks | {"embedding": embedding}) for head in heads}
        for name, embedding in by_machine.items()
    }


def apart(a: Scores, b: Scores, rows: slice) -> float:
    return max(float(np.abs(a[head][rows] - b[head][rows]).max()) for head in a)


def flips(a: Scores, b: Scores, rows: slice) -> int:
    return int((a[HEAD][rows].argmax(1) != b[HEAD][rows].argmax(1)).sum())


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    for cells in (head, ["---", *["---:"] * (len(head) - 1)], *rows):
        print(f"| {' | '.join(map(str, cells))} |")


def main() -> None:
    options = arguments()
    bundle = Bundle(options.bundle)
    golden = json.loads((options.bundle / bundle.manifest["golden_file"]).read_text("utf-8"))
    prompts = [json.loads(line)["prompt"] for line in options.data.read_text("utf-8").splitlines()]
    if options.rows:
        prompts = [prompts[at] for at in sorted(random.Random(options.seed).sample(range(len(prompts)), options.rows))]
    texts = [entry["text"] for entry in golden] + prompts
    with tempfile.TemporaryDirectory() as folder:
        by_machine = embeddings(options, bundle, bundle.rows(texts), Path(folder))
    scored = scores(bundle, texts, options, by_machine)
    written, inputs = slice(0, len(golden)), slice(len(golden), None)
    expected = {head: np.array([entry["scores"][head] for entry in golden]) for head in scored[FULL]}
    machines = [name for name in scored if name != FULL]
    manifest = bundle.manifest
    print(
        f"{manifest['name']} {manifest['version']}, ONNX Runtime {onnxruntime.__version__}, "
        f"{len(golden)} golden inputs, ",
        end="",
    )
    print(f"{len(prompts)} rows of {options.data.name}, seed {options.seed}; labels are those of `{HEAD}`\n")
    table(
        [
            "machine",
            "golden inputs, from the file",
            "from float32",
            "rows, from float32",
            "golden labels unlike float32's",
            "rows' labels",
        ],
        [
            [name, f"{apart(scored[name], expected, written):.4f}"]
            + [f"{apart(scored[name], scored[FULL], part):.4f}" for part in (written, inputs)]
            + [flips(scored[name], scored[FULL], part) for part in (written, inputs)]
            for name in machines
        ],
    )
    comparisons: dict[str, Callable[[Scores, Scores], object]] = {
        f"largest difference of a probability, {len(prompts)} rows": lambda a, b: f"{apart(a, b, inputs):.4f}",
        f"labels that flip, of {len(prompts)} rows": lambda a, b: flips(a, b, inputs),
        f"labels that flip, of {len(golden)} golden inputs": lambda a, b: flips(a, b, written),
    }
    for title, compare in comparisons.items():
        print(f"\n{title}:\n")
        table(["", *machines], [[a, *[compare(scored[a], scored[b]) for b in machines]] for a in machines])


if __name__ == "__main__":
    main()
