"""Prompts as heads read them; what took long is kept in the work folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from . import cache, features, lexical, ngrams, recipe, tokens
from .arrays import Embeddings, NgramRows, Probabilities
from .assemble import BundleHead, InputBlocks
from .features import FeatureScale, FeatureValues
from .onnx_encoder import OnnxEncoder
from .scorer import heads


@dataclass
class HeadResults:
    """Heads and how good they are."""

    heads: list[BundleHead]
    figures: dict[str, Any]


class InputBuilder:
    """Turns texts into the inputs of heads, and fits the scaling of features and lexical layers."""

    def __init__(self, plan: recipe.Recipe):
        self.plan, self.fit = plan, lexical.LayerTrainer(plan.work)
        # One block for all heads and both splits: scaling is no learning from labels.
        self.block: list[FeatureScale] = features.fit(self.measured(plan.tiers(recipe.SHIPPED).texts))

    def view(self, texts: list[str], model: OnnxEncoder | None) -> InputBlocks:
        rows = [tokens.token_ids(self.plan.tokenizer, text) for text in texts] if model else []
        embedding: Embeddings = model.embed(rows) if model else np.zeros((len(texts), 0), np.float32)
        return InputBlocks(embedding, features.scaled(self.measured(texts), self.block), self.ngrams(texts))

    def measured(self, texts: list[str]) -> list[FeatureValues]:
        """Returns the raw features of each text, of those that heads may read."""

        def columns() -> dict[str, cache.Array]:
            rows = features.measure(self.plan.binary, texts)
            return {name: np.array([row[name] for row in rows]) for name in features.TRANSFORMS}

        kept = cache.arrays(self.plan.work / f"features-{cache.key(texts)}.npz", columns)
        return [dict(zip(kept, values, strict=True)) for values in zip(*kept.values(), strict=True)]

    def ngrams(self, texts: list[str]) -> NgramRows:
        def parts() -> dict[str, cache.Array]:
            found = ngrams.matrix(texts)
            return {"data": found.data, "indices": found.indices, "indptr": found.indptr}

        kept = cache.arrays(self.plan.work / f"ngrams-{cache.key(texts, tokens.SHORT.repeat_words)}.npz", parts)
        return csr_matrix((kept["data"], kept["indices"], kept["indptr"]), shape=(len(texts), ngrams.WIDTH))


def scores(head: BundleHead, view: InputBlocks, parts: Sequence[BundleHead] = ()) -> Probabilities:
    """Returns the probabilities of a head; `parts` has those that its gate asks."""
    tensors = {name: tensor for part in (head, *parts) for name, tensor in part.tensors.items()}
    return heads([part.spec for part in (head, *parts)], tensors)[head.spec["name"]].scores(view.blocks())
