"""Clients of inference servers ask our classifiers: Triton's, and gRPC with what reflection tells.

`make clients-inference` runs this against the real binary, with the committed bundle.
"""

from __future__ import annotations

import pathlib
import sys
from string import Template
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import grpc
import numpy
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gateway import CONFIG, caught, client_keys, launched

TEXTS = ["What is the capital of France?", "Prove that the square root of 2 is irrational."]
LABELS = ["simple", "complex"]
LISTEN = "listen: {address: 127.0.0.1:0}"
QUESTIONS = Template(CONFIG.template.replace(LISTEN, "listen: {address: 127.0.0.1:0, decisions: true}"))
GRPC = "grpc: {address: 127.0.0.1:0}"

Addresses = dict[str, str]


def tensor(module: Any, shape: list[int]) -> Any:
    texts = module.InferInput("text", shape, "BYTES")
    texts.set_data_from_numpy(numpy.array(TEXTS, dtype=object).reshape(shape))
    return texts


def check_outputs(result: Any) -> None:
    """Triton's clients give tensors as arrays: the labels, and rows of probabilities."""
    assert [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("tier.label")] == LABELS
    tier = result.as_numpy("tier")
    assert tier.shape == (2, 3) and tier.dtype == numpy.float32, tier
    assert numpy.allclose(tier.sum(axis=1), 1, atol=1e-4), tier
    assert tier.argmax(axis=1).tolist() == [0, 2], tier


def tritons_client_over_http(addresses: Addresses) -> None:
    client = triton_http.InferenceServerClient(addresses["listen"])
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("default")
    assert client.get_server_metadata()["name"] == "pointsman"
    metadata = client.get_model_metadata("default")
    assert client.get_model_metadata("default", metadata["versions"][0]) == metadata
    assert [output["name"] for output in metadata["outputs"]][:2] == ["tier", "tier.label"]
    for shape in [[2], [2, 1]]:
        check_outputs(client.infer("default", [tensor(triton_http, shape)]))
    as_json = triton_http.InferInput("text", [2], "BYTES")
    as_json.set_data_from_numpy(numpy.array(TEXTS, dtype=object), binary_data=False)
    wanted = [triton_http.InferRequestedOutput(name, binary_data=False) for name in ("tier", "tier.label")]
    result = client.infer("default", [as_json], outputs=wanted, request_id="7")
    check_outputs(result)
    assert result.get_response()["id"] == "7" and result.as_numpy("domain") is None
    packed = client.infer("default", [tensor(triton_http, [2])], request_compression_algorithm="gzip")
    check_outputs(packed)


def tritons_client_over_http_reads_errors(addresses: Addresses) -> None:
    client = triton_http.InferenceServerClient(addresses["listen"])
    error = caught(triton_http.InferenceServerException, lambda: client.infer("other", [tensor(triton_http, [2])]))
    assert "There is no classifier `other`" in error.message(), error
    assert not client.is_model_ready("default", "1")


def tritons_client_over_grpc(addresses: Addresses) -> None:
    with triton_grpc.InferenceServerClient(addresses["grpc"]) as client:
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("default")
        metadata = client.get_model_metadata("default")
        assert client.get_model_metadata("default", metadata.versions[0]) == metadata
        for shape in [[2], [2, 1]]:
            check_outputs(client.infer("default", [tensor(triton_grpc, shape)], client_timeout=10))
        wanted = [triton_grpc.InferRequestedOutput("tier.label")]
        result = client.infer("default", [tensor(triton_grpc, [2])], outputs=wanted, request_id="7")
        assert result.get_response().id == "7" and result.as_numpy("tier") is None
        error = caught(triton_grpc.InferenceServerException, lambda: client.infer("other", [tensor(triton_grpc, [2])]))
        assert "NOT_FOUND" in error.status(), error


def reflection_and_classify(addresses: Addresses) -> None:
    """What grpcurl does: the server says what it serves, and the messages are made of that alone."""
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        assert {"pointsman.classify.v1.ClassifyService", "inference.GRPCInferenceService"} <= services, services
        pool = DescriptorPool(database)
        method = pool.FindServiceByName("pointsman.classify.v1.ClassifyService").FindMethodByName("Classify")
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        classify = channel.unary_unary(
            "/pointsman.classify.v1.ClassifyService/Classify", request.SerializeToString, response.FromString
        )
        inputs: list[dict[str, Any]] = [{"text": text} for text in TEXTS]
        answer = json_format.MessageToDict(classify(json_format.ParseDict({"inputs": inputs}, request()), timeout=10))
        assert [result["heads"]["tier"]["label"] for result in answer["results"]] == LABELS, answer
        late = json_format.ParseDict({"inputs": [{"text": "Prove this. " * 200}] * 500}, request())
        error = caught_call(lambda: classify(late, timeout=0.001))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error
        health = health_pb2_grpc.HealthStub(channel)
        checked = health.Check(health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService"))
        assert checked.status == health_pb2.HealthCheckResponse.SERVING


def caught_call(call: Any) -> Any:
    """Returns the error of a call; its class is private to the library."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("no RpcError")


def keys(addresses: Addresses) -> None:
    """A client's key is metadata over gRPC, as it is a header over HTTP."""
    over_http = triton_http.InferenceServerClient(addresses["listen"])
    over_grpc = triton_grpc.InferenceServerClient(addresses["grpc"])
    headers = {"authorization": "Bearer pk-1"}
    check_outputs(over_http.infer("default", [tensor(triton_http, [2])], headers=dict(headers)))
    check_outputs(over_grpc.infer("default", [tensor(triton_grpc, [2])], headers=dict(headers)))
    error = caught(triton_grpc.InferenceServerException, lambda: over_grpc.infer("default", [tensor(triton_grpc, [2])]))
    assert "UNAUTHENTICATED" in error.status(), error
    error = caught(triton_http.InferenceServerException, lambda: over_http.infer("default", [tensor(triton_http, [2])]))
    assert "Incorrect API key" in error.message(), error


def main() -> None:
    checks = [
        tritons_client_over_http,
        tritons_client_over_http_reads_errors,
        tritons_client_over_grpc,
        reflection_and_classify,
    ]
    with launched(GRPC, config=QUESTIONS) as (addresses, _):
        for check in checks:
            check(addresses)
            print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)
    with launched(f"{GRPC}\n{client_keys(team=('pk-1', ''))}", config=QUESTIONS) as (addresses, _):
        keys(addresses)
        print("ok: keys", flush=True)


if __name__ == "__main__":
    main()
