"""The loss of a row, and how often and how much each row counts."""

import random
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ..arrays import LabelValues, RowLabels, RowValues
from ..sequence_bundle import LogitTensor

LabelTensor: TypeAlias = Annotated[torch.Tensor, "[batch]"]
LossTensor: TypeAlias = Annotated[torch.Tensor, "[batch]"]
POWERS = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}  # of the inverse share of a label


def label_weights(labels: RowLabels, weights: RowValues, count: int, scheme: str) -> LabelValues:
    """Returns the weight of each label: 1 on average over the rows."""
    totals = np.bincount(labels, weights, minlength=count)
    present = totals > 0
    inverse = np.ones(count)
    inverse[present] = (totals.sum() / (present.sum() * totals[present])) ** POWERS[scheme]
    scaled: LabelValues = inverse * totals.sum() / (inverse * totals).sum()
    return scaled


@dataclass
class TuningLoss:
    """Cross-entropy, weighted by label and row, and the squared error of the expected level, weighted by row.

    Levels count 0, 1, 2, ...; the expected one is their mean, weighted by the chances of the labels.
    """

    by_label: torch.Tensor
    level_weight: float
    smoothing: float

    def __call__(self, logits: LogitTensor, labels: LabelTensor, weights: torch.Tensor) -> LossTensor:
        logits = logits.float()
        loss = self.by_label[labels] * cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing)
        if self.level_weight:
            levels = torch.arange(logits.shape[1], dtype=logits.dtype, device=logits.device)
            error = logits.softmax(-1) @ levels - levels[labels]
            loss = loss + self.level_weight * error.square()
        return weights * loss


def chances(labels: RowLabels, weights: RowValues, count: int, sampling: str) -> RowValues | None:
    """Returns how likely each row is drawn; nothing where each is taken once an epoch."""
    if sampling == "rows":
        return None
    by_label = sampling != "weight"
    drawn = label_weights(labels, np.ones(len(labels)), count, sampling)[labels] if by_label else weights
    shares: RowValues = drawn / drawn.sum()
    return shares


def epoch_rows(rows: int, shares: RowValues | None, order: random.Random) -> list[int]:
    """Returns the rows of an epoch: all in random order, or as many drawn with replacement."""
    if shares is None:
        return order.sample(range(rows), rows)
    return order.choices(range(rows), shares.tolist(), k=rows)
