"""From the best weights to a bundle that was checked: calibration, export, parity, card, `pointsman bundle verify`."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from .. import golden, sequence_bundle
from ..arrays import Logits, RowLabels
from ..checkpoint import note
from ..graph_file import MODEL
from ..metrics import fit_temperature, softmax
from ..sequence_bundle import OnnxClassifier, SequenceSource, torch_logits
from ..tokens import padded
from . import card, figures
from .figures import EpochFigures
from .rows import LabelNames

TOLERANCE = 1e-3  # of a probability, between PyTorch and ONNX Runtime with the same float32 weights
INT8_FLIPS = 0.05  # share of the prompts whose label 8 bits may change
BATCH = 32  # rows of like length that PyTorch computes together
COMPARED = 300  # validation prompts that both compute


@dataclass
class TunedClassifier:
    """A trained classifier and what is known of it."""

    source: SequenceSource
    labels: LabelNames
    ordered: bool
    curve: list[EpochFigures]
    texts: list[str]  # of the validation rows
    truths: RowLabels


def write(folder: Path, tuned: TunedClassifier, binary: Path | None) -> dict[str, Any]:
    """Writes the bundle, checks it, and returns its figures."""
    source = tuned.source
    source.module.eval()
    ids = [source.tokens.ids(text) for text in tuned.texts]
    source.temperature = temperature(source, ids, tuned.truths)
    sequence_bundle.write(folder, source)
    graph = OnnxClassifier(folder / MODEL)
    logits = np.concatenate([graph.logits([row]) for row in ids])
    measured = figures.of_bundle(source.probabilities(logits), tuned.truths, tuned.labels.names, tuned.ordered)
    measured |= {"parity": parity(source, graph, ids)}
    figures.write(folder, tuned.curve)
    manifest = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
    manifest["metrics"] = {"validation": measured, "epochs": len(tuned.curve)}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")
    (folder / "README.md").write_text(card.render(manifest, tuned.curve), "utf-8")
    verify(folder, binary)
    return measured


def temperature(source: SequenceSource, ids: list[list[int]], truths: RowLabels) -> float:
    """Returns the temperature at which the validation rows surprise least."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    logits = np.empty((len(ids), len(source.labels)))
    with torch.no_grad():
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            rows, mask = padded([ids[row] for row in batch], source.tokens.pad_id)
            logits[batch] = source.module(torch.from_numpy(rows), torch.from_numpy(mask)).numpy()
    return round(fit_temperature(logits, truths, softmax), 4)


def parity(source: SequenceSource, graph: OnnxClassifier, ids: list[list[int]]) -> dict[str, Any]:
    """Compares the graph with PyTorch on golden texts and validation prompts; refuses what is too far off."""
    rows = [*map(source.tokens.ids, golden.TEXTS), *ids[:COMPARED]]

    def scores(logits: list[Logits]) -> Any:
        return source.probabilities(np.concatenate(logits))

    torch_scores = scores([torch_logits(source.module, row) for row in rows])
    onnx_scores = scores([graph.logits([row]) for row in rows])
    largest = float(np.abs(torch_scores - onnx_scores).max())
    flips = int(np.sum(torch_scores.argmax(1) != onnx_scores.argmax(1)))
    if source.precision == "fp32" and largest > TOLERANCE:
        raise SystemExit(f"ONNX Runtime's probabilities differ from PyTorch's by up to {largest:.4f}: not packed")
    if flips > INT8_FLIPS * len(rows):
        raise SystemExit(
            f"8 bits change the label of {flips} of {len(rows)} prompts: leave --int8 out, or train longer"
        )
    return {"prompts": len(rows), "largest_difference": round(largest, 6), "labels_changed": flips}


def verify(folder: Path, binary: Path | None) -> None:
    """Has `pointsman bundle verify` load and score the bundle, where there is a binary."""
    found = binary or shutil.which("pointsman")
    if not found:
        note(f"no pointsman binary was found: `pointsman bundle verify {folder}` before you serve it")
        return
    run = subprocess.run([str(found), "bundle", "verify", str(folder)], check=False, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"pointsman bundle verify refuses {folder}: {run.stdout}{run.stderr}")
    print(run.stdout.strip() or run.stderr.strip(), flush=True)
