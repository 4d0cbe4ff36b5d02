"""Fine-tunes one encoder for all heads, in two stages: torch, CPU or CUDA, resumable after every epoch.

Stage `general` sees outcomes and domains; it knows no tier, so both splits of the tiers start from it. Stage `tiers` sees mostly tiers,
each batch with changed copies that must be judged alike, and now and then a batch of the first stage so that nothing is forgotten.
"""

import json
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax, normalize
from transformers import BertModel

from .augment import Augmenter
from .dataset import Rows
from .encoder import DIMENSION
from .tokens import padded, token_ids

SCALE = DIMENSION**0.5  # a unit vector's components are small; this brings them to about one for the heads
OUTPUTS = {"tier": 3, "complexity": 3, "success": 2, "domain": 14, "panel": 9}


@dataclass(frozen=True)
class Settings:
    """How one stage learns."""

    seed: int
    epochs: int
    batch: int = 32
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1
    label_smoothing: float = 0.05
    changed: float = 0.5  # share of the tier rows that come with a changed copy
    consistency: float = 1.0  # weight of the divergence between a row and its changed copy
    rehearsal: int = 4  # one batch of the first stage after so many batches of tiers; 0 for none


class Network(nn.Module):
    """BERT, mean pooling, L2 norm, and one linear head a task."""

    def __init__(self, base: Path, layers: list[int] | None = None):
        super().__init__()
        self.encoder = BertModel.from_pretrained(base, add_pooling_layer=False)
        if layers:
            self.encoder.encoder.layer = nn.ModuleList([self.encoder.encoder.layer[layer] for layer in layers])
        self.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
        self.heads = nn.ModuleDict({name: nn.Linear(DIMENSION, width) for name, width in OUTPUTS.items()})
        for head in self.heads.values():
            nn.init.zeros_(head.weight)  # equal for every seed, so that weights of seeds may be averaged
            nn.init.zeros_(head.bias)
        self.dropout = nn.Dropout(0.1)

    def embed(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with torch.autocast(ids.device.type, torch.bfloat16):  # a third less time where the processor has such products
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).to(states.dtype)
        return normalize((states * weights).sum(1) / weights.sum(1)) * SCALE

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        vectors = self.embed(ids, mask)
        return {name: self.heads[name](self.dropout(vectors)) for name in names}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Returns `encoder.*` and `heads.<name>.*`; the scale is folded into the heads."""
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.state_dict().items()}
        for name in OUTPUTS:
            tensors[f"heads.{name}.weight"] *= SCALE
        return tensors


class Stage:
    """What a stage learns from: batches and their loss."""

    def __init__(self, network: Network, tokenizer: Tokenizer, settings: Settings, device: str):
        self.network, self.settings, self.device = network, settings, device
        self.tokenizer, self.order = tokenizer, random.Random(settings.seed)

    def ids(self, texts: list[str]) -> list[list[int]]:
        return [token_ids(self.tokenizer, text) for text in texts]

    def outputs(self, rows: list[list[int]], names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        ids, mask = (torch.from_numpy(array).to(self.device) for array in padded(rows))
        return self.network(ids, mask, names)

    def target(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)


class General(Stage):
    """Outcomes, domains and a panel of models: batches of one file, files in turn by size."""

    def __init__(self, network: Network, tokenizer: Tokenizer, settings: Settings, device: str, sources: list[Rows]):
        super().__init__(network, tokenizer, settings, device)
        self.sources = [(rows, self.ids(rows.texts)) for rows in sources]

    def batches(self) -> list:
        drawn = [(source, batch) for source in self.sources for batch in by_length(source[1], self.settings.batch, self.order)]
        self.order.shuffle(drawn)
        return drawn

    def loss(self, batch) -> torch.Tensor:
        (rows, ids), chosen = batch
        names = tuple(name for name in ("success", "domain", "panel") if name in rows.targets)
        outputs = self.outputs([ids[row] for row in chosen], names)
        total = torch.zeros((), device=self.device)
        for name in names:
            target = self.target(rows.targets[name][chosen])
            if name == "domain":
                if (target >= 0).any():
                    total = total + cross_entropy(outputs[name], target, ignore_index=-1)
            else:
                total = total + binary_cross_entropy_with_logits(outputs[name], target)
        return total


class Tiers(Stage):
    """Tiers with changed copies; every few batches one of the first stage's."""

    def __init__(self, network, tokenizer, settings: Settings, device: str, rows: Rows, general: General, teacher: np.ndarray | None = None):
        super().__init__(network, tokenizer, settings, device)
        self.rows, self.clean, self.general, self.teacher = rows, self.ids(rows.texts), general, teacher
        general.order = self.order  # one state to save

    def batches(self) -> list:
        settings, rehearsed = self.settings, iter(self.general.batches())
        self.augmenter = Augmenter(self.order.randrange(2**32))
        drawn = []
        for count, chosen in enumerate(by_length(self.clean, settings.batch, self.order), start=1):
            drawn.append(chosen)
            if settings.rehearsal and count % settings.rehearsal == 0:
                drawn.append(next(rehearsed))
        return drawn

    def loss(self, batch) -> torch.Tensor:
        if isinstance(batch, tuple):
            return self.general.loss(batch)
        changed = batch[: round(self.settings.changed * len(batch))]
        clean = self.outputs([self.clean[row] for row in batch], ("tier", "complexity"))
        total = self.judged(clean, batch)
        if changed:
            copies = self.ids([self.augmenter(self.rows.texts[row]) for row in changed])
            copied = self.outputs(copies, ("tier", "complexity"))
            total = total + 0.5 * self.judged(copied, changed)
            total = total + self.settings.consistency * divergence(clean["tier"][: len(changed)], copied["tier"])
        return total

    def judged(self, outputs: dict[str, torch.Tensor], batch: list[int]) -> torch.Tensor:
        labels = self.target(self.rows.targets["tier"][batch])
        if self.teacher is None:
            loss = cross_entropy(outputs["tier"], labels, label_smoothing=self.settings.label_smoothing)
        else:
            loss = cross_entropy(outputs["tier"], labels) + cross_entropy(outputs["tier"], self.target(self.teacher[batch]))
        # Above level 1, above level 2; what is above level 0 no label says.
        above = torch.stack([labels >= 1, labels >= 2], 1).to(outputs["complexity"].dtype)
        return loss + 0.3 * binary_cross_entropy_with_logits(outputs["complexity"][:, 1:], above)


def divergence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Returns the mean of both Kullback-Leibler divergences."""
    a, b = log_softmax(a, 1), log_softmax(b, 1)
    both = kl_div(a, b, log_target=True, reduction="batchmean"), kl_div(b, a, log_target=True, reduction="batchmean")
    return 0.5 * (both[0] + both[1])


def by_length(rows: list[list[int]], size: int, order: random.Random) -> list[list[int]]:
    """Returns batches of rows of like length, each batch and all of them in random order."""
    shuffled = order.sample(range(len(rows)), len(rows))
    pools = [sorted(shuffled[at : at + 50 * size], key=lambda row: len(rows[row])) for at in range(0, len(rows), 50 * size)]
    batches = [pool[at : at + size] for pool in pools for at in range(0, len(pool), size)]
    for batch in batches:
        order.shuffle(batch)
    order.shuffle(batches)
    return batches


def optimizer(network: Network, settings: Settings) -> torch.optim.AdamW:
    tuned = [p for p in network.encoder.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in tuned if p.ndim > 1], "lr": settings.encoder_rate},
        {"params": [p for p in tuned if p.ndim == 1], "lr": settings.encoder_rate, "weight_decay": 0.0},
        {"params": list(network.heads.parameters()), "lr": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)


def schedule(descent: torch.optim.Optimizer, steps: int, warm_up: float) -> torch.optim.lr_scheduler.LambdaLR:
    """Returns a rate that rises over the warm-up share of the steps and falls to zero over the rest."""
    warm = max(1, round(warm_up * steps))
    return torch.optim.lr_scheduler.LambdaLR(descent, lambda step: max(0.0, min((step + 1) / warm, (steps - step) / (steps - warm + 1))))


class Run:
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
            state = torch.load(self.checkpoint, weights_only=False)
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
        state = {"network": self.stage.network.state_dict(), "descent": self.descent.state_dict(), "order": self.stage.order.getstate()}
        state |= {"random": torch.get_rng_state(), "epoch": self.epoch, "seconds": self.seconds, "step": self.step, "settings": asdict(self.settings)}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def run(self) -> float:
        """Learns until the last epoch; returns the CPU seconds that all epochs took."""
        torch.manual_seed(self.settings.seed)
        self.stage.network.train()
        self.resume()
        first = self.stage.batches() if self.epoch < self.settings.epochs else []
        rate = schedule(self.descent, self.settings.epochs * len(first), self.settings.warm_up) if first else None
        for _ in range(self.step):
            rate and rate.step()
        while self.epoch < self.settings.epochs:
            self._epoch(first if first else self.stage.batches(), rate)
            first = []
        return self.seconds

    def _epoch(self, batches: list, rate) -> None:
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
                with self.curve.open("a") as file:
                    file.write(json.dumps({"step": self.step, "epoch": self.epoch, "loss": round(float(np.mean(losses[-20:])), 4)}) + "\n")
        self.epoch += 1
        self.seconds += time.process_time() - started
        print(f"epoch {self.epoch}/{self.settings.epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - clock:.0f} s, CPU {self.seconds:.0f} s", flush=True)
        self.save()


def device_of(wanted: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
