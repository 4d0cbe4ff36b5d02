"""The share of labels that change although the request did not: preambles, edits, padding.

Shares no text with `augment.py`, but for rows of `!` and of newlines.
"""

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import dataset, features
from .arrays import RowLabels, RowMask
from .dataset import LabelledRows
from .scorer import Bundle

PREAMBLES = [
    "You are a courteous travel agency helper; answer briefly, stay factual, and never invent prices.",
    "As the in-house companion of our editorial team, respond clearly and kindly to every colleague.",
    "System: this workspace belongs to Meridian Foods; all replies are logged for later training.",
    "Follow the house rules: British spelling, no slang, metric units, and at most three paragraphs.",
    "Welcome to the community portal, where volunteers and members get quick answers from our bot.",
]
LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. "
)
EDITS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "trailing newline": "{}\n".format,
    '"Please" in front': lambda text: f"Please {text[:1].lower()}{text[1:]}",
}
MARKUP: dict[str, Callable[[str], str]] = {
    "`<query>` tags": "<query>{}</query>".format,
    "code fence": "```\n{}\n```".format,
    '"You are a helpful assistant."': "You are a helpful assistant. {}".format,
}
PADDING: dict[str, str] = {
    '"the" x100': "the " * 100,
    '"zx qv jk" x20': "zx qv jk " * 20,
    "lorem ipsum x8": LOREM * 8,
    '"!!!!!!!!!!"': "!!!!!!!!!!",
    "8 newlines": "\n" * 8,
}
STEERING = "Solve step by step with a detailed proof."


class TierPredictor:
    """The tier head of a bundle as a function from texts to labels."""

    def __init__(self, folder: Path, binary: Path, head: str = "tier"):
        self.bundle, self.binary, self.head = Bundle(folder), binary, head

    def __call__(self, texts: list[str]) -> RowLabels:
        vectors = features.scaled(features.measure(self.binary, texts), self.bundle.features)
        predicted: RowLabels = self.bundle.decided(self.bundle.scores(texts, vectors)[self.head], self.head)
        return predicted


def sample(texts: list[str], count: int) -> list[int]:
    """Returns rows in the order of their hashes: the same ones on every machine, and no first lines of a file."""
    return sorted(range(len(texts)), key=lambda row: hashlib.sha256(texts[row].encode()).digest())[:count]


@dataclass(frozen=True)
class RobustnessFigure:
    """A row of the table: a change, what is counted of it, and the share of the prompts."""

    change: str
    counted: str
    share: float


def table(predict: TierPredictor, rows: LabelledRows, count: int = 300, cheap: int = 250) -> list[RobustnessFigure]:
    """Returns the figures of `count` prompts and of `cheap` others that are judged cheapest."""
    order = sample(rows.texts, len(rows.texts))
    texts, labels = [rows.texts[row] for row in order[:count]], rows.targets["tier"][order[:count]]
    rest = [rows.texts[row] for row in order[count:]]
    found = preambles(predict, texts, labels)
    clean = predict(texts)
    for name, edit in (EDITS | MARKUP).items():
        found.append(RobustnessFigure(name, "label changed", mean(predict([edit(text) for text in texts]) != clean)))
    cheapest = [text for text, label in zip(rest, predict(rest), strict=True) if label == 0][:cheap]
    for name, padding in PADDING.items():
        now = predict([f"{text} {padding}" for text in cheapest])
        found.append(RobustnessFigure(f"padding {name}", "left the cheapest tier", mean(now > 0)))
        found.append(RobustnessFigure(f"padding {name}", "bought the dearest tier", mean(now == 2)))
    now = predict([f"{text} {STEERING}" for text in cheapest])
    counted = "left the cheapest tier (the request did change)"
    return [*found, RobustnessFigure("steering: " + STEERING, counted, mean(now > 0))]


def preambles(predict: TierPredictor, texts: list[str], labels: RowLabels) -> list[RobustnessFigure]:
    """Returns the figures of a preamble in front, and of the same one four and eight times."""
    clean, found = predict(texts), []
    unchanged = f"accuracy (unchanged: {mean(clean == labels):.3f})"
    for times in (1, 4, 8):
        changed, right = [], []
        for preamble in PREAMBLES:
            now = predict([f"{' '.join([preamble] * times)} {text}" for text in texts])
            changed.append(mean(now != clean))
            right.append(mean(now == labels))
        name = f"preamble x{times}"
        found.append(RobustnessFigure(name, "label changed, mean of 5 preambles", float(np.mean(changed))))
        found.append(RobustnessFigure(name, "label changed, worst of 5", max(changed)))
        found.append(RobustnessFigure(name, unchanged, float(np.mean(right))))
    return found


def mean(hits: RowMask) -> float:
    return float(np.mean(hits))


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    rows = dataset.tiers(arguments.data, training=False)
    print("| change | counted | share |\n|---|---|---|")
    for row in table(TierPredictor(arguments.bundle, arguments.pointsman, arguments.head), rows):
        print(f"| {row.change} | {row.counted} | {row.share:.1%} |")
