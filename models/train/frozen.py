"""A bundle of the base encoder as it was published: it has seen no label of ours.

`pointsman fit --fresh` over it can be cross-validated on any rows. Over the shipped bundle it cannot, where its encoder
learnt from them. Tokenizer, features and golden texts are the shipped bundle's; its one head, `domain`, reads words.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from safetensors.numpy import load_file, save_file

from . import bundle, encoder, export
from .network import Network

HEAD, FORM = "domain", "domain_lexical"


def run(arguments: argparse.Namespace) -> None:
    """Writes the bundle."""
    out, source = arguments.out, arguments.bundle
    out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    tensors = Network(encoder.fetch(arguments.work)).tensors()
    prefix = "encoder."
    weights = {name.removeprefix(prefix): value.numpy() for name, value in tensors.items() if name.startswith(prefix)}
    export.write(export.Int8Graph(weights), out / "model.onnx")
    for name in ("tokenizer.json", "features.json"):
        shutil.copyfile(source / name, out / name)
    heads = load_file(source / "heads.safetensors")
    own = {name.replace(FORM, HEAD, 1): value for name, value in heads.items() if name.startswith(f"{FORM}.")}
    save_file(own, out / "heads.safetensors")
    (out / "heads.safetensors").chmod(0o644)
    golden = json.loads((source / "golden.json").read_text("utf-8"))
    kept = [{"text": entry["text"], "scores": {HEAD: entry["scores"][FORM]}} for entry in golden]
    (out / "golden.json").write_text(json.dumps(kept, ensure_ascii=False), "utf-8")
    (out / "bundle.yaml").write_text(bundle.dump(manifest(arguments)), "utf-8")


def manifest(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the manifest: the shipped bundle's, less what speaks of its training."""
    shipped: dict[str, Any] = yaml.safe_load((arguments.bundle / "bundle.yaml").read_text("utf-8"))
    form = next(head for head in shipped["heads"] if head["name"] == FORM)
    head = {key: value for key, value in form.items() if key not in ("stands_for", "confidence")} | {"name": HEAD}
    names = {"name": "minilm", "version": "1", "description": "all-MiniLM-L6-v2 as published, with a head over words"}
    kept = {key: value for key, value in shipped.items() if key in bundle.MANIFEST}
    size = {"max_tokens": arguments.max_tokens, "head_tokens": 2 * arguments.max_tokens // 3}
    return (
        kept
        | names
        | {"tokenizer": shipped["tokenizer"] | size, "heads": [head], "files": hashes(arguments.out)}
        | {"training": {"encoder": {"package": encoder.PACKAGE, "sha256": encoder.SHA256}}}
    )


def hashes(folder: Path) -> dict[str, str]:
    return {name: encoder.sha256(folder / name) for name in bundle.FILES}
