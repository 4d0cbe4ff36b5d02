"""Prompts written for training, in ten languages: the tiers of the data are English chat with its symbols removed.

`supplement.jsonl` has a prompt and its tier a line. `supplement_texts.json` has, by language, instructions that are
easy on any text, and sentences of everyday letters. They make long rows: an easy instruction or question stays easy
with a long text around it, and a hard one stays hard, so that length tells nothing of the tier.
`supplement_frames.json` has, for languages of which the encoder's vocabulary has single letters at most, asks with a
place for a topic, and topics. The same topics stand in asks of all tiers: the ask tells the tier, not its topic.
`supplement_pasted.json` has, by language, texts as people paste them (mails, recipes, logs, code, chats, tables), each
with easy asks and hard ones about it. A text is in rows of both, so the ask tells the tier, not the text or its length.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import RowFolds, RowLabels, RowLanguages
from .dataset import TIERS, folds_of

ROWS, TEXTS, FRAMES, PASTED = (
    Path(__file__).with_name(f"supplement{name}") for name in (".jsonl", "_texts.json", "_frames.json", "_pasted.json")
)
SEED = 7
# Long rows of a language by tier: prompts of that tier with sentences around them.
LONG = {"simple": 28, "medium": 8, "complex": 18}
INSTRUCTED = 6  # long rows for each easy instruction
FRAMED = 4  # rows for each ask with a place for a topic
PASTED_FILLERS = 0.7  # of what stands around long rows is a pasted text
TOGETHER = 0.4  # of the pasted texts have a second one behind them, so that some rows are twice as long


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
    """Returns the written rows, the long ones, those about topics, those with pasted texts; always the same."""
    with ROWS.open(encoding="utf-8") as file:
        written = [json.loads(line) for line in file]
    rows = [(row["text"], row["tier"], row["language"], row["text"]) for row in written]
    texts, draw = json.loads(TEXTS.read_text("utf-8")), random.Random(SEED)
    shown = json.loads(PASTED.read_text("utf-8"))
    for language, pool in texts.items():
        around = Surroundings(pool["sentences"], [entry["text"] for entry in shown[language]], draw)
        for tier, count in LONG.items():
            of = [row["text"] for row in written if row["language"] == language and row["tier"] == tier]
            drawn = draw.sample(of, count)
            rows.extend((around.put(text), tier, language, text) for text in drawn)
        for instruction in pool["instructions"] * INSTRUCTED:
            filler = around.filler()
            whole = f"{instruction}{draw.choice([' ', chr(10), chr(10) * 2])}{filler}"
            row = whole if draw.random() < 0.7 else f"{filler}\n\n{instruction}"
            rows.append((row, "simple", language, instruction))
    rows.extend(framed(random.Random(SEED)))
    rows.extend(pasted(random.Random(SEED)))
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


def pasted(draw: random.Random) -> list[tuple[str, str, str, str]]:
    """Returns text, tier, language and source: asks before or behind a pasted text; a hard one in both places."""
    found: list[tuple[str, str, str, str]] = []
    for language, pool in json.loads(PASTED.read_text("utf-8")).items():
        for entry in pool:
            first = draw.random() < 0.5
            for ask in entry["simple"]:
                found.append((placed(ask, body(entry, pool, draw), first), "simple", language, entry["text"]))
                first = not first
            for ask in entry["complex"]:
                for before in (True, False):
                    row = placed(ask, body(entry, pool, draw), before)
                    found.append((row, "complex", language, entry["text"]))
    return found


def body(entry: dict[str, Any], pool: list[dict[str, Any]], draw: random.Random) -> str:
    """Returns the text of an entry, sometimes with another one of the language behind it."""
    if draw.random() < TOGETHER:
        other = draw.choice([one for one in pool if one is not entry])
        return f"{entry['text']}\n\n{other['text']}"
    text: str = entry["text"]
    return text


def placed(ask: str, text: str, first: bool) -> str:
    return f"{ask}\n\n{text}" if first else f"{text}\n\n{ask}"


@dataclass
class Surroundings:
    """Texts that ask for nothing: some everyday sentences in any order, or a pasted text."""

    sentences: list[str]
    pasted: list[str]
    draw: random.Random

    def filler(self) -> str:
        if self.draw.random() < PASTED_FILLERS:
            return self.draw.choice(self.pasted)
        return " ".join(self.draw.sample(self.sentences, self.draw.randint(4, len(self.sentences))))

    def put(self, text: str) -> str:
        """Returns a text with a filler before it or behind it."""
        filler = self.filler()
        return f"{filler} {text}" if self.draw.random() < 0.6 else f"{text}\n\n{filler}"
