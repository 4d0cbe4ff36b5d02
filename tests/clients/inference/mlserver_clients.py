"""MLServer's clients ask our classifiers: its types and codecs, its definitions of gRPC, and its command for batches.

A script of its own: MLServer and Triton's client define the same messages, and one process may have them once.
`make clients-inference` runs this against the real binary, with the committed bundle.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request
from string import Template

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import grpc
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.grpc import converters, dataplane_pb2, dataplane_pb2_grpc
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

from gateway import CONFIG, launched

TEXTS = ["What is the capital of France?", "Prove that the square root of 2 is irrational."]
LABELS = ["simple", "complex"]
LISTEN = "listen: {address: 127.0.0.1:0}"
QUESTIONS = Template(CONFIG.template.replace(LISTEN, "listen: {address: 127.0.0.1:0, decisions: true}"))

Addresses = dict[str, str]


def check_outputs(response: InferenceResponse) -> None:
    outputs = {output.name: output for output in response.outputs}
    assert StringCodec.decode_output(outputs["tier.label"]) == LABELS
    assert NumpyCodec.decode_output(outputs["tier"]).shape == (2, 3)


def over_grpc(addresses: Addresses) -> None:
    """MLServer's own stub and converters."""
    request = InferenceRequest(inputs=[StringCodec.encode_input("text", TEXTS)])
    with grpc.insecure_channel(addresses["grpc"]) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(dataplane_pb2.ServerReadyRequest()).ready
        metadata = stub.ModelMetadata(dataplane_pb2.ModelMetadataRequest(name="default"))
        assert metadata.outputs[0].name == "tier" and list(metadata.outputs[0].shape) == [-1, 3]
        asked = converters.ModelInferRequestConverter.from_types(request, model_name="default", model_version=None)
        check_outputs(converters.ModelInferResponseConverter.to_types(stub.ModelInfer(asked, timeout=10)))


def over_http(addresses: Addresses) -> None:
    """MLServer's types read our metadata and answers, and write requests that we read."""
    base = f"http://{addresses['listen']}/v2/models/default"
    metadata = MetadataModelResponse.model_validate(json.load(urllib.request.urlopen(base)))
    assert metadata.outputs and metadata.outputs[0].name == "tier"
    request = InferenceRequest(inputs=[StringCodec.encode_input("text", TEXTS, use_bytes=False)])
    body = request.model_dump_json(exclude_none=True).encode()
    posted = urllib.request.Request(f"{base}/infer", body, {"content-type": "application/json"})
    response = InferenceResponse.model_validate(json.load(urllib.request.urlopen(posted)))
    check_outputs(response)


def in_batches(addresses: Addresses) -> None:
    """MLServer's own command for batches, which is Triton's client within."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken = pathlib.Path(folder, "in.jsonl"), pathlib.Path(folder, "out.jsonl")
        lines = [InferenceRequest(inputs=[StringCodec.encode_input("text", [text], use_bytes=False)]) for text in TEXTS]
        given.write_text("".join(line.model_dump_json(exclude_none=True) + "\n" for line in lines))
        command: list[str | pathlib.Path] = [pathlib.Path(sys.executable).with_name("mlserver"), "infer"]
        command += ["-u", addresses["listen"]]
        command += ["-m", "default", "-i", given, "-o", taken]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        answers = [json.loads(line) for line in taken.read_text().splitlines()]
    labels = [output["data"][0] for answer in answers for output in answer["outputs"] if output["name"] == "tier.label"]
    assert sorted(labels) == sorted(LABELS), "answers come in any order"


def main() -> None:
    with launched("grpc: {address: 127.0.0.1:0}", config=QUESTIONS) as (addresses, _):
        for check in [over_http, over_grpc, in_batches]:
            check(addresses)
            print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)


if __name__ == "__main__":
    main()
