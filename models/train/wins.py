"""The head `strong_wins` of a finished bundle, by `pointsman fit`: the machinery that operators have, on the outcomes.

The head reads words and features. The encoder learnt most of these outcomes, so no head that reads its embedding could
be measured on all of them; this one is measured on every row, by folds. The bundle keeps the head's gate, and the test
fold of the outcomes stays unseen.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from . import dataset, scope, seen
from .arrays import RowMask
from .encoder import sha256

HEAD, FORM = "strong_wins", "strong_wins_lexical"
FILES = ("heads.safetensors", "features.json", "golden.json")
FIGURES = ("n", "apgr", "apgr_ci95", "apgr_over_length_ci95", "apgr_by_fold", "cpt_50", "cpt_80", "ece", "brier")
CURVE = "200,1000"


def run(arguments: argparse.Namespace) -> None:
    """Measures the head by cross-validation on all outcomes, fits it on all but the test fold, and puts it in place."""
    whole = arguments.data / dataset.OUTCOMES
    with tempfile.TemporaryDirectory() as folder:
        measured = fit(arguments, whole, Path(folder) / "measured", ("--folds", "5", "--curve", CURVE))
        rows = dataset.outcomes(arguments.data)
        kept = dataset.folds_of(rows.texts, arguments.seed) != dataset.TEST_FOLD
        learnt = Path(folder) / "outcomes_learnt.jsonl"
        write(learnt, rows, kept)
        fit(arguments, learnt, Path(folder) / "fitted", ("--folds", "0"))
        replace(arguments, Path(folder) / "fitted", measured)


def fit(arguments: argparse.Namespace, data: Path, out: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """Returns the report of a fit over words and features that keeps the head's gate."""
    command = [arguments.pointsman, "fit", "--base", arguments.bundle, "--task", "strong_weak", "--data", data]
    command += ["--inputs", "lexical", "--fresh", "--keep-gate", "--seed", str(arguments.seed), "--out", out, *options]
    report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return report


def write(path: Path, rows: dataset.LabelledRows, kept: RowMask) -> None:
    chosen = rows.where(kept)
    lines = [
        {"prompt": text, "strong_correct": float(strong), "weak_correct": float(weak)}
        for text, (strong, weak) in zip(chosen.texts, chosen.targets["success"], strict=True)
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def replace(arguments: argparse.Namespace, fitted: Path, measured: dict[str, Any]) -> None:
    """Takes heads, features and golden scores of the fitted bundle; all else of the bundle stays."""
    folder: Path = arguments.bundle
    manifest: dict[str, Any] = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
    new: dict[str, Any] = yaml.safe_load((fitted / "bundle.yaml").read_text("utf-8"))
    for name in FILES:
        shutil.copyfile(fitted / name, folder / name)
    with_form(folder, new["heads"])
    manifest |= {"heads": new["heads"]}
    manifest["files"] |= {name: sha256(folder / name) for name in FILES}
    command = f"python -m models.train wins --seed {arguments.seed}"
    manifest["training"][HEAD] = {"command": command, "members": new["training"]["members"]}
    manifest["training"]["rows_seen"] = seen.table(arguments.data, arguments.seed)
    block = json.loads((folder / "features.json").read_text("utf-8"))
    manifest["training"]["features"] = [feature["name"] for feature in block]
    manifest["metrics"]["outcomes"].pop(FORM, None)
    manifest["metrics"]["outcomes"] |= figures(measured)
    scope.write_manifest(folder, manifest, {})


def with_form(folder: Path, specs: list[dict[str, Any]]) -> None:
    """Keeps the name of the lexical form for policies that use it: the same mixture, as the head reads no embedding."""
    head = next(spec for spec in specs if spec["name"] == HEAD)
    specs.insert(specs.index(head) + 1, head | {"name": FORM, "stands_for": HEAD})
    golden = json.loads((folder / "golden.json").read_text("utf-8"))
    for entry in golden:
        entry["scores"][FORM] = entry["scores"][HEAD]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in golden)
    (folder / "golden.json").write_text(f"[\n{lines}\n]\n", "utf-8")


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the card's figures: all folds, all rows and fewer, and prompt length on the same rows."""
    points = {"": report["cross_validation"]}
    points |= {f", {point['limit']:,} rows to learn from": point for point in report["learning_curve"]}
    rows = {f"{HEAD}{of}": {key: point["full"][key] for key in FIGURES} for of, point in points.items()}
    length = report["cross_validation"]["full"]["length"] | {"n": report["cross_validation"]["full"]["n"]}
    return {name: rounded(row) for name, row in (rows | {"prompt_length": length}).items()}


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: np.round(value, 4).tolist() for key, value in row.items()}
