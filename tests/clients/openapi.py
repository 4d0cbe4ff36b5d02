"""The admin plane keeps what its OpenAPI document promises: schemathesis tries every operation.

`make clients` runs this.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

from gateway import running_admin

EXAMPLES = 25
# Reloading in the middle of another operation is what /reload is for; its 422 needs a broken file, which nobody writes
# here.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main() -> int:
    schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
    with running_admin() as admin:
        command: list[str | pathlib.Path] = [schemathesis, "run", f"{admin}/openapi.json", "--checks", CHECKS]
        command += ["--max-examples", str(EXAMPLES), "--seed", "7", "--no-color"]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
