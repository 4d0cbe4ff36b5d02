"""Prompts as heads read them; what took long is kept in the work folder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from . import features, lexical, memo, ngrams, recipe, tokens
from .assemble import Fitted, View
from .evaluate import Model
from .scorer import heads


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
        compute = lambda: {
            name: np.array([row[name] for row in rows])
            for rows in [features.measure(self.plan.binary, texts)]
            for name in features.TRANSFORMS
        }
        columns = memo.arrays(self.plan.work / f"features-{memo.key(texts)}.npz", compute)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def ngrams(self, texts: list[str]) -> csr_matrix:
        compute = lambda: {
            name: getattr(found, name) for found in [ngrams.matrix(texts)] for name in ("data", "indices", "indptr")
        }
        parts = memo.arrays(self.plan.work / f"ngrams-{memo.key(texts, tokens.REPEAT_WORDS)}.npz", compute)
        return csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=(len(texts), ngrams.WIDTH))


def scores(head: Fitted, view: View, parts: Sequence[Fitted] = ()) -> np.ndarray:
    """Returns the probabilities of a head; `parts` has those that its gate asks."""
    tensors = {name: tensor for part in (head, *parts) for name, tensor in part.tensors.items()}
    return heads([part.spec for part in (head, *parts)], tensors)[head.spec["name"]].scores(view.blocks())
