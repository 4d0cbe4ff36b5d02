"""Makes the heads of a bundle out of tuned tensors.

Fuses with lexical layers, calibrates on rows nobody learnt from, measures.

Every head exists twice. The full one reads the embedding (and mostly n-grams: the pool of two linear softmax heads is
one linear head over both inputs); `<head>_lexical` stands for it without the encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from . import metrics
from .arrays import (
    Embeddings,
    FeatureRows,
    Floats,
    LabelValues,
    LayerBias,
    LayerWeight,
    Logits,
    NgramRows,
    Probabilities,
    RowFolds,
    RowLabels,
    RowMask,
    RowValues,
    Tensors,
)
from .lexical import LayerRows, LayerTrainer, LinearLayer

PENALTIES = (1e-3, 3e-3, 1e-2)
TEACHER_SHARE = 0.5  # share of a lexical tier target that is the full model's opinion; the rest is the label
STOP_AGREEMENT = 0.98  # the cascade may stop where the lexical form gives the full head's label this often
STOP_ROWS = 50

Layer = tuple[LayerWeight, LayerBias]


@dataclass
class InputBlocks:
    """Prompts as heads read them."""

    embedding: Embeddings
    features: FeatureRows
    ngrams: NgramRows

    def where(self, kept: RowMask) -> "InputBlocks":
        return InputBlocks(self.embedding[kept], self.features[kept], self.ngrams[kept])

    def blocks(self) -> dict[str, Embeddings | FeatureRows | NgramRows]:
        return {"embedding": self.embedding, "features": self.features, "ngrams": self.ngrams}


@dataclass
class BundleHead:
    """A head of a bundle: its manifest entry and its tensors."""

    spec: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)

    @classmethod
    def of(cls, spec: dict[str, Any], *layers: Layer) -> "BundleHead":
        tensors: Tensors = {}
        for index, (weight, bias) in enumerate(layers):
            tensors |= {f"{spec['name']}.{index}.weight": np.ascontiguousarray(weight, np.float32)}
            tensors |= {f"{spec['name']}.{index}.bias": np.ascontiguousarray(bias, np.float32)}
        return cls(spec, tensors)


@dataclass
class LabelSet:
    """The labels of a head, and what its manifest entry says of them besides: aliases."""

    head: str
    kind: str
    labels: list[str]
    extra: dict[str, Any] = field(default_factory=dict)

    def spec(self, name: str) -> dict[str, Any]:
        """Returns the beginning of a manifest entry: keys stand in the order in which the file has them."""
        return {"name": name, "kind": self.kind, "labels": self.labels, **self.extra}


@dataclass
class LogitPair:
    """Logits of the two parts of a full head on the same rows."""

    encoder: Logits
    lexical: Logits


@dataclass
class Fusion:
    """The sum of the two parts of a full head.

    The lexical logits times `ratio` are added, then `temperature` divides.
    """

    ratio: float
    temperature: float


@dataclass
class LogitLine:
    """The logit of an event as a straight line over one number."""

    slope: float
    offset: float


@dataclass
class Calibration:
    """Turns logits into chances: a bias for each label is added, then a temperature divides."""

    bias: LabelValues
    temperature: float

    def __call__(self, logits: Logits) -> Probabilities:
        return metrics.softmax((logits + self.bias) / self.temperature)


def tuned_head(tensors: Tensors, name: str) -> Layer:
    """Returns weight and bias of a tuned head over the embedding."""
    return tensors[f"heads.{name}.weight"], tensors[f"heads.{name}.bias"]


def choose_penalty(
    fit: LayerTrainer, view: InputBlocks, labels: RowLabels, folds: RowFolds
) -> tuple[float, dict[float, float]]:
    """Returns the penalty with the smallest log loss on two folds that the fit did not see, and the losses of all."""
    losses = {}
    for penalty in PENALTIES:
        total = []
        for fold in (folds.max() - 1, folds.max()):
            inside, outside = folds != fold, folds == fold
            targets = np.eye(labels.max() + 1)[labels[inside]]
            layer = fit(LayerRows(view.features[inside], view.ngrams[inside], targets), penalty)
            logits = layer.logits(view.features[outside], view.ngrams[outside])
            total.append(metrics.negative_log_likelihood(metrics.softmax(logits), labels[outside]))
        losses[penalty] = round(float(np.mean(total)), 4)
    return min(losses, key=lambda penalty: losses[penalty]), losses


def cross_entropy(p: Floats, event: Floats) -> float:
    """Returns the mean log loss of chances against what happened, 0 or 1, both of the same axes."""
    return float(-(event * np.log(p + 1e-12) + (1 - event) * np.log(1 - p + 1e-12)).mean())


def fit_fusion(pair: LogitPair, loss: Callable[[Logits], float]) -> Fusion:
    """Returns how much the lexical logits weigh beside the encoder's, at least 0, and the temperature of the sum."""

    def loss_at(point: Floats) -> float:
        return loss((pair.encoder + np.exp(point[0]) * pair.lexical) / np.exp(point[1]))

    options = {"maxiter": 400, "xatol": 1e-3, "fatol": 1e-6}
    found = minimize(loss_at, np.array([-0.7, 0.2]), method="Nelder-Mead", options=options)
    return Fusion(float(np.exp(found.x[0])), float(np.exp(found.x[1])))


def stopping_confidence(form: Probabilities, full: Probabilities, labels: RowLabels) -> float | None:
    """Returns the smallest top probability of the lexical form from which on the cascade may stop.

    From there on the form agrees with the full head, and is no worse. Agreement counts, because it is free of the
    labels' noise: the rows that nothing learnt from are few.
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


def fit_calibration(logits: Logits, labels: RowLabels) -> Calibration:
    """Returns the temperature with the smallest log loss, and biases that speak up for rare labels."""
    temperature = metrics.fit_temperature(logits, labels, metrics.softmax)
    prior = np.log((np.bincount(labels, minlength=logits.shape[1]) + 1) / (len(labels) + logits.shape[1]))
    bias = temperature * rare_label_biases(metrics.softmax(logits / temperature), prior)
    return Calibration(bias, metrics.fit_temperature(logits + bias, labels, metrics.softmax))


def rare_label_biases(chances: Probabilities, prior: LabelValues) -> LabelValues:
    """Returns what to add to log chances: the part of `-prior` that gains more macro F1 than it costs accuracy.

    Both are expected from the chances, not counted: a few hundred rows hold too few of the rare labels to count hits.
    """

    def worth(part: float) -> float:
        chosen = (np.log(chances + 1e-12) - part * prior).argmax(axis=1)
        picked = np.eye(len(prior))[chosen]
        hits = (picked * chances).sum(axis=0)
        return float(hits.sum() / len(chances) + np.mean(2 * hits / (picked.sum(axis=0) + chances.sum(axis=0))))

    parts: list[float] = list(np.arange(11) / 10)
    return -max(parts, key=worth) * prior


def full_head(labels: LabelSet, encoder: Layer, lexical: LinearLayer, fusion: Fusion) -> BundleHead:
    """Returns the full head of two linear ones: weights beside each other, biases added."""
    inputs = {"inputs": ["embedding", "features", "ngrams"], "temperature": round(fusion.temperature, 4)}
    weight = np.hstack([encoder[0], fusion.ratio * lexical.weight])
    return BundleHead.of(labels.spec(labels.head) | inputs, (weight, encoder[1] + fusion.ratio * lexical.bias))


def lexical_form(labels: LabelSet, layer: LinearLayer, temperature: float, confidence: float | None) -> BundleHead:
    """Returns the head that stands for the full one without the encoder, and where it may do so in the cascade."""
    spec = labels.spec(f"{labels.head}_lexical") | {"inputs": ["features", "ngrams"]}
    spec |= {"temperature": round(temperature, 4), "stands_for": labels.head}
    return BundleHead.of(spec | ({"confidence": confidence} if confidence else {}), (layer.weight, layer.bias))


def difference_head(spec: dict[str, Any], layer: Layer, line: LogitLine) -> BundleHead:
    """Returns a head over weak and strong: two units know one model's chance each, their difference decides.

    `spec` has the name and the inputs, and what else the manifest entry ends with. A logistic function is a hyperbolic
    tangent: s(z) = (1 + tanh(z / 2)) / 2, so a difference of chances is half one of tangents.
    """
    fixed = {"kind": "multinomial", "labels": ["weak", "strong"], "inputs": spec["inputs"], "activation": "tanh"}
    last = np.array([[0.0, 0.0], [line.slope / 2, -line.slope / 2]]), np.array([0.0, line.offset])
    return BundleHead.of(
        {"name": spec["name"]} | fixed | {"temperature": 1.0} | spec, (layer[0] / 2, layer[1] / 2), last
    )


def fit_logit_line(gain: RowValues, event: RowValues) -> LogitLine:
    """Returns the logit of `event` over the gain in the chance of a right answer."""

    def loss(point: Floats) -> float:
        return cross_entropy(metrics.sigmoid(point[0] * gain + point[1]), event)

    found = minimize(loss, np.array([4.0, -2.0]), method="Nelder-Mead", options={"maxiter": 400})
    return LogitLine(float(found.x[0]), float(found.x[1]))


def fit_proportional_odds(scores: Floats, levels: RowLabels) -> tuple[Floats, Floats]:
    """Returns the weights of `scores`, [rows, scores], and descending thresholds, [levels - 1]: proportional odds.

    The logit of being above level k is one weighted sum for all k, plus the k-th threshold, so chances never cross.
    """
    width, borders = scores.shape[1], int(levels.max())

    def parts(point: Floats) -> tuple[Floats, Floats]:
        return point[:width], point[width] - np.concatenate([[0.0], np.cumsum(np.exp(point[width + 1 :]))])

    def loss(point: Floats) -> float:
        weights, thresholds = parts(point)
        return metrics.negative_log_likelihood(metrics.ordinal((scores @ weights)[:, None] + thresholds), levels)

    start = np.concatenate([np.full(width, 1 / width), [0.0], np.zeros(borders - 1)])
    return parts(minimize(loss, start, method="Powell", options={"maxiter": 50}).x)
