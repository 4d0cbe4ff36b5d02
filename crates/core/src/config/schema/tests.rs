use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::json;

use super::*;

/// The committed schema, as editors take it.
const COMMITTED: &str = "../../config/schema.json";

fn validator() -> Validator {
    jsonschema::draft7::new(&config_schema()).expect("a schema")
}

/// What the schema finds wrong with YAML.
fn flaws(yaml: &str) -> Vec<String> {
    let value: Value = serde_saphyr::from_str(yaml).expect("YAML");
    validator().iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() && !entry.ends_with("grafana") && !entry.ends_with("prometheus") {
            yaml_files(&entry, found);
        } else if entry.extension().is_some_and(|end| end == "yaml") {
            found.push(entry);
        }
    }
}

/// `POINTSMAN_BLESS=1` writes it anew.
#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED);
    let schema = config_schema();
    if std::env::var_os("POINTSMAN_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("JSON");
        fs::write(&path, text + "\n").expect("a writable folder");
    }

    let committed: Value = serde_json::from_str(&fs::read_to_string(&path).expect("the file")).expect("JSON");

    assert!(committed == schema, "config/schema.json is out of date: POINTSMAN_BLESS=1 cargo nextest run schema");
}

#[test]
fn every_example_is_as_the_schema_says() {
    let mut files = Vec::new();
    yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config"), &mut files);

    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        assert_eq!(flaws(&text), Vec::<String>::new(), "{}", file.display());
    }
}

const GOOD: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h, credential: passthrough, timeouts: {connect: 2s}, dialects: [chat]}}
models: {small: {provider: p, effort: low}, large: {provider: p, supports: [tools]}}
classifiers: {default: {bundle: b, device: {cuda: 0}}}
policies:
  - name: auto
    match: {model: [auto]}
    strategy: {kind: tiers, classifier: default, tiers: {simple: small, complex: large}, otherwise: large}
  - name: nested
    strategy:
      kind: cascade
      stages: [{kind: split, models: {small: 1}}]
";

#[test]
fn what_the_reader_refuses_for_its_form_the_schema_refuses() {
    assert_eq!(flaws(GOOD), Vec::<String>::new());
    for (old, new) in [
        ("version: 1", "versoin: 1"),
        ("passthrough", "pass"),
        ("connect: 2s", "connect: soon"),
        ("dialects: [chat]", "dialects: [chatt]"),
        ("effort: low", "effort: lowest"),
        ("supports: [tools]", "supports: tools"),
        ("kind: tiers", "kind: tier"),
        ("kind: split, models", "kind: split, modles"),
        ("device: {cuda: 0}", "device: gpu"),
        ("name: auto", "nmae: auto"),
        ("listen: {address: 127.0.0.1:8080}", "listen: 8080"),
        ("{simple: small", "{simple: [small]"),
    ] {
        assert!(GOOD.contains(old), "{old}");
        let bad = GOOD.replacen(old, new, 1);

        assert!(!flaws(&bad).is_empty(), "the schema takes `{new}`");
        assert!(Config::parse(&bad, "p.yaml").is_err(), "the reader takes `{new}`");
    }
}

#[test]
fn every_key_of_the_file_has_a_description() {
    fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
        // The one key of a choice is described with the choice.
        let properties =
            schema["properties"].as_object().filter(|all| all.len() > 1 || schema["description"].is_null());
        for (key, property) in properties.into_iter().flatten() {
            let is_tag = property.get("const").is_some();
            if property.get("description").is_none() && !is_tag {
                found.push(format!("{at}.{key}"));
            }
        }
        for nested in ["oneOf", "anyOf", "allOf"] {
            for way in schema[nested].as_array().into_iter().flatten() {
                undescribed(way, at, found);
            }
        }
    }
    let schema = config_schema();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    for (name, definition) in schema["definitions"].as_object().expect("definitions") {
        undescribed(definition, name, &mut found);
    }

    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_default_is_shown_where_there_is_one() {
    let schema = config_schema();

    let timeouts = &schema["definitions"]["ProviderTimeouts"]["properties"];
    assert_eq!(timeouts["connect"]["default"], json!("2s"));
    assert_eq!(schema["definitions"]["Name"]["type"], json!("string"));
}
