"""The shape of a student, and its first weights: the parts of its teacher whose loss moves the embedding least.

A unit's or a head's worth is the change of the embedding without it, to first order: its activation times the gradient,
summed over the tokens of a text, squared and summed over texts and random directions of the embedding (Michel, Levy,
Neubig 2019 do so for heads and a loss).
"""

from dataclasses import dataclass

import numpy as np
import torch

from .arrays import Floats, Tensors
from .export import HEAD_WIDTH
from .student import StudentEncoder
from .tokens import padded

DIRECTIONS, BATCH = 3, 16


@dataclass(frozen=True)
class StudentShape:
    """The teacher's layers that a student keeps, and how much of each."""

    layers: tuple[int, ...] = (0, 2, 4, 5)
    heads: int = 8
    units: int = 768

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.layers))}x{self.heads}x{self.units}"


WHOLE = StudentShape((0, 1, 2, 3, 4, 5), 12, 1536)  # nothing is cut: the teacher's weights in another graph


class WorthProbe:
    """Keeps the activations of a run, so that their gradients can be read."""

    def __init__(self) -> None:
        self.kept: dict[str, torch.Tensor] = {}

    def __call__(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = x.float()
        if name.endswith((".mixed", ".wide")):
            x.retain_grad()
            self.kept[name] = x
        return x


def worth(weights: Tensors, rows: list[list[int]], seed: int) -> dict[str, Floats]:
    """Returns the worth of each feed-forward unit and of each head, by activation."""
    encoder, draw = StudentEncoder(weights), torch.Generator().manual_seed(seed)
    encoder.requires_grad_(False)
    encoder.weight("embeddings.LayerNorm.weight").requires_grad_(True)  # what leads gradients through all layers
    total: dict[str, Floats] = {}
    for at in range(0, len(rows), BATCH):
        ids, mask = (torch.from_numpy(array) for array in padded(rows[at : at + BATCH]))
        encoder.probe = probe = WorthProbe()
        vectors = encoder(ids, mask).vectors
        for _ in range(DIRECTIONS):
            for kept in probe.kept.values():
                kept.grad = None
            (vectors * torch.randn(vectors.shape, generator=draw)).sum().backward(retain_graph=True)
            for name, kept in probe.kept.items():
                assert kept.grad is not None, "the embedding depends on every layer"
                change = (kept * kept.grad * mask[..., None]).sum(1).detach()
                if name.endswith(".mixed"):
                    change = change.view(len(change), -1, HEAD_WIDTH).sum(2)
                total[name] = total.get(name, np.zeros(1)) + change.pow(2).sum(0).numpy()
    return total


def best(values: Floats, count: int) -> list[int]:
    return sorted(np.argsort(-values, kind="stable")[:count].tolist())


def pruned(weights: Tensors, worths: dict[str, Floats], shape: StudentShape) -> Tensors:
    """Returns the weights of a student that is nothing but parts of its teacher."""
    kept: Tensors = {name: value for name, value in weights.items() if not name.startswith("encoder.layer.")}
    for new, old in enumerate(shape.layers):
        layer = f"encoder.layer.{old}"
        heads = best(worths[f"{layer}.attention.mixed"], shape.heads)
        columns = np.concatenate([np.arange(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH) for head in heads])
        units = best(worths[f"{layer}.wide"], shape.units)
        cuts = {
            f"attention.self.{part}.{kind}": (columns, 0)
            for part in ("query", "key", "value")
            for kind in ("weight", "bias")
        }
        cuts |= {"attention.output.dense.weight": (columns, 1), "output.dense.weight": (np.array(units), 1)}
        cuts |= {f"intermediate.dense.{kind}": (np.array(units), 0) for kind in ("weight", "bias")}
        for name in (name for name in weights if name.startswith(f"{layer}.")):
            part, value = name.removeprefix(f"{layer}."), weights[name]
            if part in cuts:
                value = np.take(value, *cuts[part])
            kept[f"encoder.layer.{new}.{part}"] = np.ascontiguousarray(value)
    return kept
