"""What the two stages learn from, batch by batch, and their losses.

Stage `General` sees outcomes and domains; it knows no tier, so both splits of the tiers start from it. Stage `Tiers` sees mostly tiers,
some rows with changed copies that must be judged alike, and now and then a batch of the first stage so that nothing is forgotten.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax

from .augment import Augmenter
from .dataset import Rows
from .network import Network
from .tokens import padded, token_ids


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
    consistency: float = 1.5  # weight of the divergence between a row and its changed copy
    rehearsal: int = 4  # one batch of the first stage after so many batches of tiers; 0 for none


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
        drawn = [
            (source, batch)
            for source in self.sources
            for batch in by_length(source[1], self.settings.batch, self.order)
        ]
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

    def __init__(
        self,
        network,
        tokenizer,
        settings: Settings,
        device: str,
        rows: Rows,
        general: General,
        teacher: np.ndarray | None = None,
    ):
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
            loss = cross_entropy(outputs["tier"], labels) + cross_entropy(
                outputs["tier"], self.target(self.teacher[batch])
            )
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
    pools = [
        sorted(shuffled[at : at + 50 * size], key=lambda row: len(rows[row])) for at in range(0, len(rows), 50 * size)
    ]
    batches = [pool[at : at + size] for pool in pools for at in range(0, len(pool), size)]
    for batch in batches:
        order.shuffle(batch)
    order.shuffle(batches)
    return batches
