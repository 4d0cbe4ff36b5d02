//! Every section that holds a path is on the list, and every place of a configuration that names a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;

/// A configuration that names a file wherever one can be named.
const EVERY_FILE: &str = include_str!("every_file.yaml");

fn named(config: &Config, is_wanted: impl Fn(FileRole) -> bool) -> Vec<&str> {
    let files = config.files().into_iter().filter(|file| is_wanted(file.role));
    files.map(|file| file.path.to_str().expect("UTF-8")).collect()
}

fn every_file() -> Config {
    Config::parse(EVERY_FILE, "every_file.yaml").unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_place_that_names_a_file_is_listed() {
    let words = EVERY_FILE.split(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c)));
    let written: BTreeSet<&str> = words.filter(|word| word.starts_with("file-")).collect();

    let config = every_file();

    assert_eq!(BTreeSet::from_iter(named(&config, |_| true)), written);
    assert_eq!(named(&config, |_| true).len(), written.len());
}

#[test]
fn every_file_is_watched_but_those_that_the_process_makes_itself() {
    let config = every_file();

    let outputs = named(&config, |role| role == FileRole::Output);
    let unwatched = named(&config, |role| !role.is_watched());
    assert_eq!(unwatched, outputs);
    assert_eq!(
        named(&config, FileRole::is_key_material),
        [
            "file-hash-key",
            "file-sentinel-url",
            "file-placed-sentinel-url",
            "file-sentinel-password",
            "file-store-password",
            "file-store-ca.pem",
            "file-otlp-ca.pem",
            "file-otlp-token",
            "file-otlp-tenant",
            "file-metrics-ca.pem",
            "file-metrics-token",
            "file-metrics-tenant",
            "file-aws-profile",
            "file-aws-id",
            "file-aws-secret",
            "file-aws-token",
            "file-service-account.json",
            "file-provider-ca.pem",
            "file-provider-key",
            "file-second-key",
            "file-remote-key",
            "file-remote-tenant",
            "file-remote-ca.pem",
        ]
    );
    assert_eq!(outputs, ["file-ext-proc.sock", "file-upgrade.sock", "file-client-keys.jsonl", "file-decisions.jsonl"]);
}

#[test]
fn a_type_that_holds_a_path_lists_its_files_and_passes_no_field_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let mut definitions = BTreeMap::new();
    for file in rust_files(&folder) {
        definitions.extend(public_types(&std::fs::read_to_string(&file).expect("a source")));
    }
    let sources = [
        "files.rs",
        "files/classifiers.rs",
        "files/collectors.rs",
        "files/providers.rs",
        "files/store.rs",
        "files/strategies.rs",
    ]
    .map(|file| std::fs::read_to_string(folder.join(file)));
    let listed: String = sources.into_iter().map(|source| source.expect("a source")).collect();
    let mut holders = BTreeSet::from(["PathBuf".to_owned()]);
    loop {
        let holds = |words: &BTreeSet<String>| !words.is_disjoint(&holders);
        let more: Vec<_> = definitions.iter().filter(|(_, words)| holds(words)).map(|(name, _)| name.clone()).collect();
        let before = holders.len();
        holders.extend(more);
        if holders.len() == before {
            break;
        }
    }
    holders.remove("PathBuf");
    // Views of sections, each of which lists its files.
    holders.retain(|name| !["OtlpCollector", "ExtProcPlace"].contains(&name.as_str()));

    assert!(holders.contains("Config") && holders.contains("SimilarityRoute"), "{holders:?}");
    for holder in holders {
        assert!(listed.contains(&format!("impl NamesFiles for {holder} {{")), "{holder} names files, see NamesFiles");
    }
    assert!(!listed.contains(".. }") && !listed.contains("_ =>"), "a section passes fields or variants over");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the public structs and enums of a source by name, each with the words of its definition, comments apart.
fn public_types(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let mut types = Vec::new();
    let mut lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) else { continue };
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, mut definition) = (rest[..end].to_owned(), rest[end..].to_owned());
        if line.ends_with(['{', '(']) {
            for row in lines.by_ref().take_while(|row| !row.starts_with(['}', ')'])) {
                // The name of a field or a variant says nothing of the types that it holds; fields of a tuple have
                // none.
                let is_named = line.ends_with('{');
                let own_name = |c: char| is_named && (c.is_ascii_alphanumeric() || c == '_');
                definition.push_str(row.trim_start().trim_start_matches("pub ").trim_start_matches(own_name));
                definition.push('\n');
            }
        }
        types.push((name, words(&definition)));
    }
    types
}

#[test]
fn the_file_of_a_store_s_url_is_named_alone_and_in_a_list() {
    let base = "version: 1\nlisten: {address: 127.0.0.1:8080}\nproviders: {p: {base_url: http://h}}\n\
                models: {m: {provider: p}}\ndefault_provider: p\n";
    for urls in ["url: {file: file-a}", "urls: [{file: file-a}]", "urls: [{url: {file: file-a}, zone: z}], zone: z"] {
        let config = Config::parse(&format!("{base}store: {{redis: {{{urls}}}}}\n"), "urls.yaml");
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));

        assert_eq!(named(&config, FileRole::is_key_material), ["file-a"], "{urls}");
    }
}
