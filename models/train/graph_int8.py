"""Any exported float32 graph with 8-bit weights: its products and tables, rewritten node by node.

As in `export.Int8Graph`: one scale a column of weights, a row of a table, and a token of an activation, so that a
prompt's scores do not depend on what it shares a run with. ONNX Runtime's own dynamic quantisation takes one scale for
the whole run. What is not a product with constant weights stays as it is, the last layers included.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .export import ACTIVATION_LIMIT, TABLE_LIMIT, WEIGHT_LIMIT, quantise_rows
from .graph_file import MODEL, WEIGHTS

LEAST_WEIGHTS = 256  # of a matrix: smaller ones gain nothing
AXES_ARE_INPUTS = 18  # the opset from which on ReduceMax takes its axes as an input


class Int8Rewriter:
    """Rewrites the nodes of one graph, in their order."""

    def __init__(self, model: onnx.ModelProto):
        self.graph = model.graph
        self.opset = next(one.version for one in model.opset_import if one.domain == "")
        self.weights = {tensor.name: tensor for tensor in self.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.prepared: dict[str, tuple[str, str]] = {}  # activations that were rounded, with their scales
        self.products = 0

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type == "MatMul" and (weight := self.matrix(node.input[1])) is not None:
                self.product(node, weight)
            elif node.op_type == "Gather" and (table := self.matrix(node.input[0])) is not None and rows_of(node):
                self.lookup(node, table)
            else:
                self.nodes.append(node)
        read = {name for node in self.nodes for name in node.input} | {value.name for value in self.graph.output}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend([*kept, *self.constants.values()])

    def matrix(self, name: str) -> NDArray[np.float32] | None:
        """Returns constant weights that are worth rounding."""
        tensor = self.weights.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2:
            return None
        values: NDArray[np.float32] = numpy_helper.to_array(tensor)
        return values if values.size >= LEAST_WEIGHTS else None

    def product(self, node: onnx.NodeProto, weight: NDArray[np.float32]) -> None:
        activations, scale = self.rounded(node.input[0])
        values, scales = quantise_rows(weight.T, WEIGHT_LIMIT)
        matrix = self.constant(f"{node.input[1]}.int8", values.T)
        column = self.constant(f"{node.input[1]}.scale", scales[:, 0])
        out = node.output[0]
        sums = self.add("MatMulInteger", activations, matrix, self.zero(), out=f"{out}.sums")
        wide = self.add("Cast", sums, out=f"{out}.wide", to=TensorProto.FLOAT)
        self.add("Mul", self.add("Mul", wide, scale, out=f"{out}.scaled"), column, out=out)
        self.products += 1

    def lookup(self, node: onnx.NodeProto, table: NDArray[np.float32]) -> None:
        values, scales = quantise_rows(table, TABLE_LIMIT)
        name, ids, out = node.input[0], node.input[1], node.output[0]
        rows = self.add("Gather", self.constant(f"{name}.int8", values), ids, out=f"{out}.rows")
        scale = self.add("Gather", self.constant(f"{name}.scale", scales), ids, out=f"{out}.scale")
        self.add("Mul", self.add("Cast", rows, out=f"{out}.wide", to=TensorProto.FLOAT), scale, out=out)

    def rounded(self, x: str) -> tuple[str, str]:
        """Returns an activation in 8 bits and the scale of each token; several products may share it."""
        if x not in self.prepared:
            size = self.add("Abs", x, out=f"{x}.size")
            if self.opset >= AXES_ARE_INPUTS:
                axes = self.constant("int8.last", np.array([-1], np.int64))
                largest = self.add("ReduceMax", size, axes, out=f"{x}.largest", keepdims=1)
            else:
                largest = self.add("ReduceMax", size, out=f"{x}.largest", axes=[-1], keepdims=1)
            least = self.constant("int8.least", np.array(1e-9, np.float32))
            step = self.constant("int8.step", np.array(1 / ACTIVATION_LIMIT, np.float32))
            scale = self.add("Mul", self.add("Max", largest, least, out=f"{x}.most"), step, out=f"{x}.int8_scale")
            one = self.constant("int8.one", np.array(1, np.float32))
            even = self.add("Div", x, scale, out=f"{x}.even")
            self.prepared[x] = self.add("QuantizeLinear", even, one, self.zero(), out=f"{x}.int8"), scale
        return self.prepared[x]

    def zero(self) -> str:
        return self.constant("int8.zero_point", np.array(128, np.uint8))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def add(self, op: str, *inputs: str, out: str, **attributes: int | list[int]) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out


def rows_of(node: onnx.NodeProto) -> bool:
    """Tells whether a look-up takes rows, rather than columns."""
    return all(attribute.i == 0 for attribute in node.attribute if attribute.name == "axis")


def rewrite(folder: Path) -> list[str]:
    """Rewrites the graph in a bundle's folder, and returns the names of its files."""
    model = onnx.load(folder / MODEL)
    rewriter = Int8Rewriter(model)
    rewriter.run()
    if not rewriter.products:
        raise SystemExit(
            "the graph has no products with constant weights that could be stored in 8 bits: leave --int8 out"
        )
    (folder / WEIGHTS).unlink(missing_ok=True)
    large = model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF
    if large:
        onnx.save(model, folder / MODEL, save_as_external_data=True, location=WEIGHTS)
    else:
        onnx.save(model, folder / MODEL)
    return [MODEL, WEIGHTS] if large else [MODEL]
