"""The whole recipe: both splits are tuned and measured, the published one ships."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix, vstack

from . import assemble, bundle, dataset, encoder, features, lexical, memo, metrics, ngrams, recipe, robustness, tokens
from .assemble import Fitted, Pair, View, dense, form, fused, pooled, stop_at, temperature_of
from .augment import Augmenter
from .dataset import TIER_OF_LABEL, TIERS
from .encoder import sha256
from .evaluate import Model
from .metrics import ordinal, softmax
from .scorer import Head

LEVELS = ["0", "1", "2", "3"]


@dataclass
class Result:
    """The heads of a split and how good they are."""

    heads: list[Fitted]
    figures: dict


class Builder:
    """Turns tuned tensors into heads and figures."""

    def __init__(self, plan: recipe.Recipe):
        self.plan, self.fit = plan, lexical.Fits(plan.work)
        # One block for all heads and both splits: scaling is no learning from labels.
        self.block = features.fit(self.measured(plan.tiers(recipe.SHIPPED).texts))

    def view(self, texts: list[str], model: Model | None) -> View:
        rows = [tokens.token_ids(self.plan.tokenizer, text) for text in texts] if model else []
        embedding = model.embed(rows) if model else np.zeros((len(texts), 0), np.float32)
        return View(embedding, features.scaled(self.measured(texts), self.block), self.ngrams(texts))

    def measured(self, texts: list[str]) -> list[dict]:
        """Returns the raw features of each text, of those that heads may read."""
        compute = lambda: {name: np.array([row[name] for row in rows]) for rows in [features.measure(self.plan.binary, texts)] for name in features.TRANSFORMS}
        columns = memo.arrays(self.plan.work / f"features-{memo.key(texts)}.npz", compute)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def ngrams(self, texts: list[str]) -> csr_matrix:
        compute = lambda: {name: getattr(found, name) for found in [ngrams.matrix(texts)] for name in ("data", "indices", "indptr")}
        parts = memo.arrays(self.plan.work / f"ngrams-{memo.key(texts, tokens.REPEAT_WORDS)}.npz", compute)
        return csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=(len(texts), ngrams.WIDTH))


class Tiered:
    """Heads `tier` and `complexity` of one split."""

    def __init__(self, builder: Builder, split: str, student: dict | None = None):
        plan = builder.plan
        self.builder, self.split = builder, split
        folders = [] if student else [plan.seeded(split, seed) for seed in plan.seeds]
        self.model = Model(student or recipe.averaged(folders), plan.work / f"{split}-{'student' if student else 'averaged'}")
        self.rows = plan.tiers(split)
        self.labels = self.rows.targets["tier"]
        self.folds = dataset.fold_of(self.rows.texts, plan.seed)
        self.held = self.folds < len(plan.seeds)
        self.view = builder.view(self.rows.texts, self.model)
        self.own = self._own(folders)
        self.copies = self._copies()

    def _own(self, folders: list[Path]) -> np.ndarray:
        """Returns tier logits: of a held-out row by the seed that did not see it, of the others by the averaged model."""
        logits = self.tuned(self.view.embedding, "tier")
        for index, folder in enumerate(folders if len(folders) > 1 else []):
            mine = np.flatnonzero(self.folds == index)
            member = Model(load_file(folder / "tuned.safetensors"), folder)
            rows = [tokens.token_ids(self.builder.plan.tokenizer, self.rows.texts[row]) for row in mine]
            weight, bias = dense(member.tuned, "tier")
            logits[mine] = member.embed(rows) @ weight.T + bias
        return logits

    def tuned(self, embedding: np.ndarray, name: str) -> np.ndarray:
        weight, bias = dense(self.model.tuned, name)
        return embedding @ weight.T + bias

    def _copies(self) -> View:
        """Returns a changed copy of every row, so that lexical heads do not mistake padding for a request."""
        change = Augmenter(self.builder.plan.seed)
        return self.builder.view([change(text) for text in self.rows.texts], None)

    def lexical(self, targets: np.ndarray, kept: np.ndarray, penalty: float, link: str = "softmax") -> lexical.Linear:
        dense_rows = np.vstack([self.view.features[kept], self.copies.features[kept]])
        sparse = vstack([self.view.ngrams[kept], self.copies.ngrams[kept]], format="csr")
        weights = np.repeat([1.0, 0.5], kept.sum())
        return self.builder.fit(dense_rows, sparse, np.vstack([targets[kept]] * 2), penalty, link, weights)

    def fit(self) -> Result:
        held, everything = self.held, np.ones(len(self.labels), bool)
        alone = temperature_of(self.own[held], self.labels[held], softmax)
        opinion = softmax(self.own / alone)
        self.targets = (1 - assemble.TAUGHT) * np.eye(3)[self.labels] + assemble.TAUGHT * opinion
        inside = self.view.where(~held)
        penalty, losses = assemble.chosen_penalty(self.builder.fit, inside, self.labels[~held], self.folds[~held])
        trial, final = (self.lexical(self.targets, kept, penalty) for kept in (~held, everything))
        ratio, temperature = self.ratio(trial)
        tier = self.tier(trial, final, ratio, temperature)
        complexity = self.complexity(opinion, penalty, ratio)
        figures = {"seeds": self.builder.plan.seeds, "calibration_rows": int(held.sum()), "penalties": losses, "encoder_alone_temperature": round(alone, 4), "lexical_share": round(ratio, 4)}
        return Result(tier + complexity, figures | self.measure(tier, complexity, ratio))

    def ratio(self, trial: lexical.Linear) -> tuple[float, float]:
        held = self.held
        return fused(Pair(self.own[held], trial.logits(self.view.features[held], self.view.ngrams[held])), self.labels[held])

    def tier(self, trial: lexical.Linear, final: lexical.Linear, ratio: float, temperature: float) -> list[Fitted]:
        held, extra = self.held, {"aliases": TIER_OF_LABEL}
        logits = trial.logits(self.view.features[held], self.view.ngrams[held])
        form_temperature = temperature_of(logits, self.labels[held], softmax)
        full = softmax((self.own[held] + ratio * logits) / temperature)
        confidence = stop_at(softmax(logits / form_temperature), full, self.labels[held])
        return [
            pooled("tier", "multinomial", TIERS, dense(self.model.tuned, "tier"), final, ratio, temperature, extra),
            form("tier", "multinomial", TIERS, final, form_temperature, extra, confidence),
        ]

    def levels(self, texts_opinion: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns judged levels: 2 and 3 are the medium and complex tier; simple is 0 where the model is surer than at its median."""
        return np.where(labels > 0, labels + 1, np.where(texts_opinion[:, 0] >= self.median, 0, 1))

    def complexity(self, opinion: np.ndarray, penalty: float, ratio: float) -> list[Fitted]:
        self.median = float(np.median(opinion[self.labels == 0, 0]))
        levels = self.levels(opinion, self.labels)
        above = (levels[:, None] > np.arange(3)).astype(float)
        held, everything = self.held, np.ones(len(levels), bool)
        weight, bias = (part.copy() for part in dense(self.model.tuned, "complexity"))
        first = self.builder.fit(self.view.embedding[~held] * assemble.EMBEDDING_SCALE, self.view.ngrams[~held][:, :0], above[~held, :1], 1e-4, "sigmoid")
        weight[0], bias[0] = first.weight[0] * assemble.EMBEDDING_SCALE, first.bias[0]
        trial, final = (self.lexical(above, kept, penalty, "sigmoid") for kept in (~held, everything))
        logits = trial.logits(self.view.features[held], self.view.ngrams[held])
        encoder_logits = self.view.embedding[held] @ weight.T + bias
        temperature = temperature_of(encoder_logits + ratio * logits, levels[held], ordinal)
        form_temperature = temperature_of(logits, levels[held], ordinal)
        full = ordinal((encoder_logits + ratio * logits) / temperature)
        confidence = stop_at(ordinal(logits / form_temperature), full, levels[held])
        return [
            pooled("complexity", "ordinal", LEVELS, (weight, bias), final, ratio, temperature, {}),
            form("complexity", "ordinal", LEVELS, final, form_temperature, {}, confidence),
        ]

    def measure(self, tier: list[Fitted], complexity: list[Fitted], ratio: float) -> dict:
        """Returns the figures on the validation file."""
        path = self.builder.plan.data / recipe.SPLITS[self.split][1]
        rows, new = dataset.tiers(path, training=False), np.array([not row.get("prompt_in_train") for row in dataset.lines(path)])
        view, labels = self.builder.view(rows.texts, self.model), rows.targets["tier"]
        full = scores(tier[0], view)
        alone = softmax(self.tuned(view.embedding, "tier") / tier[0].spec["temperature"])
        token_rows = [tokens.token_ids(self.builder.plan.tokenizer, text) for text in rows.texts]
        exact = View(self.model.embed(token_rows, self.model.full), view.features, view.ngrams)
        levels = self.levels(alone, labels)
        figures = {
            "tier": metrics.summary(full, labels, TIERS),
            "tier_lexical": metrics.summary(scores(tier[1], view), labels, TIERS),
            "encoder_alone": metrics.summary(alone, labels, TIERS),
            "tier_fp32": metrics.summary(scores(tier[0], exact), labels, TIERS),
            "complexity": metrics.summary(scores(complexity[0], view), levels, LEVELS),
            "int8_agrees_with_fp32": round(float(np.mean(full.argmax(1) == scores(tier[0], exact).argmax(1))), 4),
        }
        return figures if new.all() else figures | {"tier_on_new_prompts": metrics.summary(full[new], labels[new], TIERS)}


def scores(head: Fitted, view: View) -> np.ndarray:
    return Head(head.spec, head.tensors).scores(view.blocks())


class Answered:
    """Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

    def __init__(self, builder: Builder, model: Model):
        plan = builder.plan
        self.model, self.names, self.fit_layer = model, dataset.domains(plan.data), builder.fit
        folds, rows = plan.outcome_folds, plan.outcomes
        self.calibration, self.test = (rows.where(folds == fold) for fold in (dataset.CALIBRATION_FOLD, dataset.TEST_FOLD))
        self.learnt, self.panel = plan.learnt()
        self.views = {name: builder.view(part.texts, model) for name, part in (("calibration", self.calibration), ("test", self.test))}
        self.view, self.panel_view = builder.view(self.learnt.texts, None), builder.view(self.panel.texts, None)

    def tuned(self, view: View, name: str) -> np.ndarray:
        weight, bias = dense(self.model.tuned, name)
        return view.embedding @ weight.T + bias

    def fit(self) -> Result:
        domain, wins = self.domain(), self.wins()
        labels, right = self.test.targets["domain"], self.test.targets["success"]
        view, figures = self.views["test"], {}
        for head in domain:
            figures[head.spec["name"]] = metrics.summary(scores(head, view), labels, self.names)
        for head in wins:
            p = scores(head, view)[:, 1]
            event = (right[:, 0] > right[:, 1]).astype(float)
            figures[head.spec["name"]] = metrics.routing(p, right[:, 0], right[:, 1]) | {"ece": round(metrics.gap(p, event), 4), "brier": round(float(np.mean((p - event) ** 2)), 4)}
        length = np.array([len(text) for text in self.test.texts], float)
        return Result(wins + domain, figures | {"prompt_length": metrics.routing(length, right[:, 0], right[:, 1]), "lexical_share": self.shares})

    def domain(self) -> list[Fitted]:
        known = self.panel.targets["domain"] >= 0
        labels = np.concatenate([self.learnt.targets["domain"], self.panel.targets["domain"][known]])
        dense_rows = np.vstack([self.view.features, self.panel_view.features[known]])
        sparse = vstack([self.view.ngrams, self.panel_view.ngrams[known]], format="csr")
        layer = self.fit_layer(dense_rows, sparse, np.eye(len(self.names))[labels], 1e-4)
        view, truth = self.views["calibration"], self.calibration.targets["domain"]
        pair = Pair(self.tuned(view, "domain"), layer.logits(view.features, view.ngrams))
        ratio, temperature = fused(pair, truth)
        form_temperature = temperature_of(pair.lexical, truth, softmax)
        confidence = stop_at(softmax(pair.lexical / form_temperature), softmax((pair.encoder + ratio * pair.lexical) / temperature), truth)
        labels, extra = [name.replace(" ", "-") for name in self.names], {"aliases": {name: name.replace(" ", "-") for name in self.names if " " in name}}
        self.shares = {"domain": round(ratio, 4)}
        return [
            pooled("domain", "multinomial", labels, dense(self.model.tuned, "domain"), layer, ratio, temperature, extra),
            form("domain", "multinomial", labels, layer, form_temperature, extra, confidence),
        ]

    def wins(self) -> list[Fitted]:
        layer = self.fit_layer(self.view.features, self.view.ngrams, self.learnt.targets["success"].astype(float), 3e-4, "sigmoid")
        view, right = self.views["calibration"], self.calibration.targets["success"]
        pair = Pair(self.tuned(view, "success"), layer.logits(view.features, view.ngrams))
        ratio, temperature = fused(pair, right, "sigmoid")
        event = (right[:, 0] > right[:, 1]).astype(float)
        weight, bias = dense(self.model.tuned, "success")
        weight, bias = np.hstack([weight, ratio * layer.weight]) / temperature, (bias + ratio * layer.bias) / temperature
        p = metrics.sigmoid((pair.encoder + ratio * pair.lexical) / temperature)
        alone = metrics.sigmoid(pair.lexical)
        self.shares["strong_wins"] = round(ratio, 4)
        line, form_line = (assemble.line_of(chance[:, 0] - chance[:, 1], event) for chance in (p, alone))
        return [
            assemble.wins("strong_wins", ["embedding", "features", "ngrams"], weight, bias, line, {}),
            assemble.wins("strong_wins_lexical", ["features", "ngrams"], layer.weight, layer.bias, form_line, {"stands_for": "strong_wins"}),
        ]


def run(arguments: argparse.Namespace) -> None:
    """Writes the default bundle."""
    plan = recipe.Recipe(arguments)
    builder = Builder(plan)
    tiered = {split: Tiered(builder, split) for split in recipe.SPLITS}
    pack(arguments, builder, tiered, f"python -m models.train build --seed {plan.seed} --seeds {len(plan.seeds)}")


def distill(arguments: argparse.Namespace) -> None:
    """Writes a bundle like the default one whose encoder has fewer layers."""
    from .distill import student

    plan = recipe.Recipe(arguments)
    builder, layers = Builder(plan), [int(layer) for layer in arguments.layers.split(",")]
    teacher = Model(recipe.averaged([plan.seeded(recipe.SHIPPED, seed) for seed in plan.seeds]), plan.work / f"{recipe.SHIPPED}-averaged")
    texts = [text for rows in (plan.tiers(recipe.SHIPPED), *plan.learnt()) for text in rows.texts]
    tuned = student(plan, teacher, texts, layers, arguments.student_epochs)
    pack(arguments, builder, {recipe.SHIPPED: Tiered(builder, recipe.SHIPPED, tuned)}, f"python -m models.train distill --layers {arguments.layers}")


def pack(arguments: argparse.Namespace, builder: Builder, tiered: dict[str, Tiered], command: str) -> None:
    """Fits and measures all heads, and writes the bundle of the shipped split."""
    plan, shipped = builder.plan, tiered[recipe.SHIPPED].model
    results = {split: part.fit() for split, part in tiered.items()}
    answered = Answered(builder, shipped).fit()
    files = sorted({*sum(recipe.SPLITS.values(), ()), dataset.OUTCOMES, dataset.SUBJECTS, dataset.PANEL})
    training = {"command": command, "seeds": plan.seeds, "features": [feature["name"] for feature in builder.block]}
    training |= {"cpu_seconds": plan.cpu_seconds(), "encoder": {"package": encoder.PACKAGE, "sha256": encoder.SHA256}}
    training |= {"data": {file: sha256(plan.data / file) for file in files}}
    figures = {split: result.figures for split, result in results.items()} | {"outcomes": answered.figures}
    print(json.dumps(figures, indent=1), flush=True)
    heads = results[recipe.SHIPPED].heads + answered.heads
    parts = bundle.Parts(shipped, plan.tokenizer, builder.block, heads, plan.binary, arguments.precision)
    bundle.write(arguments.out, parts, {"training": training, "metrics": figures})
    scored = robustness.Judge(arguments.out, plan.binary)
    validation = dataset.tiers(plan.data / recipe.SPLITS[recipe.SHIPPED][1], training=False)
    figures["robustness"] = [{"change": a, "counted": b, "share": round(c, 4)} for a, b, c in robustness.table(scored, validation)]
    bundle.write(arguments.out, parts, {"training": training, "metrics": figures})
