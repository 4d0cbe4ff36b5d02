"""Runs the native server in the wheel of Switchyard until it is told to end.

python switchyard_server.py CONFIG PORT
"""

from __future__ import annotations

import signal
import sys

from switchyard_rust.server import Server


def main() -> None:
    with Server(sys.argv[1], int(sys.argv[2])):
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
