"""The features block: numbers that `pointsman features` measures, and the scaling that a bundle carries.

The Rust implementation is the only one; the recipe asks the binary instead of counting words a second time.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from .arrays import FeatureRows, RowValues

# Few, and each of them varies in the data and means there what it means in production. The prompts were stripped of
# newlines and of < > { } = ` * |, so lines, code blocks, markup and maths are constant and steps miss the lists: a head
# would carry untrained weights for them. Case is left out too: the encoder reads lower case only, and the shift key
# should not route.
TRANSFORMS = {
    "text_chars": "log1p",
    "text_words": "log1p",
    "question_words": "log1p",
    "question_marks": "log1p",
    "digits_ratio": "identity",
    "non_ascii_ratio": "identity",
}
LIMIT = 5.0
MIN_VARYING_SHARE = 0.05


# What the binary prints of one text: numbers by their names, and the language.
FeatureValues = dict[str, Any]


class FeatureScale(TypedDict):
    """An entry of features.json: a feature, and what scales it."""

    name: str
    transform: str
    mean: float
    std: float


def measure(binary: Path, texts: list[str]) -> list[FeatureValues]:
    """Returns the features of each text as the one user turn of a chat body."""
    requests = "".join(json.dumps({"prompt": text}) + "\n" for text in texts)
    run = subprocess.run([binary, "features"], input=requests.encode(), stdout=subprocess.PIPE, check=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if len(rows) != len(texts):
        raise SystemExit(f"{binary} features answered {len(rows)} lines for {len(texts)} prompts")
    return rows


def column(rows: list[FeatureValues], name: str, transform: str) -> RowValues:
    values: RowValues = np.array([row[name] for row in rows], np.float64)
    if transform == "log1p":
        values = np.log1p(values)
    return values


def fit(rows: list[FeatureValues]) -> list[FeatureScale]:
    """Returns the content of features.json: one entry with mean and deviation for each feature of the block."""
    block: list[FeatureScale] = []
    for name, transform in TRANSFORMS.items():
        values = column(rows, name, transform)
        if (varying := np.mean(values != np.median(values))) < MIN_VARYING_SHARE:
            raise SystemExit(f"feature `{name}` varies in {varying:.2%} of the training rows: leave it out")
        block.append({"name": name, "transform": transform, "mean": float(values.mean()), "std": float(values.std())})
    return block


def scaled(rows: list[FeatureValues], block: list[FeatureScale]) -> FeatureRows:
    """Returns [rows, features] in the order of the block."""
    columns = [(column(rows, scale["name"], scale["transform"]) - scale["mean"]) / scale["std"] for scale in block]
    return np.clip(np.stack(columns, axis=1), -LIMIT, LIMIT).astype(np.float32)
