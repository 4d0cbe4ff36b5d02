"""Reads a bundle and scores text with onnxruntime and numpy alone, as the Rust classifier does. No torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from . import ngrams
from .arrays import (
    Embeddings,
    FeatureRows,
    Floats,
    LayerBias,
    LayerWeight,
    Logits,
    NgramRows,
    Probabilities,
    RowLabels,
    Tensors,
)
from .features import FeatureScale
from .metrics import expected_level, ordinal, softmax
from .tokens import TokenWindow, padded, token_ids


def relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


FLOOR = 1e-6  # the least probability that a mixture takes the logarithm of

ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {"relu": relu, "tanh": np.tanh}


def session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(model: onnxruntime.InferenceSession, rows: Sequence[Sequence[int]], batch: int = 16) -> Embeddings:
    """Returns the embeddings of rows of token ids.

    Equal rows run once, those of like length together: that moves no vector of a graph of ours.
    """
    different = sorted({tuple(row) for row in rows}, key=len)
    vectors: dict[tuple[int, ...], Floats] = {}
    for at in range(0, len(different), batch):
        ids, mask = padded(different[at : at + batch])
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        vectors |= zip(different[at : at + batch], model.run(["sentence_embedding"], inputs)[0], strict=True)
    return np.stack([vectors[tuple(row)] for row in rows])


class Head:
    """Dense layers `<name>.<layer>.{weight,bias}` over blocks of inputs, or trees, or a mixture of other heads.

    There is a gate where the manifest has one.
    """

    gate: "tuple[Head, Head] | None" = None

    def __init__(self, spec: dict[str, Any], tensors: Tensors):
        self.spec = spec
        self.members: list[tuple[Head, float]] = []
        self.layers: list[tuple[LayerWeight, LayerBias]] = []
        while (prefix := f"{spec['name']}.{len(self.layers)}") + ".weight" in tensors:
            self.layers.append((tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"]))
        parts = ("input", "threshold", "leaf", "bias")
        self.trees = [tensors[f"{spec['name']}.trees.{part}"] for part in parts] if "trees" in spec else []

    def scores(self, blocks: dict[str, Embeddings | FeatureRows | NgramRows]) -> Probabilities:
        link = softmax if self.spec["kind"] == "multinomial" else ordinal
        own = self.calibrated(link(self.logits(blocks) / self.spec["temperature"]))
        if not self.gate:
            return own
        by, otherwise = (head.scores(blocks) for head in self.gate)
        return by[:, 1:] * own + by[:, :1] * otherwise

    def logits(self, blocks: dict[str, Embeddings | FeatureRows | NgramRows]) -> Logits:
        if self.members:
            pooled = [weight * np.log(np.maximum(head.scores(blocks), FLOOR)) for head, weight in self.members]
            mixed: Logits = np.sum(pooled, axis=0)
            return mixed
        if self.trees:
            return forest(np.hstack([blocks[block] for block in self.spec["inputs"]]), *self.trees)
        (weight, bias), *others = self.layers
        values, start = bias, 0
        for block in self.spec["inputs"]:
            width = blocks[block].shape[1]
            values = values + blocks[block] @ weight[:, start : start + width].T
            start += width
        for weight, bias in others:
            values = ACTIVATIONS[self.spec.get("activation", "relu")](values) @ weight.T + bias
        return values

    def calibrated(self, chances: Probabilities) -> Probabilities:
        """Applies the isotonic curve of a head of two labels, where it has one."""
        if "isotonic" not in self.spec:
            return chances
        second = np.interp(chances[:, 1], self.spec["isotonic"]["from"], self.spec["isotonic"]["to"])
        return np.stack([1 - second, second], axis=1)


def forest(inputs: Floats, asked: Floats, thresholds: Floats, leaves: Floats, bias: LayerBias) -> Logits:
    """Returns the sums of symmetric trees: the answer at each level is a bit of the leaf, the first the lowest."""
    logits: Logits = np.tile(bias, (len(inputs), 1))
    for places, borders, leaf in zip(asked.astype(int), thresholds, leaves, strict=True):
        bits = (inputs[:, places] > borders) << np.arange(len(places))
        logits += leaf.reshape(-1, len(bias))[bits.sum(axis=1)]
    return logits


def heads(specs: list[dict[str, Any]], tensors: Tensors) -> dict[str, Head]:
    """Returns heads by name; gates and mixtures are linked to the heads that they ask."""
    made = {spec["name"]: Head(spec, tensors) for spec in specs}
    for head in made.values():
        if gate := head.spec.get("gate"):
            head.gate = made[gate["head"]], made[gate["otherwise"]]
        head.members = [(made[share["head"]], share["weight"]) for share in head.spec.get("mix", [])]
    return made


class Bundle:
    """A bundle folder, loaded."""

    def __init__(self, folder: Path):
        self.manifest: dict[str, Any] = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
        self.model = session(folder / self.manifest["encoder"]["file"])
        self.tokenizer = Tokenizer.from_file(str(folder / self.manifest["tokenizer"]["file"]))
        tensors = load_file(folder / self.manifest["heads_file"])
        self.heads = [head for head in heads(self.manifest["heads"], tensors).values() if not head.spec.get("hidden")]
        self.features: list[FeatureScale] = yaml.safe_load((folder / self.manifest["features_file"]).read_text("utf-8"))

    def rows(self, texts: list[str]) -> list[list[int]]:
        limits = self.manifest["tokenizer"]
        names = ("max_tokens", "head_tokens", "least_tokens", "repeat_words")
        window = TokenWindow(**{name: limits.get(name) for name in names})
        return [token_ids(self.tokenizer, text, window) for text in texts]

    def scores(self, texts: list[str], features: FeatureRows) -> dict[str, Probabilities]:
        """Returns the probabilities of every head for scaled features."""
        blocks = {
            "embedding": embed(self.model, self.rows(texts)),
            "features": features,
            "ngrams": ngrams.matrix(texts),
        }
        return {head.spec["name"]: head.scores(blocks) for head in self.heads}

    def served(self, scores: dict[str, Probabilities], head: str) -> Probabilities:
        """Returns a head's probabilities as the cascade serves them.

        They are those of its lexical form where that is sure enough.
        """
        forms = [
            other.spec for other in self.heads if other.spec.get("stands_for") == head and "confidence" in other.spec
        ]
        if not forms:
            return scores[head]
        lexical, confidence = scores[forms[0]["name"]], forms[0]["confidence"]
        labels = forms[0]["labels"]
        by_label = confidence if isinstance(confidence, dict) else dict.fromkeys(labels, confidence)
        least = np.array([by_label.get(label, np.inf) for label in labels])
        decided = self.decided(lexical, head)
        sure = lexical[np.arange(len(decided)), decided] >= least[decided]
        return np.where(sure[:, None], lexical, scores[head])

    def decided(self, chances: Probabilities, head: str) -> RowLabels:
        """Returns the labels that a head decides: by its thresholds where it has some, else the most probable ones."""
        levels = next(spec for spec in self.manifest["heads"] if spec["name"] == head).get("levels")
        if not levels:
            labels: RowLabels = chances.argmax(axis=1)
            return labels
        steps: RowLabels = np.sum(expected_level(chances)[:, None] >= np.array(levels["even"])[None], axis=1)
        return steps
