"""Lexical heads: one linear layer over the features and the hashed n-grams, by L-BFGS on a penalised log loss. No encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags, hstack

from . import memo
from .metrics import sigmoid, softmax

NGRAM_SCALE = 8.0  # n-grams are many and rare: this gives their values about the size of scaled features, so one penalty fits both
ITERATIONS = 100


@dataclass
class Linear:
    """Weights of [outputs, features + n-grams], for unscaled inputs."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray, ngrams: csr_matrix) -> np.ndarray:
        width = features.shape[1]
        return features @ self.weight[:, :width].T + ngrams @ self.weight[:, width:].T + self.bias


@dataclass
class Fits:
    """Fits layers, each only once."""

    work: Path

    def __call__(
        self,
        features: np.ndarray,
        ngrams: csr_matrix,
        targets: np.ndarray,
        penalty: float,
        link: str = "softmax",
        weights: np.ndarray | None = None,
    ) -> Linear:
        name = memo.key(features, ngrams, targets, penalty, link, weights, ITERATIONS, "rarity")
        return Linear(
            **memo.arrays(
                self.work / f"lexical-{name}.npz", lambda: vars(fit(features, ngrams, targets, penalty, link, weights))
            )
        )


def fit(
    features: np.ndarray,
    ngrams: csr_matrix,
    targets: np.ndarray,
    penalty: float,
    link: str = "softmax",
    weights: np.ndarray | None = None,
) -> Linear:
    """Returns the layer with the smallest mean log loss plus `penalty` times half the squared weights, biases free.

    Targets are [rows, outputs]: probabilities that sum to one for the softmax, any of 0 to 1 for the sigmoid; NaN is not known.
    """
    scale = NGRAM_SCALE * rarity(ngrams)
    inputs = hstack([csr_matrix(features), ngrams @ diags(scale)], format="csr").astype(np.float64)
    back, (rows, outputs) = inputs.T.tocsr(), targets.shape
    shares = (np.ones(rows) if weights is None else weights)[:, None] / (rows if weights is None else weights.sum())
    known, targets = ~np.isnan(targets), np.nan_to_num(targets)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        layer = flat.reshape(outputs, -1)
        logits = inputs @ layer[:, :-1].T + layer[:, -1]
        probabilities = softmax(logits) if link == "softmax" else sigmoid(logits)
        terms = targets * np.log(probabilities + 1e-12)
        if link == "sigmoid":
            terms = terms + (1 - targets) * np.log(1 - probabilities + 1e-12)
        errors = (probabilities - targets) * shares * known
        slope = np.hstack([(back @ errors).T + penalty * layer[:, :-1], errors.sum(axis=0)[:, None]])
        return float(-(terms * shares * known).sum() + penalty / 2 * (layer[:, :-1] ** 2).sum()), slope.ravel()

    found = minimize(
        loss, np.zeros(outputs * (inputs.shape[1] + 1)), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    layer = found.x.reshape(outputs, -1)
    weight = layer[:, :-1].copy()
    weight[:, features.shape[1] :] *= scale
    return Linear(weight.astype(np.float32), layer[:, -1].astype(np.float32))


def rarity(ngrams: csr_matrix) -> np.ndarray:
    """Returns the root of each n-gram's inverse document frequency, about one on average: rare ones are penalised less."""
    rows, found = ngrams.shape[0], np.bincount(ngrams.indices, minlength=ngrams.shape[1])
    inverse = np.log((rows + 1) / (found + 1))
    return np.sqrt(inverse / np.average(inverse, weights=found))
