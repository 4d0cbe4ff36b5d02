"""Hashed n-grams of words and of pieces of words.

`crates/classifier/src/scoring/ngrams.rs` again, golden inputs check that they agree.
"""

import functools
import itertools
import math
from collections import Counter

import numpy as np
import regex
from scipy.sparse import csr_matrix

from .arrays import NgramRows
from .repeats import WORD
from .tokens import excerpt

WIDTH = 1 << 15
PIECES = (3, 4, 5)
ALL = (1 << 64) - 1
APART = regex.compile(r"[^\p{Alphabetic}\p{N}]+")


@functools.lru_cache(1 << 21)
def hashed(kind: int, text: str) -> int:
    """Returns FNV-1a over 64 bits with a final mix."""
    value = 0xCBF29CE484222325 ^ (kind * 0x9E3779B97F4A7C15 & ALL)
    for byte in text.encode():
        value = (value ^ byte) * 0x0100000001B3 & ALL
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & ALL
    return value ^ (value >> 33)


def entries(text: str) -> dict[int, float]:
    """Returns places and values of what is read of a text."""
    return _entries(" ".join(excerpt(text)))


@functools.lru_cache(1 << 12)
def _entries(text: str) -> dict[int, float]:
    """Counts. Words and pieces weigh the same in sum, however long the text is."""
    read = "".join(character.lower() for character in text)
    words: Counter[int] = Counter()
    pieces: Counter[int] = Counter()
    apart = [word for word in APART.split(read) if word]
    words.update(hashed(1, word) for word in apart)
    words.update(hashed(2, f"{a} {b}") for a, b in itertools.pairwise(apart))
    for word in WORD.findall(read):
        padded = f" {word} "
        for length in PIECES:
            pieces.update(hashed(length, padded[at : at + length]) for at in range(len(padded) - length + 1))
    found: dict[int, float] = {}
    for counts in (words, pieces):
        weights = {value: 1 + math.log(count) for value, count in counts.items()}
        size = max(1.0, math.sqrt(sum(weight * weight for weight in weights.values())))
        for value, weight in weights.items():
            place = value % WIDTH
            found[place] = found.get(place, 0.0) + (-weight if value >> 63 else weight) / size
    return found


def matrix(texts: list[str]) -> NgramRows:
    """Returns a row of [WIDTH] values for each text."""
    rows = [entries(text) for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    places = np.fromiter((place for row in rows for place in row), np.int32, starts[-1])
    values = np.fromiter((value for row in rows for value in row.values()), np.float32, starts[-1])
    return csr_matrix((values, places, starts), shape=(len(rows), WIDTH))
