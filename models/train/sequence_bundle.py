"""Writes a whole classifier as a bundle: one graph from tokens to logits, no heads file, golden scores, hashes.

Where the module comes from does not matter: `sequence` exports checkpoints, `classification` what it trained.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import onnxruntime
import torch
import yaml
from tokenizers import Tokenizer
from torch import nn

from . import golden, graph_file, graph_int8, processor, scorer
from .arrays import Logits, Probabilities
from .checkpoint import HeadMeaning
from .encoder import sha256
from .metrics import ordinal, sigmoid, softmax
from .tokens import padded, text_ids

FILES = ["tokenizer.json", "golden.json"]
LONGEST = 512

IdTensor: TypeAlias = Annotated[torch.Tensor, "[batch, tokens]"]  # token ids, and their attention mask
LogitTensor: TypeAlias = Annotated[torch.Tensor, "[batch, labels]"]


@dataclass
class PromptTokens:
    """The tokens that Pointsman feeds a classifier: a text's two ends within the budget, specials around them."""

    tokenizer: Tokenizer
    max_tokens: int = LONGEST
    pad_token: str | None = None
    texts: list[str] = field(default_factory=lambda: list(golden.TEXTS))

    def __post_init__(self) -> None:
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    @cached_property
    def around(self) -> tuple[list[int], list[int]]:
        """The specials before and after a text: those of the post-processor, else of BERT, else none."""
        for text in ["a", *self.texts]:
            bare, whole = self.tokenizer.encode(text, add_special_tokens=False).ids, self.tokenizer.encode(text).ids
            if bare and len(whole) > len(bare):
                start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
                return whole[:start], whole[start + len(bare) :]
        named = [self.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]")]
        return ([], []) if None in named else ([named[0]], [named[1]])

    @property
    def head_tokens(self) -> int:
        return (self.max_tokens - 2) * 2 // 3

    @property
    def pad_id(self) -> int:
        return self.tokenizer.token_to_id(self.pad_token) if self.pad_token else 0

    def ids(self, text: str) -> list[int]:
        half = 16 * self.max_tokens
        before, after = self.around
        parts = [text] if len(text) <= 2 * half else [text[:half], text[-half:]]
        ids = [token for part in parts for token in text_ids(self.tokenizer, part)]
        budget = self.max_tokens - len(before) - len(after)
        if len(ids) > budget:
            ids = ids[: self.head_tokens] + ids[len(ids) - (budget - self.head_tokens) :]
        return [*before, *ids, *after] or [self.pad_id]


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
    temperature: float = 1.0
    pad_token: str | None = None
    max_tokens: int = LONGEST
    precision: str = "fp32"  # or int8
    command: str = ""
    training: dict[str, Any] = field(default_factory=dict)  # of the manifest, besides the command
    texts: list[str] = field(default_factory=lambda: list(golden.TEXTS))

    @property
    def tokens(self) -> PromptTokens:
        return PromptTokens(self.tokenizer, self.max_tokens, self.pad_token, self.texts)

    def probabilities(self, logits: Logits) -> Probabilities:
        """Returns the chances of the labels, as the head gives them."""
        logits = np.asarray(logits, np.float64) / self.temperature
        if self.kind == "multinomial":
            return softmax(logits)
        return sigmoid(logits) if self.kind == "independent" else ordinal(logits)


class OnnxClassifier:
    """An exported graph, run by ONNX Runtime one text at a time."""

    def __init__(self, model: Path):
        self.session = scorer.session(model)
        self.inputs = {value.name for value in self.session.get_inputs()}

    def logits(self, rows: list[list[int]], filler: int = 0) -> Logits:
        """Returns the logits of rows of token ids; shorter rows are filled up and masked."""
        ids, mask = padded(rows, filler)
        feeds = {"input_ids": ids, "attention_mask": mask}
        [logits] = self.session.run(None, {name: value for name, value in feeds.items() if name in self.inputs})
        return np.asarray(logits, np.float64).reshape(len(rows), -1)


def torch_logits(module: nn.Module, ids: list[int]) -> Logits:
    row = torch.tensor([ids])
    with torch.no_grad():
        return np.asarray(module(row, torch.ones_like(row)).double().numpy()).reshape(1, -1)


def scores_of(source: SequenceSource, text: str) -> list[float]:
    """Returns PyTorch's probabilities."""
    scores: list[float] = source.probabilities(torch_logits(source.module, source.tokens.ids(text)))[0].tolist()
    return scores


def golden_lines(source: SequenceSource, graph: Path) -> list[str]:
    """Returns the golden texts with their scores.

    They are PyTorch's; of an int8 graph its own, as nothing else rounds like it.
    """
    tokens = source.tokens
    own = OnnxClassifier(graph) if source.precision == "int8" else None
    lines = []
    for text in source.texts:
        ids = tokens.ids(text)
        logits = own.logits([ids]) if own else torch_logits(source.module, ids)
        scores = [round(p, 6) for p in source.probabilities(logits)[0].tolist()]
        lines.append(json.dumps({"text": text, "scores": {source.head: scores}}, ensure_ascii=False))
    return lines


def write(folder: Path, source: SequenceSource) -> None:
    """Writes the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    source.module.float().eval()  # checkpoints in 16 bits load as such
    models = graph_file.write(folder, source.module)
    if source.precision == "int8":
        models = graph_int8.rewrite(folder)
    (folder / "golden.json").write_text("[\n" + ",\n".join(golden_lines(source, folder / models[0])) + "\n]\n", "utf-8")
    if source.pad_token:
        # On the right, whatever it was in training: there it changes no score, of encoders nor of decoders.
        source.tokenizer.enable_padding(pad_id=source.tokens.pad_id, pad_token=source.pad_token)
    source.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    manifest = manifest_of(source, models[0]) | {"files": {name: sha256(folder / name) for name in [*models, *FILES]}}
    manifest["training"] = {"command": source.command} | source.training
    if source.precision == "int8":
        machine = {"onnxruntime": onnxruntime.__version__, "instruction_sets": [processor.instruction_set()]}
        manifest["training"] |= {"golden": machine}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")


def manifest_of(source: SequenceSource, model: str) -> dict[str, Any]:
    """Returns the manifest, less its hashes and what it says of the training."""
    head: dict[str, Any] = {"name": source.head, "kind": source.kind, "labels": source.labels}
    head["temperature"] = round(source.temperature, 4)
    if source.aliases:
        head["aliases"] = source.aliases
    width = HeadMeaning(source.kind, source.labels).logits
    window = {"max_tokens": source.max_tokens, "head_tokens": source.tokens.head_tokens}
    return {
        "format": 1,
        "kind": "sequence_classification",
        "name": source.name,
        "version": source.version,
        "description": source.description,
        "encoder": {"file": model, "output": "logits", "dimension": width, "precision": source.precision},
        "tokenizer": {"file": "tokenizer.json"} | window,
        "golden_file": "golden.json",
        "heads": [head],
    }


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
