"""Runs one stage of the fine-tuning: torch, CPU or CUDA, resumable after every epoch."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .network import Network
from .stages import Batch, Stage, StageSettings


def optimizer(network: Network, settings: StageSettings) -> torch.optim.AdamW:
    tuned = [p for p in network.encoder.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in tuned if p.ndim > 1], "lr": settings.encoder_rate},
        {"params": [p for p in tuned if p.ndim == 1], "lr": settings.encoder_rate, "weight_decay": 0.0},
        {"params": list(network.heads.parameters()), "lr": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)


def schedule(
    descent: torch.optim.Optimizer, steps: int, warm_up: float, done: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Returns a rate that rises over the warm-up share of the steps and falls to zero over the rest.

    `done` steps were taken already.
    """
    warm = max(1, round(warm_up * steps))

    def share(step: int) -> float:
        return max(0.0, min((step + 1) / warm, (steps - step) / (steps - warm + 1)))

    return torch.optim.lr_scheduler.LambdaLR(descent, lambda step: share(step + done))


class TrainingRun:
    """One stage's training, with a checkpoint after every epoch and a line of its curve for every 20 batches."""

    def __init__(self, stage: Stage, folder: Path):
        self.stage, self.folder, self.settings = stage, folder, stage.settings
        self.checkpoint, self.curve = folder / "checkpoint.pt", folder / "curve.jsonl"
        self.descent = optimizer(stage.network, self.settings)
        self.epoch, self.seconds, self.step = 0, 0.0, 0

    def resume(self) -> None:
        """Takes up the last checkpoint, if there is one, and forgets what the curve says beyond it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=False)
            self.stage.network.load_state_dict(state["network"])
            self.descent.load_state_dict(state["descent"])
            self.stage.order.setstate(state["order"])
            torch.set_rng_state(state["random"])
            self.epoch, self.seconds, self.step = state["epoch"], state["seconds"], state["step"]
            print(f"resumed after epoch {self.epoch}", flush=True)
        kept = self.curve.read_text().splitlines() if self.curve.exists() else []
        kept = [line for line in kept if json.loads(line)["step"] <= self.step]
        self.curve.write_text("".join(f"{line}\n" for line in kept))

    def save(self) -> None:
        state = {
            "network": self.stage.network.state_dict(),
            "descent": self.descent.state_dict(),
            "order": self.stage.order.getstate(),
        }
        state |= {
            "random": torch.get_rng_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "step": self.step,
            "settings": asdict(self.settings),
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def run(self) -> float:
        """Learns until the last epoch; returns the CPU seconds that all epochs took."""
        torch.manual_seed(self.settings.seed)
        self.stage.network.train()
        self.resume()
        rate = None
        while self.epoch < self.settings.epochs:
            batches = self.stage.batches()
            steps = self.settings.epochs * len(batches)
            rate = rate or schedule(self.descent, steps, self.settings.warm_up, self.step)
            self._epoch(batches, rate)
        return self.seconds

    def _epoch(self, batches: list[Batch], rate: torch.optim.lr_scheduler.LambdaLR) -> None:
        started, clock, losses = time.process_time(), time.monotonic(), []
        for batch in batches:
            loss = self.stage.loss(batch)
            self.descent.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.stage.network.parameters(), 1.0)
            self.descent.step()
            rate.step()
            self.step += 1
            losses.append(loss.item())
            if self.step % 20 == 0:
                self._draw(float(np.mean(losses[-20:])))
        self.epoch += 1
        self.seconds += time.process_time() - started
        of, took = (
            f"epoch {self.epoch}/{self.settings.epochs}",
            f"{time.monotonic() - clock:.0f} s, CPU {self.seconds:.0f} s",
        )
        print(f"{of}: loss {np.mean(losses):.4f}, {took}", flush=True)
        self.save()

    def _draw(self, loss: float) -> None:
        """Adds a line to the curve."""
        with self.curve.open("a") as file:
            file.write(json.dumps({"step": self.step, "epoch": self.epoch, "loss": round(loss, 4)}) + "\n")


def device_of(wanted: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
