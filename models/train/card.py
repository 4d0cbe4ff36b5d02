"""The model card of a bundle: `card.md` with the figures of its manifest."""

from pathlib import Path
from string import Template

import onnxruntime

TEMPLATE = Path(__file__).with_name("card.md")
SPLITS = {"published": "published split", "dedup": "deduplicated split"}


def results(figures: dict) -> str:
    """Returns the rows of the table of results."""
    rows = []
    for split, title in SPLITS.items():
        for precision in ("int8", "fp32"):
            f = figures[split][precision]
            tiers = " / ".join(f"{value:.3f}" for value in f["f1"].values())
            cells = [f["n"], f"{f['accuracy']:.4f}", f"{f['macro_f1']:.4f}", tiers, f["adjacent_accuracy"], f["ece"]]
            rows.append(f"| {title}, {precision} | {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def render(manifest: dict) -> str:
    training, figures = manifest["training"], manifest["metrics"]
    published = figures["published"]
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        name=manifest["name"],
        version=manifest["version"],
        results=results(figures),
        data="\n".join(f"| `{name}` | `{digest}` |" for name, digest in training["data"].items()),
        features=", ".join(f"`{name}`" for name in training["features"]),
        seed=training["seed"],
        command=training["command"],
        minutes=round(training["cpu_seconds"] / 60),
        temperature=manifest["heads"][0]["temperature"],
        uncalibrated=published["uncalibrated_ece"],
        calibrated=published["int8"]["ece"],
        agreement=f"{published['int8_agrees_with_fp32']:.1%}",
        shift=published["int8_mean_shift"],
        onnxruntime=onnxruntime.__version__,
    )
