"""Labelled prompts out of JSON lines, read as `pointsman fit` reads them; a bad row is refused with its place.

Rows of a held-out part are never learnt from, nor do they choose anything: they are left out and counted.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint import NAME

EXPECTED = "expected an object with `prompt`, `text` or `messages`; and `label`, `domain` or `category`"
LABEL_KEYS = ("label", "domain", "category")
SPLITS = ("train", "validation", "held_out")
EXACT = 2**53  # whole numbers beyond this are no labels: a float does not hold them


@dataclass(frozen=True)
class LabelledPrompt:
    """A prompt with its label as the file spells it, and where it stands."""

    text: str
    label: str
    group: str
    weight: float
    split: str | None
    place: str


@dataclass
class LabelledFile:
    """The rows of files, how many were left out and why, and the hashes of the files."""

    rows: list[LabelledPrompt] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    sha256: dict[str, str] = field(default_factory=dict)


class RowError(SystemExit):
    """A row that could mean two things, or nothing."""

    def __init__(self, place: str, message: str):
        super().__init__(f"{place}: {message} ({EXPECTED})")


def read(paths: list[Path]) -> LabelledFile:
    """Reads the rows of all files; those that nothing may learn from are left out."""
    found = LabelledFile()
    for path in paths:
        digest = hashlib.sha256()
        for place, row in objects(path, digest):
            prompt, reason = labelled(place, row)
            if prompt:
                found.rows.append(prompt)
            else:
                found.left_out[reason] += 1
        found.sha256[named_apart(path, found.sha256)] = digest.hexdigest()
    return found


def named_apart(path: Path, others: dict[str, str]) -> str:
    """Returns the name of a file, with its folder's where another file is called so."""
    return f"{path.resolve().parent.name}/{path.name}" if path.name in others else path.name


def objects(path: Path, digest: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the objects of a file with their places; lines without anything on them are passed over."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise SystemExit(f"cannot read {path}: {error.strerror}") from None
    with file:
        for number, line in enumerate(file, start=1):
            digest.update(line)
            place = f"{path} line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise RowError(place, f"byte {error.start + 1} is no UTF-8") from None
            if not text:
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise RowError(f"{place}, column {error.colno}", f"no JSON: {error.msg}") from None
            if not isinstance(row, dict):
                raise RowError(place, "no object")
            yield place, row


def labelled(place: str, row: dict[str, Any]) -> tuple[LabelledPrompt | None, str]:
    """Returns a row's prompt, or why it is left out."""
    text, reply = asked(place, row)
    label = label_of(place, row)
    split = row.get("split")
    if split not in (None, *SPLITS):
        raise RowError(place, f"`split` is {json.dumps(split)} (allowed: {', '.join(SPLITS)})")
    weight = row.get("weight", 1)
    number = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
    if not number or weight < 0:
        raise RowError(place, "`weight` is no weight, which is a number of at least 0")
    reasons = {
        "held out": split == "held_out" or bool(row.get("contaminated")) or bool(row.get("overlaps_heldout")),
        "replies": reply,
        "blank": not text.strip(),
    }
    reason = next((reason for reason, holds in reasons.items() if holds), "")
    group = row.get("group")
    group = words(text) if group is None else f"group {group}"
    return (None, reason) if reason else (LabelledPrompt(text, label, group, float(weight), split, place), "")


def asked(place: str, row: dict[str, Any]) -> tuple[str, bool]:
    """Returns the newest user turn, and whether somebody spoke before it."""
    prompt, messages = row.get("prompt"), row.get("messages")
    if prompt is not None and messages is not None:
        raise RowError(place, "`prompt` beside `messages`: one of them is what was asked")
    if messages is None:
        key = "prompt" if prompt is not None else "text"
        text = row.get(key)
        if text is None:
            raise RowError(place, "missing field `prompt`")
        if not isinstance(text, str):
            raise RowError(place, f"`{key}` is no string")
        return text, False
    turns = messages.get("messages") if isinstance(messages, dict) else messages
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise RowError(place, "`messages` is neither the turns of a chat nor a request body")
    if turns[-1].get("role") != "user":
        raise RowError(place, "`messages` ends with no user turn")
    content = turns[-1].get("content")
    if isinstance(content, list):
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        content = "\n".join(parts) if parts else None
    if not isinstance(content, str):
        raise RowError(place, "`messages` ends with no user turn whose `content` has text")
    return content, any(turn.get("role") not in ("system", "developer") for turn in turns[:-1])


def label_of(place: str, row: dict[str, Any]) -> str:
    value = next((row[key] for key in LABEL_KEYS if row.get(key) is not None), None)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise RowError(place, "missing field `label`" if value is None else f"{json.dumps(value)} is no label")


def words(text: str) -> str:
    """Returns what near-duplicates have in common: the words, whatever their case and punctuation."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


@dataclass
class LabelNames:
    """The labels of a head in their order, and what the data calls them where that is no name of theirs."""

    names: list[str]
    aliases: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, listed: str) -> "LabelNames":
        """Reads `low,mid=medium,high`: names, each with what the data calls it."""
        labels = cls([])
        for entry in listed.split(","):
            name, _, alias = entry.strip().partition("=")
            if not NAME.fullmatch(name):
                raise SystemExit(f"{name!r} is no name (allowed: letters, digits and ._:/-, at most 128 of them)")
            labels.names.append(name)
            if alias:
                labels.aliases[alias] = name
        return labels.checked()

    @classmethod
    def among(cls, rows: list[LabelledPrompt]) -> "LabelNames":
        labels = cls([])
        for label in sorted({row.label for row in rows}):
            name = label if NAME.fullmatch(label) else label.replace(" ", "-")
            if not NAME.fullmatch(name):
                raise SystemExit(f"the label {label!r} is no name: name it by --labels NAME={label}")
            labels.names.append(name)
        return labels.checked()

    def checked(self) -> "LabelNames":
        if len(self.names) < 2:
            raise SystemExit(f"a head needs two labels or more, not {self.names}")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise SystemExit(f"the label {twice[0]!r} is named twice")
        return self

    def index(self, row: LabelledPrompt) -> int:
        """Returns the place of a row's label."""
        spelt = [row.label, row.label.replace(" ", "-"), row.label.replace(" ", "_")]
        name = self.aliases.get(row.label) or next((label for label in spelt if label in self.names), None)
        if name is None:
            raise SystemExit(
                f"{row.place}: the label {row.label!r} is none of {', '.join(self.names)} "
                f"(--levels or --labels names them; NAME={row.label} renames it)"
            )
        return self.names.index(name)


@dataclass
class TrainingParts:
    """Rows to learn from and rows that choose when to stop, with what was left out and whose files they are."""

    train: list[LabelledPrompt]
    validation: list[LabelledPrompt]
    left_out: dict[str, int]
    sha256: dict[str, str]


def parts(data: LabelledFile, validation: LabelledFile | None, share: float, seed: int) -> TrainingParts:
    """Deals rows: those of the other file, else those that say `split: validation`, else a share of each label."""
    left_out = data.left_out + (validation.left_out if validation else Counter())
    hashes = dict(data.sha256)
    for name, digest in (validation.sha256 if validation else {}).items():
        hashes[f"validation/{name}" if name in hashes else name] = digest
    chosen = validation.rows if validation else [row for row in data.rows if row.split == "validation"]
    if not chosen:
        groups = drawn(data.rows, share, seed)
        chosen = [row for row in data.rows if row.group in groups]
    groups = {row.group for row in chosen}
    rest = [row for row in data.rows if row.split != "validation"]
    train = [row for row in rest if row.group not in groups]
    if validation or any(row.split == "validation" for row in data.rows):
        left_out["in validation too"] += len(rest) - len(train)
    if not train or not chosen:
        said = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "nothing left out"
        raise SystemExit(f"{len(train)} rows to learn from and {len(chosen)} to validate with ({said})")
    return TrainingParts(train, chosen, {reason: n for reason, n in left_out.items() if n}, hashes)


def drawn(rows: list[LabelledPrompt], share: float, seed: int) -> set[str]:
    """Draws groups of near-duplicates: of each label the same share, by hash."""
    if not 0 < share < 1:
        raise SystemExit(f"--validation-share is {share} (allowed: between 0 and 1)")
    by_label: dict[str, set[str]] = {}
    for row in rows:
        by_label.setdefault(row.label, set()).add(row.group)
    chosen: set[str] = set()
    for groups in by_label.values():
        order = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
        chosen.update(order[: round(share * len(order)) or len(order) // 2])
    return chosen
