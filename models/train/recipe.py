"""The order of the trainings: the general stage once, then tiers for each split and seed, weights averaged."""

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from . import dataset, encoder, finetune, others, tokens
from .finetune import Run
from .network import Network
from .stages import General, Settings, Tiers

SPLITS = {
    "published": ("tiers_train.jsonl", "tiers_validation.jsonl"),
    "dedup": ("tiers_dedup_train.jsonl", "tiers_dedup_validation.jsonl"),
}
SHIPPED = "published"


class Recipe:
    """The inputs of a build, and its work folder."""

    def __init__(self, arguments: argparse.Namespace):
        self.data, self.work, self.binary = arguments.data, arguments.work, arguments.pointsman
        self.seed, self.seeds = arguments.seed, [arguments.seed + index for index in range(arguments.seeds)]
        self.device, self.epochs = finetune.device_of(arguments.device), (arguments.general_epochs, arguments.epochs)
        self.limit, self.others = arguments.limit, arguments.others
        torch.set_num_threads(arguments.threads)
        self.work.mkdir(parents=True, exist_ok=True)
        self.base = encoder.fetch(self.work)
        self.tokenizer = Tokenizer.from_str(tokens.plain_tokenizer(self.base / "tokenizer.json"))
        self.outcomes, self.panel = dataset.outcomes(self.data), dataset.panel(self.data)
        self.outcome_folds = dataset.fold_of(self.outcomes.texts, self.seed)

    def learnt(self) -> list[dataset.Rows]:
        """Returns what the general stage learns from."""
        kept = self.outcomes.where(self.outcome_folds > dataset.TEST_FOLD)
        return [self.cut(kept), self.cut(self.panel.where(np.arange(len(self.panel.texts)) % 2 == 0))]

    def cut(self, rows: dataset.Rows) -> dataset.Rows:
        return rows.where(np.arange(len(rows.texts)) < self.limit) if self.limit else rows

    def tiers(self, split: str) -> dataset.Rows:
        return others.repeated(self.cut(dataset.tiers(self.data / SPLITS[split][0], training=True)), self.others)

    def folder(self, name: str, settings: Settings, rows: list[dataset.Rows]) -> Path:
        """Returns the folder of a training: another setting, row or target is another folder."""
        digest = hashlib.sha256(json.dumps([asdict(settings), [part.texts for part in rows]]).encode())
        for part in rows:
            for target in sorted(part.targets):
                digest.update(part.targets[target].tobytes())
        return self.work / f"{name}-{digest.hexdigest()[:10]}"

    def general(self) -> Path:
        """Returns the folder of the general stage, trained."""
        settings = Settings(seed=self.seed, epochs=self.epochs[0])
        sources = self.learnt()
        folder = self.folder("general", settings, sources)
        if not (folder / "weights.pt").exists():
            network = Network(self.base).to(self.device)
            run = Run(General(network, self.tokenizer, settings, self.device, sources), folder)
            seconds = run.run()
            torch.save({"network": network.state_dict(), "seconds": seconds}, folder / "weights.pt")
        return folder

    def seeded(self, split: str, seed: int) -> Path:
        """Returns the folder of one seed's training on a split. All seeds leave out one tenth of the rows: it calibrates their mean."""
        rows = self.tiers(split)
        settings = Settings(seed=seed, epochs=self.epochs[1])
        kept = rows.where(dataset.fold_of(rows.texts, self.seed) != dataset.CALIBRATION_FOLD)
        folder = self.folder(f"{split}-{seed}", settings, [kept, *self.learnt()])
        if not (folder / "tuned.safetensors").exists():
            print(f"{split}, seed {seed}", flush=True)
            start = torch.load(self.general() / "weights.pt", map_location="cpu", weights_only=False)
            network = Network(self.base).to(self.device)
            network.load_state_dict(start["network"])
            general = General(network, self.tokenizer, settings, self.device, self.learnt())
            run = Run(Tiers(network, self.tokenizer, settings, self.device, kept, general), folder)
            seconds = run.run()
            tensors = {name: tensor.numpy() for name, tensor in network.tensors().items()}
            save_file(tensors, folder / "partial.safetensors", {"cpu_seconds": str(seconds)})
            (folder / "partial.safetensors").replace(folder / "tuned.safetensors")
        return folder

    def cpu_seconds(self, splits: list[str]) -> int:
        """Returns the CPU seconds of all trainings of some splits."""
        folders = [self.seeded(split, seed) for split in splits for seed in self.seeds]
        spent = [float(safe_open(folder / "tuned.safetensors", "np").metadata()["cpu_seconds"]) for folder in folders]
        return round(
            sum(spent) + torch.load(self.general() / "weights.pt", map_location="cpu", weights_only=False)["seconds"]
        )


def averaged(folders: list[Path]) -> dict[str, np.ndarray]:
    """Returns the mean of the weights of several seeds: one start, one valley, and one model that is steadier than each."""
    members = [load_file(folder / "tuned.safetensors") for folder in folders]
    return {
        name: np.mean([member[name] for member in members], axis=0, dtype=np.float64).astype(members[0][name].dtype)
        for name in members[0]
    }
