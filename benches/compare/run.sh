#!/usr/bin/env bash
# Compares Pointsman with other proxies on this machine: benches/compare/run.sh [--quick] [--only NAMES] ... (--help lists all).
# Peers that are not installed are skipped: benches/compare/install.sh. POINTSMAN names another binary than target/release's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/install.sh" pingora
# Hundreds of connections on both sides of every proxy.
ulimit -n "$(ulimit -Hn)"
exec python3 -B "$here/comparison.py" "$@"
