#!/usr/bin/env bash
# Measures the GPU path on a machine with an NVIDIA card: correctness against the CPU, latency and throughput of an encoder and of
# a DeBERTa-v3-base-shaped classifier, against PyTorch (bf16, compiled) on the same card and the card's matmul ceiling.
#
#   benches/gpu/run.sh WORK
#
# Needs cargo, python3 with torch (CUDA), transformers, onnx, tokenizers, and in one folder, named by ORT_DYLIB_PATH's:
# libonnxruntime.so, libonnxruntime_providers_shared.so, libonnxruntime_providers_cuda.so (all of one release). CUDA's own libraries
# are taken from PyTorch's. Writes WORK/table.md. docs/operations.md says how the libraries are come by.
set -euo pipefail

work=${1:?usage: benches/gpu/run.sh WORK}
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${ORT_DYLIB_PATH:?must name libonnxruntime.so}"
mkdir -p "$work"
work=$(cd "$work" && pwd)
cd "$root"

cuda=$(python3 -c 'import glob, os, sysconfig; print(":".join(glob.glob(os.path.join(sysconfig.get_path("purelib"), "nvidia", "*", "lib"))))')
export LD_LIBRARY_PATH="$(dirname "$ORT_DYLIB_PATH"):$cuda:${LD_LIBRARY_PATH:-}"

[ -d "$work/bundles/deberta" ] || python3 benches/gpu/bundles.py "$work/bundles"
for name in minilm deberta; do
	cargo bench --locked --bench device -- --bundle "$work/bundles/$name" --device cpu --batches 1 --tokens 64 --seconds 1 >"$work/$name.cpu.json"
	cargo bench --locked --bench device -- --bundle "$work/bundles/$name" --device cuda:0 --tokens 64,128,512 --batches 1,4,16,64,256 >"$work/$name.cuda.json"
done
python3 benches/gpu/compare.py "$work"
