"""A correction of a finished head: a linear layer over the embedding and the n-grams whose logits are added.

It learns from few rows what the head gets wrong, and its penalty is large, so that the head stays what it was where
those rows say nothing. It reads the dense features too, because the head takes length for a sign of a hard prompt: the
supplement has long rows of all tiers. With thousands of inputs and fewer rows the dual is the smaller problem: a weight
for each row.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.sparse import diags

from .arrays import Floats, LayerBias, LayerWeight, Logits, RowLabels, RowValues
from .assemble import InputBlocks
from .lexical import NGRAM_SCALE

ITERATIONS = 60
JITTER = 1e-6


@dataclass
class CorrectedRows:
    """Rows with the logits that they have, their labels, and how much each one counts."""

    view: InputBlocks
    logits: Logits
    labels: RowLabels
    weights: RowValues


@dataclass
class Correction:
    """Weights of [labels, inputs] for unscaled inputs; none of the embedding where it was not learnt from."""

    embedding: LayerWeight
    features: LayerWeight
    ngrams: LayerWeight
    bias: LayerBias

    def logits(self, view: InputBlocks) -> Logits:
        added: Logits = view.embedding[:, : self.embedding.shape[1]] @ self.embedding.T + self.bias
        whole: Logits = added + view.features @ self.features.T + view.ngrams @ self.ngrams.T
        return whole


@dataclass
class Penalties:
    """The penalties of the squared weights; without one for the embedding it is not learnt from."""

    ngrams: float
    embedding: float | None
    features: float


def fit(rows: CorrectedRows, scale: RowValues, penalties: Penalties) -> Correction:
    """Returns the correction with the smallest log loss plus half the penalised squares; `scale` is one of n-grams."""
    scale = NGRAM_SCALE * scale
    inputs = (rows.view.ngrams @ diags(scale)).tocsr()
    alike = (inputs @ inputs.T).toarray() / penalties.ngrams
    embedding = rows.view.embedding.astype(np.float64)[:, : None if penalties.embedding else 0]
    if penalties.embedding:
        alike += embedding @ embedding.T / penalties.embedding
    measured = rows.view.features.astype(np.float64)
    alike += measured @ measured.T / penalties.features
    duals, bias = solve(alike, rows)
    read: Floats = (embedding.T @ duals).T / (penalties.embedding or 1.0)
    weighed: Floats = (measured.T @ duals).T / penalties.features
    counted: Floats = np.asarray((inputs.T @ duals).T) / penalties.ngrams * scale
    return Correction(*(part.astype(np.float32) for part in (read, weighed, counted, bias)))


def solve(alike: Floats, rows: CorrectedRows) -> tuple[Floats, Floats]:
    """Returns the dual weights, [rows, labels], and the biases."""
    count, labels = rows.logits.shape
    root = np.linalg.cholesky(alike + JITTER * np.trace(alike) / count * np.eye(count))
    shares, targets = (rows.weights / rows.weights.sum())[:, None], np.eye(labels)[rows.labels]

    def loss(flat: Floats) -> tuple[float, Floats]:
        point, bias = flat[:-labels].reshape(count, labels), flat[-labels:]
        logits = rows.logits + root @ point + bias
        logits = logits - logits.max(axis=1, keepdims=True)
        chances = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        errors = (np.exp(chances) - targets) * shares
        slope = np.concatenate([(root.T @ errors + point).ravel(), errors.sum(axis=0)])
        return float(-(targets * chances * shares).sum() + 0.5 * (point**2).sum()), slope

    start = np.zeros(count * labels + labels)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    point = found.x[:-labels].reshape(count, labels)
    return solve_triangular(root, point, trans="T", lower=True), found.x[-labels:]
