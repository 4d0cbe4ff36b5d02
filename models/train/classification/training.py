"""The training: epochs with a checkpoint after each, the best one kept by macro F1, an early end by patience."""

import math
import random
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..arrays import Logits, RowLabels, RowValues
from ..batches import length_batches
from ..finetune import schedule
from ..tokens import padded
from . import figures
from .figures import EpochFigures
from .network import PooledClassifier, word_embeddings
from .objective import TuningLoss, chances, epoch_rows, label_weights

VALIDATION_BATCH = 64
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class TuningSettings:
    """What decides the weights, besides rows and base: the same settings give the same weights on one machine."""

    seed: int
    epochs: int
    patience: int
    batch: int
    accumulation: int
    rate: float
    head_rate: float
    weight_decay: float
    warm_up: float
    class_weights: str
    level_weight: float
    label_smoothing: float
    sampling: str
    freeze_embeddings: bool
    precision: str


@dataclass
class EncodedRows:
    """Rows as the network reads them."""

    ids: list[list[int]]
    labels: RowLabels
    weights: RowValues


class TuningRun:
    """One training in a work folder: `last.pt` to go on from, `best.pt` with the weights that are kept."""

    def __init__(self, network: PooledClassifier, settings: TuningSettings, folder: Path, device: str):
        self.network, self.settings, self.device, self.folder = network.to(device), settings, device, folder
        self.device_type = torch.device(device).type  # without its number
        self.last, self.best = folder / "last.pt", folder / "best.pt"
        if settings.freeze_embeddings:
            word_embeddings(network).requires_grad_(False)
        self.descent = optimizer(network, settings)
        self.curve: list[EpochFigures] = []
        self.filler = 0
        self.steps = 0

    def run(self, train: EncodedRows, validation: EncodedRows) -> list[EpochFigures]:
        """Learns until the last epoch or until patience ends, and returns the curves of all epochs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        settings, count = self.settings, self.network.head[-1].out_features
        weights = label_weights(train.labels, train.weights, count, settings.class_weights)
        loss = TuningLoss(
            torch.tensor(weights, dtype=torch.float32, device=self.device),
            settings.level_weight,
            settings.label_smoothing,
        )
        groups = math.ceil(math.ceil(len(train.ids) / settings.batch) / settings.accumulation)
        rate = schedule(self.descent, settings.epochs * groups, settings.warm_up, self.steps)
        while not self.is_finished():
            started = time.monotonic()
            learnt = self.epoch(train, loss, rate)
            judged = self.judge(validation, loss)
            epoch = {"epoch": len(self.curve) + 1, "steps": self.steps, "seconds": time.monotonic() - started}
            epoch["seconds"] = round(epoch["seconds"], 1)
            for part, values in zip(figures.PARTS, (learnt, judged), strict=True):
                epoch |= {f"{part}_{name}": value for name, value in values.items()}
            self.take(epoch)
        return self.curve

    def is_finished(self) -> bool:
        """Tells whether all epochs are done, or none got better for as long as patience lasts."""
        best = max((epoch["epoch"] for epoch in self.curve if epoch["best"]), default=0)
        waited = len(self.curve) - best
        return len(self.curve) >= self.settings.epochs or 0 < self.settings.patience <= waited

    def epoch(self, train: EncodedRows, loss: TuningLoss, rate: Any) -> dict[str, float]:
        """Learns one epoch; its draws depend on the seed and the epoch alone, so that a later start repeats them."""
        settings, number = self.settings, len(self.curve)
        torch.manual_seed(settings.seed * 1000 + number)
        order = random.Random(f"{settings.seed}:{number}")
        count = self.network.head[-1].out_features
        drawn = epoch_rows(len(train.ids), chances(train.labels, train.weights, count, settings.sampling), order)
        batches = length_batches(train.ids, settings.batch, order, drawn)
        self.network.train()
        said: list[Logits] = []
        total = 0.0
        for at in range(0, len(batches), settings.accumulation):
            group = batches[at : at + settings.accumulation]
            rows = sum(map(len, group))
            for batch in group:
                logits = self.logits(train, batch, self.autocast())
                losses = self.losses(train, batch, logits, loss)
                (losses.sum() / rows).backward()
                total += float(losses.detach().sum())
                said.append(np.asarray(logits.detach().float().cpu().numpy()))
            if not math.isfinite(total):
                raise SystemExit("the loss is no number any more: a lower --rate, or --precision fp32, may help")
            nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
            self.descent.step()
            self.descent.zero_grad()
            rate.step()
            self.steps += 1
        places = [row for batch in batches for row in batch]
        return figures.of_epoch(np.concatenate(said), train.labels[places], total / len(places))

    def judge(self, rows: EncodedRows, loss: TuningLoss) -> dict[str, float]:
        """Returns the figures of rows that nothing learns from, in float32 as the bundle computes."""
        self.network.eval()
        order = sorted(range(len(rows.ids)), key=lambda row: len(rows.ids[row]))
        said: list[Logits] = []
        total = 0.0
        with torch.no_grad():
            for at in range(0, len(order), VALIDATION_BATCH):
                batch = order[at : at + VALIDATION_BATCH]
                logits = self.logits(rows, batch, torch.autocast(self.device_type, enabled=False))
                total += float(self.losses(rows, batch, logits, loss).sum())
                said.append(np.asarray(logits.float().cpu().numpy()))
        return figures.of_epoch(np.concatenate(said), rows.labels[order], total / len(order))

    def logits(self, rows: EncodedRows, batch: list[int], precision: AbstractContextManager[Any]) -> torch.Tensor:
        ids, mask = padded([rows.ids[row] for row in batch], self.filler)
        with precision:
            return self.network(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device))

    def losses(self, rows: EncodedRows, batch: list[int], logits: torch.Tensor, loss: TuningLoss) -> torch.Tensor:
        labels = torch.from_numpy(rows.labels[batch]).to(self.device)
        # Where rows are drawn by their weights, these have counted already.
        by_draw = self.settings.sampling == "weight"
        weights = np.ones(len(batch)) if by_draw else rows.weights[batch]
        return loss(logits, labels, torch.tensor(weights, dtype=torch.float32, device=self.device))

    def autocast(self) -> AbstractContextManager[Any]:
        cast: AbstractContextManager[Any] = torch.autocast(
            self.device_type, torch.bfloat16, enabled=self.settings.precision == "bf16"
        )
        return cast

    def take(self, epoch: EpochFigures) -> None:
        """Keeps the weights if they are the best so far, and what the next epoch goes on from."""

        def rank(one: EpochFigures) -> tuple[float, float]:
            return one["validation_macro_f1"], -one["validation_loss"]

        epoch["best"] = all(rank(epoch) > rank(before) for before in self.curve)
        self.curve.append(epoch)
        if epoch["best"]:
            keep(self.best, {"network": self.network.state_dict()})
        state = {"network": self.network.state_dict(), "descent": self.descent.state_dict()}
        keep(self.last, state | {"steps": self.steps, "curve": self.curve})
        mark = ", the best so far" if epoch["best"] else ""
        print(
            f"epoch {epoch['epoch']}/{self.settings.epochs}: loss {epoch['train_loss']:.4f}, "
            f"validation loss {epoch['validation_loss']:.4f}, accuracy {epoch['validation_accuracy']:.4f}, "
            f"macro F1 {epoch['validation_macro_f1']:.4f}, {epoch['seconds']:.0f} s{mark}",
            flush=True,
        )

    def resume(self) -> None:
        """Takes up the last checkpoint, if there is one."""
        if self.last.exists():
            state = torch.load(self.last, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self.descent.load_state_dict(state["descent"])
            self.steps, self.curve = state["steps"], state["curve"]
            print(f"resumed after epoch {len(self.curve)}", flush=True)


def keep(path: Path, state: dict[str, Any]) -> None:
    """Puts a checkpoint in place whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def optimizer(network: PooledClassifier, settings: TuningSettings) -> torch.optim.AdamW:
    """Returns AdamW; biases and norms do not decay, and the head, which knows nothing yet, learns faster."""
    tuned = [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in tuned if p.ndim > 1], "lr": settings.rate},
        {"params": [p for p in tuned if p.ndim == 1], "lr": settings.rate, "weight_decay": 0.0},
        {"params": list(network.head.parameters()), "lr": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
