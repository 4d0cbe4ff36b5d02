"""Makes the heads of a bundle out of tuned tensors: fuses with lexical layers, calibrates on rows nobody learnt from, measures.

Every head exists twice. The full one reads the embedding (and mostly n-grams: the pool of two linear softmax heads is one linear head
over both inputs); `<head>_lexical` stands for it without the encoder.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from . import metrics
from .lexical import Fits, Linear

EMBEDDING_SCALE = 20.0
PENALTIES = (1e-3, 3e-3, 1e-2)
TAUGHT = 0.5  # share of a lexical tier target that is the full model's opinion; the rest is the label
STOP_AGREEMENT = 0.98  # the cascade may stop where the lexical form gives the full head's label this often
STOP_ROWS = 50


@dataclass
class View:
    """Prompts as heads read them."""

    embedding: np.ndarray
    features: np.ndarray
    ngrams: csr_matrix

    def where(self, kept: np.ndarray) -> "View":
        return View(self.embedding[kept], self.features[kept], self.ngrams[kept])

    def blocks(self) -> dict:
        return {"embedding": self.embedding, "features": self.features, "ngrams": self.ngrams}


@dataclass
class Fitted:
    """A head: its manifest entry and its tensors."""

    spec: dict
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: dict, *layers: tuple[np.ndarray, np.ndarray]) -> "Fitted":
        tensors = {}
        for index, (weight, bias) in enumerate(layers):
            tensors |= {f"{spec['name']}.{index}.weight": np.ascontiguousarray(weight, np.float32)}
            tensors |= {f"{spec['name']}.{index}.bias": np.ascontiguousarray(bias, np.float32)}
        return cls(spec, tensors)


@dataclass
class Pair:
    """Logits of the two parts of a full head on the same rows."""

    encoder: np.ndarray
    lexical: np.ndarray


def dense(tensors: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns weight and bias of a tuned head over the embedding."""
    return tensors[f"heads.{name}.weight"], tensors[f"heads.{name}.bias"]


def chosen_penalty(fit: Fits, view: View, labels: np.ndarray, folds: np.ndarray) -> tuple[float, dict]:
    """Returns the penalty with the smallest log loss on two folds that the fit did not see, and the losses of all."""
    losses = {}
    for penalty in PENALTIES:
        total = []
        for fold in (folds.max() - 1, folds.max()):
            inside, outside = folds != fold, folds == fold
            layer = fit(view.features[inside], view.ngrams[inside], np.eye(labels.max() + 1)[labels[inside]], penalty)
            logits = layer.logits(view.features[outside], view.ngrams[outside])
            total.append(log_loss(logits, labels[outside], "softmax"))
        losses[penalty] = round(float(np.mean(total)), 4)
    return min(losses, key=losses.get), losses


def log_loss(logits: np.ndarray, labels: np.ndarray, link: str) -> float:
    if link == "softmax":
        return metrics.negative_log_likelihood(metrics.softmax(logits), labels)
    p = metrics.sigmoid(logits)
    return float(-(labels * np.log(p + 1e-12) + (1 - labels) * np.log(1 - p + 1e-12)).mean())


def fused(pair: Pair, labels: np.ndarray, link: str = "softmax") -> tuple[float, float]:
    """Returns how much the lexical logits weigh beside the encoder's, at least 0, and the temperature of the sum."""

    def loss(point: np.ndarray) -> float:
        logits = (pair.encoder + np.exp(point[0]) * pair.lexical) / np.exp(point[1])
        return log_loss(logits, labels, link)

    found = minimize(
        loss, np.array([-0.7, 0.2]), method="Nelder-Mead", options={"maxiter": 400, "xatol": 1e-3, "fatol": 1e-6}
    )
    return float(np.exp(found.x[0])), float(np.exp(found.x[1]))


def stop_at(form: np.ndarray, full: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the smallest top probability of the lexical form from which on it agrees with the full head, and is no worse.

    Agreement, because it is free of the labels' noise: the rows that nothing learnt from are few.
    """
    top, form_right, full_right = form.max(axis=1), form.argmax(axis=1) == labels, full.argmax(axis=1) == labels
    same = form.argmax(axis=1) == full.argmax(axis=1)
    for confidence in np.arange(0.5, 1.0, 0.01):
        above = top >= confidence
        if above.sum() < STOP_ROWS:
            return None
        if same[above].mean() >= STOP_AGREEMENT and form_right[above].mean() >= full_right[above].mean():
            return round(float(confidence), 2)
    return None


@dataclass
class Scale:
    """Turns logits into chances: a bias for each label is added, then a temperature divides."""

    bias: np.ndarray
    temperature: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        return metrics.softmax((logits + self.bias) / self.temperature)


def calibrated(logits: np.ndarray, labels: np.ndarray) -> Scale:
    """Returns the temperature with the smallest log loss, and biases that speak up for rare labels."""
    temperature = temperature_of(logits, labels, metrics.softmax)
    prior = np.log((np.bincount(labels, minlength=logits.shape[1]) + 1) / (len(labels) + logits.shape[1]))
    bias = temperature * spoken_up(metrics.softmax(logits / temperature), prior)
    return Scale(bias, temperature_of(logits + bias, labels, metrics.softmax))


def spoken_up(chances: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Returns what to add to log chances: the part of `-prior` that gains more macro F1 than it costs accuracy.

    Both are expected from the chances, not counted: a few hundred rows hold too few of the rare labels to count hits.
    """

    def worth(part: float) -> float:
        chosen = (np.log(chances + 1e-12) - part * prior).argmax(axis=1)
        picked = np.eye(len(prior))[chosen]
        hits = (picked * chances).sum(axis=0)
        return hits.sum() / len(chances) + np.mean(2 * hits / (picked.sum(axis=0) + chances.sum(axis=0)))

    return -max(np.arange(11) / 10, key=worth) * prior


def temperature_of(logits: np.ndarray, labels: np.ndarray, link) -> float:
    grid = np.geomspace(0.25, 8, 501)
    return float(min(grid, key=lambda t: metrics.negative_log_likelihood(link(logits / t), labels)))


def pooled(
    name: str,
    kind: str,
    labels: list[str],
    encoder: tuple,
    layer: Linear,
    ratio: float,
    temperature: float,
    extra: dict,
) -> Fitted:
    """Returns the full head of two linear ones: weights beside each other, biases added."""
    spec = {
        "name": name,
        "kind": kind,
        "labels": labels,
        **extra,
        "inputs": ["embedding", "features", "ngrams"],
        "temperature": round(temperature, 4),
    }
    return Fitted.of(spec, (np.hstack([encoder[0], ratio * layer.weight]), encoder[1] + ratio * layer.bias))


def form(
    name: str, kind: str, labels: list[str], layer: Linear, temperature: float, extra: dict, confidence: float | None
) -> Fitted:
    """Returns the lexical form of the head called `name`."""
    spec = {"name": f"{name}_lexical", "kind": kind, "labels": labels, **extra, "inputs": ["features", "ngrams"]}
    spec |= {"temperature": round(temperature, 4), "stands_for": name} | (
        {"confidence": confidence} if confidence else {}
    )
    return Fitted.of(spec, (layer.weight, layer.bias))


def wins(
    name: str, blocks: list[str], weight: np.ndarray, bias: np.ndarray, line: tuple[float, float], extra: dict
) -> Fitted:
    """Returns a head over weak and strong: two units know one model's chance each, their difference decides.

    A logistic function is a hyperbolic tangent: s(z) = (1 + tanh(z / 2)) / 2, so a difference of chances is half one of tangents.
    """
    slope, offset = line
    spec = {
        "name": name,
        "kind": "multinomial",
        "labels": ["weak", "strong"],
        "inputs": blocks,
        "activation": "tanh",
        "temperature": 1.0,
    } | extra
    last = np.array([[0.0, 0.0], [slope / 2, -slope / 2]]), np.array([0.0, offset])
    return Fitted.of(spec, (weight / 2, bias / 2), last)


def line_of(gain: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    """Returns slope and offset of the logit of `event` over the gain in the chance of a right answer."""

    def loss(point: np.ndarray) -> float:
        p = metrics.sigmoid(point[0] * gain + point[1])
        return float(-(event * np.log(p + 1e-12) + (1 - event) * np.log(1 - p + 1e-12)).mean())

    found = minimize(loss, np.array([4.0, -2.0]), method="Nelder-Mead", options={"maxiter": 400})
    return float(found.x[0]), float(found.x[1])


def ordered(scores: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights of `scores`, [rows, scores], and descending thresholds, [levels - 1]: proportional odds.

    The logit of being above level k is one weighted sum for all k, plus the k-th threshold, so chances never cross.
    """
    width, borders = scores.shape[1], int(levels.max())

    def parts(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return point[:width], point[width] - np.concatenate([[0.0], np.cumsum(np.exp(point[width + 1 :]))])

    def loss(point: np.ndarray) -> float:
        weights, thresholds = parts(point)
        return metrics.negative_log_likelihood(metrics.ordinal((scores @ weights)[:, None] + thresholds), levels)

    start = np.concatenate([np.full(width, 1 / width), [0.0], np.zeros(borders - 1)])
    return parts(minimize(loss, start, method="Powell", options={"maxiter": 50}).x)
