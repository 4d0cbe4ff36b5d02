"""The whole recipe: both splits are tuned and measured, the published one ships."""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import bundle, dataset, encoder, evaluate, features, finetune, golden, tokens
from .encoder import sha256

SPLITS = {
    "published": ("tiers_train.jsonl", "tiers_validation.jsonl"),
    "dedup": ("tiers_dedup_train.jsonl", "tiers_dedup_validation.jsonl"),
}
SHIPPED = "published"


@dataclass
class Measured:
    """A labelled file with the features of its prompts."""

    prompts: dataset.Prompts
    features: list[dict]

    def sheet(self, tokenizer: Tokenizer, block: list[dict]) -> dataset.Sheet:
        rows = [tokens.token_ids(tokenizer, text) for text in self.prompts.texts]
        return dataset.Sheet(rows, features.scaled(self.features, block), self.prompts.labels)


@dataclass
class Result:
    """A tuned split."""

    parts: bundle.Parts
    figures: dict
    cpu_seconds: float


class Recipe:
    """The inputs of a build, and its work folder."""

    def __init__(self, arguments: argparse.Namespace):
        self.data, self.work, self.binary = arguments.data, arguments.work, arguments.pointsman
        self.settings = finetune.Settings(seed=arguments.seed)
        self.work.mkdir(parents=True, exist_ok=True)
        self.base = encoder.fetch(self.work)
        self.tokenizer = Tokenizer.from_str(tokens.plain_tokenizer(self.base / "tokenizer.json"))

    def measured(self, file: str) -> Measured:
        prompts = dataset.read(self.data / file)
        return Measured(prompts, features.measure(self.binary, prompts.texts))

    def folder(self, train: dataset.Sheet) -> Path:
        """Returns the folder of a checkpoint: another seed, setting, row or feature is another folder."""
        digest = hashlib.sha256(json.dumps([asdict(self.settings), train.rows, train.labels.tolist()]).encode())
        digest.update(train.features.tobytes())
        return self.work / digest.hexdigest()[:12]

    def split(self, name: str) -> Result:
        train, validation = map(self.measured, SPLITS[name])
        held_out = dataset.calibration_rows(train.prompts.texts, self.settings.seed)
        block = features.fit([row for row, out in zip(train.features, held_out) if not out])
        sheet = train.sheet(self.tokenizer, block)
        tuning, calibration = sheet.where(~held_out), sheet.where(held_out)

        folder = self.folder(tuning)
        tuned, cpu_seconds = finetune.tuned(folder / "tuned.safetensors", self.base, tuning, self.settings)
        model = evaluate.Model(tuned, folder)
        temperature, figures = evaluate.evaluate(model, calibration, validation.sheet(self.tokenizer, block))
        print(name, json.dumps(figures, indent=1), flush=True)
        return Result(bundle.Parts(model, self.tokenizer, block, temperature), figures, cpu_seconds)


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    recipe = Recipe(arguments)
    results = {name: recipe.split(name) for name in SPLITS}
    parts = results[SHIPPED].parts
    training = {
        "command": f"python -m models.train build --seed {arguments.seed} --threads {arguments.threads}",
        "seed": arguments.seed,
        "cpu_seconds": round(sum(result.cpu_seconds for result in results.values())),
        "features": [feature["name"] for feature in parts.block],
        "encoder": {"package": encoder.PACKAGE, "sha256": encoder.SHA256},
        "data": {file: sha256(recipe.data / file) for files in SPLITS.values() for file in files},
    }
    golden_features = features.scaled(features.measure(recipe.binary, golden.TEXTS), parts.block)
    record = {"training": training, "metrics": {name: result.figures for name, result in results.items()}}
    bundle.write(arguments.out, parts, golden_features, record)
