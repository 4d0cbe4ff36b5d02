"""How good a head is by language: what one figure over all rows hides, most of which are English."""

import numpy as np

from . import dataset, features, metrics
from .scorer import Bundle

LEAST_ROWS, DRAWS = 30, 2000
OTHERS, UNSURE = "all others", "not told"


def groups(languages: np.ndarray) -> dict[str, np.ndarray]:
    """Returns which rows are of each group: all, English, all others, every other language with 30 rows, and what is too short to tell."""
    codes, counts = np.unique(languages, return_counts=True)
    large = [code for code, count in zip(codes, counts) if count >= LEAST_ROWS and code not in ("", "en")]
    unsure, english = np.isin(languages, ["", None]), languages == "en"
    found = {"all": np.ones(len(languages), bool), "en": english, OTHERS: ~english & ~unsure}
    return found | {str(code): languages == code for code in large} | {UNSURE: unsure}


def table(probabilities: np.ndarray, labels: np.ndarray, languages: np.ndarray, seed: int) -> dict[str, dict]:
    """Returns the figures of each group; 95 % intervals come from resampled rows."""
    draw, predicted, found = np.random.default_rng(seed), probabilities.argmax(axis=1), {}
    for name, of in groups(languages).items():
        if not of.any():
            continue
        said, right = predicted[of], labels[of]
        picks = draw.integers(0, len(right), (DRAWS, len(right)))
        interval = np.percentile((said == right)[picks].mean(axis=1), [2.5, 97.5])
        occurs = [label for label in range(probabilities.shape[1]) if ((said == label) | (right == label)).any()]
        found[name] = {
            "n": int(of.sum()),
            "accuracy": round(float(np.mean(said == right)), 4),
            "accuracy_ci95": [round(float(end), 4) for end in interval],
            "macro_f1": round(float(np.mean([metrics.f1(said, right, label) for label in occurs])), 4),
            "support": np.bincount(right, minlength=probabilities.shape[1]).tolist(),
            "found_above_lowest": round(float(np.mean(said[right > 0] > 0)), 4) if (right > 0).any() else None,
        }
    return found


def run(arguments) -> None:
    """Prints the table of a bundle's tier head, the cascade included; `pointsman features` tells the languages."""
    bundle, rows = Bundle(arguments.bundle), dataset.tiers(arguments.data, training=False)
    measured = features.measure(arguments.pointsman, rows.texts)
    scores = bundle.served(bundle.scores(rows.texts, features.scaled(measured, bundle.features)), arguments.head)
    languages = np.array([row["language"] for row in measured])
    print(
        "| language | n | accuracy (95 %) | macro F1 | simple / medium / complex | of those above simple, judged above it |"
    )
    print("|---|---|---|---|---|---|")
    for name, f in table(scores, rows.targets["tier"], languages, arguments.seed).items():
        low, high = f["accuracy_ci95"]
        cells = [name, f["n"], f"{f['accuracy']:.3f} ({low:.3f} to {high:.3f})", f"{f['macro_f1']:.3f}"]
        cells += [" / ".join(map(str, f["support"])), f["found_above_lowest"]]
        print(f"| {' | '.join(map(str, cells))} |")
