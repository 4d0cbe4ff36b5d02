"""Writes the encoder's weights as ONNX graphs (opset 20): float32, float16, int8, and int8 for a student.

No torch: the graph is spelled out.

The int8 graph scales activations token by token. ONNX Runtime's own dynamic quantisation takes one scale for a whole
run, so that a prompt's probabilities moved by up to 0.2 with its neighbours in the batch; here they do not move. Nor do
they move from one x86-64 processor with AVX2 to another: `docs/bundles.md` has the table, `benches/instruction_sets`
measures it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .arrays import Floats, Tensors
from .encoder import DIMENSION

OPSET = 20
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators, version 1
EPSILON = 1e-12
HEAD_WIDTH = 32
OUTPUT = "sentence_embedding"
TABLE_LIMIT, WEIGHT_LIMIT, ACTIVATION_LIMIT = 127, 63, 127  # the largest of each kind of 8-bit values
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


Int8Matrix: TypeAlias = Annotated[NDArray[np.int8], "[rows of a table or outputs of a layer, numbers]"]
RowScales: TypeAlias = Annotated[Floats, "[rows, 1]"]


@dataclass(frozen=True)
class ActivationScale:
    """The step of an activation's 8-bit values, and the value that stands for zero.

    Columns are divided by `spread` before, where there is one, and weights multiplied by it: a few columns of a
    normalised state are far larger than the others, and would leave these few values (SmoothQuant; Xiao et al. 2023).
    """

    step: float
    zero: int
    spread: Floats | None = None


class Graph:
    """Collects nodes and constants of a float32 encoder; every method returns the name of the value it made."""

    FLOAT, HIDDEN = TensorProto.FLOAT, -1e9  # what numbers are, and what is added to the score of a padding token

    def __init__(self, weights: Tensors):
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.mask = self.add("Cast", "attention_mask", to=self.FLOAT)

    def layers(self) -> int:
        """Returns how many layers the encoder has: a student has fewer."""
        return 1 + max(int(name.split(".")[2]) for name in self.weights if name.startswith("encoder.layer."))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant("_".join(["i", *map(str, values)]), np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        return self.constant(f"f_{value:g}", np.array(value, np.float32))

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def add(self, op: str, *inputs: str, name: str = "", **attributes: float | str | list[int]) -> str:
        """Adds a node; `attributes` may have its `domain`."""
        name = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def lookup(self, table: str, ids: str) -> str:
        return self.add("Gather", self.weight(table), ids)

    def prepared(self, x: str, _name: str) -> tuple[str, ...]:
        """Returns what `linear` multiplies, the activation of that name; several layers may share it."""
        return (x,)

    def product(self, x: tuple[str, ...], layer: str) -> str:
        return self.add("MatMul", *x, self.constant(f"{layer}.weight", self.weights[f"{layer}.weight"].T))

    def linear(self, x: tuple[str, ...], layer: str) -> str:
        return self.add("Add", self.product(x, layer), self.weight(f"{layer}.bias"))

    def norm(self, x: str, layer: str) -> str:
        scale, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def heads(self, x: str, order: list[int]) -> str:
        return self.add("Transpose", self.add("Reshape", x, self.integers(0, 0, -1, HEAD_WIDTH)), perm=order)

    def attended(self, shared: tuple[str, ...], layer: str) -> str:
        """Returns [batch, heads, tokens, HEAD_WIDTH]: what each token takes from the others."""
        query, key, value = (self.linear(shared, f"{layer}.self.{part}") for part in ("query", "key", "value"))
        scores = self.add("MatMul", self.heads(query, [0, 2, 1, 3]), self.heads(key, [0, 2, 3, 1]))
        scores = self.add("Add", self.add("Mul", scores, self.scalar(HEAD_WIDTH**-0.5)), self.bias())
        return self.mixed(scores, self.heads(value, [0, 2, 1, 3]))

    def bias(self) -> str:
        """Returns what hides padding: it is added to scores."""
        if not any(node.output[0] == "bias" for node in self.nodes):
            hidden = self.add("Sub", self.scalar(1), self.add("Unsqueeze", self.mask, self.integers(1, 2)))
            self.add("Mul", hidden, self.scalar(self.HIDDEN), name="bias")
        return "bias"

    def mixed(self, scores: str, values: str) -> str:
        """Returns the values, weighted by the softmax of the scores."""
        return self.add("MatMul", self.add("Softmax", scores, axis=-1), values)


class HalfGraph(Graph):
    """The same encoder in float16, for GPUs; inputs and the embedding are as ever.

    A CPU casts back and forth and gains nothing.
    """

    FLOAT, HIDDEN = TensorProto.FLOAT16, -6e4

    def constant(self, name: str, value: NDArray[Any]) -> str:
        return super().constant(name, value.astype(np.float16) if value.dtype == np.float32 else value)


class Int8Graph(Graph):
    """The same encoder with int8 tables and products: one scale a table row, a weight column, and an activation token.

    Scores must not depend on the machine, so two things that ONNX Runtime offers are left out. Weights keep 7 bits: a
    CPU without VNNI adds pairs of 8-bit products in 16 bits and would saturate. And there is no `Softmax`: its sum is
    added up in another order with AVX-512 than with AVX2, the last bit of a sum tips activations that are about to be
    rounded to 8 bits, and a probability moves by up to 0.02. A product adds in the same order with both, and padding
    does not change it.
    """

    def __init__(self, weights: Tensors):
        super().__init__(weights)
        # One where there is a token: the product with it is a sum over tokens, once for each number of a head.
        column = self.add("Unsqueeze", self.mask, self.integers(1, 3))
        self.tokens = self.add("Expand", column, self.integers(1, 1, 1, HEAD_WIDTH))

    def lookup(self, table: str, ids: str) -> str:
        values, scales = quantise_rows(self.weights[table], TABLE_LIMIT)
        row = self.add("Cast", self.add("Gather", self.constant(table, values), ids), to=TensorProto.FLOAT)
        return self.add("Mul", row, self.add("Gather", self.constant(f"{table}.scale", scales), ids))

    def mixed(self, scores: str, values: str) -> str:
        largest = self.add("ReduceMax", scores, self.integers(-1), keepdims=1)
        weights = self.add("Exp", self.add("Sub", scores, largest))
        return self.add("Div", self.add("MatMul", weights, values), self.add("MatMul", weights, self.tokens))

    def prepared(self, x: str, _name: str) -> tuple[str, ...]:
        largest = self.add("ReduceMax", self.add("Abs", x), self.integers(-1), keepdims=1)
        scale = self.add("Mul", self.add("Max", largest, self.scalar(1e-9)), self.scalar(1 / ACTIVATION_LIMIT))
        zero = self.constant("zero_point", np.array(128, np.uint8))
        return self.add("QuantizeLinear", self.add("Div", x, scale), self.scalar(1), zero), scale

    def product(self, x: tuple[str, ...], layer: str) -> str:
        values, scales = quantise_rows(self.weights[f"{layer}.weight"], WEIGHT_LIMIT)
        activations, scale = x
        matrix = self.constant(f"{layer}.weight", values.T)
        sums = self.add("Cast", self.add("MatMulInteger", activations, matrix, "zero_point"), to=TensorProto.FLOAT)
        return self.add("Mul", self.add("Mul", sums, scale), self.constant(f"{layer}.scale", scales.T))


class StudentGraph(Graph):
    """An int8 encoder with steps of activations that were measured beforehand: less work around the products.

    A step a token takes five passes over every activation, and five more over every product. Here one operator rounds,
    and one multiplies, scales and adds the bias. Each head is one column wider than its width: keys have there what
    hides padding, which queries multiply by one, and values have a one, whose product is the sum of the weights. So
    scores take three passes instead of five. As in `Int8Graph`, no score depends on the batch or on the order of a sum.
    """

    def __init__(self, weights: Tensors, scales: dict[str, ActivationScale]):
        super().__init__(weights)
        self.scales = scales
        last = self.constant("last", np.eye(HEAD_WIDTH + 1, dtype=np.float32)[-1])
        hidden = self.add("Mul", self.add("Sub", self.mask, self.scalar(1)), self.scalar(-self.HIDDEN))
        self.hidden = self.add("Mul", self.add("Unsqueeze", hidden, self.integers(2, 3)), last)

    lookup = Int8Graph.lookup

    def prepared(self, x: str, name: str) -> tuple[str, ...]:
        scale = self.scales[name]
        if scale.spread is not None:
            x = self.add("Mul", x, self.constant(f"{name}.spread", (1 / scale.spread).astype(np.float32)))
        step = self.constant(f"{name}.step", np.array(scale.step, np.float32))
        zero = self.constant(f"zero_{scale.zero}", np.array(scale.zero, np.uint8))
        return self.add("QuantizeLinear", x, step, zero), step, zero, name

    def linear(self, x: tuple[str, ...], layer: str) -> str:
        return self.product_of(x, layer, self.weights[f"{layer}.weight"], self.weights[f"{layer}.bias"])

    def product_of(self, x: tuple[str, ...], layer: str, weight: Floats, bias: Floats) -> str:
        activations, step, zero, name = x
        spread = self.scales[name].spread
        values, scales = quantise_rows(weight if spread is None else weight * spread, WEIGHT_LIMIT)
        inputs = [activations, self.constant(f"{layer}.weight", values.T), step]
        inputs += [self.constant(f"{layer}.scale", scales[:, 0]), zero, self.constant("zero", np.array(0, np.int8))]
        inputs += [self.constant(f"{layer}.bias", bias.astype(np.float32))]
        return self.add("MatMulIntegerToFloat", *inputs, domain=CONTRIB)

    def widened(self, x: tuple[str, ...], layer: str, last: float, scale: float = 1.0) -> str:
        """Returns a layer's output by head, [batch, tokens, heads, HEAD_WIDTH + 1]: `last` stands behind each head."""
        weight, bias = scale * self.weights[f"{layer}.weight"], scale * self.weights[f"{layer}.bias"]
        weight = np.pad(weight.reshape(-1, HEAD_WIDTH, DIMENSION), ((0, 0), (0, 1), (0, 0)))
        bias = np.pad(bias.reshape(-1, HEAD_WIDTH), ((0, 0), (0, 1)), constant_values=last)
        product = self.product_of(x, layer, weight.reshape(-1, DIMENSION), bias.ravel())
        return self.add("Reshape", product, self.integers(0, 0, -1, HEAD_WIDTH + 1))

    def attended(self, shared: tuple[str, ...], layer: str) -> str:
        query = self.widened(shared, f"{layer}.self.query", 1, HEAD_WIDTH**-0.5)
        key = self.add("Add", self.widened(shared, f"{layer}.self.key", 0), self.hidden)
        value = self.add("Transpose", self.widened(shared, f"{layer}.self.value", 1), perm=[0, 2, 1, 3])
        query = self.add("Transpose", query, perm=[0, 2, 1, 3])
        scores = self.add("MatMul", query, self.add("Transpose", key, perm=[0, 2, 3, 1]))
        largest = self.add("ReduceMax", scores, self.integers(-1), keepdims=1)
        mixed = self.add("MatMul", self.add("Exp", self.add("Sub", scores, largest)), value)
        sums, total = f"{mixed}_sums", f"{mixed}_total"
        split = [mixed, self.integers(HEAD_WIDTH, 1)]
        self.nodes.append(helper.make_node("Split", split, [sums, total], name=f"{mixed}_split", axis=-1))
        return self.add("Div", sums, total)


def quantise_rows(weights: Floats, limit: int) -> tuple[Int8Matrix, RowScales]:
    """Returns int8 values and the float32 scale of each row."""
    scales = np.abs(weights).max(axis=1, keepdims=True) / limit
    return np.round(weights / np.maximum(scales, 1e-12)).astype(np.int8), scales.astype(np.float32)


def embeddings(g: Graph) -> str:
    table = "embeddings.{}_embeddings.weight".format
    length = g.add("Shape", "input_ids", start=1, end=2)
    position = g.add("Slice", g.weight(table("position")), g.integers(0), length, g.integers(0))
    word = g.lookup(table("word"), "input_ids")
    kind = g.lookup(table("token_type"), "token_type_ids")
    return g.norm(g.add("Add", g.add("Add", word, kind), position), "embeddings.LayerNorm")


def attention(g: Graph, x: str, layer: str) -> str:
    mixed = g.attended(g.prepared(x, f"{layer}.input"), layer)
    merged = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.integers(0, 0, -1))
    dense = g.linear(g.prepared(merged, f"{layer}.mixed"), f"{layer}.output.dense")
    return g.norm(g.add("Add", dense, x), f"{layer}.output.LayerNorm")


def feed_forward(g: Graph, x: str, layer: str) -> str:
    wide = g.add("Gelu", g.linear(g.prepared(x, f"{layer}.input"), f"{layer}.intermediate.dense"))
    dense = g.linear(g.prepared(wide, f"{layer}.wide"), f"{layer}.output.dense")
    return g.norm(g.add("Add", dense, x), f"{layer}.output.LayerNorm")


def mean_pooling(g: Graph, x: str) -> None:
    weights = g.add("Unsqueeze", g.mask, g.integers(-1))
    total = g.add("ReduceSum", g.add("Mul", x, weights), g.integers(1), keepdims=0)
    mean = g.add("Div", total, g.add("ReduceSum", weights, g.integers(1), keepdims=0))
    g.add("LpNormalization", g.add("Cast", mean, to=TensorProto.FLOAT), name=OUTPUT, axis=-1, p=2)


def write(g: Graph, path: Path) -> None:
    """Writes an encoder: int64 [batch, seq] inputs, one unit vector a row out."""
    x = embeddings(g)
    for layer in range(g.layers()):
        x = attention(g, x, f"encoder.layer.{layer}.attention")
        x = feed_forward(g, x, f"encoder.layer.{layer}")
    mean_pooling(g, x)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"]) for name in INPUTS]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", DIMENSION])
    graph = helper.make_graph(g.nodes, "encoder", inputs, [output], list(g.constants.values()))
    domains = sorted({"", *(node.domain for node in g.nodes)})
    imports = [helper.make_opsetid(domain, 1 if domain else OPSET) for domain in domains]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    onnx.checker.check_model(model, full_check=len(domains) == 1)
    onnx.save(model, path)
