"""A student of the encoder: fewer layers, heads and feed-forward units than its teacher has, activations in 8 bits.

Its tensors have the names that `export.StudentGraph` reads. While it learns, activations are rounded as the graph will
round them, and gradients pass through the rounding (straight-through estimator; Bengio, Leonard, Courville 2013).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from .arrays import Tensors
from .encoder import DIMENSION
from .export import EPSILON, HEAD_WIDTH, ActivationScale
from .network import IdTensor, VectorTensor, has_bfloat16

LOWEST_GELU = 0.18  # below zero: no value of GELU is less
BEYOND = 99.9  # percentile of the tokens whose largest value still has a step of its own

# Called with the name of an activation and its values; returns what takes their place.
Probe = Callable[[str, torch.Tensor], torch.Tensor]


class RoundedActivation(torch.autograd.Function):
    """Rounds to 256 values; the gradient passes where a value was within them."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, step: float, zero: int) -> torch.Tensor:
        values = (x / step).round()
        context.save_for_backward((values >= -zero) & (values <= 255 - zero))
        return values.clamp(-zero, 255 - zero) * step

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient * context.saved_tensors[0], None, None


@dataclass
class StudentStates:
    """The last layer's states, [batch, tokens, DIMENSION], and the unit vectors of the texts."""

    tokens: torch.Tensor
    vectors: VectorTensor


class ScaleObserver:
    """Records the largest value of each token of each activation, and of each column of those that are normalised."""

    def __init__(self, weights: Tensors) -> None:
        self.weights = weights
        self.ranges: dict[str, list[torch.Tensor]] = {}
        self.columns: dict[str, torch.Tensor] = {}

    def __call__(self, name: str, x: torch.Tensor) -> torch.Tensor:
        values = x.detach().float()
        if name.endswith(".input"):
            largest = values.abs().flatten(0, -2).amax(0)
            self.columns[name] = torch.maximum(self.columns.get(name, largest), largest)
        else:
            largest = values.amax(-1) if name.endswith(".wide") else values.abs().amax(-1)
            self.ranges.setdefault(name, []).append(largest.flatten())
        return x

    def scales(self) -> dict[str, ActivationScale]:
        found = {name: self.spread_out(name) for name in self.columns}
        for name, ranges in self.ranges.items():
            largest = float(np.percentile(torch.cat(ranges).cpu().numpy(), BEYOND))
            step = (largest + LOWEST_GELU) / 255 if name.endswith(".wide") else largest / 127
            found[name] = ActivationScale(step, round(LOWEST_GELU / step) if name.endswith(".wide") else 128)
        return found

    def spread_out(self, name: str) -> ActivationScale:
        """Returns a scale whose spread shares a column's size between the activation and the weights that read it."""
        layer = name.removesuffix(".input")
        readers = [f"{layer}.self.{part}" for part in ("query", "key", "value")]
        readers = readers if f"{readers[0]}.weight" in self.weights else [f"{layer}.intermediate.dense"]
        weights = np.max([np.abs(self.weights[f"{reader}.weight"]).max(0) for reader in readers], axis=0)
        largest = self.columns[name].cpu().numpy()
        spread = np.sqrt(np.maximum(largest, 1e-3) / np.maximum(weights, 1e-4))
        return ActivationScale(float((largest / spread).max()) / 127, 128, spread)


class StudentEncoder(nn.Module):
    """BERT of any shape, mean pooling, L2 norm."""

    def __init__(self, weights: Tensors):
        super().__init__()
        self.layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
        self.scales: dict[str, ActivationScale] = {}  # empty: nothing is rounded
        self.probe: Probe = lambda _name, x: x
        self.tensors = nn.ParameterDict(
            {name.replace(".", "/"): nn.Parameter(torch.tensor(value)) for name, value in weights.items()}
        )
        self.weight("embeddings.word_embeddings.weight").requires_grad_(False)

    def weight(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self.tensors[name.replace(".", "/")]
        return tensor

    def weights(self) -> Tensors:
        return {name.replace("/", "."): tensor.detach().cpu().numpy() for name, tensor in self.tensors.items()}

    def linear(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        return linear(x, self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias"))

    def norm(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        scale, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return layer_norm(x.float(), (DIMENSION,), scale, bias, EPSILON)

    def rounded(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = self.probe(name, x)
        if scale := self.scales.get(name):
            spread = 1.0 if scale.spread is None else torch.tensor(scale.spread, device=x.device, dtype=x.dtype)
            x = RoundedActivation.apply(x / spread, scale.step, scale.zero) * spread
        return x

    def attention(self, x: torch.Tensor, mask: IdTensor, layer: str) -> torch.Tensor:
        shared, (batch, tokens, _) = self.rounded(f"{layer}.input", x), x.shape
        query, key, value = (
            self.linear(shared, f"{layer}.self.{part}").view(batch, tokens, -1, HEAD_WIDTH).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        shown = None if bool(mask.all()) else mask[:, None, None, :].bool()
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=shown)
        mixed = mixed.transpose(1, 2).reshape(batch, tokens, -1)
        return self.linear(self.rounded(f"{layer}.mixed", mixed), f"{layer}.output.dense")

    def feed_forward(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        wide = gelu(self.linear(self.rounded(f"{layer}.input", x), f"{layer}.intermediate.dense"))
        return self.linear(self.rounded(f"{layer}.wide", wide), f"{layer}.output.dense")

    def forward(self, ids: IdTensor, mask: IdTensor) -> StudentStates:
        table = "embeddings.{}_embeddings.weight".format
        x = embedding(ids, self.weight(table("word"))) + self.weight(table("position"))[: ids.shape[1]]
        x = self.norm(x + self.weight(table("token_type"))[0], "embeddings.LayerNorm")
        for layer in (f"encoder.layer.{index}" for index in range(self.layers)):
            for part, name in ((self.attention, f"{layer}.attention"), (self.feed_forward, layer)):
                arguments = (x, mask, name) if part == self.attention else (x, name)
                with torch.autocast(ids.device.type, torch.bfloat16, enabled=has_bfloat16(ids.device)):
                    change = part(*arguments)
                x = self.norm(x + change, f"{name}.output.LayerNorm")
        weights = mask.unsqueeze(-1).to(x.dtype)
        return StudentStates(x, normalize((x * weights).sum(1) / weights.sum(1)))
