"""The network: an encoder, pooling of its states, and layers that give one logit a label."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..sequence_bundle import IdTensor, LogitTensor


@dataclass(frozen=True)
class HeadShape:
    """The head on the encoder."""

    labels: int
    pooling: str = "mean"
    hidden: int = 0
    dropout: float = 0.1


class PooledClassifier(nn.Module):
    """An encoder whose pooled states go through dropout and one or two layers."""

    def __init__(self, encoder: nn.Module, shape: HeadShape):
        super().__init__()
        self.encoder, self.pooling = encoder, shape.pooling
        width = encoder.config.hidden_size
        layers: list[nn.Module] = [nn.Dropout(shape.dropout)]
        if shape.hidden:
            layers += [nn.Linear(width, shape.hidden), nn.GELU(), nn.Dropout(shape.dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(shape.hidden or width, shape.labels))

    def forward(self, input_ids: IdTensor, attention_mask: IdTensor) -> LogitTensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
        return self.head(self.pooled(states, attention_mask).to(self.head[-1].weight.dtype))

    def pooled(self, states: torch.Tensor, mask: IdTensor) -> torch.Tensor:
        """Returns the first token's state, or the mean of all that are no padding."""
        if self.pooling == "cls":
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def load(base: Path, shape: HeadShape, **options: Any) -> PooledClassifier:
    """Reads the encoder of a folder; code that a folder brings along is never run."""
    from transformers import AutoModel

    try:
        encoder = AutoModel.from_pretrained(base, local_files_only=True, dtype=torch.float32, **options)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"{base} holds no encoder that transformers reads: {error}") from None
    if encoder.config.is_encoder_decoder or not hasattr(encoder.config, "hidden_size"):
        raise SystemExit(f"{base} is a {encoder.config.model_type}, which is no encoder of one text")
    return PooledClassifier(encoder, shape)


def as_options(shape: HeadShape) -> dict[str, Any]:
    return asdict(shape)


def word_embeddings(network: PooledClassifier) -> nn.Module:
    embeddings: nn.Module = network.encoder.get_input_embeddings()
    return embeddings
