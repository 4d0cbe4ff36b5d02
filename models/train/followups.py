"""Replies in the middle of a conversation: `followups.jsonl`, written for this purpose, and conversations made of them.

A wording is of one of three classes: `inherit` asks for no more and no less than what it answers, `hard` asks for much
by itself, `trivial` for next to nothing. Half of the kinds and wordings teach (`development`), the others only measure
(`test`): a wording stands in one part, and some kinds are in `test` alone.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import dataset, features, robustness
from .arrays import RowLabels
from .scorer import Bundle

SOURCE = Path(__file__).with_name("followups.jsonl")
CLASSES = ("inherit", "hard", "trivial")
DATA = {"development": "tiers_train.jsonl", "test": "tiers_validation.jsonl"}
ANSWER = "Here is a first answer. Say what you would like to have changed, or where to go on."
QUESTION = "I can do that in several ways. Which one would you like, and what is it for?"
ANSWERS = {"answer", "choice", "consent", "refusal"}  # kinds of replies to a question

Row = dict[str, Any]  # of a file that `pointsman eval` reads


@dataclass(frozen=True)
class FollowUp:
    """One wording of a reply."""

    part: str
    class_: str
    kind: str
    language: str
    text: str


@cache
def wordings(part: str, class_: str) -> tuple[FollowUp, ...]:
    """Returns the wordings of a class that teach, or those that measure, in the order of the file."""
    rows = (json.loads(line) for line in SOURCE.read_text("utf-8").splitlines())
    every = (FollowUp(row["part"], row["class"], row["kind"], row["language"], row["text"]) for row in rows)
    return tuple(found for found in every if (found.part, found.class_) == (part, class_))


def asks(path: Path, served: Callable[[list[str]], RowLabels], count: int) -> list[tuple[str, str]]:
    """Returns `count` prompts of each tier that is served, with that tier: the same ones on every machine."""
    texts = sorted(set(dataset.tiers(path, training=False).texts))
    order = robustness.sample(texts, len(texts))
    tiers = served([texts[row] for row in order])
    places = [place for tier in range(len(dataset.TIERS)) for place in (tiers == tier).nonzero()[0][:count]]
    return [(texts[order[place]], dataset.TIERS[tiers[place]]) for place in places]


def conversation(ask: str, label: str, reply: FollowUp) -> Row:
    """Returns a row: an ask, an answer that says nothing or asks back, and the reply.

    `label` is what is right for the reply.
    """
    turns = [("user", ask), ("assistant", QUESTION if reply.kind in ANSWERS else ANSWER), ("user", reply.text)]
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"messages": messages, "label": label, "kind": reply.kind, "language": reply.language}


def rows(part: str, class_: str, starts: list[tuple[str, str]], draw: random.Random, each: int) -> list[Row]:
    """Returns for each ask some replies of a class, of as many kinds as there are.

    What is right: for `inherit` the label of the ask, for `trivial` the lowest. A hard one has the highest: everything
    above the lowest is at most one label off, so that the share one label off or less is the share of those that were
    recognised.
    """
    right = {"inherit": None, "hard": dataset.TIERS[-1], "trivial": dataset.TIERS[0]}[class_]
    kinds: dict[str, list[FollowUp]] = {}
    for wording in wordings(part, class_):
        kinds.setdefault(wording.kind, []).append(wording)
    found = []
    for ask, tier in starts:
        drawn = draw.sample(sorted(kinds), min(each, len(kinds)))
        found += [conversation(ask, right or tier, draw.choice(kinds[kind])) for kind in drawn]
    return found


def run(arguments: argparse.Namespace) -> None:
    """Writes `inherit.jsonl`, `hard.jsonl` and `trivial.jsonl` for `pointsman eval --head tier`."""
    bundle = Bundle(arguments.bundle)

    def served(texts: list[str]) -> RowLabels:
        vectors = features.scaled(features.measure(arguments.pointsman, texts), bundle.features)
        served = bundle.served(bundle.scores(texts, vectors), arguments.head)
        labels: RowLabels = bundle.decided(served, arguments.head)
        return labels

    starts = asks(arguments.data / DATA[arguments.part], served, arguments.asks)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for class_ in CLASSES:
        made = rows(arguments.part, class_, starts, random.Random(arguments.seed), arguments.replies)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        (arguments.out / f"{class_}.jsonl").write_text("".join(lines), "utf-8")
        print(f"{class_}.jsonl: {len(made)} conversations, {len({row['kind'] for row in made})} kinds")
