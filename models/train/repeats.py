"""Repeats in a text are read once: the same cut as `crates/classifier/src/scoring/repeats.rs`, tested to be equal.

Padding and stacked preambles repeat themselves. Left in, they would fill the token budget, dilute a mean-pooled
embedding and outweigh every other n-gram.
"""

import re

# The Unicode property White_Space, as Rust has it; Python's `\s` takes four control characters more.
WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
WORD = re.compile(f"[^{WHITE_SPACE}]+")


def without_repeats(parts: list[str], window: int) -> list[str]:
    """Returns the parts of a text without words that stand in a run of `window` words that occurred before."""
    seen: set[tuple[str, ...]] = set()
    return [_part(part, window, seen) for part in parts]


def _part(text: str, window: int, seen: set[tuple[str, ...]]) -> str:
    words = list(WORD.finditer(text))
    repeated = [False] * len(words)
    for at in range(len(words) - window + 1):
        run = tuple(word.group() for word in words[at : at + window])
        if run in seen:
            repeated[at : at + window] = [True] * window
        seen.add(run)
    kept, end = [], 0
    for word, again in zip(words, repeated, strict=True):
        if not again:
            kept.append(text[end : word.end()])
        end = word.end()
    return "".join([*kept, text[end:]])
