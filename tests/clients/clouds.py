"""Requests to clouds, held against the vendors' own libraries: `make clients` runs this.

botocore computes the signature that a request to Bedrock should have, google-auth verifies the JWT of a service
account, and the anthropic SDK reads what the proxy makes of Bedrock's frames.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import http.server
import json
import os
import pathlib
import struct
import tempfile
import urllib.parse
from string import Template
from typing import Any

import anthropic
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import google.auth.jwt
from cryptography.hazmat.primitives import serialization

from gateway import started

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "vertex" / "service-account.key"
REGION = "eu-west-1"
CREDENTIALS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session+token/==")
MODELS = ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x")
CONFIG = Template("""\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
providers:
  aws: {base_url: 'http://127.0.0.1:$port', bedrock: {region: eu-west-1}}
  google: {base_url: 'http://127.0.0.1:$port', vertex: {project: p, location: eu, credentials: {file: $credential}}}
models:
  aws: {provider: aws, name: '${sections}'}
  google: {provider: google, name: claude-sonnet-4-5@20250929}
""")
TEXT = "Grüezi, 世界"
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": c}} for c in TEXT),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": TEXT}],
    "usage": {"input_tokens": 10, "output_tokens": 7},
}  # fmt: skip


def frame(event: dict[str, Any]) -> bytes:
    """Returns an event in a frame of AWS': lengths, headers, payload, and a checksum over each part."""
    headers = b""
    for name, value in {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    encoded = base64.b64encode(json.dumps(event, ensure_ascii=False).encode()).decode()
    payload = json.dumps({"bytes": encoded, "p": "abc"}).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return start + struct.pack(">I", binascii.crc32(start))


class Clouds(http.server.ThreadingHTTPServer):
    """Both clouds and the server of Google's tokens; keeps the bodies that came, and what was wrong with a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[Any] = []
        self.wrong: list[str] = []
        self.verified = 0


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: Clouds

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            kind, answer = self.answer(body)
        except Exception as error:
            self.server.wrong.append(f"{self.path}: {error!r}")
            raise
        self.server.verified += 1
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, body: bytes) -> tuple[str, bytes]:
        if self.path == "/token":
            verify_jwt(dict(urllib.parse.parse_qsl(body.decode()))["assertion"], self.server.server_port)
            return "application/json", json.dumps({"access_token": "ya29.x", "expires_in": 3600}).encode()
        self.server.bodies.append(json.loads(body))
        if self.path.startswith("/model/"):
            verify_signature(self, body)
            if self.path.endswith("/invoke-with-response-stream"):
                return "application/vnd.amazon.eventstream", b"".join(map(frame, EVENTS))
        else:
            assert self.headers["authorization"] == "Bearer ya29.x", self.headers
        return "application/json", json.dumps(MESSAGE).encode()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def verify_signature(request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    """Holds a request's signature against the one that botocore computes for the same moment."""
    authorization = request.headers["authorization"]
    names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    date = request.headers["x-amz-date"]
    signed = botocore.awsrequest.AWSRequest(
        request.command, f"https://{request.headers['host']}{request.path}", data=body,
        headers={name: request.headers[name] for name in names},
    )  # fmt: skip
    signed.context["timestamp"] = date
    auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(*CREDENTIALS), "bedrock", REGION)
    canonical = auth.canonical_request(signed)
    expected = auth.signature(auth.string_to_sign(signed, canonical), signed)
    assert authorization.endswith(f"Signature={expected}"), canonical
    assert {"host", "content-type", "x-amz-date", "x-amz-security-token"} <= set(names), names
    moment = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    assert abs(datetime.datetime.now(datetime.UTC) - moment) < datetime.timedelta(minutes=5), date


def verify_jwt(assertion: str, port: int) -> None:
    """Has google-auth verify a service account's JWT."""
    key = serialization.load_pem_private_key(FIXTURE.read_bytes(), None).public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = google.auth.jwt.decode(assertion, certs=public, audience=f"http://127.0.0.1:{port}/token")
    assert claims["iss"] == "gateway@p.iam.example", claims


def ask(url: str, model: str) -> None:
    """Asks for a message, whole and as a stream, with the anthropic SDK."""
    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    arguments: dict[str, Any] = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": TEXT}]}
    assert client.messages.create(**arguments).content[0].text == TEXT
    if model == "aws":
        with client.messages.stream(**arguments) as stream:
            assert stream.get_final_text() == TEXT


def main() -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    os.environ.update(zip(names, CREDENTIALS, strict=True))
    for name in MODELS:
        clouds = Clouds()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as account:
            json.dump(
                {
                    "type": "service_account", "client_email": "gateway@p.iam.example", "private_key_id": "k",
                    "private_key": FIXTURE.read_text(), "token_uri": f"http://127.0.0.1:{clouds.server_port}/token",
                },
                account,
            )  # fmt: skip
            account.flush()
            with started(sections=name, credential=account.name, upstream=clouds, config=CONFIG) as (url, _, _):
                ask(url, "aws")
                ask(url, "google")
        assert not clouds.wrong, clouds.wrong
        assert clouds.verified == 4, clouds.verified
        assert all("model" not in body and body["anthropic_version"] for body in clouds.bodies), clouds.bodies
        print(f"{name}: {clouds.verified} requests verified")


if __name__ == "__main__":
    main()
