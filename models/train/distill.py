"""A student with fewer layers that embeds as its teacher does, so that every head of the teacher fits it."""

from pathlib import Path

import torch
from torch.nn.functional import kl_div, log_softmax

from .arrays import Tensors
from .augment import Augmenter
from .finetune import TrainingRun
from .network import SCALE, Network
from .onnx_encoder import OnnxEncoder
from .recipe import Recipe
from .stages import Batch, Stage, StageContext, StageSettings, length_batches
from .tokens import padded


class StudentStage(Stage):
    """Prompts of all files, half of the batches changed.

    The student comes near to the teacher's vector of the same text, and to its tiers.
    """

    def __init__(self, context: StageContext, teacher: OnnxEncoder, texts: list[str]):
        super().__init__(context)
        change = Augmenter(self.settings.seed)
        self.rows = self.ids(texts + [change(text) for text in texts[::2]])
        self.vectors = teacher.embed(self.rows)

    def batches(self) -> list[Batch]:
        return [Batch(rows) for rows in length_batches(self.rows, self.settings.batch, self.order)]

    def loss(self, batch: Batch) -> torch.Tensor:
        ids, mask = (
            torch.from_numpy(array).to(self.device) for array in padded([self.rows[row] for row in batch.rows])
        )
        vectors, wanted = self.network.embed(ids, mask), self.target(self.vectors[batch.rows]) * SCALE
        apart = 1 - (vectors * wanted).sum(1) / SCALE**2
        head = self.network.heads["tier"]
        tiers = kl_div(
            log_softmax(head(vectors), 1), log_softmax(head(wanted), 1), log_target=True, reduction="batchmean"
        )
        return 10 * apart.mean() + tiers


def student(recipe: Recipe, teacher: OnnxEncoder, texts: list[str], layers: list[int], epochs: int) -> Tensors:
    """Returns the tensors of a student that starts as the teacher's `layers`, trained after `epochs` over the texts."""
    settings = StageSettings(seed=recipe.seed, epochs=epochs, encoder_rate=2e-4)
    network = Network(recipe.base, layers)
    network.load_state_dict(initial_state(network, teacher.tuned, layers))
    network.heads.requires_grad_(False)
    network.to(recipe.device)
    folder: Path = recipe.work / f"student-{'-'.join(map(str, layers))}-{teacher.folder.name}"
    TrainingRun(StudentStage(recipe.context(network, settings), teacher, texts), folder).run()
    return {name: tensor.numpy() for name, tensor in network.tensors().items()}


def initial_state(network: Network, tuned: Tensors, layers: list[int]) -> dict[str, torch.Tensor]:
    """Returns the teacher's weights under the student's names; heads are unfolded again."""
    state = {}
    for name in network.state_dict():
        parts = name.split(".")
        if name.startswith("encoder.encoder.layer."):
            parts[3] = str(layers[int(parts[3])])
        value = torch.from_numpy(tuned[".".join(parts)].copy())
        state[name] = value / SCALE if name.startswith("heads.") and name.endswith("weight") else value
    return state
