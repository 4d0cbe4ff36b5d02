"""Which rows of the given data the shipped weights saw: the encoder, heads alone (learnt or calibrated), or nothing.

A row counts as seen when its prompt is among the prompts of a part of the training, whatever file it stands in: the
same prompts stand in several files.
"""

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from . import dataset

PUBLISHED = "tiers_train.jsonl"
PARTS = ("encoder", "heads", "unseen")


def spelled(text: str) -> str:
    """Returns a prompt as copies of it are told: folds are dealt by the same."""
    return " ".join(text.lower().split())


def parts(data: Path, seed: int) -> dict[str, set[str]]:
    """Returns the prompts that the encoder learnt from, and those that heads learnt from or were calibrated on."""
    outcomes, panel = dataset.outcomes(data), dataset.panel(data)
    folds = dataset.folds_of(outcomes.texts, seed)
    tiers = dataset.tiers(data / PUBLISHED, training=True)
    tuned = tiers.where(dataset.folds_of(tiers.texts, seed) != dataset.CALIBRATION_FOLD).texts
    tuned += outcomes.where(folds > dataset.TEST_FOLD).texts
    tuned += panel.where(np.arange(len(panel.texts)) % 2 == 0).texts
    fitted = tiers.texts + outcomes.where(folds != dataset.TEST_FOLD).texts
    return {"encoder": set(map(spelled, tuned)), "heads": set(map(spelled, fitted))}


def part_of(text: str, seen: dict[str, set[str]]) -> str:
    return next((part for part, texts in seen.items() if spelled(text) in texts), "unseen")


def table(data: Path, seed: int) -> dict[str, dict[str, int]]:
    """Returns for each file of prompts how many rows belong to each part."""
    return {file: {part: counted[part] for part in PARTS} for file, counted in counts(rows(data, seed)).items()}


def rows(data: Path, seed: int) -> list[dict[str, Any]]:
    """Returns file, line, the prompt's sha256 and the part of every row."""
    seen, found = parts(data, seed), []
    for path in sorted(data.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            prompts = [json.loads(line)["prompt"] for line in file]
        for number, prompt in enumerate(prompts, 1):
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            found.append({"file": path.name, "line": number, "sha256": digest, "part": part_of(prompt, seen)})
    return found


def counts(found: list[dict[str, Any]]) -> dict[str, "Counter[str]"]:
    counted: dict[str, Counter[str]] = {}
    for row in found:
        counted.setdefault(row["file"], Counter())[row["part"]] += 1
    return counted


def run(arguments: argparse.Namespace) -> None:
    """Prints a table of all files of prompts in the folder, and writes each row's part where a file is named."""
    found = rows(arguments.data, arguments.seed)
    print("| file | rows | encoder and heads | heads alone | unseen |\n|---|---|---|---|---|")
    for name, counted in counts(found).items():
        print(f"| `{name}` | {counted.total():,} | {' | '.join(f'{counted[part]:,}' for part in PARTS)} |")
    if arguments.out:
        arguments.out.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
