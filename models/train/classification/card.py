"""The model card of a fine-tuned classifier: `card.md` with what its manifest says."""

from pathlib import Path
from string import Template
from typing import Any

from .figures import EpochFigures

TEMPLATE = Path(__file__).with_name("card.md")
FIGURES = {
    "n": "rows",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "adjacent_accuracy": "at most one level off",
    "level_error": "mean distance in levels",
    "ece": "expected calibration error",
    "ece_by_chance": "the same of exact probabilities on so few rows",
    "nll": "log loss",
}

CURVE = ("macro_precision", "macro_recall", "macro_f1")


def table(rows: list[list[Any]]) -> str:
    """Returns a table whose first row is its head."""
    head, *body = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def render(manifest: dict[str, Any], curve: list[EpochFigures]) -> str:
    [head], training = manifest["heads"], manifest["training"]
    measured = manifest["metrics"]["validation"]
    network, settings, parity = training["network"], training["settings"], measured["parity"]
    named = {name: measured[key] for key, name in FIGURES.items() if key in measured}
    named |= {f"F1 of `{label}`": value for label, value in measured["f1"].items()}
    hidden = f", {network['hidden']} hidden units" if network["hidden"] else ""
    columns = ("train_loss", *(f"validation_{name}" for name in ("loss", "accuracy", *CURVE)))
    factor = settings["level_weight"]
    levels = f"; plus {factor} times the squared error of the level" if factor else ""
    out = ", ".join(f"{count} {reason}" for reason, count in training["left_out"].items())
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        name=manifest["name"],
        version=manifest["version"],
        description=manifest["description"],
        base=training["base"]["name"],
        head=head["name"],
        labels=", ".join(f"`{label}`" for label in head["labels"]),
        network=f"{network['pooling']} pooling, dropout {network['dropout']}{hidden}",
        max_tokens=manifest["tokenizer"]["max_tokens"],
        loss=f"cross-entropy, class weights {settings['class_weights']}, label smoothing "
        f"{settings['label_smoothing']}{levels}",
        precision=manifest["encoder"]["precision"],
        temperature=head["temperature"],
        training=f"seed {settings['seed']}, epochs: {len(curve)} of at most {settings['epochs']}, the best by macro F1 "
        f"kept; batches of {settings['batch']} x {settings['accumulation']}, rate {settings['rate']}, rows drawn by "
        f"`{settings['sampling']}`, {settings['precision']}",
        data="\n".join(f"| `{name}` | `{digest}` |" for name, digest in training["data"].items()),
        rows=training["rows"],
        validation_rows=training["validation_rows"],
        left_out=f" Left out: {out}." if out else "",
        figures=table([["figure", ""], *([name, value] for name, value in named.items())]),
        confusion=table(
            [
                ["", *head["labels"]],
                *([label, *row] for label, row in zip(head["labels"], measured["confusion"], strict=True)),
            ]
        ),
        curve="\n".join(
            f"| {epoch['epoch']}{', kept' if epoch is best(curve) else ''} | "
            f"{' | '.join(f'{epoch[column]:.4f}' for column in columns)} |"
            for epoch in curve
        ),
        compared=parity["prompts"],
        difference=parity["largest_difference"],
        flips=parity["labels_changed"],
        command=training["command"],
    )


def best(curve: list[EpochFigures]) -> EpochFigures:
    """Returns the epoch whose weights were kept."""
    return next(epoch for epoch in reversed(curve) if epoch["best"])
