#!/usr/bin/env bash
# The Python package h2 4.4.1, under httpx with `http2=True`: after a graceful GOAWAY neither side can finish an open stream.
#
# RFC 9113, 6.8: streams up to the last stream id of a GOAWAY may still complete, which is how a server drains. In h2 a GOAWAY that
# was sent or received closes the whole connection's state: a client that is amid a request body cannot send the rest, a server
# cannot answer. So clients over HTTP/2 lose requests when a gateway that does everything right shuts down; over HTTP/1.1 they do not.
#
# Needs python3 with venv. Prints what each side can still do, and fails when that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check h2==4.4.1 hpack==4.2.0 hyperframe==6.1.0 >&2

cat >drain.py <<'PYTHON'
"""A request that is open while its server says GOAWAY, with that stream as the last one that it will serve."""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError

REQUEST = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "x")]


def connections():
    client, server = H2Connection(H2Configuration(client_side=True)), H2Connection(H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    client.send_headers(1, REQUEST)
    server.receive_data(client.data_to_send())
    server.close_connection(error_code=0, last_stream_id=1)
    client.receive_data(server.data_to_send())
    return client, server


def attempt(name, act):
    try:
        act()
        print(f"{name}: ok")
    except ProtocolError as error:
        print(f"{name}: {type(error).__name__}")


client, server = connections()
attempt("the client sends the rest of its body", lambda: client.send_data(1, b"x", end_stream=True))
attempt("the server answers", lambda: server.send_headers(1, [(":status", "200")]))
PYTHON

venv/bin/python drain.py | tee seen
diff - seen <<'SEEN'
the client sends the rest of its body: ProtocolError
the server answers: ProtocolError
SEEN
