#!/usr/bin/env bash
# `make pgo`: writes target/pgo/pointsman, the binary of `make build` optimised by what it does under traffic. Takes two release
# builds, and target/pgo holds both.
#
# An instrumented build serves benches/pgo/traffic.py and counts; llvm-profdata merges the counts; a second build reads them. With
# BOLT=1, llvm-bolt then lays the functions and blocks of that build out by a second run of the traffic, instrumented by itself:
# virtual machines sample no branches. Both tools must be of the LLVM that rustc is of: `.ci/setup pgo` and `.ci/setup bolt`.
#
# CARGO names another cargo, REQUESTS (12,000) and TRAFFIC_SECONDS (180) bound the traffic, STEP_SECONDS (2,400) each other step.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
out=$PWD/target/pgo
export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$PWD/.tools/libonnxruntime.so}
readonly cargo host llvm out

main() {
    profdata=$(tool llvm-profdata)
    mkdir -p "$out"
    rm -rf "$out"/{counts,merged,pointsman,*.profdata,*fdata*}
    learn
    local flags="-Cprofile-use=$profile"
    [ -z "${BOLT:-}" ] || flags+=" -Clink-args=-Wl,--emit-relocs"
    build "$flags"
    profile_fits
    cp "$built" "$out/unstripped"
    [ -z "${BOLT:-}" ] || lay_out
    # binutils' strip destroys what BOLT laid out: findings/strip-after-bolt.sh.
    "$(tool llvm-strip)" --strip-all -o "$out/pointsman" "$out/unstripped"
    rm "$out/unstripped"
    say "checking that it serves"
    POINTSMAN=$out/pointsman traffic --requests 500
    ls -l "$out/pointsman"
}

# Counts what is hot, in $profile. Its name is that of its content: cargo builds anew exactly when the counts differ.
learn() {
    build "-Cprofile-generate=$out/counts -Cllvm-args=-vp-counters-per-site=4"
    say "serving traffic"
    LLVM_PROFILE_FILE="$out/counts/%p-%m.profraw" POINTSMAN=$built traffic --requests "${REQUESTS:-12000}"
    "$profdata" merge -o "$out/merged" "$out"/counts/*.profraw
    profile=$out/$(sha256sum "$out/merged" | cut -c1-16).profdata
    mv "$out/merged" "$profile"
    rm -r "$out/counts"
    "$profdata" show "$profile" | sed 's/^/    /'
}

# build FLAGS: builds with them, and leaves the path of the binary in $built. Both builds keep their symbols, which BOLT reads: a
# profile fits only builds that treat symbols alike (findings/cargo-strip-and-profiles.sh). The target is spelled out so that build
# scripts and macros, which run in every build, are left as they are.
build() {
    say "building with $1"
    RUSTFLAGS="${RUSTFLAGS:-} $1" CARGO_PROFILE_RELEASE_STRIP=none timeout "${STEP_SECONDS:-2400}" \
        $cargo build --release --locked --bin pointsman --target "$host" --target-dir "$out/build"
    built=$out/build/$host/release/pointsman
}

# Fails unless functions of Pointsman have the same names in the profile and in $built: rustc says nothing when none has.
profile_fits() {
    local known
    known=$(comm -12 \
        <("$profdata" show --all-functions "$profile" | sed -n 's/^  \(_.*9pointsman.*\):$/\1/p' | sort -u) \
        <(nm "$built" | sed -n 's/.* \(_.*9pointsman.*\)/\1/p' | sort -u) | wc -l)
    say "$known functions of Pointsman have counts"
    [ "$known" -gt 0 ] || {
        echo "pgo: the profile fits nothing in $built" >&2
        return 1
    }
}

# Lays out $out/unstripped anew.
lay_out() {
    local bolt merge
    bolt=$(tool llvm-bolt)
    merge=$(tool merge-fdata)
    say "instrumenting with BOLT"
    quietly "$bolt" "$out/unstripped" -instrument -o "$out/counting" \
        --instrumentation-file="$out/counts.fdata" --instrumentation-file-append-pid
    POINTSMAN=$out/counting traffic --requests "${REQUESTS:-12000}"
    "$merge" "$out"/counts.fdata.* >"$out/merged.fdata"
    say "laying out with BOLT"
    quietly "$bolt" "$out/unstripped" -o "$out/laid-out" -data="$out/merged.fdata" \
        -reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions -split-all-cold -split-eh
    mv "$out/laid-out" "$out/unstripped"
    rm "$out/counting" "$out"/*.fdata
}

traffic() { python3 -B benches/pgo/traffic.py --seconds "${TRAFFIC_SECONDS:-180}" "$@"; }

# tool NAME: prints the path of an LLVM tool that is as old as rustc's LLVM.
tool() {
    local each
    for each in "$(rustc --print sysroot)/lib/rustlib/$host/bin/$1" "/usr/lib/llvm-$llvm/bin/$1" "$(command -v "$1-$llvm" || true)"; do
        if [ -x "$each" ]; then
            echo "$each"
            return
        fi
    done
    echo "pgo: no $1 of LLVM $llvm, which is that of $(rustc -V): rustup component add llvm-tools, or apt-get install llvm-$llvm bolt-$llvm" >&2
    return 1
}

# quietly COMMAND...: runs a command; its output is shown when it fails.
quietly() {
    timeout "${STEP_SECONDS:-2400}" "$@" >"$out/bolt.log" 2>&1 || {
        tail -n 20 "$out/bolt.log" >&2
        return 1
    }
}

say() { echo "pgo: $*"; }

main
