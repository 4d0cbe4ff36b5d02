#!/usr/bin/env bash
# ONNX Runtime 1.31.1 (PyPI): of the operators of a BERT encoder, Softmax alone gives other bits with AVX-512 than with AVX2.
#
# MatMul, MatMulInteger, LayerNormalization, Gelu, Erf, Exp, QuantizeLinear and ReduceSum agree to the last bit between the two; the
# sum within Softmax is added up in another order. That is harmless in float32 (2e-7). In an encoder that rounds activations to
# 8 bits at run time, the last bit tips a rounding, the next layers carry it on, and a probability of a classifier on top moved by
# up to 0.033. No session option holds the library to fewer instructions. An encoder whose softmax is spelled out, with both sums
# as matrix products (Exp, MatMul with the values, MatMul with ones, Div), gives equal bits on both.
#
# Needs an x86-64 processor with AVX-512, python3 with venv, and qemu-user (Debian) for the processor with AVX2 only. Prints each
# operator and whether its bits are equal, and fails when one changes.
set -euo pipefail

grep -q avx512f /proc/cpuinfo || { echo "needs a processor with AVX-512" >&2; exit 2; }
command -v qemu-x86_64 >/dev/null || { echo "needs qemu-user" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6

cat >run.py <<'PYTHON'
"""Runs each operator once on the same numbers and keeps what it gives."""

import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, ValueInfoProto, helper

drawn = np.random.default_rng(7)
TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int64": TensorProto.INT64}


def floats(*shape):
    return drawn.standard_normal(shape).astype(np.float32) * 3


def result(nodes, inputs):
    """Runs the nodes, of which the last gives `y`."""
    values = [helper.make_tensor_value_info(name, TYPES[value.dtype.name], value.shape) for name, value in inputs.items()]
    graph = helper.make_graph(nodes, "graph", values, [ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def node(op, *inputs, to="y", **attributes):
    return helper.make_node(op, list(inputs), [to], **attributes)


x, v, wide, one = floats(1, 12, 61, 61), floats(1, 12, 61, 32), floats(1, 61, 1536), np.ones(1536, np.float32)
bytes_, weights = drawn.integers(0, 256, (61, 1536)).astype(np.uint8), drawn.integers(-63, 64, (1536, 384)).astype(np.int8)
middle, last = np.array(128, np.uint8), np.array([-1])
kept = {op: result([node(op, "x")], {"x": wide}) for op in ("Exp", "Erf", "Gelu")}
kept["MatMul"] = result([node("MatMul", "x", "v")], {"x": x, "v": v})
kept["MatMulInteger, 7-bit weights"] = result([node("MatMulInteger", "a", "b", "z")], {"a": bytes_, "b": weights, "z": middle})
kept["LayerNormalization"] = result([node("LayerNormalization", "x", "s")], {"x": wide, "s": one})
kept["QuantizeLinear"] = result([node("QuantizeLinear", "x", "s", "z")], {"x": wide, "s": np.array(1, np.float32), "z": middle})
kept["ReduceSum"] = result([node("ReduceSum", "x", "last")], {"x": x, "last": last})
kept["Softmax"] = result([node("Softmax", "x")], {"x": x})
spelled_out = [
    node("ReduceMax", "x", "last", to="largest"),
    node("Sub", "x", "largest", to="below"),
    node("Exp", "below", to="weights"),
    node("MatMul", "weights", "v", to="mixed"),
    node("MatMul", "weights", "ones", to="sums"),
    node("Div", "mixed", "sums"),
]
kept["Softmax by products"] = result(spelled_out, {"x": x, "v": v, "last": last, "ones": np.ones((61, 32), np.float32)})
np.savez(sys.argv[1], **kept)
PYTHON

venv/bin/python run.py avx512.npz
qemu-x86_64 -cpu Haswell venv/bin/python run.py avx2.npz 2>/dev/null
seen=$(venv/bin/python - <<'PYTHON'
import numpy as np

with np.load("avx512.npz") as a, np.load("avx2.npz") as b:
    for name in a.files:
        print(f"{name}: {'equal' if np.array_equal(a[name], b[name]) else 'unequal'}")
    print(f"Softmax, largest difference below 1e-6: {np.abs(a['Softmax'] - b['Softmax']).max() < 1e-6}")
PYTHON
)
echo "$seen"
expected="Exp: equal
Erf: equal
Gelu: equal
MatMul: equal
MatMulInteger, 7-bit weights: equal
LayerNormalization: equal
QuantizeLinear: equal
ReduceSum: equal
Softmax: unequal
Softmax by products: equal
Softmax, largest difference below 1e-6: True"
[ "$seen" = "$expected" ] || { echo "this changed; it was:"; echo "$expected"; exit 1; }
