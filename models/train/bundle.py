"""Writes a bundle folder: encoder, tokenizer, heads, features, golden scores, manifest, card."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import yaml
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from . import card, export, features, golden, ngrams, processor, scorer
from .arrays import Tensors
from .assemble import BundleHead
from .encoder import DIMENSION, sha256
from .features import FeatureScale
from .onnx_encoder import OnnxEncoder
from .tokens import SHORT, token_ids

FILES = ["model.onnx", "tokenizer.json", "heads.safetensors", "features.json", "golden.json"]
MANIFEST: dict[str, Any] = {
    "format": 1,
    "name": "pointsman-mini",
    "version": "2026.11.7",
    "description": "all-MiniLM-L6-v2 fine-tuned to judge which model tier a prompt needs, how complex it is, "
    "what it is about, and whether only a strong model gets it right",
    "encoder": {"file": "model.onnx", "output": export.OUTPUT, "dimension": DIMENSION, "precision": "int8"},
    "tokenizer": {"file": "tokenizer.json"} | SHORT.limits(),
    "heads_file": "heads.safetensors",
    "features_file": "features.json",
    "golden_file": "golden.json",
}


@dataclass
class BundleParts:
    """The parts that a bundle is written from."""

    model: OnnxEncoder
    tokenizer: Tokenizer
    block: list[FeatureScale]
    heads: list[BundleHead]
    binary: Path
    precision: str = "int8"

    def tensors(self) -> Tensors:
        return {name: tensor for head in self.heads for name, tensor in head.tensors.items()}

    def golden(self) -> str:
        """Returns golden.json: each golden text with its scores, one text at a time."""
        rows = [token_ids(self.tokenizer, text) for text in golden.TEXTS]
        measured = features.scaled(features.measure(self.binary, golden.TEXTS), self.block)
        embedding = scorer.embed(scorer.session(self.model.file(self.precision)), rows, batch=1)
        blocks = {"embedding": embedding, "features": measured, "ngrams": ngrams.matrix(golden.TEXTS)}
        heads = scorer.heads([head.spec for head in self.heads], self.tensors())
        tables = {name: head.scores(blocks) for name, head in heads.items() if not head.spec.get("hidden")}
        entries = [
            {"text": text, "scores": {name: [round(float(p), 6) for p in table[row]] for name, table in tables.items()}}
            for row, text in enumerate(golden.TEXTS)
        ]
        return "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n"


def write(folder: Path, parts: BundleParts, record: dict[str, Any]) -> None:
    """Writes the folder; `record` is the manifest's `training` and `metrics`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parts.model.file(parts.precision), folder / "model.onnx")
    save_file(parts.tensors(), folder / "heads.safetensors")
    (folder / "heads.safetensors").chmod(0o644)
    texts = {
        "tokenizer.json": parts.tokenizer.to_str(),
        "features.json": json.dumps(parts.block, indent=1) + "\n",
        "golden.json": parts.golden(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    specs = [head.spec for head in parts.heads]
    encoder = MANIFEST["encoder"] | {"precision": parts.precision}
    manifest = (
        MANIFEST
        | {"encoder": encoder, "heads": specs, "files": {name: sha256(folder / name) for name in FILES}}
        | record
    )
    manifest["training"] = manifest["training"] | {"golden": written_by()}
    (folder / "bundle.yaml").write_text(dump(manifest), "utf-8")
    (folder / "README.md").write_text(card.render(manifest), "utf-8")


def written_by() -> dict[str, Any]:
    """Returns what wrote the golden scores: elsewhere an int8 encoder gives others, within `golden_tolerance`."""
    return {"onnxruntime": onnxruntime.__version__, "instruction_sets": processor.alike()}


def dump(manifest: dict[str, Any]) -> str:
    """Returns the manifest as YAML, keys in their order."""
    text: str = yaml.dump(manifest, Dumper=PlainDumper, sort_keys=False, width=120)
    return text


class PlainDumper(yaml.SafeDumper):
    """Writes a list that stands in two places twice, without anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        return True
