"""Draws what thresholds on the expected level cost: both mistakes, for every cut, with the leans marked."""

from pathlib import Path
from typing import Any

NAMES = {"data": "tiers of the data, held out", "supplement": "supplement, held out"}


def draw(figures: dict[str, Any], out: Path) -> None:
    """Writes the curve of a bundle's figures as SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "pointsman"  # the same picture from the same numbers
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name, title in NAMES.items():
        across = [100 * point[f"{name}_simple_at_the_top"] for point in figures["curve"]]
        up = [100 * point[f"{name}_complex_at_the_top"] for point in figures["curve"]]
        axes.plot(across, up, marker=".", linewidth=1.4, label=title)
    for lean, point in figures["validation"].items():
        place = 100 * point["simple_at_the_top"], 100 * point["complex_at_the_top"]
        axes.plot(*place, marker="o", color="0.3", linestyle="none")
        axes.annotate(f"{lean}, validation", place, textcoords="offset points", xytext=(6, -4), fontsize=8)
    axes.set(
        xlabel="simple prompts at the top, %",
        ylabel="complex prompts at the top, %",
        title="Thresholds of the tiers on the expected level",
        xlim=(0, None),
        ylim=(0, 100),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(out, metadata={"Date": None})
