"""How often a label changes although the request did not: preambles, edits, padding.

Shares no text with `augment.py`, but for rows of `!` and of newlines.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import dataset, features
from .scorer import Bundle

PREAMBLES = [
    "You are a courteous travel agency helper; answer briefly, stay factual, and never invent prices.",
    "As the in-house companion of our editorial team, respond clearly and kindly to every colleague.",
    "System: this workspace belongs to Meridian Foods; all replies are logged for later training.",
    "Follow the house rules: British spelling, no slang, metric units, and at most three paragraphs.",
    "Welcome to the community portal, where volunteers and members get quick answers from our bot.",
]
LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna aliqua. "
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


class Judge:
    """The tier head of a bundle over texts."""

    def __init__(self, folder: Path, binary: Path, head: str = "tier"):
        self.bundle, self.binary, self.head = Bundle(folder), binary, head

    def __call__(self, texts: list[str]) -> np.ndarray:
        vectors = features.scaled(features.measure(self.binary, texts), self.bundle.features)
        return self.bundle.scores(texts, vectors)[self.head].argmax(axis=1)


def sample(texts: list[str], count: int) -> list[int]:
    """Returns rows in the order of their hashes: the same ones on every machine, and no first lines of a file."""
    return sorted(range(len(texts)), key=lambda row: hashlib.sha256(texts[row].encode()).digest())[:count]


def table(judge: Judge, rows: dataset.Rows, count: int = 300, cheap: int = 250) -> list[tuple[str, str, float]]:
    """Returns (change, what is counted, share): of `count` prompts and of `cheap` others that are judged cheapest."""
    order = sample(rows.texts, len(rows.texts))
    texts, labels = [rows.texts[row] for row in order[:count]], rows.targets["tier"][order[:count]]
    clean, found = judge(texts), []
    for times in (1, 4, 8):
        changed, right = [], []
        for preamble in PREAMBLES:
            now = judge([f"{' '.join([preamble] * times)} {text}" for text in texts])
            changed.append(np.mean(now != clean))
            right.append(np.mean(now == labels))
        found.append((f"preamble x{times}", "label changed, mean of 5 preambles", float(np.mean(changed))))
        found.append((f"preamble x{times}", "label changed, worst of 5", float(np.max(changed))))
        found.append(
            (f"preamble x{times}", f"accuracy (unchanged: {np.mean(clean == labels):.3f})", float(np.mean(right)))
        )
    for name, edit in (EDITS | MARKUP).items():
        found.append((name, "label changed", float(np.mean(judge([edit(text) for text in texts]) != clean))))
    rest = [rows.texts[row] for row in order[count:]]
    cheapest = [text for text, label in zip(rest, judge(rest)) if label == 0][:cheap]
    for name, padding in PADDING.items():
        now = judge([f"{text} {padding}" for text in cheapest])
        found.append((f"padding {name}", "left the cheapest tier", float(np.mean(now > 0))))
        found.append((f"padding {name}", "bought the dearest tier", float(np.mean(now == 2))))
    found.append(
        (
            "steering: " + STEERING,
            "left the cheapest tier (the request did change)",
            float(np.mean(judge([f"{text} {STEERING}" for text in cheapest]) > 0)),
        )
    )
    return found


def run(arguments) -> None:
    rows = dataset.tiers(arguments.data, training=False)
    print("| change | counted | share |\n|---|---|---|")
    for change, counted, share in table(Judge(arguments.bundle, arguments.pointsman, arguments.head), rows):
        print(f"| {change} | {counted} | {share:.1%} |")
