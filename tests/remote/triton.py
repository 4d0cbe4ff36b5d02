"""A server of the Open Inference Protocol over gRPC that answers as Triton does, with raw contents, and over TLS.

Triton itself has no package; the messages are its own, the server is grpcio's.
"""

from __future__ import annotations

import pathlib
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc import dataplane_pb2_grpc as services

LABELS = [b"simple", b"medium", b"complex"]


class TritonLike(services.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated without types
    """Answers as Triton does: raw contents, strings with their lengths before them."""

    def __init__(self, datatype: str) -> None:
        self.datatype = datatype
        self.keys: list[str] = []

    def ModelMetadata(
        self, request: messages.ModelMetadataRequest, _context: grpc.ServicerContext
    ) -> messages.ModelMetadataResponse:
        tensor = messages.ModelMetadataResponse.TensorMetadata
        return messages.ModelMetadataResponse(
            name=request.name,
            versions=["1", "2"],
            platform="onnxruntime_onnx",
            inputs=[tensor(name="prompt", datatype="BYTES", shape=[-1])],
            outputs=[
                tensor(name="logits", datatype=self.datatype, shape=[-1, 3]),
                tensor(name="label", datatype="BYTES", shape=[-1]),
            ],
        )

    def ModelInfer(
        self, request: messages.ModelInferRequest, context: grpc.ServicerContext
    ) -> messages.ModelInferResponse:
        self.keys += [value for name, value in context.invocation_metadata() if name == "authorization"]
        (sent,) = request.inputs
        texts = [text.decode() for text in sent.contents.bytes_contents]
        assert (sent.name, list(sent.shape)) == ("prompt", [len(texts)]), sent
        classes = [2 if "hard" in text else 1 if "middling" in text else 0 for text in texts]
        logits = np.array([[6.0 if place == found else 0.0 for place in range(3)] for found in classes])
        labels = b"".join(struct.pack("<I", len(LABELS[found])) + LABELS[found] for found in classes)
        tensor = messages.ModelInferResponse.InferOutputTensor
        return messages.ModelInferResponse(
            model_name=request.model_name,
            model_version="2",
            outputs=[
                tensor(name="logits", datatype=self.datatype, shape=[len(texts), 3]),
                tensor(name="label", datatype="BYTES", shape=[len(texts)]),
            ],
            raw_output_contents=[logits.astype({"FP16": "<f2", "FP32": "<f4"}[self.datatype]).tobytes(), labels],
        )


def serve(datatype: str, certificates: pathlib.Path) -> tuple[grpc.Server, TritonLike, int]:
    """Starts the server on a free port; it proves to be `llm.test`."""
    servicer = TritonLike(datatype)
    server = grpc.server(ThreadPoolExecutor(4))
    services.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    pair = ((certificates / "server.key").read_bytes(), (certificates / "server.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    return server, servicer, port
