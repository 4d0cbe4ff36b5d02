"""The two stages of the fine-tuning: what each learns from, batch by batch, and its loss.

Stage `GeneralStage` sees outcomes and domains; it knows no tier, so both splits of the tiers start from it. Stage
`TierStage` sees mostly tiers, some rows with changed copies that must be judged alike, and now and then a batch of the
first stage so that nothing is forgotten.
"""

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax

from .augment import Augmenter
from .batches import length_batches
from .dataset import LabelledRows
from .network import LogitTensor, Network
from .tokens import padded, token_ids

LossTensor: TypeAlias = Annotated[torch.Tensor, "[]"]


@dataclass(frozen=True)
class StageSettings:
    """The settings of one stage's training."""

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


@dataclass
class StageContext:
    """The network, the tokenizer, the settings and the device of a stage."""

    network: Network
    tokenizer: Tokenizer
    settings: StageSettings
    device: str


@dataclass
class Source:
    """Rows that a stage learns from, and their token ids."""

    rows: LabelledRows
    ids: list[list[int]]


@dataclass
class Batch:
    """Rows by their places; with a source they are rows of the first stage."""

    rows: list[int]
    source: Source | None = None


class Stage(ABC):
    """A stage of the fine-tuning: batches to learn from, and their loss."""

    def __init__(self, context: StageContext):
        self.context, self.network, self.device = context, context.network, context.device
        self.settings, self.order = context.settings, random.Random(context.settings.seed)

    @abstractmethod
    def batches(self) -> list[Batch]:
        """Returns the batches of one epoch, in their order."""

    @abstractmethod
    def loss(self, batch: Batch) -> LossTensor:
        """Returns the loss of one batch."""

    def ids(self, texts: list[str]) -> list[list[int]]:
        return [token_ids(self.context.tokenizer, text) for text in texts]

    def outputs(self, rows: list[list[int]], names: tuple[str, ...]) -> dict[str, LogitTensor]:
        ids, mask = (torch.from_numpy(array).to(self.device) for array in padded(rows))
        outputs: dict[str, LogitTensor] = self.network(ids, mask, names)
        return outputs

    def target(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)


class GeneralStage(Stage):
    """Outcomes, domains and a panel of models: batches of one file, files in turn by size."""

    def __init__(self, context: StageContext, sources: list[LabelledRows]):
        super().__init__(context)
        self.sources = [Source(rows, self.ids(rows.texts)) for rows in sources]

    def batches(self) -> list[Batch]:
        drawn = [
            Batch(rows, source)
            for source in self.sources
            for rows in length_batches(source.ids, self.settings.batch, self.order)
        ]
        self.order.shuffle(drawn)
        return drawn

    def loss(self, batch: Batch) -> LossTensor:
        source, chosen = batch.source, batch.rows
        assert source, "a batch of the first stage has a source"
        targets = source.rows.targets
        names = tuple(name for name in ("success", "domain", "panel") if name in targets)
        outputs = self.outputs([source.ids[row] for row in chosen], names)
        total = torch.zeros((), device=self.device)
        for name in names:
            target = self.target(targets[name][chosen])
            if name == "domain":
                if (target >= 0).any():
                    total = total + cross_entropy(outputs[name], target, ignore_index=-1)
            else:
                total = total + binary_cross_entropy_with_logits(outputs[name], target)
        return total


class TierStage(Stage):
    """Tiers with changed copies; every few batches one of the first stage's."""

    def __init__(self, context: StageContext, rows: LabelledRows, general: GeneralStage):
        super().__init__(context)
        self.rows, self.clean, self.general = rows, self.ids(rows.texts), general
        self.augmenter = Augmenter(0)
        general.order = self.order  # one state to save

    def batches(self) -> list[Batch]:
        settings, rehearsed = self.settings, iter(self.general.batches())
        self.augmenter = Augmenter(self.order.randrange(2**32))
        drawn = []
        for count, rows in enumerate(length_batches(self.clean, settings.batch, self.order), start=1):
            drawn.append(Batch(rows))
            if settings.rehearsal and count % settings.rehearsal == 0:
                drawn.append(next(rehearsed))
        return drawn

    def loss(self, batch: Batch) -> LossTensor:
        if batch.source:
            return self.general.loss(batch)
        rows = batch.rows
        changed = rows[: round(self.settings.changed * len(rows))]
        clean = self.outputs([self.clean[row] for row in rows], ("tier", "complexity"))
        total = self.label_loss(clean, rows)
        if changed:
            copies = self.ids([self.augmenter(self.rows.texts[row]) for row in changed])
            copied = self.outputs(copies, ("tier", "complexity"))
            total = total + 0.5 * self.label_loss(copied, changed)
            total = total + self.settings.consistency * divergence(clean["tier"][: len(changed)], copied["tier"])
        return total

    def label_loss(self, outputs: dict[str, LogitTensor], rows: list[int]) -> LossTensor:
        labels = self.target(self.rows.targets["tier"][rows])
        loss = cross_entropy(outputs["tier"], labels, label_smoothing=self.settings.label_smoothing)
        # Above level 1, above level 2; what is above level 0 no label says.
        above = torch.stack([labels >= 1, labels >= 2], 1).to(outputs["complexity"].dtype)
        return loss + 0.3 * binary_cross_entropy_with_logits(outputs["complexity"][:, 1:], above)


def divergence(a: LogitTensor, b: LogitTensor) -> LossTensor:
    """Returns the mean of both Kullback-Leibler divergences."""
    a, b = log_softmax(a, 1), log_softmax(b, 1)
    both = kl_div(a, b, log_target=True, reduction="batchmean"), kl_div(b, a, log_target=True, reduction="batchmean")
    return 0.5 * (both[0] + both[1])
