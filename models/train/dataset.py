"""Labelled prompts, and the split that calibration uses."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TIERS = ["simple", "medium", "complex"]
TIER_OF_LABEL = {"gpt-4.1-nano": "simple", "gpt-4.1": "medium", "o4-mini": "complex"}
CALIBRATION_TENTHS = 1


@dataclass(frozen=True)
class Prompts:
    texts: list[str]
    labels: np.ndarray  # index into TIERS


@dataclass
class Sheet:
    """Labelled prompts as the network sees them: token ids and the scaled features block."""

    rows: list[list[int]]
    features: np.ndarray
    labels: np.ndarray

    def where(self, kept: np.ndarray) -> "Sheet":
        return Sheet([row for row, keep in zip(self.rows, kept) if keep], self.features[kept], self.labels[kept])


def read(path: Path) -> Prompts:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = [TIERS.index(TIER_OF_LABEL[row["label"]]) for row in rows]
    return Prompts([row["prompt"] for row in rows], np.array(labels))


def calibration_rows(texts: list[str], seed: int) -> np.ndarray:
    """Returns a mask of about a tenth of the rows; the copies of one prompt all fall on the same side."""

    def bucket(text: str) -> int:
        key = f"{seed}:{' '.join(text.lower().split())}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % 10

    return np.array([bucket(text) < CALIBRATION_TENTHS for text in texts])
