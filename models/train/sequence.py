"""Exports a whole sequence-classification model as a bundle: one graph from tokens to logits, no heads file.

Any Hugging Face model for sequence classification goes through `AutoModelForSequenceClassification`. A
`complexity-router` is an encoder whose first token's state goes through Linear, GELU and Linear; its weights are found
by their shapes.
"""

import argparse
import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import torch
import yaml
from tokenizers import Tokenizer
from torch import nn

from . import checkpoint, golden, graph_file
from .checkpoint import HeadMeaning
from .encoder import sha256
from .tokens import text_ids

FILES = ["tokenizer.json", "golden.json"]
LONGEST = 512

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
    aliases: dict[str, str] = field(default_factory=dict)
    pad_token: str | None = None
    max_tokens: int = LONGEST
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


def around(tokenizer: Tokenizer, texts: list[str]) -> tuple[list[int], list[int]]:
    """Returns the specials before and after a text: those of the post-processor, else of BERT, else none."""
    for text in ["a", *texts]:
        bare, whole = tokenizer.encode(text, add_special_tokens=False).ids, tokenizer.encode(text).ids
        if bare and len(whole) > len(bare):
            start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
            return whole[:start], whole[start + len(bare) :]
    named = [tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]")]
    return ([], []) if None in named else ([named[0]], [named[1]])


def ids_of(source: SequenceSource, text: str) -> list[int]:
    """Returns the tokens that Pointsman feeds: the text's two ends within the budget, specials around them."""
    half = 16 * source.max_tokens
    before, after = around(source.tokenizer, source.texts)
    parts = [text] if len(text) <= 2 * half else [text[:half], text[-half:]]
    ids = [token for part in parts for token in text_ids(source.tokenizer, part)]
    budget = source.max_tokens - len(before) - len(after)
    if len(ids) > budget:
        head = head_tokens(source)
        ids = ids[:head] + ids[len(ids) - (budget - head) :]
    filler = source.tokenizer.token_to_id(source.pad_token) if source.pad_token else 0
    return [*before, *ids, *after] or [filler]


def head_tokens(source: SequenceSource) -> int:
    return (source.max_tokens - 2) * 2 // 3


def scores_of(source: SequenceSource, text: str) -> list[float]:
    """Returns PyTorch's probabilities."""
    ids = torch.tensor([ids_of(source, text)])
    with torch.no_grad():
        logits = source.module(ids, torch.ones_like(ids))[0].double()
    if source.kind == "multinomial":
        return list(map(float, logits.softmax(-1)))
    if source.kind == "independent":
        return list(map(float, logits.sigmoid()))
    above = torch.cat([torch.ones(1), logits.sigmoid().cummin(-1).values, torch.zeros(1)])
    return list(map(float, above[:-1] - above[1:]))


def write(folder: Path, source: SequenceSource) -> None:
    """Writes the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    source.tokenizer.no_padding()
    source.tokenizer.no_truncation()
    source.module.float().eval()  # checkpoints in 16 bits load as such
    models = graph_file.write(folder, source.module)
    entries = [
        {"text": text, "scores": {source.head: [round(p, 6) for p in scores_of(source, text)]}} for text in source.texts
    ]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    (folder / "golden.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    if source.pad_token:
        # On the right, whatever it was in training: there it changes no score, of encoders nor of decoders.
        source.tokenizer.enable_padding(
            pad_id=source.tokenizer.token_to_id(source.pad_token), pad_token=source.pad_token
        )
    source.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    head: dict[str, Any] = {"name": source.head, "kind": source.kind, "labels": source.labels, "temperature": 1.0}
    if source.aliases:
        head["aliases"] = source.aliases
    width = HeadMeaning(source.kind, source.labels).logits
    manifest = {
        "format": 1,
        "kind": "sequence_classification",
        "name": source.name,
        "version": source.version,
        "description": source.description,
        "encoder": {"file": models[0], "output": "logits", "dimension": width, "precision": "fp32"},
        "tokenizer": {"file": "tokenizer.json", "max_tokens": source.max_tokens, "head_tokens": head_tokens(source)},
        "golden_file": "golden.json",
        "heads": [head],
        "files": {name: sha256(folder / name) for name in [*models, *FILES]},
        "training": {"command": source.command},
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")


def positions(module: nn.Module) -> int | None:
    """Returns how many places the model has an embedding for; none where places are relative."""
    tables = [
        table
        for name, table in module.named_modules()
        if isinstance(table, nn.Embedding) and name.endswith(("position_embeddings", "wpe"))
    ]
    # RoBERTa counts places from behind that of padding.
    before = [0 if table.padding_idx is None else table.padding_idx + 1 for table in tables]
    return min((len(table.weight) - skipped for table, skipped in zip(tables, before, strict=True)), default=None)


def budget(module: nn.Module, tokenizer: Any, wanted: int | None) -> int:
    """Returns the most tokens of a prompt: the wanted number, else as many as model and tokenizer take, at most 512."""
    places = positions(module)
    if wanted and places and wanted > places:
        raise SystemExit(f"--max-tokens is {wanted}, and the checkpoint has {places} positions: say {places} or less")
    return wanted or min(LONGEST, places or LONGEST, tokenizer.model_max_length)


def pad_token(config: Any, tokenizer: Any) -> str | None:
    """Returns the token that pads; decoders find the end of a prompt by it, so they are given one if they have none."""
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    if config.pad_token_id is None:
        return None
    token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
    return token if isinstance(token, str) and tokenizer.backend_tokenizer.token_to_id(token) is not None else None


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
