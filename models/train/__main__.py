"""Command line of the recipe: `python -m models.train <verb>`, from the repository root.

README.md beside this file explains the verbs.
"""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from .classification import options as classification

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models" / "pointsman-mini"
TEACHER = BUNDLE
MODULES = {
    "distill": "student_bundle",
    "encoder": "classification.command",
    "familiar": "scope",
}  # of verbs that are not called as theirs
# What figures are measured on; what training reads besides is not in the repository: models/data/README.md.
DATA = ROOT / "models" / "data"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser(
        "build", help="fine-tune on both splits and write the bundle; resumes after the last epoch"
    )
    recipe_options(build)
    distill, compare = student_verbs(verbs)
    check = verbs.add_parser(
        "check", help="score a file of tiers with onnxruntime and numpy; with --parity, ask Rust as well"
    )
    check.add_argument("--head", default="tier")
    check.add_argument(
        "--parity", action="store_true", help="compare with `pointsman bundle verify` and `pointsman eval --json`"
    )
    robustness = verbs.add_parser("robustness", help="print how often harmless changes change a label")
    robustness.add_argument("--head", default="tier")
    familiar = verbs.add_parser(
        "familiar", help="write into a bundle which n-grams training saw, and its languages and scripts"
    )
    familiar.add_argument("--seed", type=int, default=7)
    levels = verbs.add_parser(
        "levels", help="correct the tier heads of a finished bundle by the supplement, and fit their thresholds"
    )
    levels.add_argument("--split", default="published", help="of the tiers: the one that the bundle learnt from")
    levels.add_argument("--seed", type=int, default=7, help="as the bundle's: says which rows were held out")
    levels.add_argument("--dry-run", action="store_true", help="print the figures and write nothing")
    levels.add_argument("--curve", type=Path, default=ROOT / "models" / "train" / "levels.svg")
    languages = verbs.add_parser("languages", help="print how good the tiers are by language")
    languages.add_argument("--head", default="tier")
    languages.add_argument("--seed", type=int, default=7, help="of the intervals")
    curves = verbs.add_parser("curves", help="draw the losses of all trainings")
    curves.add_argument("--work", type=Path, default=ROOT / ".tools" / "train")
    curves.add_argument("--out", type=Path, default=ROOT / "models" / "train" / "curves.svg")
    held_out = verbs.add_parser("held-out", help="write the outcomes that nothing learnt from, for `pointsman eval`")
    held_out.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    held_out.add_argument("--seed", type=int, default=7)
    held_out.add_argument(
        "--out", type=Path, required=True, help="folder to write outcomes_test.jsonl and domain_test.jsonl to"
    )
    wins = outcome_verbs(verbs)
    followups = verbs.add_parser("followups", help="write conversations that end in a reply, for `pointsman eval`")
    followups.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    followups.add_argument(
        "--part", choices=["development", "test"], default="test", help="prompts and wordings that teach, or the others"
    )
    followups.add_argument(
        "--bundle", type=Path, default=BUNDLE, help="says which tier the asks have, which their replies are to keep"
    )
    followups.add_argument("--head", default="tier")
    followups.add_argument("--asks", type=int, default=100, help="asks of each tier")
    followups.add_argument("--replies", type=int, default=10, help="kinds of replies to each ask, at most")
    followups.add_argument("--seed", type=int, default=7)
    followups.add_argument(
        "--out", type=Path, required=True, help="folder to write inherit.jsonl, hard.jsonl and trivial.jsonl to"
    )
    sequence_options(
        verbs.add_parser("sequence", help="export a sequence-classification model as a bundle without heads file")
    )
    classification.add(
        verbs.add_parser("encoder", help="fine-tune any Hugging Face encoder on your rows, and write its bundle")
    )
    for verb in (familiar, levels):
        verb.add_argument("--bundle", type=Path, default=BUNDLE)
        verb.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    for verb in (check, robustness, languages):
        verb.add_argument("--bundle", type=Path, default=BUNDLE)
        verb.add_argument(
            "--data",
            type=Path,
            default=DATA / "tiers_validation.jsonl",
            help="JSONL of prompt and label",
        )
    for verb in (build, distill, compare, check, familiar, levels, robustness, languages, followups, wins):
        verb.add_argument(
            "--pointsman", type=Path, default=ROOT / "target" / "release" / "pointsman", help="measures features"
        )
    return top


def outcome_verbs(verbs: Any) -> argparse.ArgumentParser:
    """Adds what fits and accounts for `strong_wins`; returns the verb that measures features."""
    wins: argparse.ArgumentParser = verbs.add_parser(
        "wins", help="fit and measure the head strong_wins of a finished bundle"
    )
    wins.add_argument("--bundle", type=Path, default=BUNDLE)
    wins.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    wins.add_argument("--seed", type=int, default=7)
    seen = verbs.add_parser("seen", help="print which rows of the data the shipped weights saw")
    seen.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    seen.add_argument("--seed", type=int, default=7)
    seen.add_argument("--out", type=Path, help="file for the part of each row")
    frozen = verbs.add_parser("frozen", help="write a bundle of the base encoder as published, to fit heads over")
    frozen.add_argument("--bundle", type=Path, default=BUNDLE, help="whose tokenizer and golden texts it gets")
    frozen.add_argument("--max-tokens", type=int, default=256)
    frozen.add_argument("--work", type=Path, default=ROOT / ".tools" / "train", help="folder of the wheel")
    frozen.add_argument("--out", type=Path, required=True, help="bundle folder to write")
    return wins


def student_verbs(verbs: Any) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Adds what makes and measures students; returns the verbs that measure features."""
    distill = verbs.add_parser("distill", help="write a bundle whose smaller encoder learnt from another bundle's")
    distill_options(distill)
    compare = verbs.add_parser("compare", help="print the figures of a bundle beside those of its teacher")
    cost = verbs.add_parser("cost", help="print the CPU time of a bundle's encoder beside that of another")
    cost.add_argument("--bundle", type=Path, default=BUNDLE, help="bundle folder")
    cost.add_argument("--teacher", type=Path, default=TEACHER, help="bundle folder to compare with")
    cost.add_argument("--tokens", default="16,64,128,512", help="lengths of a prompt")
    cost.add_argument("--rounds", type=int, default=15)
    compare.add_argument("--teacher", type=Path, default=TEACHER, help="bundle folder")
    compare.add_argument("--bundle", type=Path, default=BUNDLE, help="bundle folder of the student")
    compare.add_argument("--data", type=Path, default=DATA, help="folder of the files to measure on")
    return distill, compare


def distill_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--teacher", type=Path, default=TEACHER, help="bundle folder")
    verb.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    verb.add_argument("--tiers", default="tiers_train.jsonl", help="file of it with prompts; their labels are not read")
    verb.add_argument("--work", type=Path, default=ROOT / ".tools" / "train", help="where a finished student is kept")
    verb.add_argument("--layers", default="0,2,4,5", help="the teacher's layers that the student starts from")
    verb.add_argument("--heads", type=int, default=8, help="attention heads of each layer, of 12")
    verb.add_argument("--units", type=int, default=768, help="feed-forward units of each layer, of 1,536")
    verb.add_argument(
        "--epochs",
        type=int,
        default=8,
        help="passes over prompts, changed copies, pieces and questions; 0 learns nothing",
    )
    verb.add_argument("--max-tokens", type=int, default=64, help="what the bundle reads of a prompt at most")
    verb.add_argument("--rate", type=float, default=4e-4, help="largest learning rate")
    verb.add_argument("--seed", type=int, default=7)
    verb.add_argument("--device", default="auto", help="cpu, cuda, or auto: cuda where there is one")
    verb.add_argument("--threads", type=int, default=1, help="threads of torch")
    verb.add_argument("--limit", type=int, default=0, help="texts, to try the recipe out; 0 for all")
    verb.add_argument("--out", type=Path, required=True, help="bundle folder to write")


def recipe_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--splits", default="published,dedup", help="of the tiers; the first ships, the others are measured"
    )
    verb.add_argument("--out", type=Path, default=BUNDLE, help="bundle folder to write")
    verb.add_argument("--data", type=Path, default=DATA, help="folder of the data files")
    verb.add_argument(
        "--work", type=Path, default=ROOT / ".tools" / "train", help="wheel, checkpoints, curves, float32 models"
    )
    verb.add_argument("--seed", type=int, default=7)
    verb.add_argument("--seeds", type=int, default=1, help="trainings on each split whose weights are averaged")
    verb.add_argument("--epochs", type=int, default=3, help="passes over the tiers")
    verb.add_argument("--general-epochs", type=int, default=1, help="passes over outcomes and domains before that")
    verb.add_argument("--device", default="auto", help="cpu, cuda, or auto: cuda where there is one")
    verb.add_argument(
        "--threads", type=int, default=1, help="threads of torch; figures repeat only with the same number"
    )
    verb.add_argument(
        "--precision", choices=["int8", "fp16", "fp32"], default="int8", help="what the bundle's encoder is stored as"
    )
    verb.add_argument(
        "--others", type=int, default=1, help="times that tier rows of other languages are taken that are not simple"
    )
    verb.add_argument("--limit", type=int, default=0, help="rows of each file, to try the recipe out; 0 for all")


def sequence_options(sequence: argparse.ArgumentParser) -> None:
    sequence.add_argument("--model", required=True, help="checkpoint: a folder, or a name on the Hugging Face hub")
    sequence.add_argument("--architecture", choices=["auto", "complexity-router"], default="auto")
    sequence.add_argument("--base", default="microsoft/deberta-v3-base", help="encoder of a complexity-router")
    sequence.add_argument("--labels", help="comma-separated, in the order of the logits; default: the checkpoint's own")
    sequence.add_argument("--head", default="tier", help="what policies call the head")
    sequence.add_argument(
        "--kind", choices=["multinomial", "ordinal", "independent"], help="default: what the checkpoint was trained for"
    )
    sequence.add_argument("--name", required=True, help="the bundle's name")
    sequence.add_argument("--version", default="1")
    sequence.add_argument(
        "--max-tokens", type=int, help="default: as many as the checkpoint has positions for, at most 512"
    )
    sequence.add_argument("--out", type=Path, required=True, help="bundle folder to write")


def check(arguments: argparse.Namespace) -> None:
    from . import parity

    figures = parity.python_figures(arguments.bundle, arguments.data, arguments.head, arguments.pointsman)
    print(json.dumps(figures, indent=2))
    if arguments.parity:
        parity.compare(
            figures, parity.rust_figures(arguments.bundle, arguments.data, arguments.head, arguments.pointsman)
        )


def held_out(arguments: argparse.Namespace) -> None:
    from . import dataset

    rows = dataset.outcomes(arguments.data)
    kept = rows.where(dataset.folds_of(rows.texts, arguments.seed) == dataset.TEST_FOLD)
    dataset.write_held_out(arguments.data, arguments.out, kept)


def main() -> None:
    """Imports torch only for verbs that train."""
    arguments = parser().parse_args()
    match arguments.verb:
        case "check":
            check(arguments)
        case "held-out":
            held_out(arguments)
        case verb:
            importlib.import_module(f".{MODULES.get(verb, verb)}", __package__).run(arguments)


if __name__ == "__main__":
    main()
