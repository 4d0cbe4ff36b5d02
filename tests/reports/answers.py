"""Graded answers of three models and a policy, as `pointsman grade` writes them, made up and always the same.

Some of the texts try to be markup: a page that shows them must show them as they are.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Iterator
from typing import Any

MODELS = {"small": (0.1, 0.4), "standard": (2.0, 8.0), "frontier": (5.0, 20.0)}
LABELS = {"simple": "small", "medium": "standard", "complex": "frontier"}
# How often each model is right, by the label.
SKILL = {"simple": (0.93, 0.96, 0.97), "medium": (0.62, 0.88, 0.92), "complex": (0.24, 0.6, 0.85)}
TOPICS = {
    "simple": ["the capital of France", "a synonym for quick", "how many days a leap year has", "the plural of goose"],
    "medium": ["a query that joins two tables", "why the sky is red at dusk", "a regular expression for dates"],
    "complex": [
        "a proof that the square root of two is irrational",
        "a lock-free queue",
        "the causes of the war of 1812",
    ],
}
HOSTILE = [
    "</script><script>document.title='taken'</script>",
    '<img src="x" onerror="document.title=\'taken\'">',
    "<!-- <script> ]]> <b>bold</b> &amp; \u2028 \\u003c",
    '"><svg onload="document.title=\'taken\'">',
]
WORDS = (
    "the answer follows from what was asked and each step rests on the one before so that nobody has to guess".split()
)


def rows(prompts: int, seed: int = 20) -> Iterator[dict[str, Any]]:
    """Yields four answers to each prompt: one of every model, and one of the policy `auto`."""
    draw = random.Random(seed)
    for number in range(prompts):
        label = draw.choices(list(LABELS), (5, 3, 2))[0]
        prompt = f"Question {number}: {draw.choice(TOPICS[label])}?"
        if number % 97 == 0:
            prompt += " " + HOSTILE[number // 97 % len(HOSTILE)]
        common = {"kind": "answer", "id": f"q{number:05}", "prompt": prompt}
        answered = {
            model: answer(draw, number, (model, skill)) for model, skill in zip(MODELS, SKILL[label], strict=True)
        }
        for model, given in answered.items():
            yield common | {"asked": model, "model": model} | given
        # The policy takes one label in ten for another.
        said = label if draw.random() < 0.9 else draw.choice(list(LABELS))
        chosen = LABELS[said]
        score = round(draw.uniform(0.45, 0.99), 4)
        took = {"overhead_us": 4000 + draw.randrange(3000), "duration_ms": answered[chosen]["duration_ms"] + 6}
        decision = {"policy": "auto", "label": said, "score": score, "reason": "tier"}
        yield common | {"asked": "auto", "model": chosen} | answered[chosen] | decision | took


def answer(draw: random.Random, number: int, model: tuple[str, float]) -> dict[str, Any]:
    name, skill = model
    right = draw.random() < skill
    words = draw.choices(WORDS, k=20 + draw.randrange(60))
    text = f"{name} says: {' '.join(words)}.\n\n{'Right' if right else 'Wrong'}, number {number}."
    if number % 89 == 0:
        text += "\n" + HOSTILE[number // 89 % len(HOSTILE)]
    if number % 500 == 7:
        text += "\n" + " ".join(WORDS) * 250  # longer than a page keeps
    per_input, per_output = MODELS[name]
    tokens = (40 + draw.randrange(200), len(words) * 2)
    first = draw.uniform(80, 160) * (1 + list(MODELS).index(name))
    taken = {"first_byte_ms": round(first, 1), "duration_ms": round(first + 12 * tokens[1], 1), "overhead_us": 300}
    if name == "standard" and number % 211 == 0:
        return taken | {"status": 504, "error": {"code": "timeout", "message": "no answer in time"}}
    grade = {
        "grader": "choice",
        "score": float(right),
        "correct": right,
        "reason": f"the answer states {'B' if right else 'C'}",
    }
    return taken | {
        "status": 200,
        "answer": text,
        "finish_reason": "stop",
        "input_tokens": tokens[0],
        "output_tokens": tokens[1],
        "cost_usd": (tokens[0] * per_input + tokens[1] * per_output) / 1e6,
        "grades": [grade],
    }


def write(path: pathlib.Path, prompts: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows(prompts):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
