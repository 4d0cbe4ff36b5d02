"""Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

import numpy as np
from scipy.sparse import vstack

from . import assemble, dataset, metrics
from .assemble import Fitted, Pair, View, dense, form, fused, pooled, stop_at, temperature_of
from .evaluate import Model
from .metrics import softmax
from .views import Builder, Result, scores

# The smallest log loss on the calibration fold, of a grid. Outcomes are mostly noise, domains are hardly any.
WINS_PENALTY, DOMAIN_PENALTY = 2e-2, 1e-4


class Answered:
    """Heads `strong_wins` and `domain`: fitted on outcomes, calibrated and measured on folds that nothing learnt from."""

    def __init__(self, builder: Builder, model: Model):
        plan = builder.plan
        self.model, self.names, self.fit_layer = model, dataset.domains(plan.data), builder.fit
        folds, rows = plan.outcome_folds, plan.outcomes
        self.calibration, self.test = (rows.where(folds == fold) for fold in (dataset.CALIBRATION_FOLD, dataset.TEST_FOLD))
        self.learnt, self.panel = plan.learnt()
        self.views = {
            name: builder.view(part.texts, model) for name, part in (("calibration", self.calibration), ("test", self.test))
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
        for head in wins:
            p = scores(head, view)[:, 1]
            event = (right[:, 0] > right[:, 1]).astype(float)
            figures[head.spec["name"]] = metrics.routing(p, right[:, 0], right[:, 1]) | {
                "ece": round(metrics.gap(p, event), 4),
                "brier": round(float(np.mean((p - event) ** 2)), 4),
            }
        length = np.array([len(text) for text in self.test.texts], float)
        return Result(
            wins + domain,
            figures | {"prompt_length": metrics.routing(length, right[:, 0], right[:, 1]), "lexical_share": self.shares},
        )

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
            softmax(pair.lexical / form_temperature), softmax((pair.encoder + ratio * pair.lexical) / temperature), truth
        )
        labels, extra = (
            [name.replace(" ", "-") for name in self.names],
            {"aliases": {name: name.replace(" ", "-") for name in self.names if " " in name}},
        )
        self.shares = {"domain": round(ratio, 4)}
        return [
            pooled("domain", "multinomial", labels, dense(self.model.tuned, "domain"), layer, ratio, temperature, extra),
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
        weight, bias = np.hstack([weight, ratio * layer.weight]) / temperature, (bias + ratio * layer.bias) / temperature
        p = metrics.sigmoid((pair.encoder + ratio * pair.lexical) / temperature)
        alone = metrics.sigmoid(pair.lexical)
        self.shares["strong_wins"] = round(ratio, 4)
        line, form_line = (assemble.line_of(chance[:, 0] - chance[:, 1], event) for chance in (p, alone))
        return [
            assemble.wins("strong_wins", ["embedding", "features", "ngrams"], weight, bias, line, {}),
            assemble.wins(
                "strong_wins_lexical", ["features", "ngrams"], layer.weight, layer.bias, form_line, {"stands_for": "strong_wins"}
            ),
        ]
