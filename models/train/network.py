"""The network that all heads share: BERT, mean pooling, L2 norm, one linear head a task."""

from pathlib import Path
from typing import Annotated, TypeAlias

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import BertModel

from .encoder import DIMENSION

SCALE = DIMENSION**0.5  # a unit vector's components are small; this brings them to about one for the heads
OUTPUTS = {"tier": 3, "complexity": 3, "success": 2, "domain": 14, "panel": 9}


IdTensor: TypeAlias = Annotated[torch.Tensor, "[batch, longest row]"]  # token ids, and their attention mask
VectorTensor: TypeAlias = Annotated[torch.Tensor, "[batch, encoder.DIMENSION]"]
LogitTensor: TypeAlias = Annotated[torch.Tensor, "[batch, outputs of a head]"]


def has_bfloat16(device: torch.device) -> bool:
    """Returns whether torch has kernels for products of bfloat16, which save a third.

    Elsewhere it is forty times slower.
    """
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Network(nn.Module):
    """BERT, mean pooling, L2 norm, and one linear head a task."""

    def __init__(self, base: Path):
        super().__init__()
        self.encoder = BertModel.from_pretrained(base, add_pooling_layer=False)
        self.encoder.embeddings.word_embeddings.weight.requires_grad_(False)
        self.heads = nn.ModuleDict({name: nn.Linear(DIMENSION, width) for name, width in OUTPUTS.items()})
        for head in self.heads.values():
            nn.init.zeros_(head.weight)  # equal for every seed, so that weights of seeds may be averaged
            nn.init.zeros_(head.bias)
        self.dropout = nn.Dropout(0.1)

    def embed(self, ids: IdTensor, mask: IdTensor) -> VectorTensor:
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=has_bfloat16(ids.device)):
            states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask.unsqueeze(-1).to(states.dtype)
        return normalize((states * weights).sum(1) / weights.sum(1)) * SCALE

    def forward(self, ids: IdTensor, mask: IdTensor, names: tuple[str, ...]) -> dict[str, LogitTensor]:
        vectors = self.embed(ids, mask)
        return {name: self.heads[name](self.dropout(vectors)) for name in names}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Returns `encoder.*` and `heads.<name>.*`; the scale is folded into the heads."""
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.state_dict().items()}
        for name in OUTPUTS:
            tensors[f"heads.{name}.weight"] *= SCALE
        return tensors
