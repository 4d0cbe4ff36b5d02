"""Runs the checks of the openai Node SDK (node/) against the proxy: `make clients` runs this."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from gateway import client_keys, closed_port, running

NODE = pathlib.Path(__file__).parent / "node"


def main() -> int:
    with running() as (url, upstream), running(client_keys(team=("pk-team", "")), "none") as (guarded, _):
        addresses = {
            "PROXY": url,
            "GUARDED_PROXY": guarded,
            "NO_PROXY_HERE": f"http://127.0.0.1:{closed_port()}",
            "UPSTREAM": f"http://127.0.0.1:{upstream.server_port}",
        }
        command = ["node", "--test", "--test-reporter=./reporter.js", "openai.test.js"]
        return subprocess.run(command, cwd=NODE, env={**os.environ, **addresses}, timeout=120, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
