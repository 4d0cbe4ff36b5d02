//! What is made of each file in `tests/fixtures`, beside what is expected of it. `POINTSMAN_BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pointsman_core::config::Config;
use pointsman_import::{FindingKind, ForeignFile, ForeignRouter, ImportError, ImportedConfig, import};

/// The word that every text of the fixtures holds which stands for a secret.
const SECRET: &str = "hunter2";

/// A foreign file of the fixtures.
struct Fixture {
    router: ForeignRouter,
    path: PathBuf,
    name: String,
    text: String,
}

fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut all = Vec::new();
    for router in ForeignRouter::ALL {
        let folder = root.join(router.as_str());
        let entries = fs::read_dir(&folder).expect("a folder for every project");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        for path in files {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name.ends_with(".imported.yaml") || name.ends_with(".findings") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            all.push(Fixture { router, path, name, text });
        }
    }
    assert!(all.len() >= 18, "too few fixtures: {}", all.len());
    all
}

impl Fixture {
    fn import(&self) -> ImportedConfig {
        let file = ForeignFile { router: self.router, name: &self.name, text: &self.text };
        import(&file, "models/pointsman-mini").unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }

    fn listed(&self, imported: &ImportedConfig) -> String {
        imported.findings.iter().map(|finding| format!("{}:{finding}\n", self.name)).collect()
    }
}

/// Compares `text` with the file at `path`, or writes it there.
fn same(path: &Path, text: &str) {
    if std::env::var_os("POINTSMAN_BLESS").is_some() {
        return fs::write(path, text).expect("a writable folder");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == text, "{} is not what is made now (POINTSMAN_BLESS=1 writes it):\n{text}", path.display());
}

#[test]
fn each_file_gives_the_configuration_and_the_findings_that_stand_beside_it() {
    for fixture in fixtures() {
        let imported = fixture.import();

        let beside = |end: &str| fixture.path.with_file_name(format!("{}.{end}", fixture.name));
        same(&beside("imported.yaml"), &imported.text);
        same(&beside("findings"), &fixture.listed(&imported));
    }
}

#[test]
fn every_configuration_loads() {
    for fixture in fixtures() {
        let imported = fixture.import();

        let config = Config::parse(&imported.text, "imported.yaml");
        assert!(config.is_ok(), "{}: {}", fixture.path.display(), config.expect_err("problems"));
    }
}

#[test]
fn no_secret_of_a_file_is_in_the_configuration_or_in_a_finding() {
    let mut secrets = 0;
    for fixture in fixtures() {
        let imported = fixture.import();

        let shown = format!("{}{}", imported.text, fixture.listed(&imported));
        assert!(!shown.to_lowercase().contains(SECRET), "{}:\n{shown}", fixture.path.display());
        secrets += imported.findings.iter().filter(|finding| finding.kind == FindingKind::Secret).count();
    }
    assert!(secrets >= 10, "{secrets}");
}

#[test]
fn every_finding_is_on_a_line_of_the_file() {
    for fixture in fixtures() {
        let lines = fixture.text.lines().count();
        for finding in fixture.import().findings {
            let is_there = (1..=lines).contains(&finding.line) && (finding.line..=lines).contains(&finding.last_line);
            assert!(is_there && !finding.message.is_empty(), "{}: {finding:?}", fixture.path.display());
        }
    }
}

/// A line that says something is in the configuration, or within the lines of a finding: nothing is passed over. What
/// "in the configuration" means is the reader's affair: every value that no importer read has a finding.
#[test]
fn keys_that_nobody_knows_are_found_wherever_they_stand() {
    let unknown = "zz_unknown_key";
    for fixture in fixtures().iter().filter(|fixture| fixture.name.ends_with(".yaml") && !fixture.text.contains("<<:"))
    {
        let text = format!("{}\n{unknown}: {{a: 1, b: [2]}}\n", fixture.text);
        let file = ForeignFile { router: fixture.router, name: &fixture.name, text: &text };

        let imported = import(&file, "b").expect("a configuration");

        let found =
            imported.findings.iter().any(|finding| finding.path == unknown && finding.kind == FindingKind::LeftOut);
        assert!(found, "{}: {:?}", fixture.path.display(), imported.findings);
    }
}

/// Returns the configuration that Bifrost's file with one virtual key gives.
fn bifrost_with_key(version: &str, key: &str) -> String {
    let text = format!(
        r#"{{{version} "providers": {{"openai": {{"keys": [{{"value": "env.K", "models": ["gpt-5.5"]}}]}}}},
        "governance": {{"virtual_keys": [{{"id": "a", "name": "desk", "value": "sk-bf-hunter2", {key}}}]}}}}"#
    );
    let file = ForeignFile { router: ForeignRouter::Bifrost, name: "config.json", text: &text };
    import(&file, "b").expect("a configuration").text
}

#[test]
fn a_file_with_thousands_of_deployments_of_one_name_is_read_to_its_end() {
    let entry = |number: usize| format!("  - {{model_name: m, litellm_params: {{model: openai/m{number}}}}}\n");
    let text = format!("model_list:\n{}", (0..2000).map(entry).collect::<String>());
    let file = ForeignFile { router: ForeignRouter::Litellm, name: "config.yaml", text: &text };

    let imported = import(&file, "b").expect("a configuration");

    assert!(imported.text.contains("m/openai-2000:"), "the last of them");
}

#[test]
fn a_virtual_key_that_allows_no_model_opens_none() {
    for key in [
        r#""provider_configs": []"#,
        r#""provider_configs": [{"provider": "openai"}]"#,
        r#""provider_configs": [{"provider": "openai", "allowed_models": []}]"#,
    ] {
        assert!(!bifrost_with_key("", key).contains("desk"), "{key}");
        assert!(bifrost_with_key(r#""version": 1,"#, key).contains("desk"), "{key}");
    }
}

#[test]
fn a_key_that_ends_one_day_does_not_become_one_without_an_end() {
    let open = r#""provider_configs": [{"provider": "openai", "allowed_models": ["*"]}]"#;

    assert!(bifrost_with_key("", open).contains("desk"));
    assert!(!bifrost_with_key("", &format!(r#"{open}, "expires_at": "2027-01-01T00:00:00Z""#)).contains("desk"));
}

#[test]
fn a_name_in_a_vault_is_no_key() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "env.K", "models": ["gpt-5.5"]}]}}, "governance": {
        "virtual_keys": [{"id": "a", "name": "desk", "value": "vault.team/key", "provider_configs": [{"provider": "openai",
        "allowed_models": ["*"]}]}]}}"#;
    let file = ForeignFile { router: ForeignRouter::Bifrost, name: "config.json", text };

    let imported = import(&file, "b").expect("a configuration");

    assert!(!imported.text.contains("clients:"), "{}", imported.text);
}

/// Values that nobody expects: whatever stands in a foreign file, what is written loads.
const ODD_VALUES: [&str; 7] = ["-1", "x y!", "999999999999999", "\"\"", "[1, {a: b}]", "null", "\"${ODD}\""];

/// Returns `line` with its last value replaced; `None` where it has none.
fn with_odd_value(line: &str, odd: &str) -> Option<String> {
    let (key, value) = line.rsplit_once(": ").or_else(|| line.rsplit_once(" = "))?;
    let separator = if line.rsplit_once(": ").is_some() { ": " } else { " = " };
    let end: String = value.chars().rev().take_while(|c| matches!(c, ',' | '}' | ']' | ' ' | ')')).collect();
    Some(format!("{key}{separator}{odd}{}", end.chars().rev().collect::<String>()))
}

#[test]
fn a_file_with_an_odd_value_anywhere_still_gives_a_configuration_that_loads() {
    let mut tried = 0;
    for fixture in fixtures() {
        let lines: Vec<&str> = fixture.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(odd) = with_odd_value(line, ODD_VALUES[(index + tried) % ODD_VALUES.len()]) else { continue };
            let mut changed = lines.clone();
            changed[index] = &odd;
            let text = changed.join("\n");
            let file = ForeignFile { router: fixture.router, name: &fixture.name, text: &text };

            tried += 1;
            if let Err(error @ ImportError::Invalid { .. }) = import(&file, "b") {
                panic!("{}:{}: {odd}\n{error}", fixture.path.display(), index + 1);
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn the_table_of_findings_in_the_docs_is_that_of_the_fixtures() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/import.md");
    let text = fs::read_to_string(&page).expect("the page");
    let mut rows = String::new();
    for fixture in fixtures() {
        let imported = fixture.import();
        let mut kinds: BTreeMap<FindingKind, usize> = BTreeMap::new();
        for finding in &imported.findings {
            *kinds.entry(finding.kind).or_default() += 1;
        }
        let count = |kind: FindingKind| kinds.get(&kind).copied().unwrap_or_default();
        rows.push_str(&format!(
            "| `{}/{}` | {} | {} | {} | {} |\n",
            fixture.router.as_str(),
            fixture.name,
            fixture.text.lines().count(),
            count(FindingKind::LeftOut),
            count(FindingKind::Changed),
            count(FindingKind::Secret)
        ));
    }
    let head = "| file | lines | left out | changed | secrets |\n|---|---|---|---|---|\n";
    let (before, _) = text.split_once(head).expect("the table, which ends the page");
    same(&page, &format!("{before}{head}{rows}"));
}
