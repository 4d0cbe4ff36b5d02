"""Levels: corrects the tier heads of a finished bundle, and fits the thresholds that decide their labels.

The data's tiers are English chat whose rare `complex` is hardly ever the most probable label. So the heads learn from
the supplement too, and labels are decided on the expected level, by thresholds for what each mistake costs. Nothing is
chosen on validation rows.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.sparse import vstack

from . import (
    bundle,
    correction,
    dataset,
    features,
    golden,
    level_curve,
    metrics,
    ngrams,
    recipe,
    scope,
    scorer,
    supplement,
)
from .arrays import Logits, Probabilities, RowFolds, RowLabels, RowMask
from .assemble import InputBlocks
from .correction import CorrectedRows, Correction, Penalties
from .encoder import sha256
from .lexical import LayerRows, rarity
from .lexical import fit as fit_layer
from .metrics import softmax
from .threshold_fit import (
    Confidences,
    Judged,
    StopRows,
    Thresholds,
    curve_of,
    fit_confidences,
    fit_thresholds,
    weights_of,
)

HEAD, FORM = "tier", "tier_lexical"
PENALTIES = {HEAD: Penalties(3e-3, 3e-3, 1e-2), FORM: Penalties(3e-3, None, 1e-2)}
WRITTEN = 1.0  # how much a row of the supplement counts beside one of the data
SAMPLE = 2600  # rows that the encoder learnt from: they hold the correction back where the head is right already
PARTS = 3  # of the supplement: each is judged by a correction that learnt from the others
FORM_PENALTY = 3e-3
ORDER = 0.85  # a language is declared whose hard prompts stand above its easy ones this often


@dataclass
class LevelRows:
    """Rows of the tiers as a bundle reads them."""

    texts: list[str]
    labels: RowLabels
    view: InputBlocks
    logits: dict[str, Logits]

    def where(self, kept: RowMask) -> "LevelRows":
        texts = [text for text, keep in zip(self.texts, kept, strict=True) if keep]
        logits = {head: values[kept] for head, values in self.logits.items()}
        return LevelRows(texts, self.labels[kept], self.view.where(kept), logits)


class LevelFit:
    """The rows of one split, and what is fitted on them."""

    def __init__(self, arguments: argparse.Namespace):
        self.bundle, self.binary = scorer.Bundle(arguments.bundle), arguments.pointsman
        self.specs = {head.spec["name"]: head.spec for head in self.bundle.heads}
        if "levels" in self.specs[HEAD]:
            raise SystemExit(f"{arguments.bundle} has levels already: start from the bundle as `build` wrote it")
        train, validation = (arguments.data / name for name in recipe.SPLITS[arguments.split])
        rows = dataset.tiers(train, training=True)
        self.tiers = rows.texts, rows.targets["tier"]
        folds = dataset.folds_of(rows.texts, arguments.seed)
        held = folds == dataset.CALIBRATION_FOLD
        draw = np.random.default_rng(arguments.seed)
        sample = np.zeros(len(held), bool)
        sample[draw.choice(np.flatnonzero(~held), min(SAMPLE, int((~held).sum())), replace=False)] = True
        self.unheld: RowMask = ~held
        self.held, self.sample = (self.rows(rows.where(kept)) for kept in (held, sample))
        self.written = supplement.load()
        self.supplement = self.rows(dataset.LabelledRows(self.written.texts, {"tier": self.written.labels}))
        self.parts: RowFolds = self.written.folds(PARTS)
        self.validation = self.rows(dataset.tiers(validation, training=False))

    def rows(self, rows: dataset.LabelledRows) -> LevelRows:
        measured = features.scaled(features.measure(self.binary, rows.texts), self.bundle.features)
        embedding = scorer.embed(self.bundle.model, self.bundle.rows(rows.texts))
        view = InputBlocks(embedding, measured, ngrams.matrix(rows.texts))
        return LevelRows(rows.texts, rows.targets["tier"], view, {name: self.base(name, view) for name in (HEAD, FORM)})

    def base(self, name: str, view: InputBlocks) -> Logits:
        """Returns the logits that a head of the bundle gives, its temperature included."""
        head = next(head for head in self.bundle.heads if head.spec["name"] == name)
        chances: Logits = np.log(head.scores(view.blocks()) + 1e-12)
        return chances

    def correct(self, name: str, groups: list[LevelRows]) -> Correction:
        """Fits the correction of a head on groups of rows, of which the last is of the supplement."""
        inputs = [group.view for group in groups]
        stacked = vstack([view.ngrams for view in inputs], format="csr")
        embedding, features = np.vstack([v.embedding for v in inputs]), np.vstack([v.features for v in inputs])
        view = InputBlocks(embedding, features, stacked)
        labels = np.concatenate([group.labels for group in groups])
        weights = np.ones(len(labels))
        weights[-len(groups[-1].labels) :] = WRITTEN
        rows = CorrectedRows(view, np.vstack([group.logits[name] for group in groups]), labels, weights)
        return correction.fit(rows, rarity(stacked), PENALTIES[name])

    def unseen(self, name: str) -> tuple[Logits, Logits]:
        """Returns logits of the held-out rows and of the supplement by corrections that did not learn from them."""
        held, written = [], np.zeros_like(self.supplement.logits[name])
        for part in range(PARTS):
            out = self.parts == part
            found = self.correct(name, [self.sample, self.supplement.where(~out)])
            held.append(self.held.logits[name] + found.logits(self.held.view))
            written[out] = self.supplement.logits[name][out] + found.logits(self.supplement.view.where(out))
        return np.mean(held, axis=0), written

    def final(self, name: str) -> Correction:
        return self.correct(name, [self.held, self.sample, self.supplement])

    def twin(self) -> Logits:
        """Returns what a lexical form says of the held-out rows that never saw them: the bundle's own has."""
        texts, labels = self.tiers
        seen = [text for text, keep in zip(texts, self.unheld, strict=True) if keep]
        measured = features.scaled(features.measure(self.binary, seen), self.bundle.features)
        blocks = np.vstack([measured, self.supplement.view.features])
        stacked = vstack([ngrams.matrix(seen), self.supplement.view.ngrams], format="csr")
        targets = np.eye(len(dataset.TIERS))[np.concatenate([labels[self.unheld], self.supplement.labels])]
        layer = fit_layer(LayerRows(blocks, stacked, targets), FORM_PENALTY)
        return layer.logits(self.held.view.features, self.held.view.ngrams)


@dataclass
class FittedLevels:
    """What is written into a bundle."""

    corrections: dict[str, Correction]
    temperatures: dict[str, float]
    thresholds: Thresholds
    confidences: Confidences
    languages: dict[str, float]
    figures: dict[str, Any]


def fitted(fit: LevelFit) -> FittedLevels:
    """Fits everything, and measures it on the validation rows."""
    held, written = fit.unseen(HEAD)
    temperature = metrics.fit_temperature(held, fit.held.labels, softmax)
    chances = (
        Judged(softmax(held / temperature), fit.held.labels),
        Judged(softmax(written / temperature), fit.supplement.labels),
    )
    languages = orders(fit, chances[1].chances)
    declared = np.isin(fit.written.languages, [code for code, order in languages.items() if order >= ORDER])
    thresholds = fit_thresholds(chances[0], chances[1].where(declared))
    confidences = fit_confidences(stop_rows(fit, chances, declared), thresholds)
    corrections = {name: fit.final(name) for name in (HEAD, FORM)}
    temperatures = {HEAD: temperature, FORM: 1.0}
    found = FittedLevels(corrections, temperatures, thresholds, confidences, languages, {})
    found.figures = measure(fit, found, chances)
    return found


def stop_rows(fit: LevelFit, chances: tuple[Judged, Judged], declared: RowMask) -> StopRows:
    """Returns held-out rows and those of the supplement, in declared languages, as form and full head judge them."""
    twin, written = fit.twin(), fit.unseen(FORM)[1]
    own = Judged(softmax(twin / metrics.fit_temperature(twin, fit.held.labels, softmax)), fit.held.labels)
    form = own.with_rows(Judged(softmax(written), fit.supplement.labels).where(declared))
    full = chances[1].where(declared)
    return StopRows(form, chances[0].with_rows(full), weights_of(chances[0], full))


def orders(fit: LevelFit, chances: Probabilities) -> dict[str, float]:
    """Returns by language how often a hard prompt of the supplement stands above an easy one."""
    level = metrics.expected_level(chances)
    found = {}
    for code in sorted(set(fit.written.languages)):
        of = fit.written.languages == code
        low, high = (level[of & (fit.supplement.labels == label)] for label in (0, 2))
        found[str(code)] = round(float(np.mean(high[:, None] > low[None])), 4)
    return found


def corrected(rows: LevelRows, found: FittedLevels, name: str) -> Probabilities:
    return softmax((rows.logits[name] + found.corrections[name].logits(rows.view)) / found.temperatures[name])


def measure(fit: LevelFit, found: FittedLevels, chances: tuple[Judged, Judged]) -> dict[str, Any]:
    """Returns the figures on the validation rows, and the curve of both mistakes on rows not learnt from."""
    labels = fit.validation.labels
    full, form = (Judged(corrected(fit.validation, found, name), labels) for name in (HEAD, FORM))
    by_lean = {lean: full.summary(found.thresholds.of(lean)) for lean in Thresholds.LEANS}
    stops = found.confidences.stops(form, found.thresholds)
    served = np.where(stops, form.decided(found.thresholds.even), full.decided(found.thresholds.even))
    known = form.where(stops)
    return {
        "validation": by_lean,
        "argmax_before": Judged(softmax(fit.validation.logits[HEAD]), labels).summary(None),
        "cascade": {
            "share": round(float(stops.mean()), 4),
            "accuracy_of_those": round(float(np.mean(known.decided(found.thresholds.even) == known.labels)), 4),
            "full_on_those": round(float(np.mean(full.where(stops).decided(found.thresholds.even) == known.labels)), 4),
            "accuracy": round(float(np.mean(served == labels)), 4),
        },
        "languages": found.languages,
        "curve": curve_of(*chances),
    }


def write(folder: Path, fit: LevelFit, found: FittedLevels, command: str) -> None:
    """Writes corrected heads, thresholds and confidences into the bundle, its golden scores and its card anew."""
    manifest = fit.bundle.manifest
    path = folder / manifest["heads_file"]
    tensors = load_file(path)
    for name, added in found.corrections.items():
        spec, scale = fit.specs[name], found.temperatures[name]
        weight, bias = (
            tensors[f"{name}.0.weight"] / spec["temperature"],
            tensors[f"{name}.0.bias"] / spec["temperature"],
        )
        weight += np.hstack([added.embedding, added.features, added.ngrams])
        tensors[f"{name}.0.weight"] = np.ascontiguousarray(weight, np.float32)
        tensors[f"{name}.0.bias"] = np.ascontiguousarray(bias + added.bias, np.float32)
        spec["temperature"] = round(scale, 4)
    save_file(tensors, path)
    path.chmod(0o644)
    fit.specs[HEAD]["levels"] = found.thresholds.manifest()
    fit.specs[FORM]["confidence"] = found.confidences.manifest()
    manifest["metrics"]["levels"] = found.figures
    manifest["training"]["levels"] = command
    rescore(folder, manifest, fit.binary)


def rescore(folder: Path, manifest: dict[str, Any], binary: Path) -> None:
    """Writes the manifest, the golden scores of the heads as they are now, and the card."""
    manifest["files"][manifest["heads_file"]] = sha256(folder / manifest["heads_file"])
    (folder / "bundle.yaml").write_text(bundle.dump(manifest), "utf-8")
    loaded = scorer.Bundle(folder)
    measured = features.scaled(features.measure(binary, golden.TEXTS), loaded.features)
    tables = loaded.scores(golden.TEXTS, measured)
    entries = [
        {"text": text, "scores": {name: [round(float(p), 6) for p in table[row]] for name, table in tables.items()}}
        for row, text in enumerate(golden.TEXTS)
    ]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (folder / manifest["golden_file"]).write_text(f"[\n{lines}\n]\n", "utf-8")
    manifest["files"][manifest["golden_file"]] = sha256(folder / manifest["golden_file"])
    manifest["training"]["golden"] = bundle.written_by()
    scope.write_manifest(folder, manifest, {})


def run(arguments: argparse.Namespace) -> None:
    """Fits and writes; with `--dry-run` only measures."""
    fit = LevelFit(arguments)
    found = fitted(fit)
    shown = {key: value for key, value in found.figures.items() if key != "curve"}
    print(
        json.dumps(
            shown | {"levels": found.thresholds.manifest(), "confidence": found.confidences.manifest()}, indent=1
        )
    )
    if arguments.dry_run:
        return
    level_curve.draw(found.figures, arguments.curve)
    command = f"python -m models.train levels --seed {arguments.seed}"
    write(arguments.bundle, fit, found, command)
    declare(arguments, found.languages)


def declare(arguments: argparse.Namespace, languages: dict[str, float]) -> None:
    """Adds the languages that the supplement supports, and what it says in its n-grams, to the bundle's scope."""
    manifest = scorer.Bundle(arguments.bundle).manifest
    codes = set(manifest.get("languages", [])) | {code for code, order in languages.items() if order >= ORDER}
    bloom = scope.bloom_filter(scope.training_texts(arguments.data, arguments.seed))
    scope.declare(arguments.bundle, manifest, sorted(codes), bloom)
