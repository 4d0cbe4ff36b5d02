#!/usr/bin/env bash
# binutils 2.40 (Debian 12): `strip` destroys a program that llvm-bolt 22.1.8 has laid out, and ends with 0.
#
# It prints that sections "can't be allocated in segment" and writes a file all the same, which dies with SIGSEGV at its start.
# llvm-strip of the same LLVM leaves a program that runs. benches/pgo/build.sh uses that one. Nor can a program be stripped before:
# llvm-bolt moves functions by symbols and relocations, and rust-lld refuses `--emit-relocs` together with `strip = "symbols"`.
#
# Needs rustc, binutils, and llvm-bolt and llvm-strip of the LLVM that rustc is of (Debian: bolt-22, llvm-22). Prints what each
# program does, and fails when that changes.
set -euo pipefail

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
for tool in "llvm-bolt-$llvm" "llvm-strip-$llvm" strip; do
    command -v "$tool" >/dev/null || { echo "needs $tool" >&2; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >program.rs <<'RUST'
#[inline(never)]
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn main() {
    let text = "a text of some words ".repeat(1000);
    println!("{}", std::hint::black_box(&text).bytes().filter(|byte| is_word(*byte)).count());
}
RUST
rustc --edition 2024 -O -Clink-args=-Wl,--emit-relocs program.rs
"llvm-bolt-$llvm" program -instrument -o counting --instrumentation-file="$folder/counts" >/dev/null 2>&1
./counting >/dev/null
"llvm-bolt-$llvm" program -o laid-out -data=counts -reorder-blocks=ext-tsp -reorder-functions=cdsort \
    -split-functions -split-all-cold -split-eh >/dev/null 2>&1
code=0
strip --strip-all -o by-binutils laid-out 2>/dev/null || code=$?
"llvm-strip-$llvm" --strip-all -o by-llvm laid-out

# status PROGRAM: prints the status with which it ends.
status() { (./"$1" >/dev/null 2>&1) 2>/dev/null && echo 0 || echo $?; }

seen="laid out: $(status laid-out)
llvm-strip: $(status by-llvm)
strip ends with $code, its program with $(status by-binutils)"
echo "$seen"
expected="laid out: 0
llvm-strip: 0
strip ends with 0, its program with 139"
[ "$seen" = "$expected" ] || { echo "this changed; it was:"; echo "$expected"; exit 1; }
