"""The whole recipe: both splits are tuned and measured, the published one ships."""

import argparse
import json

from . import bundle, dataset, encoder, familiar, recipe, robustness
from .answered import Answered
from .encoder import sha256
from .evaluate import Model
from .tiered import Tiered
from .views import Builder


def run(arguments: argparse.Namespace) -> None:
    """Writes the default bundle."""
    plan = recipe.Recipe(arguments)
    builder = Builder(plan)
    tiered = {split: Tiered(builder, split) for split in arguments.splits.split(",")}
    command = f"python -m models.train build --seed {plan.seed} --seeds {len(plan.seeds)}"
    pack(arguments, builder, tiered, command + (f" --others {plan.others}" if plan.others > 1 else ""))


def distill(arguments: argparse.Namespace) -> None:
    """Writes a bundle like the default one whose encoder has fewer layers."""
    from .distill import student

    plan = recipe.Recipe(arguments)
    builder, layers = Builder(plan), [int(layer) for layer in arguments.layers.split(",")]
    teacher = Model(
        recipe.averaged([plan.seeded(recipe.SHIPPED, seed) for seed in plan.seeds]),
        plan.work / f"{recipe.SHIPPED}-averaged",
    )
    texts = [text for rows in (plan.tiers(recipe.SHIPPED), *plan.learnt()) for text in rows.texts]
    tuned = student(plan, teacher, texts, layers, arguments.student_epochs)
    pack(
        arguments,
        builder,
        {recipe.SHIPPED: Tiered(builder, recipe.SHIPPED, tuned)},
        f"python -m models.train distill --layers {arguments.layers}",
    )


def pack(arguments: argparse.Namespace, builder: Builder, tiered: dict[str, Tiered], command: str) -> None:
    """Fits and measures all heads, and writes the bundle of the shipped split."""
    plan, shipped = builder.plan, tiered[recipe.SHIPPED].model
    results = {split: part.fit() for split, part in tiered.items()}
    answered = Answered(builder, shipped).fit()
    files = sorted({*sum(recipe.SPLITS.values(), ()), dataset.OUTCOMES, dataset.SUBJECTS, dataset.PANEL, dataset.STEPS})
    training = {"command": command, "seeds": plan.seeds, "features": [feature["name"] for feature in builder.block]}
    training |= {
        "cpu_seconds": plan.cpu_seconds(list(tiered)),
        "encoder": {"package": encoder.PACKAGE, "sha256": encoder.SHA256},
    }
    training |= {"data": {file: sha256(plan.data / file) for file in files}}
    figures = {split: result.figures for split, result in results.items()} | {"outcomes": answered.figures}
    print(json.dumps(figures, indent=1), flush=True)
    heads = results[recipe.SHIPPED].heads + answered.heads
    parts = bundle.Parts(shipped, plan.tokenizer, builder.block, heads, plan.binary, arguments.precision)
    bundle.write(arguments.out, parts, {"training": training, "metrics": figures})
    scored = robustness.Judge(arguments.out, plan.binary)
    validation = dataset.tiers(plan.data / recipe.SPLITS[recipe.SHIPPED][1], training=False)
    figures["robustness"] = [
        {"change": a, "counted": b, "share": round(c, 4)} for a, b, c in robustness.table(scored, validation)
    ]
    bundle.write(arguments.out, parts, {"training": training, "metrics": figures})
    familiar.run(argparse.Namespace(**vars(arguments) | {"bundle": arguments.out}))
