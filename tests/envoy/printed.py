"""The printed bootstrap under the real Envoy: every setting that it says, and what stops there as at the proxy."""

from __future__ import annotations

import pathlib
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass

from cases import ANNA, DEFAULT, DUPLEX, ODD, OPEN, PASSED, PROVE, check, routed, status

from stage import ENVIRONMENT, PATIENCE, Stage, bootstrap, envoy_binary, stage


@check
def the_key_of_the_provider_takes_the_place_of_the_client_s() -> None:
    with stage() as on:
        assert status(on, ODD, authorization="Bearer of-the-client") == 200
        assert on.small.next().fields["authorization"] == "Bearer sk-of-one"


@check
def the_client_s_keys_and_accounts_stop_as_at_the_proxy() -> None:
    own = {
        "authorization": "Bearer of-the-client",
        "x-api-key": "cs2",
        "api-key": "cs3",
        "x-goog-api-key": "cs4",
        "cookie": "a=b",
        "openai-organization": "org",
        "x-portkey-api-key": "cs5",
        "x-envoy-original-host": "forged",
        "x-pointsman-session": "s",
    }
    for credential, kept in (
        ("", {}),
        (", credential: {env: ONE_KEY}", {"authorization": "Bearer sk-of-one"}),
        (", credential: passthrough", own),
    ):
        change = {
            "config": lambda text, credential=credential: text.replace(", credential: {env: ONE_KEY}", credential)
        }
        for arguments in ([], DUPLEX):
            with stage(arguments, **change) as on:  # type: ignore[arg-type]
                fields = {name.replace("-", "_"): value for name, value in own.items()}
                assert status(on, ODD, path="/v1/chat/completions?key=AIza&limit=2&api_key=x", **fields) == 200
                got = on.small.next()
                for name in own:
                    expected = None if name.startswith(("x-envoy-", "x-pointsman-")) else kept.get(name)
                    assert got.fields.get(name) == expected, (credential, name, got.fields)
                assert not [name for name in got.fields if name.startswith("x-envoy-")], got.fields
                query = "key=AIza&limit=2&api_key=x" if kept is own else "limit=2"
                assert got.path == f"/v1/chat/completions?{query}", got.path


@check
def the_operator_s_account_is_not_the_client_s_to_see() -> None:
    with stage(["--answers"]) as on:
        on.small.told = {"openai-organization": "org", "set-cookie": "a=b", "x-ratelimit-limit-tokens": "1"}
        _, fields, _ = on.send(ODD)
        assert not [name for name in fields if name in on.small.told or name.startswith("x-envoy-")], fields
        assert fields["x-pointsman-model"] == "small"


@check
def a_client_s_pointsman_key_reaches_no_provider_wherever_it_stands() -> None:
    change = {"config": lambda text: text.replace("{env: ONE_KEY}", "passthrough")}
    for arguments in ([], DUPLEX):
        with stage(arguments, sections=ANNA + DEFAULT, **change) as on:  # type: ignore[arg-type]
            own = {"authorization": "Bearer anna", "x_api_key": "anna", "cf_aig_authorization": "anna"}
            for path in ("/v1/chat/completions", "/v1/files"):
                assert status(on, ODD, path=f"{path}?api_key=anna&limit=2", **own) == 200
                got = on.small.next()
                assert "anna" not in str(got.fields) + got.path, (arguments, got)
                assert got.path == f"{path}?limit=2"


@check
def a_key_of_a_file_is_read_by_envoy() -> None:
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key.txt"
        key.write_text("sk-of-a-file\n", "utf-8")
        change = {"config": lambda text: text.replace("{env: ONE_KEY}", f"{{file: {key}}}")}
        with stage(**change) as on:  # type: ignore[arg-type]
            assert status(on, ODD) == 200
            assert on.small.next().fields["authorization"] == "Bearer sk-of-a-file"


@check
def every_setting_of_a_provider_makes_a_bootstrap_that_envoy_takes() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        certificate(folder)
        (folder / "key.txt").write_text("sk-1\n", "utf-8")
        https = "base_url: 'https://llm.test/api/v1'"
        for provider in (
            "base_url: 'http://llm.test/v1'",
            f"{https}, credential: {{file: key.txt}}, tls: {{ca: cert.pem, sni: inner.test}}, http: h2",
            f"{https}, keys: [{{file: key.txt}}, {{env: ONE_KEY}}], tls: {{verify: false}}",
            f"{https}, credential: {{env: ONE_KEY}}, key_header: x-api-key, tls: {{verify: false}}, http: auto",
            f"{https}, credential: passthrough, expose_headers: ['x-ratelimit-*', server], http: auto",
            "base_url: 'http://127.0.0.1/v1', peers: ['10.0.0.1:80', '[::1]:81'], balance: least_requests",
            "base_url: 'http://llm.test', max_concurrent: 7, health_check: {path: /h, fail_open: false}",
            "base_url: 'http://llm.test/v1', http: h2, balance: prefix_hash, health_check: {path: /h}",
            "vertex: {project: p, location: global}",
        ):
            for called in ("one", "pointsman", "no_model", "a.b/c:d-e_f"):
                for section, arguments in (
                    ("{failure: open}", []),
                    ("{tls: {cert: cert.pem, key: key.pem}}", DUPLEX),
                    ("{socket: run/pm.sock}", ["--answers"]),
                    (
                        "{tls: {cert: cert.pem, key: key.pem, client_ca: cert.pem}}",
                        ["--envoy-cert", f"{folder}/cert.pem", "--envoy-key", f"{folder}/key.pem"],
                    ),
                ):
                    is_shortened = called != "one" and section != "{failure: open}"
                    if not is_shortened:
                        text = PROVIDERS.format(provider=provider, called=called, section=section)
                        taken_by_envoy(folder, text, arguments)
        for forwarded in ("off", "replace"):
            text = PROVIDERS.format(provider=https, called="one", section="{}")
            taken_by_envoy(folder, text.replace("127.0.0.1:0}", f"127.0.0.1:0, forwarded: {forwarded}}}", 1), [])


PROVIDERS = """\
version: 1
listen: {{address: 127.0.0.1:0}}
ext_proc: {section}
providers:
  {called}: {{{provider}}}
  other: {{base_url: 'https://other.test/v1', credential: {{env: ONE_KEY}}}}
models:
  m: {{provider: {called}, name: n}}
  o: {{provider: other}}
"""


def taken_by_envoy(folder: pathlib.Path, text: str, arguments: list[str]) -> None:
    """Checks that Envoy takes the bootstrap of a configuration, started in another folder."""
    (folder / "pointsman.yaml").write_text(text, "utf-8")
    (folder / "envoy.yaml").write_text(bootstrap(folder / "pointsman.yaml", arguments), "utf-8")
    command = [envoy_binary(), "--mode", "validate", "--log-level", "error", "-c", str(folder / "envoy.yaml")]
    done = subprocess.run(
        command, cwd="/", env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, f"{text}\n{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def certificate_of_envoy(folder: pathlib.Path) -> None:
    """Makes a certificate for which the other one vouches: an authority's own is no client's."""
    (folder / "extensions").write_text("basicConstraints=CA:FALSE\nsubjectAltName=DNS:envoy\n", "utf-8")
    request = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=envoy"
    files = ["-keyout", f"{folder}/envoy-key.pem", "-out", f"{folder}/envoy.csr"]
    subprocess.run([*request.split(), *files], check=True, capture_output=True)
    issue = f"openssl x509 -req -days 2 -CAcreateserial -CA {folder}/cert.pem -CAkey {folder}/key.pem"
    files = ["-extfile", f"{folder}/extensions", "-in", f"{folder}/envoy.csr", "-out", f"{folder}/envoy.pem"]
    subprocess.run([*issue.split(), *files], check=True, capture_output=True)


def certificate(folder: pathlib.Path) -> None:
    """Makes a certificate that vouches for itself, and its key."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pointsman"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)


@check
def no_client_chooses_the_route_by_the_header_of_the_decision() -> None:
    with stage(sections=DEFAULT) as on:
        assert status(on, PASSED, x_pointsman_model="big") == 200
        got = on.small.next()
        assert got.body == PASSED and "x-pointsman-model" not in got.fields
        assert status(on, b"{}", path="/v1/files", x_pointsman_model="big") == 200
        assert on.big.requests.empty()


@check
def tls_to_the_server_is_checked() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        certificate(folder)
        files = f"cert: {folder}/cert.pem, key: {folder}/key.pem"
        certificate_of_envoy(folder)
        shown = ["--envoy-cert", f"{folder}/envoy.pem", "--envoy-key", f"{folder}/envoy-key.pem"]
        wanted = f"{files}, client_ca: {folder}/cert.pem"
        for arguments, tls in (([], files), (DUPLEX, files), (shown, wanted)):
            with stage(arguments, section=f", tls: {{{tls}}}") as on:
                assert status(on, PROVE) == 200
                assert on.big.next().body == routed(PROVE, "big-1")


@check
def a_websocket_that_would_ask_a_model_is_a_426_and_others_pass() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments, sections=DEFAULT) as on:
            assert opened(on, "/v1/responses").status == 426
            assert on.small.requests.empty()
            answer = opened(on, "/v1/realtime?model=gpt-realtime")
            assert answer.status == 101, answer.status
            assert on.small.next().path == "/v1/realtime?model=gpt-realtime"
            answer.connection.sendall(b"ping")
            assert answer.connection.recv(4) == b"ping", "the bytes go both ways"
            answer.connection.close()


@dataclass
class Opened:
    """The answer to the handshake of a WebSocket, and its connection."""

    status: int
    connection: socket.socket


def opened(on: Stage, path: str) -> Opened:
    """Asks for a WebSocket."""
    connection = socket.create_connection(("127.0.0.1", on.port), PATIENCE)
    fields = [
        "host: h",
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: a2V5",
    ]
    connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode())
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, header
        header += byte
    return Opened(int(header.split()[1]), connection)


@check
def a_client_s_own_header_chooses_no_route_while_pointsman_is_away() -> None:
    for header in ("x_pointsman_model", "x_llm"):
        section = OPEN if header == "x_pointsman_model" else f"{OPEN}, model_header: x-llm"
        with stage(section=section, sections=DEFAULT) as on:
            assert on.server
            on.server.end(signal.SIGKILL)
            assert status(on, ODD, **{header: "big"}) == 200
            assert on.small.next().body == ODD, "the default provider, as it came"
            assert on.big.requests.empty()


@check
def without_pointsman_nobody_passes_where_clients_need_keys() -> None:
    with stage(section=OPEN, sections=ANNA + DEFAULT) as on:
        assert status(on, ODD) == 401
        assert status(on, ODD, authorization="Bearer anna") == 200
        on.small.next()
        assert on.server
        on.server.end(signal.SIGKILL)
        for fields in ({}, {"authorization": "Bearer anna"}, {"x_pointsman_model": "big"}):
            assert status(on, ODD, **fields) >= 500, fields
        assert on.small.requests.empty() and on.big.requests.empty()
