"""The whole recipe of the teacher: both splits are tuned and measured, the published one ships."""

import argparse
import json
from typing import Any

from . import bundle, dataset, encoder, recipe, robustness, scope
from .assemble import BundleHead
from .encoder import sha256
from .inputs import HeadResults, InputBuilder
from .outcome_heads import OutcomeHeads
from .tier_heads import TierHeads


def run(arguments: argparse.Namespace) -> None:
    """Writes the bundle."""
    plan = recipe.Recipe(arguments)
    builder = InputBuilder(plan)
    splits = {split: TierHeads(builder, split) for split in arguments.splits.split(",")}
    command = f"python -m models.train build --seed {plan.seed} --seeds {len(plan.seeds)}"
    pack(arguments, builder, splits, command + (f" --others {plan.others}" if plan.others > 1 else ""))


def pack(arguments: argparse.Namespace, builder: InputBuilder, splits: dict[str, TierHeads], command: str) -> None:
    """Fits and measures all heads, and writes the bundle of the shipped split."""
    plan, shipped = builder.plan, splits[recipe.SHIPPED].model
    results = {split: part.fit() for split, part in splits.items()}
    outcomes = OutcomeHeads(builder, shipped).fit()
    figures: dict[str, Any] = {split: result.figures for split, result in results.items()}
    figures |= {"outcomes": outcomes.figures}
    print(json.dumps(figures, indent=1), flush=True)
    record = {"training": training(builder, list(splits), command), "metrics": figures}
    heads = joined(results[recipe.SHIPPED], outcomes)
    parts = bundle.BundleParts(shipped, plan.tokenizer, builder.block, heads, plan.binary, arguments.precision)
    bundle.write(arguments.out, parts, record)
    predict = robustness.TierPredictor(arguments.out, plan.binary)
    validation = dataset.tiers(plan.data / recipe.SPLITS[recipe.SHIPPED][1], training=False)
    figures["robustness"] = [
        {"change": row.change, "counted": row.counted, "share": round(row.share, 4)}
        for row in robustness.table(predict, validation)
    ]
    bundle.write(arguments.out, parts, record)
    scope.run(argparse.Namespace(**vars(arguments) | {"bundle": arguments.out}))


def joined(*results: HeadResults) -> list[BundleHead]:
    return [head for result in results for head in result.heads]


def training(builder: InputBuilder, splits: list[str], command: str) -> dict[str, Any]:
    """Returns what the manifest says of the training."""
    plan = builder.plan
    files = {file for pair in recipe.SPLITS.values() for file in pair}
    files |= {dataset.OUTCOMES, dataset.SUBJECTS, dataset.PANEL, dataset.STEPS}
    return {
        "command": command,
        "seeds": plan.seeds,
        "features": [feature["name"] for feature in builder.block],
        "cpu_seconds": plan.cpu_seconds(splits),
        "encoder": {"package": encoder.PACKAGE, "sha256": encoder.SHA256},
        "data": {file: sha256(plan.data / file) for file in sorted(files)},
    }
