#!/usr/bin/env python3
"""Writes dashboards/*.json from panels.py; with --check it only says whether they are current."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True

from panels import DASHBOARDS  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"


def main() -> None:
    stale = []
    for dashboard in DASHBOARDS:
        path, text = (
            FOLDER / f"{dashboard.name}.json",
            json.dumps(dashboard.json(), indent=1, ensure_ascii=False) + "\n",
        )
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if "--check" in sys.argv and stale:
        sys.exit(f"not current: {', '.join(stale)}; run python3 config/grafana/generate.py")


if __name__ == "__main__":
    main()
