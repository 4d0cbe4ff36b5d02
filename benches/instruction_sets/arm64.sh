#!/usr/bin/env bash
# Runs Python with numpy and ONNX Runtime on an emulated 64-bit ARM processor: arm64.sh PROCESSOR SCRIPT ARGUMENT...
#
# PROCESSOR is one of qemu's that has the dot products of ARMv8.2: `cortex-a76` (NEON), `max` (SVE too). Needs qemu-user, apt and
# pip; the first run fetches Debian's Python and the wheels into $ARM64 (default .tools/arm64), outside the system.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
root=${ARM64:-$here/.tools/arm64}
processor=$1
shift

fetch() {
    local apt=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$root/apt" -o "Dir::State::status=$root/apt/status" -o "Dir::Cache=$root/apt")
    mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/debs" "$root/system/proc"
    touch "$root/apt/status"
    apt-get "${apt[@]}" -qq update
    (cd "$root/debs" && apt-get "${apt[@]}" -qq download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 \
        libstdc++6 libgcc-s1 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libuuid1)
    for package in "$root"/debs/*.deb; do dpkg -x "$package" "$root/system"; done
    "$here/.venv/bin/python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 -d "$root/wheels" numpy==2.4.6 onnxruntime==1.31.1
    for wheel in "$root"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$root/site"; done
    # ONNX Runtime reads /proc/cpuinfo, and ends with a segmentation fault where it is that of another architecture.
    printf 'processor\t: %d\nFeatures\t: fp asimd aes crc32 atomics fphp asimdhp cpuid asimdrdm asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n' \
        $(seq 0 $(($(nproc) - 1))) >"$root/system/proc/cpuinfo"
    touch "$root/ready"
}

[ -e "$root/ready" ] || fetch >&2
PYTHONPATH=$root/site exec qemu-aarch64 -cpu "$processor" -L "$root/system" "$root/system/usr/bin/python3.11" "$@"
