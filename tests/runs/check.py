#!/usr/bin/env python3
"""Records runs at a real MLflow server, and reads them back with MLflow's own client.

POINTSMAN names the binary. Needs the package mlflow (`make mlflow` installs it).
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from typing import Any

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reports"))

from mlflow.tracking import MlflowClient  # noqa: E402

import answers  # noqa: E402

POINTSMAN = os.environ.get("POINTSMAN", str(ROOT / "target" / "debug" / "pointsman"))
PATIENCE = 180.0
EXPERIMENT = "routing of support prompts"

# Rules alone decide, so that no prompt is classified; the bundle is one that the configuration names.
CONFIG = """
version: 1
listen: {{address: 127.0.0.1:8080}}
providers: {{p: {{base_url: http://127.0.0.1:1}}}}
models: {{small: {{provider: p}}, standard: {{provider: p}}, frontier: {{provider: p}}}}
classifiers: {{default: {{bundle: {bundle}}}}}
policies:
  - name: by-rules
    rules: [{{when: prompt.tokens >= 0, use: small}}]
    strategy:
      kind: tiers
      classifier: default
      tiers: {{simple: small, medium: standard, complex: frontier}}
      otherwise: frontier
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pointsman-mlflow-") as name:
        folder = pathlib.Path(name)
        answers.write(folder / "graded.jsonl", 200)
        url = f"http://127.0.0.1:{free_port()}"
        with TrackingServer(folder, url):
            client = MlflowClient(tracking_uri=url)
            by_option(client, folder, url)
            by_variables(client, folder, url)
            a_failed_run(client, folder, url)
            with_files(client, folder, url)
            files_of_another_store(client, folder, url)
        without_a_server(folder, url)
    print(
        "MLflow: runs by option and by variables, a failed run, a run's files, a server that is gone: as they should be"
    )


class TrackingServer:
    """A tracking server over a file of its own."""

    def __init__(self, folder: pathlib.Path, url: str) -> None:
        port = url.rsplit(":", 1)[1]
        store = [
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination",
            str(folder / "artifacts"),
        ]
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            port,
            "--workers",
            "1",
            *store,
        ]
        self.url = url
        self.log = (folder / "server.log").open("w+")
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, env=environment, start_new_session=True
        )

    def __enter__(self) -> None:
        started = time.monotonic()
        while time.monotonic() - started < PATIENCE:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).read()
            except OSError:
                assert self.process.poll() is None, self.told()
                time.sleep(0.2)
            else:
                return
        raise AssertionError(self.told())

    def __exit__(self, *_: object) -> None:
        # The server has workers of its own: its whole group ends.
        os.killpg(self.process.pid, 15)
        self.process.wait(timeout=30)
        self.log.close()

    def told(self) -> str:
        self.log.seek(0)
        return f"the MLflow server does not answer:\n{self.log.read()}"


def evaluate(folder: pathlib.Path, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | variables
    command = [POINTSMAN, "eval", "--answers", "graded.jsonl", "--json", *more]
    return subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)


def by_option(client: MlflowClient, folder: pathlib.Path, url: str) -> None:
    """Records twice in an experiment that is made, beside a folder of runs."""
    more = ("--mlflow", url, "--mlflow-experiment", EXPERIMENT, "--runs", "kept")
    for seed in ("7", "8"):
        done = evaluate(folder, *more, "--seed", seed)
        assert done.returncode == 0 and not done.stderr, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    found = client.search_runs([experiment(client, EXPERIMENT)], order_by=["attributes.start_time ASC"])
    assert [run.data.params["seed"] for run in found] == ["7", "8"], found
    run = found[-1]
    router = report["routers"][0]
    assert close(run.data.metrics["routers.auto.quality"], router["quality"]), run.data.metrics
    assert close(run.data.metrics["routers.auto.cost_usd"], router["cost_usd"]), run.data.metrics
    assert run.data.params["data.0.sha256"] == report["data"]["sha256"], run.data.params
    assert run.data.params["data.0.rows"] == "800" and run.info.status == "FINISHED", run
    assert run.info.end_time >= run.info.start_time > 0, run.info
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.name == "graded.jsonl" and report["data"]["sha256"].startswith(dataset.digest), dataset
    kept = json.loads((folder / "kept" / run.info.run_name / "run.json").read_text())
    assert kept["figures"]["routers.auto.quality"] == router["quality"], kept
    best = client.search_runs(
        [experiment(client, EXPERIMENT)], filter_string="params.command = 'eval' and metrics.n >= 200"
    )
    assert len(best) == 2, "MLflow finds runs by parameters and metrics"


def by_variables(client: MlflowClient, folder: pathlib.Path, url: str) -> None:
    done = evaluate(folder, MLFLOW_TRACKING_URI=url, MLFLOW_EXPERIMENT_NAME="by variables")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert len(client.search_runs([experiment(client, "by variables")])) == 1


def a_failed_run(client: MlflowClient, folder: pathlib.Path, url: str) -> None:
    done = evaluate(folder, "--models", "small", MLFLOW_TRACKING_URI=url)
    assert done.returncode == 65, done
    (run,) = client.search_runs([experiment(client, "pointsman")])
    assert run.info.status == "FAILED" and "small" in run.data.tags["pointsman.error"], run


def with_files(client: MlflowClient, folder: pathlib.Path, url: str) -> None:
    """Sends the page, the configuration and the manifest of its bundle, and reads them back."""
    (folder / "split.yaml").write_text(CONFIG.format(bundle=ROOT / "models" / "pointsman-mini"))
    more = ("--config", "split.yaml", "--policy", "by-rules", "--report", "page", "--mlflow", url)
    named = ("--mlflow-experiment", "with files")
    done = evaluate(folder, *more, *named)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    done = evaluate(folder, *more, *named, "--mlflow-artifacts")
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    without, run = client.search_runs([experiment(client, "with files")], order_by=["attributes.start_time ASC"])
    assert not client.list_artifacts(without.info.run_id), "nothing is sent that nobody asked for"
    (manifest,) = (
        file.path for kind in files(client, run, "bundles") for file in client.list_artifacts(run.info.run_id, kind)
    )
    assert files(client, run, "report") == ["report/index.html"], files(client, run, "report")
    assert files(client, run, "config") == ["config/split.yaml"], files(client, run, "config")
    fetched = folder / "fetched"
    fetched.mkdir()
    for name, own in [
        ("report/index.html", folder / "page" / "index.html"),
        ("config/split.yaml", folder / "split.yaml"),
        (manifest, ROOT / "models" / "pointsman-mini" / "bundle.yaml"),
    ]:
        kept = pathlib.Path(client.download_artifacts(run.info.run_id, name, str(fetched)))
        assert kept.read_bytes() == own.read_bytes() and kept != own, name


def files_of_another_store(client: MlflowClient, folder: pathlib.Path, url: str) -> None:
    """Keeps files from a store that the server does not hand them to; the record is there all the same."""
    client.create_experiment("another store", artifact_location=(folder / "elsewhere").as_uri())
    more = ("--report", "page", "--mlflow", url, "--mlflow-experiment", "another store", "--mlflow-artifacts")
    done = evaluate(folder, *more)
    assert done.returncode == 0 and "MLflow lacks the run's `report/index.html`" in done.stderr, done.stderr
    (run,) = client.search_runs([experiment(client, "another store")])
    assert run.info.status == "FINISHED" and not (folder / "elsewhere").exists(), run.info


def files(client: MlflowClient, run: Any, kind: str) -> list[str]:
    return [file.path for file in client.list_artifacts(run.info.run_id, kind)]


def without_a_server(folder: pathlib.Path, url: str) -> None:
    done = evaluate(folder, MLFLOW_TRACKING_URI=url)
    assert done.returncode == 0 and json.loads(done.stdout)["n"] == 200, done
    assert "warning: MLflow has no record of the run" in done.stderr, done.stderr


def experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    assert found is not None, f"no experiment `{name}`"
    return str(found.experiment_id)


def close(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
