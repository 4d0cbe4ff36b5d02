"""The encoder that a student learns from: the int8 graph of a bundle, its weights and what its heads make of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from .arrays import Embeddings, Floats, Tensors
from .assemble import Layer
from .encoder import DIMENSION
from .export import OUTPUT
from .tokens import padded

TOKENS_A_RUN = 1024


@dataclass
class TeacherTargets:
    """What a student is to come near to: states of all tokens of all rows behind each other, and vectors of rows."""

    states: Floats
    starts: Floats
    vectors: Embeddings

    def of(self, row: int) -> Floats:
        return self.states[self.starts[row] : self.starts[row + 1]]


class Teacher:
    """A bundle's encoder, as it serves."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.manifest: dict[str, Any] = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
        self.model = onnx.load(folder / self.manifest["encoder"]["file"])

    def weights(self) -> Tensors:
        """Returns the weights in float32, rounded as they ship, by the names of `export.Graph`."""
        found = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        weights: Tensors = {}
        for name, value in found.items():
            if value.dtype == np.int8 and f"{name}.scale" in found:
                weights[name] = value.astype(np.float32) * found[f"{name}.scale"]
            elif value.dtype == np.int8:
                scale = found[f"{name.removesuffix('.weight')}.scale"]
                weights[name] = np.ascontiguousarray((value.astype(np.float32) * scale).T)
            elif name.endswith((".weight", ".bias")):
                weights[name] = value
        return weights

    def heads(self) -> dict[str, Layer]:
        """Returns the first layers of the heads that read the embedding, as far as they read it."""
        tensors = load_file(self.folder / self.manifest["heads_file"])
        names = [head["name"] for head in self.manifest["heads"] if "embedding" in head.get("inputs", [])]
        return {
            name: (tensors[f"{name}.0.weight"][:, :DIMENSION], tensors[f"{name}.0.bias"])
            for name in names
            if f"{name}.0.weight" in tensors
        }

    def targets(self, rows: list[list[int]]) -> TeacherTargets:
        session, states_name = self.session()
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        states = np.zeros((starts[-1], DIMENSION), np.float16)
        vectors = np.zeros((len(rows), DIMENSION), np.float32)
        order, at = sorted(range(len(rows)), key=lambda row: len(rows[row])), 0
        while at < len(order):
            run = order[at : at + max(1, TOKENS_A_RUN // len(rows[order[at]]))]
            ids, mask = padded([rows[row] for row in run])
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            found, last = session.run([OUTPUT, states_name], inputs)
            vectors[run] = found
            for place, row in enumerate(run):
                states[starts[row] : starts[row + 1]] = last[place, : len(rows[row])]
            at += len(run)
        return TeacherTargets(states, starts, vectors)

    def session(self) -> tuple[onnxruntime.InferenceSession, str]:
        """Returns a session of the graph that also gives the last layer's states, and what these are called."""
        name = [node for node in self.model.graph.node if node.op_type == "LayerNormalization"][-1].output[0]
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        axes = ["batch", "seq", DIMENSION]
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, axes))
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]), name
