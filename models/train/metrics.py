"""The figures of probabilities against labels and outcomes, with numpy alone; `pointsman eval` computes the same in Rust."""

import numpy as np

BINS = 15


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def ordinal(logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities of levels from logits of being above each: one that is larger than the one before counts as equal."""
    above = np.minimum.accumulate(sigmoid(logits), axis=1)
    edges = np.hstack([np.ones((len(above), 1)), above, np.zeros((len(above), 1))])
    return edges[:, :-1] - edges[:, 1:]


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean())


def f1(predicted: np.ndarray, labels: np.ndarray, label: int) -> float:
    hits = np.sum((predicted == label) & (labels == label))
    return float(2 * hits / max(1, np.sum(predicted == label) + np.sum(labels == label)))


def gap(claimed: np.ndarray, truth: np.ndarray) -> float:
    """Returns the expected calibration error of claimed probabilities over equal-width bins."""
    bin_of = np.minimum((claimed * BINS).astype(int), BINS - 1)
    gaps = [abs(np.sum(truth[bin_of == b]) - np.sum(claimed[bin_of == b])) for b in range(BINS)]
    return float(sum(gaps) / len(truth))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the expected calibration error of the winning label."""
    return gap(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def chance_gap(claimed: np.ndarray, draws: int = 200) -> float:
    """Returns the mean calibration error of claims that are exactly right, on so few rows: nothing can be expected below it."""
    draw = np.random.default_rng(0)
    return float(np.mean([gap(claimed, draw.random(len(claimed)) < claimed) for _ in range(draws)]))


def summary(probabilities: np.ndarray, labels: np.ndarray, names: list[str]) -> dict:
    predicted = probabilities.argmax(axis=1)
    by_label = {name: round(f1(predicted, labels, label), 4) for label, name in enumerate(names)}
    return {
        "n": len(labels),
        "accuracy": round(float(np.mean(predicted == labels)), 4),
        "macro_f1": round(float(np.mean([f1(predicted, labels, label) for label in range(len(names))])), 4),
        "f1": by_label,
        "adjacent_accuracy": round(float(np.mean(np.abs(predicted - labels) <= 1)), 4),
        "ece": round(calibration_error(probabilities, labels), 4),
        "ece_by_chance": round(chance_gap(probabilities.max(axis=1)), 4),
        "nll": round(negative_log_likelihood(probabilities, labels), 4),
    }


def routing(scores: np.ndarray, strong: np.ndarray, weak: np.ndarray) -> dict:
    """Returns APGR and CPT as RouteLLM defines them: eleven thresholds at 0, 10, ..., 100 % calls to the strong model."""
    order, n = np.argsort(-scores, kind="stable"), len(scores)
    gain = np.concatenate([[0.0], np.cumsum((strong - weak)[order])])
    shares = np.linspace(0, 1, 11)
    recovered = gain[np.round(shares * n).astype(int)] / gain[-1]
    cpt = lambda wanted: next(
        (
            float(np.interp(wanted, recovered[at - 1 : at + 1], shares[at - 1 : at + 1]))
            for at in range(1, 11)
            if recovered[at] >= wanted
        ),
        1.0,
    )
    apgr = float(np.mean((recovered[1:] + recovered[:-1]) / 2))
    return {"n": n, "apgr": round(apgr, 4), "cpt_50": round(100 * cpt(0.5), 2), "cpt_80": round(100 * cpt(0.8), 2)}


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature with the smallest negative log likelihood."""
    grid = np.geomspace(0.25, 8, 1001)
    return float(min(grid, key=lambda t: negative_log_likelihood(softmax(logits / t), labels)))
