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

from . import dataset, encoder, finetune, oversampling, tokens
from .arrays import Tensors
from .finetune import TrainingRun
from .network import Network
from .stages import GeneralStage, StageContext, StageSettings, TierStage

SPLITS = {
    "published": ("tiers_train.jsonl", "tiers_validation.jsonl"),
    "dedup": ("tiers_dedup_train.jsonl", "tiers_dedup_validation.jsonl"),
}
SHIPPED = "published"


class Recipe:
    """The inputs of a build, and its work folder."""

    def __init__(self, arguments: argparse.Namespace):
        self.data: Path = arguments.data
        self.work: Path = arguments.work
        self.binary: Path = arguments.pointsman
        self.seed: int = arguments.seed
        self.seeds = [arguments.seed + index for index in range(arguments.seeds)]
        self.device, self.epochs = finetune.device_of(arguments.device), (arguments.general_epochs, arguments.epochs)
        self.limit: int = arguments.limit
        self.others: int = arguments.others
        torch.set_num_threads(arguments.threads)
        self.work.mkdir(parents=True, exist_ok=True)
        self.base = encoder.fetch(self.work)
        self.tokenizer = Tokenizer.from_str(tokens.plain_tokenizer(self.base / "tokenizer.json"))
        self.outcomes, self.panel = dataset.outcomes(self.data), dataset.panel(self.data)
        self.outcome_folds = dataset.folds_of(self.outcomes.texts, self.seed)

    def learnt(self) -> list[dataset.LabelledRows]:
        """Returns what the general stage learns from."""
        kept = self.outcomes.where(self.outcome_folds > dataset.TEST_FOLD)
        return [self.cut(kept), self.cut(self.panel.where(np.arange(len(self.panel.texts)) % 2 == 0))]

    def cut(self, rows: dataset.LabelledRows) -> dataset.LabelledRows:
        return rows.where(np.arange(len(rows.texts)) < self.limit) if self.limit else rows

    def tiers(self, split: str) -> dataset.LabelledRows:
        return oversampling.oversample(
            self.cut(dataset.tiers(self.data / SPLITS[split][0], training=True)), self.others
        )

    def context(self, network: Network, settings: StageSettings) -> StageContext:
        return StageContext(network, self.tokenizer, settings, self.device)

    def folder(self, name: str, settings: StageSettings, rows: list[dataset.LabelledRows]) -> Path:
        """Returns the folder of a training: another setting, row or target is another folder."""
        digest = hashlib.sha256(json.dumps([asdict(settings), [part.texts for part in rows]]).encode())
        for part in rows:
            for target in sorted(part.targets):
                digest.update(part.targets[target].tobytes())
        return self.work / f"{name}-{digest.hexdigest()[:10]}"

    def general(self) -> Path:
        """Returns the folder of the general stage, trained."""
        settings = StageSettings(seed=self.seed, epochs=self.epochs[0])
        sources = self.learnt()
        folder = self.folder("general", settings, sources)
        if not (folder / "weights.pt").exists():
            network = Network(self.base).to(self.device)
            run = TrainingRun(GeneralStage(self.context(network, settings), sources), folder)
            seconds = run.run()
            torch.save({"network": network.state_dict(), "seconds": seconds}, folder / "weights.pt")
        return folder

    def seeded(self, split: str, seed: int) -> Path:
        """Returns the folder of one seed's training on a split.

        All seeds leave out one tenth of the rows: it calibrates their mean.
        """
        rows = self.tiers(split)
        settings = StageSettings(seed=seed, epochs=self.epochs[1])
        kept = rows.where(dataset.folds_of(rows.texts, self.seed) != dataset.CALIBRATION_FOLD)
        folder = self.folder(f"{split}-{seed}", settings, [kept, *self.learnt()])
        if not (folder / "tuned.safetensors").exists():
            print(f"{split}, seed {seed}", flush=True)
            start = torch.load(self.general() / "weights.pt", map_location="cpu", weights_only=False)
            network = Network(self.base).to(self.device)
            network.load_state_dict(start["network"])
            context = self.context(network, settings)
            run = TrainingRun(TierStage(context, kept, GeneralStage(context, self.learnt())), folder)
            seconds = run.run()
            tensors = {name: tensor.numpy() for name, tensor in network.tensors().items()}
            save_file(tensors, folder / "partial.safetensors", {"cpu_seconds": str(seconds)})
            (folder / "partial.safetensors").replace(folder / "tuned.safetensors")
        return folder

    def cpu_seconds(self, splits: list[str]) -> int:
        """Returns the CPU seconds of all trainings of some splits."""
        folders = [self.seeded(split, seed) for split in splits for seed in self.seeds]
        files = [folder / "tuned.safetensors" for folder in folders]
        spent = [float(safe_open(file, "np").metadata()["cpu_seconds"]) for file in files]
        general = torch.load(self.general() / "weights.pt", map_location="cpu", weights_only=False)
        return round(sum(spent) + float(general["seconds"]))


def averaged(folders: list[Path]) -> Tensors:
    """Returns the mean of the weights of several seeds.

    They have one start and one valley, and their mean is steadier than each.
    """
    members = [load_file(folder / "tuned.safetensors") for folder in folders]
    return {
        name: np.mean([member[name] for member in members], axis=0, dtype=np.float64).astype(members[0][name].dtype)
        for name in members[0]
    }
