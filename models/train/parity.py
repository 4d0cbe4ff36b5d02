"""The comparison of Rust and Python: golden inputs, and the figures of a whole file."""

import json
import subprocess
from pathlib import Path
from typing import Any

from . import dataset, features, metrics
from .scorer import Bundle

# Shares of rows: sums in another order may tip a row that stands on the edge.
TOLERANCE = {"accuracy": 0.002, "macro_f1": 0.003, "ece": 0.005}


def python_figures(folder: Path, data: Path, head: str, binary: Path) -> dict[str, Any]:
    """Returns the figures by onnxruntime and numpy, with the cascade, as `pointsman eval` has them."""
    bundle, rows = Bundle(folder), dataset.tiers(data, training=False)
    vectors = features.scaled(features.measure(binary, rows.texts), bundle.features)
    served = bundle.served(bundle.scores(rows.texts, vectors), head)
    return metrics.summary(served, rows.targets["tier"], dataset.TIERS, bundle.decided(served, head))


def rust_figures(folder: Path, data: Path, head: str, binary: Path) -> dict[str, Any]:
    """Verifies the bundle and returns the figures of `pointsman eval`."""
    subprocess.run([binary, "bundle", "verify", folder], check=True)
    command: list[str | Path] = [binary, "eval", "--bundle", folder, "--head", head, "--data", data, "--json"]
    figures: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return figures


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Prints both, and exits with an error when a figure differs by more than rounding explains."""
    apart = {name: abs(ours[name] - theirs[name]) for name in TOLERANCE}
    for name, distance in apart.items():
        print(f"{name}: python {ours[name]:.4f}, rust {theirs[name]:.4f}, apart {distance:.5f}")
    if bad := [name for name, distance in apart.items() if distance > TOLERANCE[name]]:
        raise SystemExit(f"python and rust differ in {', '.join(bad)}")
