"""Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

from typing import Any

import numpy as np
from scipy.sparse import vstack

from . import assemble, dataset, metrics, recipe
from .arrays import Embeddings, LayerBias, LayerWeight, Logits, RowValues, Targets
from .assemble import BundleHead, InputBlocks, LabelSet, LogitPair
from .inputs import HeadResults, InputBuilder, scores
from .lexical import LayerRows
from .metrics import softmax
from .onnx_encoder import OnnxEncoder

# The smallest log loss on the calibration fold, of a grid. Outcomes are mostly noise, domains are hardly any.
WINS_PENALTY, DOMAIN_PENALTY = 2e-2, 1e-4
# Telling the outcomes' questions from other prompts is easy, so nearly any will do: a small one makes the gate decide.
KNOWN_PENALTY = 1e-4
GATE = {"head": "strong_wins/known", "otherwise": "strong_wins/length"}
LEXICAL = ["features", "ngrams"]


class OutcomeHeads:
    """The heads that are fitted on outcomes, with the rows and the blocks of inputs that they need."""

    def __init__(self, builder: InputBuilder, model: OnnxEncoder):
        plan = builder.plan
        self.model, self.names, self.fit_layer = model, dataset.domains(plan.data), builder.fit
        folds, rows = plan.outcome_folds, plan.outcomes
        self.calibration, self.test = (
            rows.where(folds == fold) for fold in (dataset.CALIBRATION_FOLD, dataset.TEST_FOLD)
        )
        self.learnt, self.panel = plan.learnt()
        self.builder, self.block = builder, [feature["name"] for feature in builder.block]
        parts = {"calibration": self.calibration, "test": self.test}
        self.views = {name: builder.view(part.texts, model) for name, part in parts.items()}
        self.view, self.panel_view = builder.view(self.learnt.texts, None), builder.view(self.panel.texts, None)
        self.shares: dict[str, float] = {}

    def tuned(self, view: InputBlocks, name: str) -> Logits:
        return tuned_logits(self.model, view.embedding, name)

    def fit(self) -> HeadResults:
        domain, wins = self.domain(), self.wins()
        labels, right = self.test.targets["domain"], self.test.targets["success"]
        view, figures = self.views["test"], {}
        for head in domain:
            figures[head.spec["name"]] = metrics.summary(scores(head, view), labels, self.names)
        known, length = self.known(), self.length()
        for head in wins:
            p = scores(head, view, [known, length])[:, 1]
            event = strong_wins(right)
            figures[head.spec["name"]] = metrics.routing(p, right[:, 0], right[:, 1]) | {
                "ece": round(metrics.gap(p, event), 4),
                "brier": round(float(np.mean((p - event) ** 2)), 4),
            }
        chars = np.array([len(text) for text in self.test.texts], float)
        figures["prompt_length"] = metrics.routing(chars, right[:, 0], right[:, 1])
        shares = {"lexical_share": self.shares, "known": self.known_shares(known)}
        return HeadResults([known, length, *wins, *domain], figures | shares)

    def known(self) -> BundleHead:
        """Returns the head that tells questions like those of the outcomes from other prompts."""
        tiers = self.builder.view(self.builder.plan.tiers(recipe.SHIPPED).texts, None)
        views = [self.view, self.panel_view, tiers]
        features = np.vstack([view.features for view in views])
        ngrams = vstack([view.ngrams for view in views], format="csr")
        ours = np.arange(len(features)) < len(self.view.features)
        weights = np.where(ours, 1 / ours.sum(), 1 / (~ours).sum())
        rows = LayerRows(features, ngrams, np.eye(2)[ours.astype(int)], weights)
        layer = self.fit_layer(rows, KNOWN_PENALTY)
        return hidden_head(GATE["head"], ["foreign", "known"], LEXICAL, (layer.weight, layer.bias))

    def length(self) -> BundleHead:
        """Returns the head that knows a prompt's length only.

        No learnt head was seen to beat it on other prompts.
        """
        place = self.block.index("text_chars")
        line = assemble.fit_logit_line(self.view.features[:, place], strong_wins(self.learnt.targets["success"]))
        weight = np.zeros((2, len(self.block)))
        weight[1, place] = line.slope
        return hidden_head(GATE["otherwise"], ["weak", "strong"], ["features"], (weight, np.array([0.0, line.offset])))

    def known_shares(self, known: BundleHead) -> dict[str, float]:
        """Returns how known prompts look on average that the gate did not see."""
        plan = self.builder.plan
        panel = plan.panel.where(np.arange(len(plan.panel.texts)) % 2 == 1)
        seen = set(self.panel.texts)
        steps = [text for text in dataset.texts(plan.data / dataset.STEPS) if text not in seen]
        texts = {"MMLU": self.test.texts, "LLMRouter": panel.texts, "GSM8K": steps}
        return {
            name: round(float(scores(known, self.builder.view(rows, None))[:, 1].mean()), 3)
            for name, rows in texts.items()
        }

    def domain(self) -> list[BundleHead]:
        known = self.panel.targets["domain"] >= 0
        places = np.concatenate([self.learnt.targets["domain"], self.panel.targets["domain"][known]])
        features = np.vstack([self.view.features, self.panel_view.features[known]])
        ngrams = vstack([self.view.ngrams, self.panel_view.ngrams[known]], format="csr")
        layer = self.fit_layer(LayerRows(features, ngrams, np.eye(len(self.names))[places]), DOMAIN_PENALTY)
        view, truth = self.views["calibration"], self.calibration.targets["domain"]
        pair = LogitPair(self.tuned(view, "domain"), layer.logits(view.features, view.ngrams))
        fusion = assemble.fit_fusion(pair, lambda logits: metrics.negative_log_likelihood(softmax(logits), truth))
        form_temperature = metrics.fit_temperature(pair.lexical, truth, softmax)
        full = softmax((pair.encoder + fusion.ratio * pair.lexical) / fusion.temperature)
        confidence = assemble.stopping_confidence(softmax(pair.lexical / form_temperature), full, truth)
        aliases = {name: name.replace(" ", "-") for name in self.names if " " in name}
        labels = LabelSet(
            "domain", "multinomial", [name.replace(" ", "-") for name in self.names], {"aliases": aliases}
        )
        self.shares = {"domain": round(fusion.ratio, 4)}
        return [
            assemble.full_head(labels, assemble.tuned_head(self.model.tuned, "domain"), layer, fusion),
            assemble.lexical_form(labels, layer, form_temperature, confidence),
        ]

    def wins(self) -> list[BundleHead]:
        rows = LayerRows(self.view.features, self.view.ngrams, self.learnt.targets["success"].astype(float))
        layer = self.fit_layer(rows, WINS_PENALTY, "sigmoid")
        view, right = self.views["calibration"], self.calibration.targets["success"]
        pair = LogitPair(self.tuned(view, "success"), layer.logits(view.features, view.ngrams))
        fusion = assemble.fit_fusion(pair, lambda logits: assemble.cross_entropy(metrics.sigmoid(logits), right))
        event = strong_wins(right)
        ratio, temperature = fusion.ratio, fusion.temperature
        weight, bias = assemble.tuned_head(self.model.tuned, "success")
        weight, bias = (
            np.hstack([weight, ratio * layer.weight]) / temperature,
            (bias + ratio * layer.bias) / temperature,
        )
        p = metrics.sigmoid((pair.encoder + ratio * pair.lexical) / temperature)
        alone = metrics.sigmoid(pair.lexical)
        self.shares["strong_wins"] = round(ratio, 4)
        line, form_line = (assemble.fit_logit_line(chance[:, 0] - chance[:, 1], event) for chance in (p, alone))
        full: dict[str, Any] = {"name": "strong_wins", "inputs": ["embedding", *LEXICAL], "gate": GATE}
        form: dict[str, Any] = {"name": "strong_wins_lexical", "inputs": LEXICAL, "gate": GATE}
        return [
            assemble.difference_head(full, (weight, bias), line),
            assemble.difference_head(form | {"stands_for": "strong_wins"}, (layer.weight, layer.bias), form_line),
        ]


def tuned_logits(model: OnnxEncoder, embedding: Embeddings, name: str) -> Logits:
    """Returns what a tuned head of the encoder says of embeddings, without n-grams."""
    weight, bias = assemble.tuned_head(model.tuned, name)
    return embedding @ weight.T + bias


def strong_wins(right: Targets) -> RowValues:
    """Returns 1 where the strong model was right, [:, 0], and the weak one was not, [:, 1]; 0 elsewhere."""
    return (right[:, 0] > right[:, 1]).astype(float)


def hidden_head(name: str, labels: list[str], inputs: list[str], layer: tuple[LayerWeight, LayerBias]) -> BundleHead:
    """Returns a head that only gates ask."""
    spec = {"name": name, "kind": "multinomial", "labels": labels, "inputs": inputs, "temperature": 1.0, "hidden": True}
    return BundleHead.of(spec, layer)
