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
        without_a_server(folder, url)
    print("MLflow: runs by option and by variables, a failed run, a server that is gone: as they should be")


class TrackingServer:
    """A tracking server over a file of its own."""

    def __init__(self, folder: pathlib.Path, url: str) -> None:
        port = url.rsplit(":", 1)[1]
        store = [
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--default-artifact-root",
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
