"""Exports a whole sequence-classification model as a bundle: one graph from tokens to logits, no heads file.

Any Hugging Face model for sequence classification goes through `AutoModelForSequenceClassification`. A
`complexity-router` is an encoder whose first token's state goes through Linear, GELU and Linear; its weights are found
by their shapes.
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch
from torch import nn

from . import checkpoint
from .sequence_bundle import IdTensor, LogitTensor, SequenceSource, budget, pad_token, write

State = dict[str, torch.Tensor]


class LogitsModule(nn.Module):
    """A Hugging Face classifier as a function from tensors to a tensor."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: IdTensor, attention_mask: IdTensor) -> LogitTensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]


class ComplexityRouter(nn.Module):
    """CLS -> Linear -> GELU -> Linear on an encoder."""

    def __init__(self, encoder: nn.Module, hidden: int, labels: int):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.config.hidden_size, hidden), nn.GELU(), nn.Linear(hidden, labels))

    def forward(self, input_ids: IdTensor, attention_mask: IdTensor) -> LogitTensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
        return self.head(states[:, 0])

    @classmethod
    def load(cls, folder: Path, base: str, hidden: int) -> "ComplexityRouter":
        """Reads a checkpoint whose layers may be called anything: the head's are those of the head's shapes."""
        from transformers import AutoConfig, AutoModel

        encoder = AutoModel.from_config(AutoConfig.from_pretrained(base), attn_implementation="eager")
        loaded = tensors_of(folder)
        last = last_layer(loaded, hidden)
        router = cls(encoder, hidden, len(loaded[f"{last}weight"]))
        state = {name: with_suffix(loaded, name.removeprefix("encoder.")) for name in router.encoder_names()}
        first = layer_of_shape(loaded, (hidden, router.encoder.config.hidden_size))
        for layer, prefix in (("head.0", first), ("head.2", last)):
            state |= {f"{layer}.weight": loaded[f"{prefix}weight"], f"{layer}.bias": loaded[f"{prefix}bias"]}
        missing = [name for name, value in state.items() if value is None]
        if missing:
            raise SystemExit(f"{folder} has no weights for {', '.join(missing[:5])}")
        router.load_state_dict(state, strict=False)
        return router

    def encoder_names(self) -> list[str]:
        return [name for name in self.state_dict() if name.startswith("encoder.")]


def tensors_of(folder: Path) -> State:
    """Returns the tensors of a checkpoint, whichever of the two formats it has."""
    from safetensors.torch import load_file

    safe = folder / "model.safetensors"
    loaded: State = load_file(safe) if safe.exists() else torch.load(folder / "pytorch_model.bin", map_location="cpu")
    return loaded


def with_suffix(tensors: State, suffix: str) -> torch.Tensor | None:
    """Returns the first tensor whose name ends so, if there is one: checkpoints differ in what stands before it."""
    return next((tensor for name, tensor in tensors.items() if name.endswith(suffix)), None)


def layer_of_shape(tensors: State, shape: tuple[int, int]) -> str:
    """Returns what stands before `weight` and `bias` in the names of the first layer whose weight has this shape."""
    weights = (name for name, tensor in tensors.items() if name.endswith("weight") and tuple(tensor.shape) == shape)
    found = next(weights, None)
    if found is None:
        raise SystemExit(
            f"the checkpoint has no layer of shape {list(shape)}; is it a complexity-router on this --base?"
        )
    return found.removesuffix("weight")


def last_layer(tensors: State, hidden: int) -> str:
    """Returns what stands before `weight` and `bias` in the names of the layer from `hidden` numbers to the logits."""
    for name, tensor in reversed(tensors.items()):
        if name.endswith("weight") and tensor.dim() == 2 and tensor.shape[1] == hidden and tensor.shape[0] < hidden:
            return name.removesuffix("weight")
    raise SystemExit(f"the checkpoint has no last layer of {hidden} inputs; is it a complexity-router?")


def run(arguments: argparse.Namespace) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = arguments.labels.split(",") if arguments.labels else None
    if arguments.architecture == "complexity-router":
        module: nn.Module = ComplexityRouter.load(Path(arguments.model), arguments.base, 256)
        tokenizer, config = AutoTokenizer.from_pretrained(arguments.base), module.encoder.config
        names = labels or ["trivial", "simple", "moderate", "complex"]
        head = checkpoint.named(arguments.kind or "multinomial", names, module.head[-1].out_features)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(arguments.model, attn_implementation="eager")
        head = checkpoint.meaning(model.config, arguments.kind, labels)
        module, config = LogitsModule(model), model.config
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    source = SequenceSource(module, tokenizer.backend_tokenizer, head.labels, arguments.name)
    source.version, source.head, source.kind, source.aliases = (
        arguments.version,
        arguments.head,
        head.kind,
        head.aliases,
    )
    source.pad_token = pad_token(config, tokenizer)
    source.max_tokens = budget(module, tokenizer, arguments.max_tokens)
    source.command = f"python -m models.train {shlex.join(sys.argv[1:])}"
    write(arguments.out, source)
