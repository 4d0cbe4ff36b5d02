"""Writes a bundle folder: encoder, tokenizer, head, features, golden scores, manifest, card."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from . import card, export, golden, metrics
from .dataset import TIER_OF_LABEL, TIERS
from .encoder import DIMENSION, sha256
from .evaluate import Model
from .tokens import HEAD_TOKENS, MAX_TOKENS, token_ids

FILES = ["model.onnx", "tokenizer.json", "heads.safetensors", "features.json", "golden.json"]
MANIFEST = {
    "format": 1,
    "name": "pointsman-mini",
    "version": "2026.11.1",
    "description": "all-MiniLM-L6-v2 fine-tuned to judge which of three model tiers a prompt needs",
    "encoder": {"file": "model.onnx", "output": export.OUTPUT, "dimension": DIMENSION, "precision": "int8"},
    "tokenizer": {"file": "tokenizer.json", "max_tokens": MAX_TOKENS, "head_tokens": HEAD_TOKENS},
    "heads_file": "heads.safetensors",
    "features_file": "features.json",
    "golden_file": "golden.json",
}
TIER_HEAD = {
    "name": "tier",
    "kind": "multinomial",
    "labels": TIERS,
    "aliases": TIER_OF_LABEL,
    "inputs": ["embedding", "features"],
    "activation": "relu",
}


@dataclass
class Parts:
    """What a bundle is made of."""

    model: Model
    tokenizer: Tokenizer
    block: list[dict]
    temperature: float

    def golden(self, features: np.ndarray) -> str:
        """Returns golden.json: each golden text with the scores of the int8 encoder, one text at a time."""
        rows = [token_ids(self.tokenizer, text) for text in golden.TEXTS]
        table = metrics.softmax(self.model.logits(self.model.int8, rows, features) / self.temperature)
        scores = [[round(float(p), 6) for p in row] for row in table]
        entries = [{"text": text, "scores": {"tier": row}} for text, row in zip(golden.TEXTS, scores)]
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        return "[\n" + ",\n".join(lines) + "\n]\n"


def write(folder: Path, parts: Parts, golden_features: np.ndarray, record: dict) -> None:
    """Writes the folder; `record` is the manifest's `training` and `metrics`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parts.model.int8, folder / "model.onnx")
    save_file(parts.model.head, folder / "heads.safetensors")
    texts = {
        "tokenizer.json": parts.tokenizer.to_str(),
        "features.json": json.dumps(parts.block, indent=1) + "\n",
        "golden.json": parts.golden(golden_features),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    heads = [TIER_HEAD | {"temperature": parts.temperature}]
    manifest = MANIFEST | {"heads": heads, "files": {name: sha256(folder / name) for name in FILES}} | record
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")
    (folder / "README.md").write_text(card.render(manifest), "utf-8")
