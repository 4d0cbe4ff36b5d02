"""Heads `tier` and `complexity` of one split of the tiers."""

import numpy as np
from scipy.sparse import vstack

from . import assemble, dataset, features, languages, metrics, recipe, tokens
from .assemble import Fitted, Pair, View, calibrated, dense, form, fused, pooled, stop_at, temperature_of
from .augment import Augmenter
from .dataset import TIER_OF_LABEL, TIERS
from .evaluate import Model
from .lexical import Linear
from .metrics import ordinal, softmax
from .views import Builder, Result, scores

LEVELS = ["0", "1", "2", "3"]


class Tiered:
    """Heads `tier` and `complexity` of one split."""

    def __init__(self, builder: Builder, split: str, student: dict | None = None):
        plan = builder.plan
        self.builder, self.split = builder, split
        folders = [] if student else [plan.seeded(split, seed) for seed in plan.seeds]
        self.model = Model(
            student or recipe.averaged(folders), plan.work / f"{split}-{'student' if student else 'averaged'}"
        )
        self.rows = plan.tiers(split)
        self.labels = self.rows.targets["tier"]
        self.folds = dataset.fold_of(self.rows.texts, plan.seed)
        self.held = self.folds == dataset.CALIBRATION_FOLD
        self.view = builder.view(self.rows.texts, self.model)
        self.own = self.tuned(self.view.embedding, "tier")
        self.copies = self._copies()

    def tuned(self, embedding: np.ndarray, name: str) -> np.ndarray:
        weight, bias = dense(self.model.tuned, name)
        return embedding @ weight.T + bias

    def _copies(self) -> View:
        """Returns a changed copy of every row, so that lexical heads do not mistake padding for a request."""
        change = Augmenter(self.builder.plan.seed)
        return self.builder.view([change(text) for text in self.rows.texts], None)

    def layer(self, targets: np.ndarray, kept: np.ndarray, penalty: float, link: str = "softmax") -> Linear:
        dense_rows = np.vstack([self.view.features[kept], self.copies.features[kept]])
        sparse = vstack([self.view.ngrams[kept], self.copies.ngrams[kept]], format="csr")
        weights = np.repeat([1.0, 0.5], kept.sum())
        return self.builder.fit(dense_rows, sparse, np.vstack([targets[kept]] * 2), penalty, link, weights)

    def fit(self) -> Result:
        held, everything = self.held, np.ones(len(self.labels), bool)
        self.alone = alone = temperature_of(self.own[held], self.labels[held], softmax)
        opinion = softmax(self.own / alone)
        self.targets = (1 - assemble.TAUGHT) * np.eye(3)[self.labels] + assemble.TAUGHT * opinion
        inside = self.view.where(~held)
        penalty, losses = assemble.chosen_penalty(self.builder.fit, inside, self.labels[~held], self.folds[~held])
        trial, final = (self.layer(self.targets, kept, penalty) for kept in (~held, everything))
        tier = self.tier(trial, final)
        complexity = self.complexity(opinion, penalty)
        figures = {
            "seeds": self.builder.plan.seeds,
            "calibration_rows": int(held.sum()),
            "penalties": losses,
            "encoder_alone_temperature": round(alone, 4),
            "lexical_share": round(self.share, 4),
        }
        return Result(tier + complexity, figures | self.measure(tier, complexity))

    def tier(self, trial: Linear, final: Linear) -> list[Fitted]:
        held, labels, extra = self.held, self.labels[self.held], {"aliases": TIER_OF_LABEL}
        lexical = trial.logits(self.view.features[held], self.view.ngrams[held])
        self.share, _ = fused(Pair(self.own[held], lexical), labels)
        both = self.own[held] + self.share * lexical
        full, alone = calibrated(both, labels), calibrated(lexical, labels)
        confidence = stop_at(alone(lexical), full(both), labels)
        weight, bias = dense(self.model.tuned, "tier")
        encoder, layer = (weight, bias + full.bias), Linear(final.weight, final.bias + alone.bias)
        return [
            pooled("tier", "multinomial", TIERS, encoder, final, self.share, full.temperature, extra),
            form("tier", "multinomial", TIERS, layer, alone.temperature, extra, confidence),
        ]

    def levels(self, opinion: np.ndarray, labels: np.ndarray, median: float | np.ndarray) -> np.ndarray:
        """Returns judged levels: 2 and 3 are the medium and complex tier; simple is 0 where the model is surer than at its median."""
        return np.where(labels > 0, labels + 1, np.where(opinion[:, 0] >= median, 0, 1))

    def complexity(self, opinion: np.ndarray, penalty: float) -> list[Fitted]:
        """Returns one weighted sum with three borders, and the same of the lexical layer alone."""
        held, everything, simple = self.held, np.ones(len(self.labels), bool), self.labels == 0
        # The model is surer of what it learnt from: its median there would leave hardly a new prompt at level 0.
        seen, self.median = (float(np.median(opinion[simple & kept, 0])) for kept in (~held, held))
        levels = self.levels(opinion, self.labels, np.where(held, self.median, seen))
        trial, final = (self.layer(levels[:, None] / 3, kept, penalty, "sigmoid") for kept in (~held, everything))
        lexical = trial.logits(self.view.features[held], self.view.ngrams[held])
        tuned = self.tuned(self.view.embedding[held], "complexity")[:, 1:]
        (*share, ratio), borders = assemble.ordered(np.hstack([tuned, lexical]), levels[held])
        (slope,), form_borders = assemble.ordered(lexical, levels[held])
        weight, bias = (np.tensordot(share, part[1:], 1) for part in dense(self.model.tuned, "complexity"))
        full = ordinal((tuned @ share + ratio * lexical[:, 0])[:, None] + borders)
        confidence = stop_at(ordinal(slope * lexical + form_borders), full, levels[held])
        three = lambda scale, offsets: Linear(np.repeat(scale * final.weight, 3, axis=0), scale * final.bias + offsets)
        encoder = np.repeat(weight[None], 3, axis=0), bias + borders
        return [
            pooled("complexity", "ordinal", LEVELS, encoder, three(ratio, 0.0), 1.0, 1.0, {}),
            form("complexity", "ordinal", LEVELS, three(slope, form_borders), 1.0, {}, confidence),
        ]

    def measure(self, tier: list[Fitted], complexity: list[Fitted]) -> dict:
        """Returns the figures on the validation file."""
        path = self.builder.plan.data / recipe.SPLITS[self.split][1]
        rows, new = (
            dataset.tiers(path, training=False),
            np.array([not row.get("prompt_in_train") for row in dataset.lines(path)]),
        )
        view, labels = self.builder.view(rows.texts, self.model), rows.targets["tier"]
        full = scores(tier[0], view)
        alone = softmax(self.tuned(view.embedding, "tier") / self.alone)
        token_rows = [tokens.token_ids(self.builder.plan.tokenizer, text) for text in rows.texts]
        exact = View(self.model.embed(token_rows, self.model.full), view.features, view.ngrams)
        levels = self.levels(alone, labels, self.median)
        spoken = np.array([row["language"] for row in features.measure(self.builder.plan.binary, rows.texts)])
        figures = {
            "tier": metrics.summary(full, labels, TIERS),
            "tier_lexical": metrics.summary(scores(tier[1], view), labels, TIERS),
            "encoder_alone": metrics.summary(alone, labels, TIERS),
            "tier_fp32": metrics.summary(scores(tier[0], exact), labels, TIERS),
            "complexity": metrics.summary(scores(complexity[0], view), levels, LEVELS),
            "languages": languages.table(full, labels, spoken, self.builder.plan.seed),
            "int8_agrees_with_fp32": round(float(np.mean(full.argmax(1) == scores(tier[0], exact).argmax(1))), 4),
        }
        return (
            figures if new.all() else figures | {"tier_on_new_prompts": metrics.summary(full[new], labels[new], TIERS)}
        )
