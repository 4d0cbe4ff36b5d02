"""Heads `tier` and `complexity` of one split of the tiers."""

from typing import Any

import numpy as np
from scipy.sparse import vstack

from . import assemble, dataset, features, languages, metrics, recipe, tokens
from .arrays import Floats, Probabilities, RowLabels, RowMask, Targets
from .assemble import BundleHead, Fusion, InputBlocks, LabelSet, LogitPair
from .augment import Augmenter
from .dataset import TIER_OF_LABEL, TIERS
from .inputs import HeadResults, InputBuilder, scores
from .lexical import LayerRows, LinearLayer, Link
from .metrics import ordinal, softmax
from .onnx_encoder import OnnxEncoder
from .outcome_heads import tuned_logits

LEVELS = ["0", "1", "2", "3"]


class TierHeads:
    """The heads that are fitted on the tiers of one split, with its rows and their blocks of inputs."""

    def __init__(self, builder: InputBuilder, split: str):
        plan = builder.plan
        self.builder, self.split = builder, split
        folders = [plan.seeded(split, seed) for seed in plan.seeds]
        self.model = OnnxEncoder(recipe.averaged(folders), plan.work / f"{split}-averaged")
        self.rows = plan.tiers(split)
        self.labels: RowLabels = self.rows.targets["tier"]
        self.folds = dataset.folds_of(self.rows.texts, plan.seed)
        self.held: RowMask = self.folds == dataset.CALIBRATION_FOLD
        self.view = builder.view(self.rows.texts, self.model)
        self.own = tuned_logits(self.model, self.view.embedding, "tier")
        self.copies = self._copies()

    def _copies(self) -> InputBlocks:
        """Returns a changed copy of every row, so that lexical heads do not mistake padding for a request."""
        change = Augmenter(self.builder.plan.seed)
        return self.builder.view([change(text) for text in self.rows.texts], None)

    def layer(self, targets: Targets, kept: RowMask, penalty: float, link: Link = "softmax") -> LinearLayer:
        """Fits a lexical layer on the kept rows and, at half the weight, on their changed copies."""
        features = np.vstack([self.view.features[kept], self.copies.features[kept]])
        ngrams = vstack([self.view.ngrams[kept], self.copies.ngrams[kept]], format="csr")
        weights = np.repeat([1.0, 0.5], kept.sum())
        return self.builder.fit(LayerRows(features, ngrams, np.vstack([targets[kept]] * 2), weights), penalty, link)

    def fit(self) -> HeadResults:
        held, everything = self.held, np.ones(len(self.labels), bool)
        self.alone = alone = metrics.fit_temperature(self.own[held], self.labels[held], softmax)
        opinion = softmax(self.own / alone)
        share = assemble.TEACHER_SHARE
        self.targets: Targets = (1 - share) * np.eye(3)[self.labels] + share * opinion
        inside = self.view.where(~held)
        penalty, losses = assemble.choose_penalty(self.builder.fit, inside, self.labels[~held], self.folds[~held])
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
        return HeadResults(tier + complexity, figures | self.measure(tier, complexity))

    def tier(self, trial: LinearLayer, final: LinearLayer) -> list[BundleHead]:
        held, labels = self.held, self.labels[self.held]
        lexical = trial.logits(self.view.features[held], self.view.ngrams[held])
        pair = LogitPair(self.own[held], lexical)
        fusion = assemble.fit_fusion(pair, lambda logits: metrics.negative_log_likelihood(softmax(logits), labels))
        self.share = fusion.ratio
        both = self.own[held] + self.share * lexical
        full, alone = assemble.fit_calibration(both, labels), assemble.fit_calibration(lexical, labels)
        confidence = assemble.stopping_confidence(alone(lexical), full(both), labels)
        weight, bias = assemble.tuned_head(self.model.tuned, "tier")
        encoder, layer = (weight, bias + full.bias), LinearLayer(final.weight, final.bias + alone.bias)
        tiers = LabelSet("tier", "multinomial", TIERS, {"aliases": TIER_OF_LABEL})
        return [
            assemble.full_head(tiers, encoder, final, Fusion(self.share, full.temperature)),
            assemble.lexical_form(tiers, layer, alone.temperature, confidence),
        ]

    def levels(self, opinion: Probabilities, labels: RowLabels, median: float | Floats) -> RowLabels:
        """Returns judged levels: 2 and 3 are the medium and complex tier.

        Simple is 0 where the model is surer than at its median, and 1 elsewhere.
        """
        return np.where(labels > 0, labels + 1, np.where(opinion[:, 0] >= median, 0, 1))

    def complexity(self, opinion: Probabilities, penalty: float) -> list[BundleHead]:
        """Returns one weighted sum with three borders, and the same of the lexical layer alone."""
        held, everything, simple = self.held, np.ones(len(self.labels), bool), self.labels == 0
        # The model is surer of what it learnt from: its median there would leave hardly a new prompt at level 0.
        seen, self.median = (float(np.median(opinion[simple & kept, 0])) for kept in (~held, held))
        levels = self.levels(opinion, self.labels, np.where(held, self.median, seen))
        trial, final = (self.layer(levels[:, None] / 3, kept, penalty, "sigmoid") for kept in (~held, everything))
        lexical = trial.logits(self.view.features[held], self.view.ngrams[held])
        tuned = tuned_logits(self.model, self.view.embedding[held], "complexity")[:, 1:]
        (*share, ratio), borders = assemble.fit_proportional_odds(np.hstack([tuned, lexical]), levels[held])
        (slope,), form_borders = assemble.fit_proportional_odds(lexical, levels[held])
        weight, bias = (
            np.tensordot(share, part[1:], 1) for part in assemble.tuned_head(self.model.tuned, "complexity")
        )
        full = ordinal((tuned @ share + ratio * lexical[:, 0])[:, None] + borders)
        confidence = assemble.stopping_confidence(ordinal(slope * lexical + form_borders), full, levels[held])

        def three(scale: float, offsets: float | Floats) -> LinearLayer:
            """Returns the final layer's one output thrice, with a border each."""
            return LinearLayer(np.repeat(scale * final.weight, 3, axis=0), scale * final.bias + offsets)

        encoder = np.repeat(weight[None], 3, axis=0), bias + borders
        names = LabelSet("complexity", "ordinal", LEVELS)
        return [
            assemble.full_head(names, encoder, three(ratio, 0.0), Fusion(1.0, 1.0)),
            assemble.lexical_form(names, three(slope, form_borders), 1.0, confidence),
        ]

    def measure(self, tier: list[BundleHead], complexity: list[BundleHead]) -> dict[str, Any]:
        """Returns the figures on the validation file."""
        plan = self.builder.plan
        path = plan.data / recipe.SPLITS[self.split][1]
        rows = dataset.tiers(path, training=False)
        new: RowMask = np.array([not row.get("prompt_in_train") for row in dataset.lines(path)])
        view, labels = self.builder.view(rows.texts, self.model), rows.targets["tier"]
        full = scores(tier[0], view)
        alone = softmax(tuned_logits(self.model, view.embedding, "tier") / self.alone)
        token_rows = [tokens.token_ids(plan.tokenizer, text) for text in rows.texts]
        exact = InputBlocks(self.model.embed(token_rows, self.model.full), view.features, view.ngrams)
        levels = self.levels(alone, labels, self.median)
        spoken = np.array([row["language"] for row in features.measure(plan.binary, rows.texts)])
        figures = {
            "tier": metrics.summary(full, labels, TIERS),
            "tier_lexical": metrics.summary(scores(tier[1], view), labels, TIERS),
            "encoder_alone": metrics.summary(alone, labels, TIERS),
            "tier_fp32": metrics.summary(scores(tier[0], exact), labels, TIERS),
            "complexity": metrics.summary(scores(complexity[0], view), levels, LEVELS),
            "languages": languages.figures_by_language(full.argmax(axis=1), labels, spoken, plan.seed),
            "int8_agrees_with_fp32": round(float(np.mean(full.argmax(1) == scores(tier[0], exact).argmax(1))), 4),
        }
        if new.all():
            return figures
        return figures | {"tier_on_new_prompts": metrics.summary(full[new], labels[new], TIERS)}
