"""The graph of a bundle: one ONNX file, and one with its weights where they are too many for it."""

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import uses_external_data
from torch import nn

OPSET = 17
MODEL, WEIGHTS = "model.onnx", "model.onnx.data"


def write(folder: Path, module: nn.Module) -> list[str]:
    """Exports the module into the folder, and returns the names of its files, the graph's first.

    An ONNX file ends at 2 GiB; of a larger model the exporter writes a file a tensor, which become one.
    """
    (folder / WEIGHTS).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        exported = Path(work) / MODEL
        export(exported, module)
        graph = onnx.load(exported, load_external_data=False)
        if not any(uses_external_data(tensor) for tensor in graph.graph.initializer):
            exported.replace(folder / MODEL)
            return [MODEL]
        onnx.load_external_data_for_model(graph, work)
        onnx.save(graph, folder / MODEL, save_as_external_data=True, location=WEIGHTS)
        return [MODEL, WEIGHTS]


def export(path: Path, module: nn.Module) -> None:
    ids = torch.randint(5, 20, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {0: "batch", 1: "sequence"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a trace may get wrong: scores are compared instead
        torch.onnx.export(
            module,
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
