"""Calibrates a tuned model on rows it never saw, and measures what ships: the int8 encoder, one prompt at a time."""

from pathlib import Path

import numpy as np

from . import export, metrics, scorer
from .dataset import TIERS, Sheet


class Model:
    """A tuned encoder, exported as float32 and as int8, with its head."""

    def __init__(self, tuned: dict[str, np.ndarray], folder: Path):
        prefix = "encoder."
        weights = {name.removeprefix(prefix): value for name, value in tuned.items() if name.startswith(prefix)}
        self.head = {name: value for name, value in tuned.items() if name.startswith("tier.")}
        self.full, self.int8 = folder / "model.fp32.onnx", folder / "model.onnx"
        export.write(export.Graph(weights), self.full)
        export.write(export.Int8Graph(weights), self.int8)

    def logits(self, file: Path, rows: list[list[int]], features: np.ndarray) -> np.ndarray:
        vectors = scorer.embed(scorer.session(file), rows)
        return scorer.logits(self.head, np.concatenate([vectors, features], axis=1))


def evaluate(model: Model, calibration: Sheet, validation: Sheet) -> tuple[float, dict]:
    """Returns the temperature, fitted on the calibration rows, and the figures."""
    held_out = model.logits(model.int8, calibration.rows, calibration.features)
    temperature = round(metrics.best_temperature(held_out, calibration.labels), 4)
    int8, full = (model.logits(file, validation.rows, validation.features) for file in (model.int8, model.full))
    scores, full_scores = metrics.softmax(int8 / temperature), metrics.softmax(full / temperature)
    return temperature, {
        "int8": metrics.summary(scores, validation.labels, TIERS),
        "fp32": metrics.summary(full_scores, validation.labels, TIERS),
        "calibration_rows": metrics.summary(metrics.softmax(held_out / temperature), calibration.labels, TIERS),
        "uncalibrated_ece": round(metrics.calibration_error(metrics.softmax(int8), validation.labels), 4),
        "int8_agrees_with_fp32": round(float(np.mean(int8.argmax(1) == full.argmax(1))), 4),
        "int8_mean_shift": round(float(np.abs(scores - full_scores).mean()), 4),
    }
