"""A student beside its teacher, on the same rows: figures, differences, and how far chance explains these.

Intervals are a bootstrap of rows, the same rows for both sides: 2,000 draws, 95 %.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import dataset, features, metrics, robustness
from .arrays import Probabilities, RowLabels, RowMask, RowValues
from .scorer import Bundle

DRAWS, SEED = 2000, 7


@dataclass
class Comparison:
    """A figure of two bundles on the same rows; `unlike` is the share of rows with another label."""

    name: str
    rows: int
    student: float
    teacher: float
    interval: tuple[float, float]
    unlike: float | None = None

    def line(self) -> str:
        low, high = self.interval
        unlike = "" if self.unlike is None else f"{self.unlike:.1%}"
        difference = f"{self.student - self.teacher:+.4f} [{low:+.4f}, {high:+.4f}]"
        return f"| {self.name} | {self.rows} | {self.student:.4f} | {self.teacher:.4f} | {difference} | {unlike} |"


Answers: TypeAlias = NDArray[Any]  # of a bundle, by row: labels, or scores
Figure = Callable[[Answers, RowLabels], float]  # of some rows: what a bundle says of them, and which rows they are


def accuracy_of(labels: RowLabels) -> Figure:
    return lambda predicted, rows: float(np.mean(predicted == labels[rows]))


def macro_f1_of(labels: RowLabels) -> Figure:
    names = range(int(labels.max()) + 1)
    return lambda predicted, rows: float(np.mean([metrics.f1(predicted, labels[rows], label) for label in names]))


def apgr_of(strong: RowValues, weak: RowValues) -> Figure:
    return lambda scores, rows: float(metrics.routing(scores, strong[rows], weak[rows])["apgr"])


def compared(name: str, pair: tuple[Answers, Answers], figure: Figure) -> Comparison:
    """Compares a figure of the student's and of the teacher's answers."""
    student, teacher = pair
    everything, draw = np.arange(len(student)), np.random.default_rng(SEED)
    apart = []
    for _ in range(DRAWS):
        rows = draw.integers(0, len(student), len(student))
        apart.append(figure(student[rows], rows) - figure(teacher[rows], rows))
    low, high = np.percentile(apart, [2.5, 97.5])
    unlike = float(np.mean(student != teacher)) if student.dtype.kind == "i" else None
    own, other = (figure(answers, everything) for answers in pair)
    return Comparison(name, len(student), own, other, (float(low), float(high)), unlike)


class BundlePair:
    """A student and its teacher."""

    def __init__(self, student: Path, teacher: Path, binary: Path):
        self.folders, self.binary = (student, teacher), binary
        self.bundles = (Bundle(student), Bundle(teacher))

    def scores(self, texts: list[str], head: str) -> tuple[Probabilities, Probabilities]:
        measured = features.measure(self.binary, texts)
        student, teacher = (
            bundle.scores(texts, features.scaled(measured, bundle.features))[head] for bundle in self.bundles
        )
        return student, teacher

    def labels(self, texts: list[str], head: str) -> tuple[RowLabels, RowLabels]:
        student, teacher = self.scores(texts, head)
        return student.argmax(1), teacher.argmax(1)


def tiers(pair: BundlePair, name: str, path: Path) -> list[Comparison]:
    """Compares the tiers of a file, and of those of its rows that are not in the train part."""
    rows = dataset.tiers(path, training=False)
    new: RowMask = np.array([not row.get("prompt_in_train") for row in dataset.lines(path)])
    labels, found = rows.targets["tier"], pair.labels(rows.texts, "tier")
    parts = {name: np.ones(len(labels), bool)} | ({} if new.all() else {f"{name}, no twin in train": new})
    return [
        compared(f"tiers, {part}, {figure}", (found[0][of], found[1][of]), of_labels(labels[of]))
        for part, of in parts.items()
        for figure, of_labels in (("accuracy", accuracy_of), ("macro F1", macro_f1_of))
    ]


def outcomes(pair: BundlePair, data: Path) -> list[Comparison]:
    wins, places = dataset.lines(data / "outcomes_test.jsonl"), dataset.lines(data / "domain_test.jsonl")
    strong, weak = (np.array([float(row[f"{name}_correct"]) for row in wins]) for name in ("strong", "weak"))
    student, teacher = pair.scores([row["prompt"] for row in wins], "strong_wins")
    names = next(head.spec["labels"] for head in pair.bundles[0].heads if head.spec["name"] == "domain")
    labels = np.array([names.index(row["domain"].replace(" ", "-")) for row in places])
    found = pair.labels([row["prompt"] for row in places], "domain")
    return [
        compared("strong_wins, APGR", (student[:, 1], teacher[:, 1]), apgr_of(strong, weak)),
        compared("domain, accuracy", found, accuracy_of(labels)),
        compared("domain, macro F1", found, macro_f1_of(labels)),
    ]


def run(arguments: argparse.Namespace) -> None:
    """Prints the table, and the table of robustness of both."""
    pair = BundlePair(arguments.bundle, arguments.teacher, arguments.pointsman)
    found = tiers(pair, "published", arguments.data / "tiers_validation.jsonl") + outcomes(pair, arguments.data)
    print("| figure | rows | student | teacher | difference [95 %] | other labels |\n|---|---|---|---|---|---|")
    print("\n".join(comparison.line() for comparison in found), flush=True)
    rows = dataset.tiers(arguments.data / "tiers_validation.jsonl", training=False)
    sides = [robustness.table(robustness.TierPredictor(folder, arguments.pointsman), rows) for folder in pair.folders]
    print("\n| change | counted | student | teacher |\n|---|---|---|---|")
    for own, other in zip(*sides, strict=True):
        print(f"| {own.change} | {own.counted} | {own.share:.1%} | {other.share:.1%} |")
