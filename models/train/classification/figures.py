"""The figures of an epoch, and the files that hold the curves of all of them: CSV, JSON and SVG."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics
from ..arrays import Logits, Probabilities, RowLabels

CSV, JSON, SVG = "curves.csv", "curves.json", "curves.svg"
PARTS = ("train", "validation")
MEASURES = ("loss", "accuracy", "macro_precision", "macro_recall", "macro_f1")

EpochFigures = dict[str, Any]


def of_epoch(logits: Logits, labels: RowLabels, loss: float) -> dict[str, float]:
    """Returns what a curve has of one part of the rows; labels that no row has do not count in means."""
    predicted, present = logits.argmax(axis=1), np.unique(labels)
    means = {
        f"macro_{name}": float(np.mean([measure(predicted, labels, label) for label in present]))
        for name, measure in (("precision", metrics.precision), ("recall", metrics.recall), ("f1", metrics.f1))
    }
    figures = {"loss": loss, "accuracy": float(np.mean(predicted == labels))} | means
    return {name: round(value, 6) for name, value in figures.items()}


def of_bundle(probabilities: Probabilities, labels: RowLabels, names: list[str], ordered: bool) -> dict[str, Any]:
    """Returns the figures of a finished bundle on the validation rows."""
    predicted = probabilities.argmax(axis=1)
    figures = metrics.summary(probabilities, labels, names)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (labels, predicted), 1)
    for name, measure in (("macro_precision", metrics.precision), ("macro_recall", metrics.recall)):
        values = [measure(predicted, labels, label) for label in range(len(names))]
        figures[name] = round(float(np.mean(values)), 4)
    if ordered:
        figures["level_error"] = round(float(np.mean(np.abs(predicted - labels))), 4)
    else:
        del figures["adjacent_accuracy"]
    return figures | {"confusion": confusion.tolist()}


def write(folder: Path, epochs: list[EpochFigures]) -> None:
    """Writes the curves of all epochs."""
    columns = list(epochs[0])
    with (folder / CSV).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(epochs)
    (folder / JSON).write_text(json.dumps(epochs, indent=1) + "\n", "utf-8")
    draw(folder / SVG, epochs)


def draw(out: Path, epochs: list[EpochFigures]) -> None:
    """Draws losses on the left and figures on the right; the epoch that was kept is marked."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "pointsman"  # the same picture from the same numbers
    figure, (losses, others) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    across = [epoch["epoch"] for epoch in epochs]
    for part, line in zip(PARTS, (":", "-"), strict=True):
        losses.plot(across, [epoch[f"{part}_loss"] for epoch in epochs], f"k{line}", marker=".", label=part)
        for color, measure in enumerate(MEASURES[1:]):
            label = measure.replace("_", " ") if part == PARTS[1] else None
            values = [epoch[f"{part}_{measure}"] for epoch in epochs]
            others.plot(across, values, f"C{color}{line}", marker=".", linewidth=1.4, label=label)
    best = next(epoch["epoch"] for epoch in reversed(epochs) if epoch["best"])
    for axes, name in ((losses, "loss"), (others, "share; dotted: training rows")):
        axes.axvline(best, color="0.8", zorder=0)
        axes.set(xlabel="epoch", ylabel=name, xticks=across)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    losses.set_ylim(0, None)
    figure.savefig(out, metadata={"Date": None})
    pyplot.close(figure)
