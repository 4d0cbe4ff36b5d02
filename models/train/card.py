"""The model card of a bundle: `card.md` with the figures of its manifest."""

from pathlib import Path
from string import Template
from typing import Any

import onnxruntime

TEMPLATE, LEVELS = (Path(__file__).with_name(name) for name in ("card.md", "levels.md"))
SPLITS = {"published": "published split", "dedup": "deduplicated split"}
HEADS = {
    "tier": "head `tier`",
    "tier_on_new_prompts": "`tier`, rows without a twin in train",
    "tier_fp32": "`tier`, float32 encoder",
    "encoder_alone": "without n-grams",
    "tier_lexical": "head `tier_lexical`",
}


def results(figures: dict[str, Any]) -> str:
    """Returns the rows of the table of tiers."""
    rows = []
    for split, title in SPLITS.items():
        for head, name in HEADS.items():
            if f := figures.get(split, {}).get(head):
                tiers = " / ".join(f"{value:.3f}" for value in f["f1"].values())
                cells = [f["n"], f"{f['accuracy']:.4f}", f"{f['macro_f1']:.4f}", tiers, f["adjacent_accuracy"]]
                cells += [f"{f['ece']:.4f} ({f['ece_by_chance']:.3f})"]
                rows.append(f"| {title}, {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def outcomes(figures: dict[str, Any]) -> str:
    """Returns the rows of the table of outcomes."""
    rows = []
    for name, f in figures.items():
        if "apgr" in f:
            rest = f", ECE {f['ece']}, Brier {f['brier']}" if "ece" in f else ""
            low, high = f.get("apgr_ci95", (None, None))
            interval = f" ({low:.3f} to {high:.3f})" if low else ""
            rows.append(
                f"| {name.replace('prompt_length', 'prompt length')} | {f['n']} "
                f"| APGR {f['apgr']}{interval}, CPT(50 %) {f['cpt_50']}, CPT(80 %) {f['cpt_80']}{rest} |"
            )
        elif "accuracy" in f:
            rows.append(
                f"| {name} | {f['n']} "
                f"| accuracy {f['accuracy']}, macro F1 {f['macro_f1']}, ECE {f['ece']} ({f['ece_by_chance']:.3f}) |"
            )
    return "\n".join(rows)


def rows_seen(parts: dict[str, dict[str, int]]) -> str:
    """Returns the rows of the table of what the weights saw of each file."""
    return "\n".join(
        f"| `{file}` | {sum(part.values()):,} | {part['encoder']:,} | {part['heads']:,} | {part['unseen']:,} |"
        for file, part in parts.items()
    )


def spoken(figures: dict[str, Any]) -> str:
    """Returns the rows of the table of languages."""
    rows = []
    for code, f in figures.items():
        if code == "together":
            rows.append(f"| {', '.join(f['of'])} together | | | {f['accuracy']:.3f} | | |")
            continue
        accuracy = "-" if f["accuracy"] is None else f"{f['accuracy']:.3f}"
        declared = "yes" if f["declared"] else "no"
        rows.append(
            f"| `{code}` | {f['training_rows']} | {f['validation_rows']} "
            f"| {accuracy} | {f['known_ngrams']:.2f} | {declared} |"
        )
    return "\n".join(rows)


def levels(manifest: dict[str, Any]) -> str:
    """Returns the section on thresholds; nothing of a bundle that has none."""
    figures = manifest["metrics"].get("levels")
    if not figures:
        return ""
    head = next(head for head in manifest["heads"] if "levels" in head)
    rows = []
    for lean, f in figures["validation"].items():
        cells = [" / ".join(map(str, head["levels"][lean])), f"{f['accuracy']:.4f}", f"{f['macro_f1']:.4f}"]
        cells += [f"{f[key]:.1%}" for key in ("complex_at_the_top", "complex_at_the_bottom", "simple_at_the_top")]
        rows.append(f"| `{lean}` | {' | '.join([*cells, format(f['ece'], '.4f')])} |")
    before, cascade = figures["argmax_before"], figures["cascade"]
    form = next(other for other in manifest["heads"] if other.get("stands_for") == head["name"])
    return Template(LEVELS.read_text("utf-8")).substitute(
        prior=", ".join(f"{share:.0%}" for share in head["levels"]["prior"]),
        rows="\n".join(rows),
        before=f"{before['accuracy']:.4f} and {before['macro_f1']:.4f}",
        share=f"{cascade['share']:.1%}",
        those=f"{cascade['accuracy_of_those']:.4f}",
        full=f"{cascade['full_on_those']:.4f}",
        confidence=", ".join(f"{label} {least}" for label, least in form.get("confidence", {}).items()) or "none",
        languages=", ".join(f"`{code}` {order:.2f}" for code, order in figures["languages"].items()),
    )


def render(manifest: dict[str, Any]) -> str:
    training, figures = manifest["training"], manifest["metrics"]
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        levels=levels(manifest),
        name=manifest["name"],
        version=manifest["version"],
        repeat_words=manifest["tokenizer"]["repeat_words"],
        results=results(figures),
        outcomes=outcomes(figures["outcomes"]),
        known=", ".join(f"{share:.3f} on {name}" for name, share in figures["outcomes"]["known"].items()),
        robustness="\n".join(
            f"| {row['change']} | {row['counted']} | {row['share']:.1%} |" for row in figures.get("robustness", [])
        ),
        languages=", ".join(f"`{code}`" for code in manifest.get("languages", [])) or "none",
        spoken=spoken(figures.get("languages", {})),
        data="\n".join(f"| `{name}` | `{digest}` |" for name, digest in training["data"].items()),
        rows_seen=rows_seen(training.get("rows_seen", {})),
        features=", ".join(f"`{name}`" for name in training["features"]),
        seeds=", ".join(map(str, training["seeds"])),
        calibration=figures["published"]["calibration_rows"],
        command="\n".join(training[name] for name in ("command", "student") if name in training),
        minutes=round(training["cpu_seconds"] / 60),
        onnxruntime=onnxruntime.__version__,
    )
