//! The core's build script: lays out the vocabulary of `o200k_base` and the classes of characters as tables that are read
//! where they lie in the binary.
//!
//! Loaded at run time, the same vocabulary is a hash map of 200,000 vectors: 44 MB, and 0.2 to 0.3 s before the first
//! answer. The layout is that of `src/features/tokens/o200k/vocabulary.rs` and `character.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use regex_syntax::hir::{Class, HirKind};

#[path = "src/features/tokens/o200k/layout.rs"]
mod layout;

use layout::{BLOCK, SLOTS, place};

/// Tokens of `o200k_base`, special ones apart.
const TOKENS: usize = 199_998;

/// The classes of characters that `o200k_base` splits by, as regular expressions, in the order of `character::Class`; a
/// later one wins, and the first, which is empty here, is of every other character.
const CLASSES: [&str; 8] = ["", r"\s", r"[\r\n]", r"\p{N}", r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]", r"\p{M}"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/features/tokens/o200k/layout.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a folder"));
    write_vocabulary(&folder);
    write_classes(&folder);
}

/// Writes the tokens in the order of their ranks, where each starts, and the table that finds a token by its bytes.
fn write_vocabulary(folder: &Path) {
    let encoding = tiktoken_rs::o200k_base().expect("the crate carries the vocabulary");
    let mut bytes = Vec::new();
    let mut starts = vec![0_u32];
    let mut slots = vec![0_u32; SLOTS];
    for rank in 0..TOKENS {
        let token = encoding.decode_bytes(&[rank as u32]).expect("ranks are without gaps");
        let (mut index, fingerprint) = place(&token);
        while slots[index] != 0 {
            index = (index + 1) % SLOTS;
        }
        slots[index] = fingerprint | (rank as u32 + 1);
        bytes.extend_from_slice(&token);
        starts.push(u32::try_from(bytes.len()).expect("a few megabytes"));
    }
    fs::write(folder.join("o200k_bytes"), bytes).expect("the build folder can be written");
    write_words(&folder.join("o200k_starts"), &starts);
    write_words(&folder.join("o200k_slots"), &slots);
}

fn write_words(path: &Path, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    fs::write(path, bytes).expect("the build folder can be written");
}

/// Writes the class of every character: the number of each block's classes, then these classes, equal blocks once.
fn write_classes(folder: &Path) {
    let mut classes = vec![0_u8; 0x11_0000];
    for (index, pattern) in CLASSES.iter().enumerate().skip(1) {
        for (first, last) in ranges(pattern) {
            classes[first as usize..=last as usize].fill(u8::try_from(index).expect("a few classes"));
        }
    }
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut numbers = Vec::new();
    for block in classes.chunks(BLOCK) {
        let number = blocks.iter().position(|other| *other == block).unwrap_or_else(|| {
            blocks.push(block);
            blocks.len() - 1
        });
        numbers.push(u8::try_from(number).expect("fewer than 256 different blocks"));
    }
    fs::write(folder.join("character_blocks"), numbers).expect("the build folder can be written");
    fs::write(folder.join("character_classes"), blocks.concat()).expect("the build folder can be written");
}

fn ranges(pattern: &str) -> Vec<(char, char)> {
    let hir = regex_syntax::parse(pattern).expect("a class of characters");
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|range| (range.start(), range.end())).collect(),
        other => panic!("{pattern} is {other:?}"),
    }
}
