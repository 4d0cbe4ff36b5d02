"""Reads a bundle and scores text with onnxruntime and numpy alone, as the Rust classifier does. No torch."""

from pathlib import Path

import numpy as np
import onnxruntime
import yaml
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from .metrics import softmax
from .tokens import padded, token_ids


def session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(model: onnxruntime.InferenceSession, rows: list[list[int]], batch: int = 1) -> np.ndarray:
    """Returns [rows, dimension]. In batches, int8 activations share one scale and the vectors move a little."""
    vectors = []
    for at in range(0, len(rows), batch):
        ids, mask = padded(rows[at : at + batch])
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        vectors.append(model.run(["sentence_embedding"], inputs)[0])
    return np.concatenate(vectors)


def logits(head: dict[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Returns the output of a head `<name>.<layer>.{weight,bias}` with relu between its layers."""
    layers = len(head) // 2
    name = next(iter(head)).split(".")[0]
    for layer in range(layers):
        inputs = inputs @ head[f"{name}.{layer}.weight"].T + head[f"{name}.{layer}.bias"]
        inputs = np.maximum(inputs, 0) if layer + 1 < layers else inputs
    return inputs


class Bundle:
    """A bundle folder, loaded."""

    def __init__(self, folder: Path):
        self.manifest = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
        self.model = session(folder / self.manifest["encoder"]["file"])
        self.tokenizer = Tokenizer.from_file(str(folder / self.manifest["tokenizer"]["file"]))
        self.tensors = load_file(folder / self.manifest["heads_file"])
        self.features = yaml.safe_load((folder / self.manifest["features_file"]).read_text("utf-8"))

    def rows(self, texts: list[str]) -> list[list[int]]:
        limits = self.manifest["tokenizer"]
        return [token_ids(self.tokenizer, text, limits["max_tokens"], limits["head_tokens"]) for text in texts]

    def scores(self, texts: list[str], features: np.ndarray, batch: int = 1) -> np.ndarray:
        """Returns the probabilities of the tier head for scaled features, [texts, labels]."""
        (head,) = self.manifest["heads"]
        inputs = np.concatenate([embed(self.model, self.rows(texts), batch), features], axis=1)
        return softmax(logits(self.tensors, inputs) / head["temperature"])
