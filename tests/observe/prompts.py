"""Prompts of the kinds that real traffic is made of, in as many variants as a load needs."""

from __future__ import annotations

import random
from collections.abc import Callable

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


def constitution(r: random.Random) -> str:
    return f"Συγκρίνετε το σύνταγμα της Ελλάδας με το σύνταγμα: {r.choice(PLACES)}. {r.randrange(10**6)}"


def capital(r: random.Random) -> str:
    return f"What is the capital of {r.choice(PLACES)}? Question {r.randrange(10**6)}."


def greeting(r: random.Random) -> str:
    return f"hi, how are you today? ({r.randrange(10**4)})"


def translation(r: random.Random) -> str:
    return f"Translate to French: {r.choice(THINGS)} near {r.choice(PLACES)}, number {r.randrange(10**5)}."


def email(r: random.Random) -> str:
    about = f"{r.choice(THINGS)} to a landlord in {r.choice(PLACES)}"
    return f"Write a polite email about {about}, ticket {r.randrange(10**5)}."


def explanation(r: random.Random) -> str:
    about = f"{r.choice(TOPICS)} to someone who is {r.randrange(10, 60)} years old"
    return f"Explain the difference between {about}, in {r.randrange(3, 9)} sentences."


def program(r: random.Random) -> str:
    task = f"Write a Python function that {r.choice(TASKS)}"
    return f"{task}, with type hints and tests for {r.randrange(3, 12)} edge cases."


def proof(r: random.Random) -> str:
    return f"Prove that {r.choice(PROOFS)}, then say where the argument fails modulo {r.randrange(3, 99)}."


def design(r: random.Random) -> str:
    task = f"Design {r.choice(SYSTEMS)}: compare {r.randrange(2, 6)} approaches"
    return f"{task}, derive the error bound of each and recommend one."


def price_list(r: random.Random) -> str:
    """Returns a prompt that is longer than the classifier reads."""
    prices = (f"{r.choice(THINGS)} of {r.choice(PLACES)} costs {r.randrange(999)}," for _ in range(60))
    return "Summarise, and argue against: " + " ".join(prices)


# How often each kind comes, in parts of their sum.
KINDS: dict[Callable[[random.Random], str], int] = {
    constitution: 2,
    capital: 30,
    greeting: 12,
    translation: 10,
    email: 10,
    explanation: 12,
    program: 12,
    proof: 6,
    design: 6,
    price_list: 4,
}


def prompt(rng: random.Random) -> str:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    return kind(rng)
