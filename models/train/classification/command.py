"""`python -m models.train encoder`: rows, network, training, bundle."""

import argparse
import hashlib
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from ..checkpoint import NAME, note
from ..encoder import sha256
from ..finetune import device_of
from ..sequence_bundle import PromptTokens, SequenceSource, budget, pad_token
from . import network, pack, rows
from .network import HeadShape
from .options import ROOT
from .rows import LabelledPrompt, LabelNames, TrainingParts
from .training import EncodedRows, TuningRun, TuningSettings

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # of a checkpoint


def run(arguments: argparse.Namespace) -> None:
    """Trains, or goes on with, a classifier, and writes its bundle."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    transformers.utils.logging.disable_progress_bar()
    check(arguments)
    parts = read(arguments)
    labels = labels_of(arguments, parts)
    shape = HeadShape(len(labels.names), arguments.pooling, arguments.hidden, arguments.dropout)
    torch.manual_seed(arguments.seed)
    classifier = network.load(arguments.base, shape)
    tokens = tokens_of(arguments, classifier)
    device = device_of(arguments.device)
    settings = settings_of(arguments, device)
    decided = [asdict(settings), asdict(shape), tokens.max_tokens]
    training = TuningRun(classifier, settings, work_folder(arguments, decided, parts), device)
    training.filler = tokens.pad_id
    print(
        f"{len(parts.train)} rows to learn from, {len(parts.validation)} to validate with, {device}, "
        f"{settings.precision}; checkpoints in {training.folder}",
        flush=True,
    )
    curve = training.run(encoded(parts.train, labels, tokens), encoded(parts.validation, labels, tokens))
    # Eager attention: what others compute by one fused operator has to be spelled out in a graph.
    exported = network.load(arguments.base, shape, attn_implementation="eager")
    exported.load_state_dict(torch.load(training.best, map_location="cpu", weights_only=True)["network"])
    source = SequenceSource(exported, tokens.tokenizer, labels.names, name_of(arguments))
    source.version, source.head, source.aliases = arguments.version, arguments.head, labels.aliases
    source.description = (
        f"{arguments.base.resolve().name} fine-tuned on {', '.join(path.name for path in arguments.data)}"
    )
    source.max_tokens, source.pad_token = tokens.max_tokens, tokens.pad_token
    source.precision = "int8" if arguments.int8 else "fp32"
    source.command = f"python -m models.train {shlex.join(sys.argv[1:])}"
    source.training = {
        "data": parts.sha256,
        "base": base_of(arguments.base),
        "rows": len(parts.train),
        "validation_rows": len(parts.validation),
        "left_out": parts.left_out,
        "network": asdict(shape),
        "settings": asdict(settings),
    }
    truths = np.array([labels.index(row) for row in parts.validation])
    texts = [row.text for row in parts.validation]
    tuned = pack.TunedClassifier(source, labels, bool(arguments.levels), curve, texts, truths)
    measured = pack.write(arguments.out, tuned, binary_of(arguments.pointsman))
    print(json.dumps({key: value for key, value in measured.items() if key != "confusion"}, indent=2))


def check(arguments: argparse.Namespace) -> None:
    """Refuses options that no training can have."""
    if not arguments.base.is_dir():
        raise SystemExit(f"--base {arguments.base} is no folder: download the encoder first, with its tokenizer")
    least = {"epochs": 1, "batch": 1, "accumulation": 1, "patience": 0, "hidden": 0, "level_weight": 0}
    for name, value in least.items():
        if getattr(arguments, name) < value:
            raise SystemExit(f"--{name.replace('_', '-')} is {getattr(arguments, name)} (allowed: {value} or more)")
    if not 0 <= arguments.dropout < 1:
        raise SystemExit(f"--dropout is {arguments.dropout} (allowed: from 0, below 1)")
    for option in ("head", "name"):
        value = getattr(arguments, option)
        if value is not None and not NAME.fullmatch(value):
            raise SystemExit(f"--{option} {value!r} is no name (allowed: letters, digits and ._:/-)")


def read(arguments: argparse.Namespace) -> TrainingParts:
    """Reads and deals the rows, and says what was left out."""
    validation = rows.read(arguments.validation) if arguments.validation else None
    parts = rows.parts(rows.read(arguments.data), validation, arguments.validation_share, arguments.seed)
    if parts.left_out:
        note(f"left out: {', '.join(f'{count} {reason}' for reason, count in parts.left_out.items())}")
    if arguments.limit:
        parts.train = sorted(parts.train, key=lambda row: hashlib.sha256(row.text.encode()).digest())[: arguments.limit]
    return parts


def labels_of(arguments: argparse.Namespace, parts: TrainingParts) -> LabelNames:
    """Returns the head's labels; each must be taught by a row."""
    listed = arguments.levels or arguments.labels
    labels = LabelNames.parse(listed) if listed else LabelNames.among(parts.train)
    if not arguments.levels:
        arguments.level_weight = 0.0  # labels without an order have no level to be off by
    taught = {labels.index(row) for row in parts.train if row.weight > 0}
    missing = [name for place, name in enumerate(labels.names) if place not in taught]
    if missing:
        raise SystemExit(f"no row teaches the label {missing[0]!r}")
    absent = set(range(len(labels.names))) - {labels.index(row) for row in parts.validation}
    if absent:
        note(f"no validation row has the label {', '.join(labels.names[place] for place in sorted(absent))}")
    return labels


def tokens_of(arguments: argparse.Namespace, classifier: network.PooledClassifier) -> PromptTokens:
    """Returns the tokens as they serve, so that training reads what serving reads."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.base, local_files_only=True)
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise SystemExit(f"{arguments.base} has no tokenizer that can be written as tokenizer.json")
    config = classifier.encoder.config
    most = budget(classifier, tokenizer, arguments.max_tokens)
    return PromptTokens(tokenizer.backend_tokenizer, most, pad_token(config, tokenizer))


def settings_of(arguments: argparse.Namespace, device: str) -> TuningSettings:
    precision = precision_of(arguments.precision, device)
    names = TuningSettings.__dataclass_fields__
    return TuningSettings(**{name: getattr(arguments, name) for name in names} | {"precision": precision})


def precision_of(wanted: str, device: str) -> str:
    """Returns the precision of the training: with `auto`, bf16 where a GPU computes it itself, else fp32."""
    if wanted != "auto":
        return wanted
    # A GPU that only emulates bf16 is slower with it than without.
    is_gpu = torch.device(device).type == "cuda"
    return "bf16" if is_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def encoded(prompts: list[LabelledPrompt], labels: LabelNames, tokens: PromptTokens) -> EncodedRows:
    weights = np.array([row.weight for row in prompts], np.float64)
    if not weights.sum():
        raise SystemExit("every row has a `weight` of 0")
    ids = [tokens.ids(row.text) for row in prompts]
    return EncodedRows(ids, np.array([labels.index(row) for row in prompts]), weights * len(prompts) / weights.sum())


def work_folder(arguments: argparse.Namespace, settings: list[Any], parts: TrainingParts) -> Path:
    """Returns the folder of a training: another setting, base or row is another folder."""
    learnt = [[row.text, row.label, row.weight] for row in (*parts.train, *parts.validation)]
    content = [settings, base_of(arguments.base), arguments.levels or arguments.labels, learnt]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]
    folder: Path = arguments.work / f"{name_of(arguments)}-{digest}"
    return folder


def base_of(base: Path) -> dict[str, Any]:
    """Returns the name of the encoder's folder and the hashes of its weights."""
    files = sorted(file for pattern in WEIGHTS for file in base.glob(pattern))
    return {"name": base.resolve().name, "sha256": {file.name: sha256(file) for file in files}}


def name_of(arguments: argparse.Namespace) -> str:
    name: str = arguments.name or arguments.out.resolve().name
    if not NAME.fullmatch(name):
        raise SystemExit(f"the folder's name {name!r} is no name for a bundle: say --name")
    return name


def binary_of(named: Path | None) -> Path | None:
    built = ROOT / "target" / "release" / "pointsman"
    return named.resolve() if named else built if built.exists() else None
