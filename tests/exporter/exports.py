"""Exports checkpoints of many kinds with `models.train sequence`, and has `pointsman bundle verify` score them again.

Each is tiny, has random weights and needs no network; the golden scores are PyTorch's. Needs the packages of
models/train/requirements.txt: `make exporter`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers, processors

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"hello world prove this capital of france what is the".split()]
SMALL = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
DECODER = SMALL | {"num_key_value_heads": 1, "max_position_embeddings": 128}


@dataclass
class Export:
    """A checkpoint, the options that it is exported with, and what must come of it."""

    make: Callable[[], Any]
    options: list[str] = field(default_factory=list)
    says: str = ""
    refused: bool = False
    head: dict[str, Any] = field(default_factory=dict)
    decoder: bool = False


def spread(model: Any) -> Any:
    """Sets weights larger than at the start of training, so that different prompts get different scores."""
    torch.manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.3)
    return model.eval()


def bert(**options: Any) -> Any:
    config = transformers.BertConfig(**SMALL, max_position_embeddings=64, **options)
    return spread(transformers.BertForSequenceClassification(config))


def roberta() -> Any:
    config = transformers.RobertaConfig(**SMALL, max_position_embeddings=66, num_labels=3, pad_token_id=0)
    return spread(transformers.RobertaForSequenceClassification(config))


def qwen(pad: int | None) -> Any:
    config = transformers.Qwen2Config(**DECODER, num_labels=3, pad_token_id=pad, bos_token_id=None, eos_token_id=1)
    return spread(transformers.Qwen2ForSequenceClassification(config))


def names(*labels: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


EXPORTS = {
    "softmax": Export(lambda: bert(num_labels=3), says="the checkpoint does not name its labels"),
    "multi-label": Export(
        lambda: bert(problem_type="multi_label_classification", **names("law", "code", "maths")),
        head={"kind": "independent", "labels": ["law", "code", "maths"]},
    ),
    "one-logit": Export(lambda: bert(**names("hard")), head={"kind": "ordinal", "labels": ["not-hard", "hard"]}),
    "one-logit-named": Export(
        lambda: bert(num_labels=1), ["--labels", "easy,hard"], head={"kind": "ordinal", "labels": ["easy", "hard"]}
    ),
    "regression": Export(lambda: bert(num_labels=1, problem_type="regression"), says="--kind ordinal", refused=True),
    "regression-as-logit": Export(
        lambda: bert(num_labels=1, problem_type="regression"),
        ["--kind", "ordinal", "--labels", "no,yes"],
        head={"kind": "ordinal", "labels": ["no", "yes"]},
    ),
    "ordinal-of-a-softmax": Export(
        lambda: bert(**names("0", "1", "2", "3")), ["--kind", "ordinal"], says="leave --kind out", refused=True
    ),
    "no-names": Export(
        lambda: bert(**names("Very Simple", "Complex!", "mid")),
        says="'Very Simple' is no name and is called 'Very-Simple'",
        head={
            "labels": ["Very-Simple", "Complex", "mid"],
            "aliases": {"Very Simple": "Very-Simple", "Complex!": "Complex"},
        },
    ),
    "same-names": Export(lambda: bert(**names("a b", "a-b")), says="two labels would be called", refused=True),
    "too-few-names": Export(lambda: bert(num_labels=3), ["--labels", "a,b"], says="gives 3", refused=True),
    "sixteen-bits": Export(lambda: bert(num_labels=3).half()),
    "positions": Export(lambda: bert(num_labels=3), ["--max-tokens", "128"], says="has 64 positions", refused=True),
    "positions-after-padding": Export(roberta),
    "decoder": Export(lambda: qwen(1), decoder=True),
    "decoder-without-padding": Export(lambda: qwen(None), decoder=True),
}


def tokenizer(decoder: bool) -> Any:
    words = ["[UNK]", "<|end|>", *WORDS[4:]] if decoder else WORDS
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if decoder:
        return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", eos_token="<|end|>")
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    specials = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **specials)


def problem(name: str, export: Export, folder: Path, binary: Path) -> str | None:
    """Returns what is wrong with an export; nothing where all is well."""
    checkpoint, out = folder / name, folder / f"{name}-bundle"
    export.make().save_pretrained(checkpoint)
    tokenizer(export.decoder).save_pretrained(checkpoint)
    command = [sys.executable, "-m", "models.train", "sequence", "--model", str(checkpoint), "--name", name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    made = subprocess.run(
        [*command, "--out", str(out), *export.options], check=False, capture_output=True, text=True, env=environment
    )
    if bool(made.returncode) != export.refused:
        return f"exit code {made.returncode}: {made.stderr[-2000:]}"
    if export.says not in made.stderr:
        return f"{export.says!r} is not in: {made.stderr[-2000:]}"
    if export.refused:
        return None
    [head] = yaml.safe_load((out / "bundle.yaml").read_text("utf-8"))["heads"]
    if any(head.get(key) != value for key, value in export.head.items()):
        return f"the head is {json.dumps(head)}"
    run = subprocess.run([str(binary), "bundle", "verify", str(out)], check=False, capture_output=True, text=True)
    if run.returncode or "Scores depend on the batch" in run.stdout + run.stderr:
        return f"verify: {run.stdout}{run.stderr}"
    return None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pointsman", type=Path, default=ROOT / "target" / "debug" / "pointsman")
    options.add_argument("--only", choices=list(EXPORTS))
    arguments = options.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, export in EXPORTS.items():
            if arguments.only in {None, name}:
                found = problem(name, export, Path(folder), arguments.pointsman.resolve())
                print(f"{name}: {found or 'ok'}", flush=True)
                wrong += found is not None
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
