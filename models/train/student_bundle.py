"""Writes a student's bundle: its teacher's, with another encoder, a longer window and golden scores of its own.

The teacher's heads stay as they are: the student embeds as its teacher does.
"""

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import bundle, card, dataset, export, features, finetune, golden, ngrams, scorer, tokens
from .distill import Distillation, DistillationSettings, Student, distilled, unlabelled
from .encoder import sha256
from .pruning import StudentShape
from .teacher import Teacher
from .tokens import TokenWindow, window_of

TIERS = "tiers_train.jsonl"
COPIED = ["heads.safetensors", "features.json", "tokenizer.json", "ngrams.bloom", "reference.json"]


def run(arguments: argparse.Namespace) -> None:
    """Trains a student of a bundle, and writes its own."""
    torch.set_num_threads(arguments.threads)
    teacher = Teacher(arguments.teacher)
    tokenizer = scorer.Bundle(arguments.teacher).tokenizer
    texts = unlabelled(prompts(arguments), questions(arguments), arguments.seed)
    texts = texts[: arguments.limit] if arguments.limit else texts
    rows = [tokens.token_ids(tokenizer, text.text, text.window) for text in texts]
    device = finetune.device_of(arguments.device)
    settings = DistillationSettings(arguments.seed, arguments.epochs, arguments.rate, device=device)
    layers = tuple(int(layer) for layer in arguments.layers.split(","))
    shape = StudentShape(layers, arguments.heads, arguments.units)
    arguments.work.mkdir(parents=True, exist_ok=True)
    student = distilled(arguments.work, Distillation(teacher, rows, settings), shape)
    command = f"python -m models.train distill --layers {arguments.layers} --heads {shape.heads} --units {shape.units}"
    record = {"student": f"{command} --epochs {settings.epochs} --rate {settings.rate} --seed {settings.seed}"}
    record["teacher"] = f"{teacher.manifest['name']} {teacher.manifest['version']}"
    write(arguments.out, StudentParts(teacher, student, window_of(arguments.max_tokens)), record)
    finish(arguments.out, arguments.pointsman)


def prompts(arguments: argparse.Namespace) -> list[str]:
    return dataset.tiers(arguments.data / arguments.tiers, training=True).texts


def questions(arguments: argparse.Namespace) -> list[str]:
    """Returns the questions that the teacher learnt from: none of the outcomes that calibrate or test."""
    outcomes, panel = dataset.outcomes(arguments.data), dataset.panel(arguments.data)
    kept = outcomes.where(dataset.folds_of(outcomes.texts, arguments.seed) > dataset.TEST_FOLD)
    return kept.texts + panel.where(np.arange(len(panel.texts)) % 2 == 0).texts


@dataclass
class StudentParts:
    """What a student's bundle is made of."""

    teacher: Teacher
    student: Student
    window: TokenWindow


def write(folder: Path, parts: StudentParts, record: dict[str, Any]) -> None:
    """Writes the folder; `record` is what the manifest's `training` says besides the teacher's own."""
    teacher, student = parts.teacher, parts.student
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (teacher.folder / name).exists():
            shutil.copyfile(teacher.folder / name, folder / name)
    export.write(export.StudentGraph(student.weights, student.scales), folder / "model.onnx")
    (folder / "golden.json").write_text("[]\n", "utf-8")
    manifest = {key: value for key, value in teacher.manifest.items() if key != "metrics"}
    manifest["tokenizer"] = {"file": "tokenizer.json"} | parts.window.limits()
    manifest["training"] = teacher.manifest["training"] | record | {"golden": bundle.written_by()}
    manifest["metrics"] = teacher.manifest["metrics"]
    (folder / "bundle.yaml").write_text(bundle.dump(manifest), "utf-8")


def finish(folder: Path, binary: Path) -> None:
    """Writes the golden scores and the hashes of a bundle whose other files are there."""
    loaded = scorer.Bundle(folder)
    measured = features.scaled(features.measure(binary, golden.TEXTS), loaded.features)
    rows = loaded.rows(golden.TEXTS)
    blocks = {
        "embedding": scorer.embed(loaded.model, rows, batch=1),
        "features": measured,
        "ngrams": ngrams.matrix(golden.TEXTS),
    }
    tables = {head.spec["name"]: head.scores(blocks) for head in loaded.heads}
    entries = [
        {"text": text, "scores": {name: [round(float(p), 6) for p in table[row]] for name, table in tables.items()}}
        for row, text in enumerate(golden.TEXTS)
    ]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (folder / "golden.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    manifest = loaded.manifest
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"]}
    (folder / "bundle.yaml").write_text(bundle.dump(manifest), "utf-8")
    (folder / "README.md").write_text(card.render(manifest), "utf-8")
