"""Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

import numpy as np
from scipy.sparse import vstack

from . import assemble, dataset, metrics, recipe
from .assemble import Fitted, Pair, View, dense, form, fused, pooled, stop_at, temperature_of
from .evaluate import Model
from .metrics import softmax
from .views import Builder, Result, scores

# The smallest log loss on the calibration fold, of a grid. Outcomes are mostly noise, domains are hardly any.
WINS_PENALTY, DOMAIN_PENALTY = 2e-2, 1e-4
# Telling the outcomes' questions from other prompts is easy, so nearly any will do: a small one makes the gate decide.
KNOWN_PENALTY = 1e-4
GATE = {"head": "strong_wins/known", "otherwise": "strong_wins/length"}


class Answered:
    """Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

    def __init__(self, builder: Builder, model: Model):
        plan = builder.plan
        self.model, self.names, self.fit_layer = model, dataset.domains(plan.data), builder.fit
        folds, rows = plan.outcome_folds, plan.outcomes
        self.calibration, self.test = (
            rows.where(folds == fold) for fold in (dataset.CALIBRATION_FOLD, dataset.TEST_FOLD)
        )
        self.learnt, self.panel = plan.learnt()
        self.builder, self.block = builder, [feature["name"] for feature in builder.block]
        self.views = {
            name: builder.view(part.texts, model)
            for name, part in (("calibration", self.calibration), ("test", self.test))
        }
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
        known, length = self.known(), self.length()
        for head in wins:
            p = scores(head, view, [known, length])[:, 1]
            event = (right[:, 0] > right[:, 1]).astype(float)
            figures[head.spec["name"]] = metrics.routing(p, right[:, 0], right[:, 1]) | {
                "ece": round(metrics.gap(p, event), 4),
                "brier": round(float(np.mean((p - event) ** 2)), 4),
            }
        chars = np.array([len(text) for text in self.test.texts], float)
        figures["prompt_length"] = metrics.routing(chars, right[:, 0], right[:, 1])
        return Result(
            [known, length, *wins, *domain],
            figures | {"lexical_share": self.shares, "known": self.known_shares(known)},
        )

    def known(self) -> Fitted:
        """Returns the head that tells questions like those of the outcomes from prompts of which no outcome is known."""
        others = [self.panel_view, self.builder.view(self.builder.plan.tiers(recipe.SHIPPED).texts, None)]
        features = np.vstack([self.view.features, *(view.features for view in others)])
        ngrams = vstack([self.view.ngrams, *(view.ngrams for view in others)], format="csr")
        ours = np.arange(len(features)) < len(self.view.features)
        weights = np.where(ours, 1 / ours.sum(), 1 / (~ours).sum())
        layer = self.fit_layer(features, ngrams, np.eye(2)[ours.astype(int)], KNOWN_PENALTY, weights=weights)
        return hidden(GATE["head"], ["foreign", "known"], ["features", "ngrams"], layer.weight, layer.bias)

    def length(self) -> Fitted:
        """Returns the head that knows a prompt's length only, which no learnt head was seen to beat on other kinds of prompts."""
        right, place = self.learnt.targets["success"], self.block.index("text_chars")
        slope, offset = assemble.line_of(self.view.features[:, place], (right[:, 0] > right[:, 1]).astype(float))
        weight = np.zeros((2, len(self.block)))
        weight[1, place] = slope
        return hidden(GATE["otherwise"], ["weak", "strong"], ["features"], weight, np.array([0.0, offset]))

    def known_shares(self, known: Fitted) -> dict[str, float]:
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

    def domain(self) -> list[Fitted]:
        known = self.panel.targets["domain"] >= 0
        labels = np.concatenate([self.learnt.targets["domain"], self.panel.targets["domain"][known]])
        dense_rows = np.vstack([self.view.features, self.panel_view.features[known]])
        sparse = vstack([self.view.ngrams, self.panel_view.ngrams[known]], format="csr")
        layer = self.fit_layer(dense_rows, sparse, np.eye(len(self.names))[labels], DOMAIN_PENALTY)
        view, truth = self.views["calibration"], self.calibration.targets["domain"]
        pair = Pair(self.tuned(view, "domain"), layer.logits(view.features, view.ngrams))
        ratio, temperature = fused(pair, truth)
        form_temperature = temperature_of(pair.lexical, truth, softmax)
        confidence = stop_at(
            softmax(pair.lexical / form_temperature),
            softmax((pair.encoder + ratio * pair.lexical) / temperature),
            truth,
        )
        labels, extra = (
            [name.replace(" ", "-") for name in self.names],
            {"aliases": {name: name.replace(" ", "-") for name in self.names if " " in name}},
        )
        self.shares = {"domain": round(ratio, 4)}
        return [
            pooled(
                "domain", "multinomial", labels, dense(self.model.tuned, "domain"), layer, ratio, temperature, extra
            ),
            form("domain", "multinomial", labels, layer, form_temperature, extra, confidence),
        ]

    def wins(self) -> list[Fitted]:
        layer = self.fit_layer(
            self.view.features, self.view.ngrams, self.learnt.targets["success"].astype(float), WINS_PENALTY, "sigmoid"
        )
        view, right = self.views["calibration"], self.calibration.targets["success"]
        pair = Pair(self.tuned(view, "success"), layer.logits(view.features, view.ngrams))
        ratio, temperature = fused(pair, right, "sigmoid")
        event = (right[:, 0] > right[:, 1]).astype(float)
        weight, bias = dense(self.model.tuned, "success")
        weight, bias = (
            np.hstack([weight, ratio * layer.weight]) / temperature,
            (bias + ratio * layer.bias) / temperature,
        )
        p = metrics.sigmoid((pair.encoder + ratio * pair.lexical) / temperature)
        alone = metrics.sigmoid(pair.lexical)
        self.shares["strong_wins"] = round(ratio, 4)
        line, form_line = (assemble.line_of(chance[:, 0] - chance[:, 1], event) for chance in (p, alone))
        return [
            assemble.wins("strong_wins", ["embedding", "features", "ngrams"], weight, bias, line, {"gate": GATE}),
            assemble.wins(
                "strong_wins_lexical",
                ["features", "ngrams"],
                layer.weight,
                layer.bias,
                form_line,
                {"gate": GATE, "stands_for": "strong_wins"},
            ),
        ]


def hidden(name: str, labels: list[str], inputs: list[str], weight: np.ndarray, bias: np.ndarray) -> Fitted:
    spec = {"name": name, "kind": "multinomial", "labels": labels, "inputs": inputs, "temperature": 1.0, "hidden": True}
    return Fitted.of(spec, (weight, bias))
