"""Prompts written for training, in ten languages: the tiers of the data are English chat with its symbols removed.

`supplement.jsonl` has a prompt and its tier a line. `supplement_texts.json` has, by language, instructions that are
easy on any text, and sentences of everyday letters. They make long rows: an easy instruction or question stays easy
with a long text around it, and a hard one stays hard, so that length tells nothing of the tier.
`supplement_frames.json` has, for languages of which the encoder's vocabulary has single letters at most, asks with a
place for a topic, and topics. The same topics stand in asks of all tiers: the ask tells the tier, not its topic.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .arrays import RowFolds, RowLabels, RowLanguages
from .dataset import TIERS, folds_of

ROWS, TEXTS, FRAMES = (
    Path(__file__).with_name(name) for name in ("supplement.jsonl", "supplement_texts.json", "supplement_frames.json")
)
SEED = 7
# Long rows of a language by tier: prompts of that tier with sentences around them.
LONG = {"simple": 28, "medium": 8, "complex": 18}
INSTRUCTED = 6  # long rows for each easy instruction
FRAMED = 4  # rows for each ask with a place for a topic


@dataclass
class SupplementRows:
    """The prompts; `sources` has the written prompt that each one holds, so that folds never part the two."""

    texts: list[str]
    labels: RowLabels
    languages: RowLanguages
    sources: list[str]

    def folds(self, folds: int) -> RowFolds:
        return folds_of(self.sources, SEED, folds)


def load() -> SupplementRows:
    """Returns the written rows, then the long ones, then those about topics; always the same."""
    with ROWS.open(encoding="utf-8") as file:
        written = [json.loads(line) for line in file]
    rows = [(row["text"], row["tier"], row["language"], row["text"]) for row in written]
    texts, draw = json.loads(TEXTS.read_text("utf-8")), random.Random(SEED)
    for language, pool in texts.items():
        for tier, count in LONG.items():
            of = [row["text"] for row in written if row["language"] == language and row["tier"] == tier]
            drawn = draw.sample(of, count)
            rows.extend((surrounded(text, pool["sentences"], draw), tier, language, text) for text in drawn)
        for instruction in pool["instructions"] * INSTRUCTED:
            body = paragraph(pool["sentences"], draw)
            whole = f"{instruction}{draw.choice([' ', chr(10), chr(10) * 2])}{body}"
            rows.append((whole if draw.random() < 0.7 else f"{body}\n\n{instruction}", "simple", language, instruction))
    rows.extend(framed(random.Random(SEED)))
    labels = np.array([TIERS.index(tier) for _, tier, _, _ in rows])
    languages = np.array([language for _, _, language, _ in rows])
    return SupplementRows([row[0] for row in rows], labels, languages, [row[3] for row in rows])


def framed(draw: random.Random) -> list[tuple[str, str, str, str]]:
    """Returns text, tier, language and source of asks about some of the topics."""
    found: list[tuple[str, str, str, str]] = []
    for language, pool in json.loads(FRAMES.read_text("utf-8")).items():
        for tier in TIERS:
            for ask in pool[tier]:
                topics = draw.sample(pool["topics"], FRAMED)
                found.extend((ask.replace("{}", topic), tier, language, ask) for topic in topics)
    return found


def paragraph(sentences: list[str], draw: random.Random) -> str:
    """Returns some sentences in any order."""
    return " ".join(draw.sample(sentences, draw.randint(4, len(sentences))))


def surrounded(text: str, sentences: list[str], draw: random.Random) -> str:
    """Returns a text with sentences before it, or behind it, that ask for nothing."""
    around = paragraph(sentences, draw)
    return f"{around} {text}" if draw.random() < 0.6 else f"{text}\n\n{around}"
