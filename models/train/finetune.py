"""Fine-tunes the encoder and trains the tier head on top of it, jointly: torch, CPU or CUDA, one seed."""

import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from transformers import BertModel

from .dataset import TIERS, Sheet
from .encoder import DIMENSION
from .tokens import padded

HIDDEN = 64
SCALE = DIMENSION**0.5  # a unit vector's components are small; this brings them to about one for the head


@dataclass(frozen=True)
class Settings:
    seed: int
    epochs: int = 3
    batch: int = 32
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.1
    features_dropped: float = 0.3  # share of rows whose whole features block is zeroed, so that the text is never neglected


class Network(nn.Module):
    """BERT, mean pooling, L2 norm, then a head over [embedding, features]."""

    def __init__(self, base: Path, features: int):
        super().__init__()
        self.encoder = BertModel.from_pretrained(base, add_pooling_layer=False)
        self.tier = nn.ModuleList([nn.Linear(DIMENSION + features, HIDDEN), nn.Linear(HIDDEN, len(TIERS))])
        self.dropout = nn.Dropout(0.1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        embedding = normalize((states * weights).sum(1) / weights.sum(1)) * SCALE
        hidden = torch.relu(self.tier[0](self.dropout(torch.cat([embedding, features], dim=1))))
        return self.tier[1](self.dropout(hidden))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Returns `encoder.*`, and `tier.*` as a bundle names a head's layers; the scale is folded into the first."""
        tensors = {name: tensor.cpu().clone() for name, tensor in self.state_dict().items()}
        tensors["tier.0.weight"][:, :DIMENSION] *= SCALE
        return tensors


def batches(data: Sheet, size: int, order: random.Random):
    """Yields batches of rows of like length, in random order."""
    shuffled = order.sample(range(len(data.rows)), len(data.rows))
    pools = [shuffled[at : at + 50 * size] for at in range(0, len(shuffled), 50 * size)]
    pools = [sorted(pool, key=lambda row: len(data.rows[row])) for pool in pools]
    chosen = [pool[at : at + size] for pool in pools for at in range(0, len(pool), size)]
    order.shuffle(chosen)
    for batch in chosen:
        arrays = *padded([data.rows[row] for row in batch]), data.features[batch], data.labels[batch]
        yield tuple(torch.from_numpy(array) for array in arrays)


def optimizer(network: Network, settings: Settings) -> torch.optim.AdamW:
    decayed = [p for p in network.encoder.parameters() if p.ndim > 1]
    plain = [p for p in network.encoder.parameters() if p.ndim == 1]
    groups = [
        {"params": decayed, "lr": settings.encoder_rate},
        {"params": plain, "lr": settings.encoder_rate, "weight_decay": 0.0},
        {"params": list(network.tier.parameters()), "lr": settings.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)


def schedule(descent: torch.optim.Optimizer, steps: int, warm_up: float) -> torch.optim.lr_scheduler.LambdaLR:
    """Returns a rate that rises over the warm-up share of the steps and falls to zero over the rest."""
    warm = max(1, round(warm_up * steps))
    return torch.optim.lr_scheduler.LambdaLR(descent, lambda step: min((step + 1) / warm, (steps - step) / (steps - warm + 1)))


def tune(base: Path, data: Sheet, settings: Settings) -> dict[str, torch.Tensor]:
    """Returns the tensors of the tuned encoder (`encoder.*`) and of its head (`tier.*`)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("medium")  # bfloat16 products where the processor has them: 1.6 times as fast
    torch.manual_seed(settings.seed)
    order = random.Random(settings.seed)
    network = Network(base, data.features.shape[1]).to(device).train()
    descent = optimizer(network, settings)
    rate = schedule(descent, settings.epochs * math.ceil(len(data.rows) / settings.batch), settings.warm_up)
    for epoch in range(settings.epochs):
        started, losses = time.monotonic(), []
        for ids, mask, features, labels in batches(data, settings.batch, order):
            features *= torch.rand(len(labels), 1) >= settings.features_dropped
            loss = cross_entropy(network(ids.to(device), mask.to(device), features.to(device)), labels.to(device))
            descent.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            descent.step()
            rate.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{settings.epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return network.tensors()


def tuned(checkpoint: Path, base: Path, data: Sheet, settings: Settings) -> tuple[dict[str, np.ndarray], float]:
    """Returns the checkpoint's tensors and the CPU seconds they took, running the fine-tuning first unless it is there."""
    if not checkpoint.exists():
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        tensors = tune(base, data, settings)
        partial = checkpoint.with_suffix(".partial")
        save_file(tensors, partial, {"cpu_seconds": str(time.process_time() - started)})
        partial.replace(checkpoint)
    with safe_open(checkpoint, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, float(file.metadata()["cpu_seconds"])
