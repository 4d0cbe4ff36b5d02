"""The figures of a head by language: what one figure over all rows hides, most of which are English."""

import argparse
from typing import Any

import numpy as np

from . import dataset, features, metrics
from .arrays import RowLabels, RowLanguages, RowMask
from .scorer import Bundle

LEAST_ROWS, DRAWS = 30, 2000
OTHERS, UNSURE = "all others", "not told"
COLUMNS = (
    "language | n | accuracy (95 %) | macro F1 | simple / medium / complex | of those above simple, judged above it"
)


def groups(languages: RowLanguages) -> dict[str, RowMask]:
    """Returns which rows are of each group of languages.

    The groups: all, English, all others, every other language with 30 rows, and what is too short to tell.
    """
    codes, counts = np.unique(languages, return_counts=True)
    many = [code for code, count in zip(codes, counts, strict=True) if count >= LEAST_ROWS]
    unsure: RowMask = np.isin(languages, np.array(["", None], object))
    english: RowMask = languages == "en"
    found = {"all": np.ones(len(languages), bool), "en": english, OTHERS: ~english & ~unsure}
    found |= {str(code): languages == code for code in many if code not in ("", "en")}
    return found | {UNSURE: unsure}


def figures_by_language(
    predicted: RowLabels, labels: RowLabels, languages: RowLanguages, seed: int
) -> dict[str, dict[str, Any]]:
    """Returns the figures of each group; 95 % intervals come from resampled rows."""
    draw, found = np.random.default_rng(seed), {}
    for name, of in groups(languages).items():
        if of.any():
            found[name] = figures(predicted[of], labels[of], len(dataset.TIERS), draw)
    return found


def figures(predicted: RowLabels, right: RowLabels, labels: int, draw: np.random.Generator) -> dict[str, Any]:
    """Returns the figures of the rows of one group; `labels` is how many the head has."""
    picks = draw.integers(0, len(right), (DRAWS, len(right)))
    interval = np.percentile((predicted == right)[picks].mean(axis=1), [2.5, 97.5])
    occurs = [label for label in range(labels) if ((predicted == label) | (right == label)).any()]
    return {
        "n": len(right),
        "accuracy": round(float(np.mean(predicted == right)), 4),
        "accuracy_ci95": [round(float(end), 4) for end in interval],
        "macro_f1": round(float(np.mean([metrics.f1(predicted, right, label) for label in occurs])), 4),
        "support": np.bincount(right, minlength=labels).tolist(),
        "found_above_lowest": round(float(np.mean(predicted[right > 0] > 0)), 4) if (right > 0).any() else None,
    }


def run(arguments: argparse.Namespace) -> None:
    """Prints the table of a bundle's tier head, the cascade included; `pointsman features` tells the languages."""
    bundle, rows = Bundle(arguments.bundle), dataset.tiers(arguments.data, training=False)
    measured = features.measure(arguments.pointsman, rows.texts)
    served = bundle.served(bundle.scores(rows.texts, features.scaled(measured, bundle.features)), arguments.head)
    decided = bundle.decided(served, arguments.head)
    languages = np.array([row["language"] for row in measured])
    print(f"| {COLUMNS} |")
    print("|---|---|---|---|---|---|")
    for name, f in figures_by_language(decided, rows.targets["tier"], languages, arguments.seed).items():
        low, high = f["accuracy_ci95"]
        cells = [name, f["n"], f"{f['accuracy']:.3f} ({low:.3f} to {high:.3f})", f"{f['macro_f1']:.3f}"]
        cells += [" / ".join(map(str, f["support"])), f["found_above_lowest"]]
        print(f"| {' | '.join(map(str, cells))} |")
