"""The options of `python -m models.train encoder`."""

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def add(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--base", type=Path, required=True, help="folder of a Hugging Face encoder and its tokenizer")
    verb.add_argument(
        "--data", type=Path, nargs="+", required=True, help="JSON lines with `prompt` or `messages`, and `label`"
    )
    verb.add_argument(
        "--validation", type=Path, nargs="+", default=[], help="rows that choose when to stop; default: of --data"
    )
    verb.add_argument("--validation-share", type=float, default=0.1, help="of --data, where no row says its split")
    verb.add_argument("--head", default="tier", help="what policies call the head: tier, complexity, or any name")
    names = verb.add_mutually_exclusive_group()
    names.add_argument(
        "--levels", help="labels from the lowest to the highest, comma-separated; small=gpt-mini renames the data's"
    )
    names.add_argument("--labels", help="labels without an order, likewise; default: those of the rows, sorted")
    verb.add_argument("--name", help="of the bundle; default: the name of the folder --out")
    verb.add_argument("--version", default="1")
    verb.add_argument("--out", type=Path, required=True, help="bundle folder to write")
    network_options(verb.add_argument_group("network"))
    loss_options(verb.add_argument_group("loss"))
    training_options(verb.add_argument_group("training"))
    bundle_options(verb.add_argument_group("bundle"))


def network_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--pooling", choices=["cls", "mean"], default="mean", help="of the states of the tokens")
    group.add_argument("--hidden", type=int, default=0, help="units of a layer before the labels; 0 for none")
    group.add_argument("--dropout", type=float, default=0.1)
    group.add_argument("--freeze-embeddings", action="store_true", help="word embeddings stay as they are")
    group.add_argument("--max-tokens", type=int, help="default: as many as the encoder has positions, at most 512")


def loss_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--class-weights", choices=["none", "balanced", "sqrt"], default="none", help="of cross-entropy")
    group.add_argument("--level-weight", type=float, default=0.3, help="of the squared error of levels; 0 for none")
    group.add_argument("--label-smoothing", type=float, default=0.0)
    group.add_argument(
        "--sampling",
        choices=["rows", "balanced", "sqrt", "weight"],
        default="rows",
        help="every row once an epoch, or rows drawn by their label or by their weight",
    )


def training_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, default=5, help="at most")
    group.add_argument("--patience", type=int, default=2, help="epochs without a better macro F1; 0 never stops early")
    group.add_argument("--batch", type=int, default=16)
    group.add_argument("--accumulation", type=int, default=1, help="batches whose gradients make one step")
    group.add_argument("--rate", type=float, default=3e-5, help="of the encoder, at its highest")
    group.add_argument("--head-rate", type=float, default=1e-3)
    group.add_argument("--weight-decay", type=float, default=0.01)
    group.add_argument("--warm-up", type=float, default=0.1, help="share of the steps in which the rates rise")
    group.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        default="auto",
        help="auto: bf16 on a GPU that computes it itself",
    )
    group.add_argument("--device", default="auto", help="cpu, cuda, or auto: cuda where there is one")
    group.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves it to torch")
    group.add_argument("--seed", type=int, default=7)
    group.add_argument("--limit", type=int, default=0, help="training rows, to try it out; 0 for all")
    group.add_argument(
        "--work", type=Path, default=ROOT / ".tools" / "encoder", help="checkpoints; the same command goes on there"
    )


def bundle_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--int8", action="store_true", help="store the encoder's weights in 8 bits")
    group.add_argument(
        "--pointsman", type=Path, help="binary that verifies the bundle; default: target/release/pointsman, else PATH"
    )
