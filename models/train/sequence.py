"""Exports a whole sequence-classification model as a bundle: one graph from tokens to logits, no heads file.

Any Hugging Face model for sequence classification goes through `AutoModelForSequenceClassification`. A
`complexity-router` is an encoder whose first token's state goes through Linear, GELU and Linear; its weights are found
by their shapes.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

import torch
import yaml
from tokenizers import Tokenizer
from torch import nn

from . import golden
from .encoder import sha256

FILES = ["model.onnx", "tokenizer.json", "golden.json"]
OPSET = 17

IdTensor: TypeAlias = Annotated[torch.Tensor, "[batch, tokens]"]  # token ids, and their attention mask
LogitTensor: TypeAlias = Annotated[torch.Tensor, "[batch, labels]"]
State = dict[str, torch.Tensor]


@dataclass
class SequenceSource:
    """A model to export: a module from ids and mask to logits, its tokenizer, and what its outputs mean."""

    module: nn.Module
    tokenizer: Tokenizer
    labels: list[str]
    name: str
    version: str = "1"
    description: str = "a sequence-classification model"
    head: str = "tier"
    kind: str = "multinomial"
    max_tokens: int = 512
    command: str = ""
    texts: list[str] = field(default_factory=lambda: list(golden.TEXTS))


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
    def load(cls, folder: Path, base: str, hidden: int, labels: int) -> "ComplexityRouter":
        """Reads a checkpoint whose layers may be called anything: the head's are those of the head's shapes."""
        from transformers import AutoConfig, AutoModel

        encoder = AutoModel.from_config(AutoConfig.from_pretrained(base), attn_implementation="eager")
        router, loaded = cls(encoder, hidden, labels), checkpoint(folder)
        state = {name: with_suffix(loaded, name.removeprefix("encoder.")) for name in router.encoder_names()}
        width = router.encoder.config.hidden_size
        for layer, shape in (("head.0", (hidden, width)), ("head.2", (labels, hidden))):
            prefix = layer_of_shape(loaded, shape)
            state |= {f"{layer}.weight": loaded[f"{prefix}weight"], f"{layer}.bias": loaded[f"{prefix}bias"]}
        missing = [name for name, value in state.items() if value is None]
        if missing:
            raise SystemExit(f"{folder} has no weights for {', '.join(missing[:5])}")
        router.load_state_dict(state, strict=False)
        return router

    def encoder_names(self) -> list[str]:
        return [name for name in self.state_dict() if name.startswith("encoder.")]


def checkpoint(folder: Path) -> State:
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
    return next(name.removesuffix("weight") for name in weights)


def ids_of(source: SequenceSource, text: str) -> list[int]:
    """Returns the tokens that Pointsman feeds: the text's two ends within the budget, specials around them."""
    half, empty = 16 * source.max_tokens, source.tokenizer.encode("a").ids
    bare = source.tokenizer.encode("a", add_special_tokens=False).ids
    start = next(i for i in range(len(empty)) if empty[i : i + len(bare)] == bare)
    before, after = empty[:start], empty[start + len(bare) :]
    if not before and not after:
        before, after = ([source.tokenizer.token_to_id(token)] for token in ("[CLS]", "[SEP]"))
    parts = [text] if len(text) <= 2 * half else [text[:half], text[-half:]]
    ids = [token for part in parts for token in source.tokenizer.encode(part, add_special_tokens=False).ids]
    budget = source.max_tokens - len(before) - len(after)
    if len(ids) > budget:
        head = head_tokens(source)
        ids = ids[:head] + ids[len(ids) - (budget - head) :]
    return [*before, *ids, *after]


def head_tokens(source: SequenceSource) -> int:
    return (source.max_tokens - 2) * 2 // 3


def scores_of(source: SequenceSource, text: str) -> list[float]:
    """Returns PyTorch's probabilities."""
    ids = torch.tensor([ids_of(source, text)])
    with torch.no_grad():
        logits = source.module(ids, torch.ones_like(ids))[0].double()
    if source.kind == "multinomial":
        return list(map(float, logits.softmax(-1)))
    above = torch.cat([torch.ones(1), logits.sigmoid().cummin(-1).values, torch.zeros(1)])
    return list(map(float, above[:-1] - above[1:]))


def write(folder: Path, source: SequenceSource) -> None:
    """Writes the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    source.tokenizer.no_padding()
    source.tokenizer.no_truncation()
    source.module.eval()
    export(folder / "model.onnx", source.module)
    source.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    entries = [
        {"text": text, "scores": {source.head: [round(p, 6) for p in scores_of(source, text)]}} for text in source.texts
    ]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    (folder / "golden.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    width = len(source.labels) - (source.kind == "ordinal")
    manifest = {
        "format": 1,
        "kind": "sequence_classification",
        "name": source.name,
        "version": source.version,
        "description": source.description,
        "encoder": {"file": "model.onnx", "output": "logits", "dimension": width, "precision": "fp32"},
        "tokenizer": {"file": "tokenizer.json", "max_tokens": source.max_tokens, "head_tokens": head_tokens(source)},
        "golden_file": "golden.json",
        "heads": [{"name": source.head, "kind": source.kind, "labels": source.labels, "temperature": 1.0}],
        "files": {name: sha256(folder / name) for name in FILES},
        "training": {"command": source.command},
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")


def export(path: Path, module: nn.Module) -> None:
    ids = torch.randint(5, 20, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        module,
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


def run(arguments: argparse.Namespace) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = arguments.labels.split(",") if arguments.labels else None
    if arguments.architecture == "complexity-router":
        labels = labels or ["trivial", "simple", "moderate", "complex"]
        module = ComplexityRouter.load(Path(arguments.model), arguments.base, 256, len(labels))
        tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(arguments.model, attn_implementation="eager")
        labels = labels or [model.config.id2label[index] for index in range(model.config.num_labels)]
        module, tokenizer = LogitsModule(model), AutoTokenizer.from_pretrained(arguments.model)
    command = f"python -m models.train sequence --model {arguments.model} --architecture {arguments.architecture}"
    source = SequenceSource(module, tokenizer.backend_tokenizer, labels, arguments.name, command=command)
    source.version, source.head, source.kind = arguments.version, arguments.head, arguments.kind
    source.max_tokens = arguments.max_tokens
    write(arguments.out, source)
