"""Questions with one right choice, and which of three models of different ability knows it: real outcomes."""

from __future__ import annotations

import hashlib
import json
import pathlib
import random
from dataclasses import dataclass

LETTERS = "ABCD"
# By ability, the dearest last.
MODELS = ("small", "standard", "frontier")


@dataclass(frozen=True)
class Question:
    """A prompt that ends with four choices, the right one, and who knows it."""

    id: str
    prompt: str
    letter: str
    right: dict[str, bool]

    def row(self) -> dict[str, object]:
        """Returns what `prepare` and `collect` read."""
        reference = {"choice": self.letter, "choices": len(LETTERS)}
        return {"id": self.id, "prompt": self.prompt, "reference": reference, "temperature": 0}


def questions(path: pathlib.Path, count: int, seed: int) -> list[Question]:
    """Draws questions from rows with `strong_correct` and `weak_correct`, in the order of the file."""
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
    rows = [row for row in rows if not row.get("contaminated")]
    drawn = sorted(random.Random(seed).sample(range(len(rows)), min(count, len(rows))))
    return [question(f"q{place:05}", rows[place]) for place in drawn]


def question(name: str, row: dict[str, object]) -> Question:
    """Makes a question of a row of outcomes.

    The rows say who was right, and not which choice that is: a letter is drawn by the prompt's hash. `frontier` has the
    outcomes of the strong model (GPT-4) and `small` those of the weak one (Mixtral 8x7B). `standard` has for each
    prompt the outcome of one of the two, either as likely, drawn by the hash.
    """
    prompt = str(row["prompt"])
    drawn = hashlib.sha256(prompt.encode()).digest()
    strong, weak = (float(str(row[key])) >= 0.5 for key in ("strong_correct", "weak_correct"))
    right = {"small": weak, "standard": strong if drawn[1] % 2 else weak, "frontier": strong}
    return Question(name, prompt, LETTERS[drawn[0] % 4], right)
