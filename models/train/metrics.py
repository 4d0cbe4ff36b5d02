"""The figures of probabilities against labels and outcomes, with numpy alone.

`pointsman eval` computes the same in Rust.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import Floats, Logits, Probabilities, RowLabels, RowMask, RowValues

BINS = 15
CALL_SHARES = 11  # 0, 10, ..., 100 % of the calls go to the strong model


def softmax(logits: Logits) -> Probabilities:
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    totals: Floats = powers.sum(axis=1, keepdims=True)
    return powers / totals


def sigmoid(logits: Floats) -> Floats:
    inverse_odds: Floats = np.exp(-logits)
    return 1 / (1 + inverse_odds)


def ordinal(logits: Logits) -> Probabilities:
    """Returns [rows, levels] from logits of being above each level but the last.

    A logit that is larger than the one before counts as equal to it.
    """
    above: Floats = np.minimum.accumulate(sigmoid(logits), axis=1)
    edges = np.hstack([np.ones((len(above), 1)), above, np.zeros((len(above), 1))])
    return edges[:, :-1] - edges[:, 1:]


def expected_level(probabilities: Probabilities) -> RowValues:
    """Returns the mean place of each row on the scale of the labels, from 0 for the first to 1 for the last."""
    level: RowValues = probabilities @ np.linspace(0, 1, probabilities.shape[1])
    return level


def negative_log_likelihood(probabilities: Probabilities, labels: RowLabels) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def fit_temperature(logits: Logits, labels: RowLabels, link: Callable[[Logits], Probabilities]) -> float:
    """Returns the temperature with the smallest log loss."""
    grid = np.geomspace(0.25, 8, 501)
    return float(min(grid, key=lambda t: negative_log_likelihood(link(logits / t), labels)))


def precision(predicted: RowLabels, labels: RowLabels, label: int) -> float:
    hits = np.sum((predicted == label) & (labels == label))
    return float(hits / max(1, np.sum(predicted == label)))


def recall(predicted: RowLabels, labels: RowLabels, label: int) -> float:
    hits = np.sum((predicted == label) & (labels == label))
    return float(hits / max(1, np.sum(labels == label)))


def f1(predicted: RowLabels, labels: RowLabels, label: int) -> float:
    hits = np.sum((predicted == label) & (labels == label))
    return float(2 * hits / max(1, np.sum(predicted == label) + np.sum(labels == label)))


def gap(claimed: RowValues, truth: RowMask | RowValues) -> float:
    """Returns the expected calibration error of claimed probabilities over equal-width bins."""
    bin_of = np.minimum((claimed * BINS).astype(int), BINS - 1)
    gaps = [abs(np.sum(truth[bin_of == b]) - np.sum(claimed[bin_of == b])) for b in range(BINS)]
    return float(sum(gaps) / len(truth))


def chance_gap(claimed: RowValues, draws: int = 200) -> float:
    """Returns the mean calibration error of claims that are exactly right, on so few rows.

    Nothing can be expected below it.
    """
    draw = np.random.default_rng(0)
    return float(np.mean([gap(claimed, draw.random(len(claimed)) < claimed) for _ in range(draws)]))


def summary(
    probabilities: Probabilities, labels: RowLabels, names: list[str], decided: RowLabels | None = None
) -> dict[str, Any]:
    """Returns the figures of the labels that were decided, the most probable ones unless others are given."""
    predicted = probabilities.argmax(axis=1) if decided is None else decided
    claimed = probabilities[np.arange(len(labels)), predicted]
    by_label = {name: round(f1(predicted, labels, label), 4) for label, name in enumerate(names)}
    return {
        "n": len(labels),
        "accuracy": round(float(np.mean(predicted == labels)), 4),
        "macro_f1": round(float(np.mean([f1(predicted, labels, label) for label in range(len(names))])), 4),
        "f1": by_label,
        "adjacent_accuracy": round(float(np.mean(np.abs(predicted - labels) <= 1)), 4),
        "ece": round(gap(claimed, predicted == labels), 4),
        "ece_by_chance": round(chance_gap(claimed), 4),
        "nll": round(negative_log_likelihood(probabilities, labels), 4),
    }


def routing(scores: RowValues, strong: RowValues, weak: RowValues) -> dict[str, Any]:
    """Returns APGR and CPT as RouteLLM defines them.

    Eleven thresholds at 0, 10, ..., 100 % calls to the strong model.
    """
    order, n = np.argsort(-scores, kind="stable"), len(scores)
    gain = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    shares = np.linspace(0, 1, CALL_SHARES)
    recovered = gain[np.round(shares * n).astype(int)] / gain[-1]

    def call_share(wanted: float) -> float:
        """Returns the smallest share of strong calls that recovers so much of the gain, interpolated."""
        for at in range(1, CALL_SHARES):
            if recovered[at] >= wanted:
                return float(np.interp(wanted, recovered[at - 1 : at + 1], shares[at - 1 : at + 1]))
        return 1.0

    apgr = float(np.mean((recovered[1:] + recovered[:-1]) / 2))
    halves = {f"cpt_{round(100 * wanted)}": round(100 * call_share(wanted), 2) for wanted in (0.5, 0.8)}
    return {"n": n, "apgr": round(apgr, 4)} | halves
