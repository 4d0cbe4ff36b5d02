"""Command line of the recipe: `python -m models.train build` and `python -m models.train check`, from the repository root."""

import argparse
import json
from pathlib import Path

from . import dataset, features, metrics, scorer

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="fine-tune on both splits and write the bundle; resumes after the last checkpoint")
    build.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the tiers_*.jsonl files")
    build.add_argument("--out", type=Path, default=ROOT / "models" / "pointsman-mini", help="bundle folder to write")
    build.add_argument("--work", type=Path, default=ROOT / ".tools" / "train", help="wheel, checkpoints, float32 model")
    build.add_argument("--seed", type=int, default=7)
    build.add_argument("--threads", type=int, default=1, help="threads of torch; figures repeat only with the same number")
    check = verbs.add_parser("check", help="score a labelled file with onnxruntime and numpy, and print the figures")
    check.add_argument("--bundle", type=Path, default=ROOT / "models" / "pointsman-mini")
    check.add_argument("--data", type=Path, required=True, help="JSONL of prompt and label")
    check.add_argument("--batch", type=int, default=1, help="prompts a run")
    sequence = verbs.add_parser("sequence", help="export a sequence-classification model as a bundle without heads file")
    sequence.add_argument("--model", required=True, help="checkpoint: a folder, or a name on the Hugging Face hub")
    sequence.add_argument("--architecture", choices=["auto", "complexity-router"], default="auto")
    sequence.add_argument("--base", default="microsoft/deberta-v3-base", help="encoder of a complexity-router")
    sequence.add_argument("--labels", help="comma-separated, in the order of the logits; default: the checkpoint's own")
    sequence.add_argument("--head", default="tier", help="what policies call the head")
    sequence.add_argument("--kind", choices=["multinomial", "ordinal"], default="multinomial")
    sequence.add_argument("--name", required=True, help="the bundle's name")
    sequence.add_argument("--version", default="1")
    sequence.add_argument("--max-tokens", type=int, default=512)
    sequence.add_argument("--out", type=Path, required=True, help="bundle folder to write")
    for verb in (build, check):
        verb.add_argument("--pointsman", type=Path, default=ROOT / "target" / "release" / "pointsman", help="measures features")
    return top


def check(arguments: argparse.Namespace) -> None:
    bundle, prompts = scorer.Bundle(arguments.bundle), dataset.read(arguments.data)
    vectors = features.scaled(features.measure(arguments.pointsman, prompts.texts), bundle.features)
    probabilities = bundle.scores(prompts.texts, vectors, arguments.batch)
    print(json.dumps(metrics.summary(probabilities, prompts.labels, dataset.TIERS), indent=2))


def main() -> None:
    arguments = parser().parse_args()
    if arguments.verb == "check":
        return check(arguments)
    if arguments.verb == "sequence":
        from . import sequence

        return sequence.run(arguments)
    from . import build  # imports torch, which `check` does without

    build.run(arguments)


if __name__ == "__main__":
    main()
