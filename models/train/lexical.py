"""Lexical heads: one linear layer over the features and the hashed n-grams, by L-BFGS on a penalised log loss.

No encoder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags, hstack

from . import cache
from .arrays import FeatureRows, Floats, LayerBias, LayerWeight, Logits, NgramRows, RowValues, Targets
from .metrics import sigmoid, softmax

# N-grams are many and rare: this gives their values about the size of scaled features, so one penalty fits both.
NGRAM_SCALE = 8.0
ITERATIONS = 100

Link = Literal["softmax", "sigmoid"]


@dataclass
class LinearLayer:
    """Weights of [outputs, features + n-grams], for unscaled inputs."""

    weight: LayerWeight
    bias: LayerBias

    def logits(self, features: FeatureRows, ngrams: NgramRows) -> Logits:
        width = features.shape[1]
        logits: Logits = features @ self.weight[:, :width].T + ngrams @ self.weight[:, width:].T + self.bias
        return logits


@dataclass
class LayerRows:
    """The rows that a layer is fitted on.

    Targets are [rows, outputs]: probabilities that sum to one for the softmax, any of 0 to 1 for the sigmoid; NaN is
    not known.
    """

    features: FeatureRows
    ngrams: NgramRows
    targets: Targets
    weights: RowValues | None = None

    def shares(self) -> Floats:
        """Returns [rows, 1]: how much each row counts; all of them sum to one."""
        rows = len(self.targets)
        weights: RowValues = np.ones(rows) if self.weights is None else self.weights
        return weights[:, None] / (rows if self.weights is None else weights.sum())


@dataclass
class LayerTrainer:
    """Fits layers, each only once: they are kept in the work folder."""

    work: Path

    def __call__(self, rows: LayerRows, penalty: float, link: Link = "softmax") -> LinearLayer:
        parts = (rows.features, rows.ngrams, rows.targets, penalty, link, rows.weights, ITERATIONS, "rarity")
        file = self.work / f"lexical-{cache.key(*parts)}.npz"
        return LinearLayer(**cache.arrays(file, lambda: vars(fit(rows, penalty, link))))


def fit(rows: LayerRows, penalty: float, link: Link = "softmax") -> LinearLayer:
    """Returns the layer with the smallest mean log loss plus `penalty` times half the squared weights, biases free."""
    scale = NGRAM_SCALE * rarity(rows.ngrams)
    inputs = hstack([csr_matrix(rows.features), rows.ngrams @ diags(scale)], format="csr").astype(np.float64)
    back, outputs, shares = inputs.T.tocsr(), rows.targets.shape[1], rows.shares()
    known, targets = ~np.isnan(rows.targets), np.nan_to_num(rows.targets)

    def loss(flat: Floats) -> tuple[float, Floats]:
        layer = flat.reshape(outputs, -1)
        logits = inputs @ layer[:, :-1].T + layer[:, -1]
        probabilities = softmax(logits) if link == "softmax" else sigmoid(logits)
        terms = targets * np.log(probabilities + 1e-12)
        if link == "sigmoid":
            terms = terms + (1 - targets) * np.log(1 - probabilities + 1e-12)
        errors = (probabilities - targets) * shares * known
        slope = np.hstack([(back @ errors).T + penalty * layer[:, :-1], errors.sum(axis=0)[:, None]])
        return float(-(terms * shares * known).sum() + penalty / 2 * (layer[:, :-1] ** 2).sum()), slope.ravel()

    start = np.zeros(outputs * (inputs.shape[1] + 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    layer = found.x.reshape(outputs, -1)
    weight = layer[:, :-1].copy()
    weight[:, rows.features.shape[1] :] *= scale
    return LinearLayer(weight.astype(np.float32), layer[:, -1].astype(np.float32))


def rarity(ngrams: NgramRows) -> Floats:
    """Returns [ngrams.WIDTH]: the root of each n-gram's inverse document frequency, about one on average.

    Rare ones are penalised less.
    """
    rows, found = ngrams.shape[0], np.bincount(ngrams.indices, minlength=ngrams.shape[1])
    inverse: Floats = np.log((rows + 1) / (found + 1))
    root: Floats = np.sqrt(inverse / np.average(inverse, weights=found))
    return root
