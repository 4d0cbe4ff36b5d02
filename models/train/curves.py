"""Draws the loss of every training in the work folder: one SVG."""

import argparse
import json
from itertools import pairwise
from pathlib import Path


def run(arguments: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "pointsman"  # the same picture from the same numbers
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for path in sorted(Path(arguments.work).glob("*/curve.jsonl")):
        points = [json.loads(line) for line in path.read_text().splitlines()]
        if points:
            axes.plot(
                [p["step"] for p in points],
                smooth([p["loss"] for p in points]),
                label=path.parent.name.rsplit("-", 1)[0],
                linewidth=1.4,
            )
            for before, after in pairwise(points):
                if after["epoch"] != before["epoch"]:
                    axes.axvline(after["step"], color="0.85", linewidth=0.8, zorder=0)
    axes.set(
        xlabel="batches",
        ylabel="training loss, mean of 60 batches",
        title="Fine-tuning pointsman-mini",
        ylim=(0, None),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(arguments.out, metadata={"Date": None})


def smooth(values: list[float], width: int = 3) -> list[float]:
    """Returns the mean of each value and the ones before it, `width` in all where there are so many."""
    windows = [values[max(0, at - width + 1) : at + 1] for at in range(len(values))]
    return [sum(window) / len(window) for window in windows]
