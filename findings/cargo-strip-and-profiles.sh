#!/usr/bin/env bash
# cargo 1.95.0: a profile for optimisation (PGO) fits only a build with the same `strip`, and nothing says so when it does not fit.
#
# A profile knows functions by their mangled names, which hold a hash of their crate. cargo computes that hash from the whole
# profile of Cargo.toml, `strip` included, although `strip` changes no code; of RUSTFLAGS, which change code, it takes nothing. So
# an instrumented build that keeps its symbols (`strip = "none"`, as BOLT and profilers want) gives a profile in which a build with
# `strip = "symbols"` finds no function of any crate. rustc takes such a profile without a word. Only
# `-Cllvm-args=-pgo-warn-missing-function` tells, for crates of the workspace. benches/pgo/build.sh builds both alike, strips by
# hand, and checks that names agree.
#
# Needs cargo and llvm-profdata of the LLVM that rustc is of (Debian: llvm-22). Prints how many functions of the program are without
# counts with each `strip`, and fails when that changes.
set -euo pipefail

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
profdata=$(command -v "llvm-profdata-$llvm") || { echo "needs llvm-profdata-$llvm" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "program"
edition = "2024"
TOML
cat >src/main.rs <<'RUST'
#[inline(never)]
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn main() {
    let text = "a text of some words ".repeat(1000);
    println!("{}", std::hint::black_box(&text).bytes().filter(|byte| is_word(*byte)).count());
}
RUST

# build STRIP FLAGS: builds; prints the functions of `program` that the profile lacks.
build() {
    touch src/main.rs
    CARGO_PROFILE_RELEASE_STRIP=$1 RUSTFLAGS=$2 cargo build --release --target-dir target 2>&1 >/dev/null \
        | grep -oE 'no profile data available for function \S*7program\S*' | sort -u | wc -l
}

build none "-Cprofile-generate=$folder/counts" >/dev/null || true
target/release/program >/dev/null
"$profdata" merge -o merged counts/*.profraw
use="-Cprofile-use=$folder/merged"
warned="$use -Cllvm-args=-pgo-warn-missing-function"
seen="strip=none: $(build none "$warned" || true)
strip=symbols: $(build symbols "$warned" || true)
strip=symbols, words about it without the flag: $(build symbols "$use" || true)"
echo "$seen"
expected="strip=none: 0
strip=symbols: 2
strip=symbols, words about it without the flag: 0"
[ "$seen" = "$expected" ] || { echo "this changed; it was:"; echo "$expected"; exit 1; }
