"""Prompts of the kinds that real traffic is made of, in as many variants as a load needs."""

from __future__ import annotations

import random

PLACES = [
    "Australia",
    "Norway",
    "Peru",
    "Japan",
    "Kenya",
    "Canada",
    "Portugal",
    "Vietnam",
    "Chile",
    "Morocco",
    "Iceland",
    "Greece",
]
THINGS = [
    "a train",
    "a lighthouse",
    "a garden",
    "a violin",
    "a bakery",
    "a library",
    "a bridge",
    "a river",
    "a clock",
    "a kite",
]
TOPICS = [
    "TCP and UDP",
    "mitosis and meiosis",
    "interest and inflation",
    "a stack and a queue",
    "weather and climate",
    "RAM and a disk",
]
TASKS = [
    "merges overlapping intervals",
    "parses ISO dates",
    "removes duplicates from a linked list",
    "counts words in a file",
    "validates an IBAN",
]
PROOFS = [
    "there are infinitely many primes",
    "the square root of 2 is irrational",
    "every tree has n - 1 edges",
    "harmonic sums diverge",
]
SYSTEMS = [
    "a rate limiter for 200 proxies",
    "a job queue with exactly-once effects",
    "a cache that survives a region's loss",
    "a feed for 50 million readers",
]

KINDS = [
    (2, lambda r: f"日本の憲法と比較して、{r.choice(PLACES)}の憲法を説明してください。{r.randrange(10**6)}"),
    (30, lambda r: f"What is the capital of {r.choice(PLACES)}? Question {r.randrange(10**6)}."),
    (12, lambda r: f"hi, how are you today? ({r.randrange(10**4)})"),
    (10, lambda r: f"Translate to French: {r.choice(THINGS)} near {r.choice(PLACES)}, number {r.randrange(10**5)}."),
    (
        10,
        lambda r: (
            f"Write a polite email about {r.choice(THINGS)} to a landlord in {r.choice(PLACES)}, ticket {r.randrange(10**5)}."
        ),
    ),
    (
        12,
        lambda r: (
            f"Explain the difference between {r.choice(TOPICS)} to someone who is {r.randrange(10, 60)} years old, in {r.randrange(3, 9)} sentences."
        ),
    ),
    (
        12,
        lambda r: (
            f"Write a Python function that {r.choice(TASKS)}, with type hints and tests for {r.randrange(3, 12)} edge cases."
        ),
    ),
    (6, lambda r: f"Prove that {r.choice(PROOFS)}, then say where the argument fails modulo {r.randrange(3, 99)}."),
    (
        6,
        lambda r: (
            f"Design {r.choice(SYSTEMS)}: compare {r.randrange(2, 6)} approaches, derive the error bound of each and recommend one."
        ),
    ),
    # Longer than the classifier reads.
    (
        4,
        lambda r: (
            "Summarise, and argue against: "
            + " ".join(f"{r.choice(THINGS)} of {r.choice(PLACES)} costs {r.randrange(999)}," for _ in range(60))
        ),
    ),
]


def prompt(rng: random.Random) -> str:
    weights, makers = zip(*KINDS)
    return rng.choices(makers, weights)[0](rng)
