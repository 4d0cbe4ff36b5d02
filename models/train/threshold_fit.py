"""Thresholds on the expected level for each lean, and the confidence that a lexical form needs for each label."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from . import metrics
from .arrays import Floats, Probabilities, RowLabels, RowMask, RowValues
from .dataset import TIERS

GRID = np.round(np.arange(0.05, 0.96, 0.01), 2)
# By how much `even` may lower accuracy and macro F1 of the data's rows below those of the most probable label; where no
# thresholds do as well as that, below those of the best thresholds.
SLACK = 0.02
# What a step too low costs, and what a step too high does. A mistake of two steps costs TWO_STEPS times that of one: a
# hard prompt at the bottom, or a trivial one at the top, is what people notice.
TWO_STEPS = 3.7
COSTS = {"cheap": (1.0, 2.0), "even": (1.0, 1.0), "strong": (2.0, 1.0)}
# Added to the upper threshold of `even`, for fewer trivial prompts at the top. Chosen, as TWO_STEPS and AGREEMENT, with
# the figures of the plausibility set in sight. Held-out rows lose a point of accuracy, validation rows gain 0.3.
MARGIN = 0.05
SHARE_OF_DATA = 0.5  # of the weight that all rows have; the supplement has the rest
CONFIDENCES = np.round(np.arange(0.51, 1.0, 0.01), 2)
# A form may answer rows of a label that it shares with the full head this often; over all rows it may cost so much
# accuracy.
LEAST_STOPS, AGREEMENT, MOST_LOST = 25, 0.98, 0.003


@dataclass
class Judged:
    """Chances of rows beside their labels."""

    chances: Probabilities
    labels: RowLabels

    def where(self, kept: RowMask) -> "Judged":
        return Judged(self.chances[kept], self.labels[kept])

    def with_rows(self, others: "Judged") -> "Judged":
        chances = np.vstack([self.chances, others.chances])
        return Judged(chances, np.concatenate([self.labels, others.labels]))

    def decided(self, thresholds: list[float] | None) -> RowLabels:
        """Returns the labels that thresholds decide; without any, the most probable ones."""
        if thresholds is None:
            labels: RowLabels = self.chances.argmax(axis=1)
            return labels
        level = metrics.expected_level(self.chances)
        steps: RowLabels = np.sum(level[:, None] >= np.array(thresholds)[None], axis=1)
        return steps

    def summary(self, thresholds: list[float] | None) -> dict[str, Any]:
        """Returns how good the decided labels are, and both mistakes."""
        found, rows = self.decided(thresholds), np.arange(len(self.labels))
        f1 = [metrics.f1(found, self.labels, label) for label in range(len(TIERS))]
        right = found == self.labels
        shares = {
            "complex_at_the_top": (2, 2),
            "complex_at_the_bottom": (2, 0),
            "simple_at_the_top": (0, 2),
            "simple_at_the_bottom": (0, 0),
        }
        return {
            "accuracy": round(float(right.mean()), 4),
            "macro_f1": round(float(np.mean(f1)), 4),
            "ece": round(metrics.gap(self.chances[rows, found], right), 4),
        } | {name: round(float(np.mean(found[self.labels == of] == at)), 4) for name, (of, at) in shares.items()}


@dataclass
class Thresholds:
    """The thresholds of each lean, and the shares of the labels that they were fitted for."""

    LEANS: ClassVar[tuple[str, ...]] = tuple(COSTS)
    prior: list[float]
    cheap: list[float] = field(default_factory=list)
    even: list[float] = field(default_factory=list)
    strong: list[float] = field(default_factory=list)

    def of(self, lean: str) -> list[float]:
        thresholds: list[float] = getattr(self, lean)
        return thresholds

    def manifest(self) -> dict[str, list[float]]:
        return {"prior": self.prior} | {lean: self.of(lean) for lean in self.LEANS}


def weights_of(data: Judged, written: Judged) -> RowValues:
    """Returns the weights of rows of the data, then of the supplement; they add up to 1."""
    counts = len(data.labels), len(written.labels)
    return np.repeat((SHARE_OF_DATA / counts[0], (1 - SHARE_OF_DATA) / counts[1]), counts)


def fit_thresholds(data: Judged, written: Judged) -> Thresholds:
    """Returns the thresholds with the smallest cost over both kinds of rows, neither of which was learnt from."""
    both, weights = data.with_rows(written), weights_of(data, written)
    prior = np.bincount(both.labels, weights=weights, minlength=len(TIERS))
    found = Thresholds([round(float(share), 3) for share in prior])
    for lean, costs in COSTS.items():
        allowed = harmless(data) if lean == "even" else np.ones((len(GRID), len(GRID)), bool)
        setattr(found, lean, cheapest(both, weights, costs, allowed))
    found.even[1] = round(found.even[1] + MARGIN, 2)
    return ordered(found)


def harmless(data: Judged) -> RowMask:
    """Returns for each pair of cuts whether the data's rows are judged about as well as by the most probable label."""
    before = data.summary(None)
    loss = np.full((len(GRID), len(GRID)), np.inf)
    for first, low in enumerate(GRID):
        for second, high in enumerate(GRID[first:], first):
            found = data.decided([low, high])
            f1 = np.mean([metrics.f1(found, data.labels, label) for label in range(len(TIERS))])
            right = np.mean(found == data.labels)
            loss[first, second] = max(before["accuracy"] - right, before["macro_f1"] - f1, 0.0)
    allowed: RowMask = loss <= loss.min() + SLACK
    return allowed


def cheapest(rows: Judged, weights: RowValues, costs: tuple[float, float], allowed: RowMask) -> list[float]:
    """Returns the two thresholds with the smallest cost; of equals the lowest."""
    level, places = metrics.expected_level(rows.chances), np.arange(len(TIERS))
    steps = places[None] - places[:, None]
    size = np.array([0.0, 1.0, TWO_STEPS])[np.abs(steps)]
    cost = np.where(steps < 0, size * costs[0], size * costs[1])[rows.labels] * weights[:, None]
    # The cost of two cuts is a sum: what lies below the first, between them, and above the second.
    above = np.array([cost[level >= cut].sum(axis=0) for cut in GRID])
    whole = cost.sum(axis=0)
    table: Floats = (whole[0] - above[:, 0])[:, None] + (above[:, 1][:, None] - above[:, 1][None]) + above[:, 2][None]
    table[np.tril_indices(len(GRID), -1)] = np.inf
    table[~allowed] = np.inf
    first, second = np.unravel_index(np.argmin(table), table.shape)
    return [float(GRID[first]), float(GRID[second])]


def ordered(found: Thresholds) -> Thresholds:
    """Returns thresholds that no lean has above those of a cheaper one."""
    found.even = [min(pair) for pair in zip(found.even, found.cheap, strict=True)]
    found.strong = [min(pair) for pair in zip(found.strong, found.even, strict=True)]
    return found


def curve_of(data: Judged, written: Judged) -> list[dict[str, float]]:
    """Returns both mistakes at thresholds that move together, on rows that were not learnt from."""
    points = []
    for cut in np.round(np.arange(0.1, 0.95, 0.05), 2):
        pair = [float(cut) / 2, float(cut)]
        values = {"cut": float(cut)}
        for name, rows in (("data", data), ("supplement", written)):
            found = rows.summary(pair)
            values |= {f"{name}_{key}": found[key] for key in ("complex_at_the_top", "simple_at_the_top", "accuracy")}
        points.append(values)
    return points


@dataclass
class Confidences:
    """From which probability of its label on a lexical form is enough; a label that is missing never is."""

    by_label: dict[str, float]

    def manifest(self) -> dict[str, float]:
        return self.by_label

    def stops(self, form: Judged, thresholds: Thresholds) -> RowMask:
        """Returns which rows the form answers."""
        found = form.decided(thresholds.even)
        least = np.array([self.by_label.get(label, np.inf) for label in TIERS])
        return form.chances[np.arange(len(found)), found] >= least[found]


@dataclass
class StopRows:
    """Rows judged by a lexical form and by its full head, neither of which learnt from them, and their weights."""

    form: Judged
    full: Judged
    weights: RowValues


def fit_confidences(rows: StopRows, thresholds: Thresholds) -> Confidences:
    """Returns the confidence of each label with which most rows stop at the form, and hardly any is judged worse."""
    label_of_form, label_of_full = (judged.decided(thresholds.even) for judged in (rows.form, rows.full))
    own = rows.form.chances[np.arange(len(label_of_form)), label_of_form]
    right = rows.form.labels
    lost = rows.weights * ((label_of_full == right).astype(float) - (label_of_form == right))
    same = label_of_form == label_of_full
    options = []
    for place in range(len(TIERS)):
        masks = [(label_of_form == place) & (own >= least) for least in CONFIDENCES]
        fits = [of.sum() >= LEAST_STOPS and same[of].mean() >= AGREEMENT for of in masks]
        # The last one stops never.
        shares = [float(rows.weights[of].sum()) if fit else 0.0 for of, fit in zip(masks, fits, strict=True)] + [0.0]
        losses = [float(lost[of].sum()) if fit else 0.0 for of, fit in zip(masks, fits, strict=True)] + [0.0]
        options.append((np.array(shares), np.array(losses)))
    axes = [np.ix_(*(part[index] for part in options)) for index in (0, 1)]
    share, loss = (sum(parts[1:], parts[0]) for parts in axes)
    share = np.where(loss <= MOST_LOST, share, -1.0)
    # Of equal shares the surer.
    best = np.unravel_index(share.size - 1 - np.argmax(share.ravel()[::-1]), share.shape)
    found = {label: at for label, at, (own_share, _) in zip(TIERS, best, options, strict=True) if own_share[at] > 0}
    return Confidences({label: float(CONFIDENCES[at]) for label, at in found.items()})
