"""The scope of a bundle: which n-grams its training saw, and which languages and scripts it says that it does well in.

`crates/classifier/src/scoring/scope.rs` reads both. A text whose n-grams are strange, in a language or script that is
not declared, makes strategies abstain instead of taking silence for `simple`.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import regex

from . import bundle, card, dataset, features, ngrams, scorer, supplement
from .arrays import RowLanguages, RowMask, RowValues
from .encoder import sha256
from .repeats import WORD
from .tokens import excerpt

FILE = "ngrams.bloom"
PIECE = 4  # letters: three occur in any language, five are rare in one's own
PROBES, BITS_OF_ONE, LEAST_BYTES, MOST_BYTES = 4, 16, 1 << 10, 1 << 18
SEEN = 2  # in so many different prompts, so that a name or a typing error makes nothing known
SURE, LEAST = 0.8, 0.6
LEAST_ROWS, VALIDATED_ROWS, POINTS = 20, 30, 0.08
TRAINING_FILE, VALIDATION_FILES = "tiers_train.jsonl", ("tiers_validation.jsonl", "tiers_dedup_validation.jsonl")
# What a language is written in that is not written in Latin letters.
SCRIPTS = {code: ["cyrillic"] for code in ("be", "bg", "mk", "ru", "sr", "uk")}
SCRIPTS |= {code: ["arabic"] for code in ("ar", "fa", "ur")} | {code: ["devanagari"] for code in ("hi", "mr", "ne")}
SCRIPTS |= {
    "ja": ["han", "hiragana", "katakana"],
    "ko": ["hangul", "han"],
    "zh": ["han"],
    "el": ["greek"],
    "he": ["hebrew"],
}
SCRIPTS |= {
    "th": ["thai"],
    "bn": ["bengali"],
    "ta": ["tamil"],
    "te": ["telugu"],
    "ka": ["georgian"],
    "hy": ["armenian"],
}
LETTERS = regex.compile(r" ?\p{Alphabetic}+ ?")


def pieces(text: str) -> list[str]:
    """Returns the pieces of four letters of what is read of a text, a blank before and after each word counted in."""
    read = "".join(character.lower() for character in " ".join(excerpt(text)))
    padded = [f" {word} " for word in WORD.findall(read)]
    found = [word[at : at + PIECE] for word in padded for at in range(len(word) - PIECE + 1)]
    return [piece for piece in found if LETTERS.fullmatch(piece)]


def bloom_filter(texts: list[str]) -> bytes:
    """Returns a Bloom filter of the pieces that occur in two different texts."""
    rows = Counter(piece for text in set(texts) for piece in set(pieces(text)))
    known = [ngrams.hashed(PIECE, piece) for piece, count in rows.items() if count >= SEEN]
    size = LEAST_BYTES
    while size < MOST_BYTES and 8 * size < BITS_OF_ONE * len(known):
        size *= 2
    bits = np.zeros(8 * size, np.uint8)
    for value in known:
        bits[[place(value, probe, 8 * size) for probe in range(PROBES)]] = 1
    return np.packbits(bits, bitorder="little").tobytes()


def place(value: int, probe: int, bits: int) -> int:
    return (value + probe * ((value >> 32) | 1) & ngrams.ALL) % bits


def known_shares(texts: list[str], bloom: bytes) -> RowValues:
    """Returns which share of the pieces of each text is known; NaN where it has none."""
    bits = np.unpackbits(np.frombuffer(bloom, np.uint8), bitorder="little")

    def is_known(piece: str) -> bool:
        value = ngrams.hashed(PIECE, piece)
        return all(bits[place(value, probe, len(bits))] for probe in range(PROBES))

    rows = [[is_known(piece) for piece in pieces(text)] for text in texts]
    return np.array([np.mean(row) if row else np.nan for row in rows])


@dataclass
class LanguageRows:
    """Languages of training rows, counted, and of each validation row, with the share of its n-grams that is known."""

    training: "Counter[str]"
    validation: RowLanguages
    shares: RowValues

    def known(self, of: RowMask) -> float:
        """Returns the median share of known n-grams of some validation rows."""
        return float(np.nanmedian(self.shares[of])) if of.any() else 0.0


def languages(rows: LanguageRows, right: RowMask) -> tuple[list[str], dict[str, Any]]:
    """Returns the languages to declare, and the figures that speak for them; `right` says which validation rows are.

    A language is declared that 20 training rows are in for sure, if validation rows in it are judged no more than 8
    points worse than English ones. Of languages with fewer than 30 validation rows those together count whose n-grams
    training saw: strange ones have no evidence.
    """

    def accuracy(codes: list[str]) -> float:
        return float(right[np.isin(rows.validation, codes)].mean())

    masks: dict[str, RowMask] = {
        code: rows.validation == code for code, count in rows.training.items() if code and count >= LEAST_ROWS
    }
    known = {code: rows.known(of) for code, of in masks.items()}
    few = [code for code, of in masks.items() if of.sum() < VALIDATED_ROWS and known[code] >= LEAST]
    many = [code for code, of in masks.items() if of.sum() >= VALIDATED_ROWS]
    enough = accuracy(["en"]) - POINTS
    declared = [code for code in many if accuracy([code]) >= enough]
    declared += few if few and accuracy(few) >= enough else []
    figures: dict[str, Any] = {
        code: {
            "training_rows": rows.training[code],
            "validation_rows": int(of.sum()),
            "accuracy": round(accuracy([code]), 4) if of.any() else None,
            "known_ngrams": round(known[code], 4),
            "declared": code in declared,
        }
        for code, of in sorted(masks.items())
    }
    if few:
        figures["together"] = {"of": sorted(few), "accuracy": round(accuracy(few), 4)}
    return sorted(declared), figures


def training_texts(data: Path, seed: int) -> list[str]:
    """Returns every text that a head learns from."""
    outcomes, panel = dataset.outcomes(data), dataset.panel(data)
    kept = outcomes.where(dataset.folds_of(outcomes.texts, seed) > dataset.TEST_FOLD)
    tiers = dataset.tiers(data / TRAINING_FILE, training=True)
    return tiers.texts + kept.texts + panel.where(np.arange(len(panel.texts)) % 2 == 0).texts + supplement.load().texts


def run(arguments: argparse.Namespace) -> None:
    """Writes the record of n-grams, languages and scripts into a bundle that is finished but for them.

    The weights stay as they are.
    """
    folder, data, binary = arguments.bundle, arguments.data, arguments.pointsman
    bloom = bloom_filter(training_texts(data, arguments.seed))
    trained = set(dataset.tiers(data / TRAINING_FILE, training=True).texts)
    rows = {text: label for file in VALIDATION_FILES for text, label in tier_rows(data / file) if text not in trained}
    validation, labels = list(rows), np.array(list(rows.values()))
    loaded, measured = scorer.Bundle(folder), features.measure(binary, validation)
    scores = loaded.scores(validation, features.scaled(measured, loaded.features))
    right = loaded.decided(loaded.served(scores, "tier"), "tier") == labels
    counted = Counter(row["language"] for row in features.measure(binary, sorted(trained)))
    spoken = np.array([row["language"] for row in measured])
    declared, figures = languages(LanguageRows(counted, spoken, known_shares(validation, bloom)), right)
    print(json.dumps(figures, indent=1))
    manifest = loaded.manifest | {"version": bundle.MANIFEST["version"]}
    manifest["metrics"]["languages"] = figures
    manifest["training"]["scope"] = f"python -m models.train familiar --seed {arguments.seed}"
    declare(folder, manifest, declared, bloom)


def declare(folder: Path, manifest: dict[str, Any], declared: list[str], bloom: bytes) -> None:
    """Writes the record of n-grams and the languages, with the scripts that they are written in."""
    (folder / FILE).write_bytes(bloom)
    scripts = sorted({script for code in declared for script in SCRIPTS.get(code, ["latin"])})
    manifest["files"][FILE] = sha256(folder / FILE)
    own = {
        "languages": declared,
        "scripts": scripts,
        "ngrams": {"file": FILE, "probes": PROBES, "sure": SURE, "least": LEAST},
    }
    write_manifest(folder, manifest, own)


def write_manifest(folder: Path, manifest: dict[str, Any], own: dict[str, Any]) -> None:
    """Writes bundle.yaml and the card anew; the keys of `own` stand before the heads."""
    last = ("heads", "files", "training", "metrics")
    before = {key: value for key, value in manifest.items() if key not in (*own, *last)}
    ordered = before | own | {key: manifest[key] for key in last}
    (folder / "bundle.yaml").write_text(bundle.dump(ordered), "utf-8")
    (folder / "README.md").write_text(card.render(ordered), "utf-8")


def tier_rows(path: Path) -> list[tuple[str, int]]:
    """Returns the texts of a file of tiers, with the place of each one's tier."""
    rows = dataset.tiers(path, training=False)
    return list(zip(rows.texts, rows.targets["tier"], strict=True))
