"""Labelled prompts: what is read of each file, what is left out, and which rows stay unseen."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import RowFolds, RowMask

TIERS = ["simple", "medium", "complex"]
TIER_OF_LABEL = {"gpt-4.1-nano": "simple", "gpt-4.1": "medium", "o4-mini": "complex"}
STEPS = "gsm8k_train_questions.jsonl"  # only read to see what a gate makes of them
OUTCOMES, SUBJECTS, PANEL = "outcomes_mmlu.jsonl", "mmlu_subject_to_domain.json", "llmrouter_outcomes_train.jsonl"
# Domains of questions that are no multiple choice, so that the head is not only a reader of MMLU's layout; at most
# this many each.
PANEL_DOMAINS = {"gsm8k": "math", "math": "math", "mbpp": "computer science", "human_eval": "computer science"}
PANEL_DOMAIN_ROWS = 200
CALIBRATION_FOLD, TEST_FOLD = 0, 1  # of the outcomes: no encoder and no head learns from them
PANEL_LEFT_OUT = {"mmlu"}  # its questions are also among the outcomes, whose test rows must stay unseen


@dataclass
class LabelledRows:
    """Prompts and their targets, [rows] or [rows, outputs] each; NaN and -1 are what is not known of a row."""

    texts: list[str]
    targets: dict[str, NDArray[Any]]

    def where(self, kept: RowMask) -> "LabelledRows":
        texts = [text for text, keep in zip(self.texts, kept, strict=True) if keep]
        return LabelledRows(texts, {name: values[kept] for name, values in self.targets.items()})


def lines(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a file, less those that also stand in a held-out set."""
    if not path.exists():
        raise SystemExit(
            f"there is no {path}: models/data/README.md says where it comes from, --data names where it is"
        )
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if not row.get("contaminated")]


def texts(path: Path) -> list[str]:
    return [row["prompt"] for row in lines(path)]


def tiers(path: Path, training: bool) -> LabelledRows:
    """Reads prompts with tiers.

    A row that shares text with a held-out set may be scored, but nothing learns from it: `training` leaves it out.
    """
    rows = [row for row in lines(path) if not (training and row.get("overlaps_heldout"))]
    labels = [TIERS.index(TIER_OF_LABEL[row["label"]]) for row in rows]
    return LabelledRows([row["prompt"] for row in rows], {"tier": np.array(labels)})


def domains(folder: Path) -> list[str]:
    return sorted(set(json.loads((folder / SUBJECTS).read_text("utf-8")).values()))


def outcomes(folder: Path) -> LabelledRows:
    """Reads MMLU questions: whether the strong and the weak model were right, and the domain."""
    rows, names = lines(folder / OUTCOMES), domains(folder)
    domain_of = json.loads((folder / SUBJECTS).read_text("utf-8"))
    right = np.array([[row["strong_correct"], row["weak_correct"]] for row in rows], np.float32)
    domain = np.array([names.index(domain_of[row["subject"]]) for row in rows])
    return LabelledRows([row["prompt"] for row in rows], {"success": right, "domain": domain})


def panel(folder: Path) -> LabelledRows:
    """Reads questions that nine models answered, some with a domain."""
    rows = [row for row in lines(folder / PANEL) if row["task"] not in PANEL_LEFT_OUT]
    names = domains(folder)
    models = sorted(rows[0]["scores"])
    scores = np.array([[row["scores"][model] for model in models] for row in rows], np.float32)
    counts, domain = dict.fromkeys(PANEL_DOMAINS, 0), []
    for row in rows:
        named = (
            PANEL_DOMAINS.get(row["task"]) if counts.get(row["task"], PANEL_DOMAIN_ROWS) < PANEL_DOMAIN_ROWS else None
        )
        domain.append(names.index(named) if named else -1)
        if named:
            counts[row["task"]] += 1
    return LabelledRows([row["prompt"] for row in rows], {"panel": scores, "domain": np.array(domain)})


def folds_of(texts: list[str], seed: int, folds: int = 10) -> RowFolds:
    """Returns a fold for each row by hash; the copies of one prompt all fall into the same."""

    def fold(text: str) -> int:
        key = f"{seed}:{' '.join(text.lower().split())}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % folds

    return np.array([fold(text) for text in texts])


def write_held_out(folder: Path, out: Path, rows: LabelledRows) -> None:
    """Writes rows of the outcomes as two files that `pointsman eval` reads: one for `strong_wins`, one for `domain`."""
    out.mkdir(parents=True, exist_ok=True)
    names = domains(folder)
    pairs = [
        {"prompt": text, "strong_correct": float(s), "weak_correct": float(w)}
        for text, (s, w) in zip(rows.texts, rows.targets["success"], strict=True)
    ]
    labels = [
        {"prompt": text, "domain": names[label]} for text, label in zip(rows.texts, rows.targets["domain"], strict=True)
    ]
    for name, lines_of in (("outcomes_test.jsonl", pairs), ("domain_test.jsonl", labels)):
        (out / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines_of), "utf-8")
