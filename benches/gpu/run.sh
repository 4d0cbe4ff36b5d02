#!/usr/bin/env bash
# Measures the GPU path on a machine with an NVIDIA card: correctness against the CPU, and speed against PyTorch (bf16,
# compiled) and the card's matmul ceiling, of encoders of several sizes in float32, float16, bfloat16 and int8, by CUDA, by
# TensorRT and as CUDA graphs where these are there, and of requests through the proxy. README.md says what it needs.
#
#   benches/gpu/run.sh WORK          writes WORK/table.md
#   benches/gpu/run.sh --dry WORK    the same steps on the CPU and in miniature: shows that the scripts run, and no more
#
# PROFILE names cargo's profile (bench, or quick for a dry run).
set -euo pipefail

dry=()
if [ "${1:-}" = --dry ]; then
	dry=(--dry)
	shift
fi
work=${1:?usage: benches/gpu/run.sh [--dry] WORK}
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${ORT_DYLIB_PATH:?must name libonnxruntime.so}"
export ORT_TELEMETRY_DISABLED=1 ORT_RUNNING_UNIT_TESTS=1
python=${PYTHON:-python3}
mkdir -p "$work"
work=$(cd "$work" && pwd)
cd "$root"

gpu=cuda:0 tokens=64,128,512 batches=1,4,16,64,256 seconds=5 points='[[64,1],[64,16],[512,1],[512,16]]' proxy=()
profile=${PROFILE:-bench} built=release
if [ ${#dry[@]} -gt 0 ]; then
	gpu=cpu tokens=16 batches=1,2 seconds=0.1 points='[[16,1],[16,2]]' proxy=(--seconds 1 --connections 4 --tokens 16)
	profile=${PROFILE:-quick} built=${PROFILE:-quick}
fi
[ "$built" != dev ] || built=debug

libraries=$("$python" -c 'import glob, os, sysconfig; print(":".join(glob.glob(os.path.join(sysconfig.get_path("purelib"), "nvidia", "*", "lib"))))')
LD_LIBRARY_PATH=$(dirname "$ORT_DYLIB_PATH"):$libraries:${LD_LIBRARY_PATH:-}
export LD_LIBRARY_PATH

# Runs a command, whose output becomes a file: what it printed, or why it failed, so that one variant that a provider cannot
# run does not end the others.
into() {
	local file=$1
	shift
	if ! "$@" >"$file" 2>"$file.log"; then
		echo "failed, see $file.log: $*" >&2
		"$python" -c 'import json, sys
lines = open(sys.argv[1]).read().strip().splitlines() or ["no output"]
print(json.dumps({"error": next((line for line in lines if line.startswith("Error")), lines[-1])[:200].replace("|", "/")}))' "$file.log" >"$file"
	fi
}

device() { cargo bench --locked --profile "$profile" --bench device -- "$@"; }

[ -d "$work/bundles/teacher-fp32" ] || "$python" benches/gpu/bundles.py "$work/bundles" "${dry[@]}"
folders=("$work"/bundles/*/ models/*/bundle.yaml)
for folder in "${folders[@]%bundle.yaml}"; do
	name=$(basename "$folder")
	into "$work/$name.cpu.json" device --bundle "$folder" --device cpu --batches 1 --tokens 16 --seconds 0.1
	into "$work/$name.cuda.json" device --bundle "$folder" --device "$gpu" --tokens "$tokens" --batches "$batches" --seconds "$seconds"
	if [ -f "$(dirname "$ORT_DYLIB_PATH")/libonnxruntime_providers_tensorrt.so" ]; then
		into "$work/$name.tensorrt.json" device --bundle "$folder" --device tensorrt --tokens "$tokens" --batches "$batches" --seconds "$seconds"
	else
		echo '{"error": "libonnxruntime_providers_tensorrt.so is not there"}' >"$work/$name.tensorrt.json"
	fi
	into "$work/$name.graphs.json" "$python" benches/gpu/graphs.py "$folder" --points "$points" --seconds "$seconds"
done

if [ "$built" = release ]; then cargo build --locked --release; else cargo build --locked --profile "$profile"; fi
target=$(cargo metadata --format-version=1 --no-deps | "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
for folder in models/*/bundle.yaml "$work/bundles/teacher-fp16/bundle.yaml"; do
	folder=${folder%/bundle.yaml}
	name=$(basename "$folder")
	into "$work/proxy.$name.json" "$python" benches/gpu/through_proxy.py "$target/$built/pointsman" "$folder" --device "$gpu" "${proxy[@]}"
done

"$python" benches/gpu/compare.py "$work" "${dry[@]}"
