"""The figures of a probability table against labels, with numpy alone."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def f1(predicted: np.ndarray, labels: np.ndarray, tier: int) -> float:
    hits = np.sum((predicted == tier) & (labels == tier))
    return float(2 * hits / max(1, np.sum(predicted == tier) + np.sum(labels == tier)))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Returns the expected calibration error of the winning tier over equal-width bins."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(np.sum(right[bin_of == b]) - np.sum(confidence[bin_of == b])) for b in range(bins)]
    return float(sum(gaps) / len(labels))


def summary(probabilities: np.ndarray, labels: np.ndarray, names: list[str]) -> dict:
    predicted = probabilities.argmax(axis=1)
    by_tier = {name: round(f1(predicted, labels, tier), 4) for tier, name in enumerate(names)}
    return {
        "n": len(labels),
        "accuracy": round(float(np.mean(predicted == labels)), 4),
        "macro_f1": round(float(np.mean([f1(predicted, labels, tier) for tier in range(len(names))])), 4),
        "f1": by_tier,
        "adjacent_accuracy": round(float(np.mean(np.abs(predicted - labels) <= 1)), 4),
        "ece": round(calibration_error(probabilities, labels), 4),
        "nll": round(negative_log_likelihood(probabilities, labels), 4),
    }


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature with the smallest negative log likelihood."""
    grid = np.geomspace(0.25, 8, 1001)
    return float(min(grid, key=lambda t: negative_log_likelihood(softmax(logits / t), labels)))
