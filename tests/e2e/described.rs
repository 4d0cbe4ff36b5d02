//! What the binary tells of itself: models and prices, the schema of its configuration, completions, manual pages.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::{pointsman, text};

#[test]
fn the_built_in_list_is_shown_with_prices_windows_and_abilities() {
    let listed = pointsman(&["models", "--vendor", "openai", "gpt-4.1-nano"]);

    let table = text(&listed.stdout);
    let row = table.lines().find(|line| line.contains("gpt-4.1-nano")).unwrap_or_else(|| panic!("no row: {table}"));
    for part in ["openai", "0.1", "0.4", "1047576", "tools"] {
        assert!(row.contains(part), "no {part}: {row}");
    }
    assert!(table.contains("  1 models; list prices of "), "{table}");
}

#[test]
fn filters_leave_out_what_does_not_fit_and_prices_order_what_does() {
    let arguments = [
        "models",
        "--json",
        "--vendor",
        "openai,anthropic",
        "--supports",
        "tools,images",
        "--max-output",
        "10",
        "--min-context",
        "200000",
        "--sort",
        "price",
    ];

    let listed = pointsman(&arguments);

    let list: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let models = list["models"].as_array().expect("models");
    assert!(models.len() > 5 && list["date"].is_string(), "{list}");
    let mut before = 0.0;
    for model in models {
        let (input, output) = (model["price"]["input"].as_f64(), model["price"]["output"].as_f64());
        let blended = (3.0 * input.expect("a price") + output.expect("a price")) / 4.0;
        assert!(output <= Some(10.0) && model["context"].as_u64() >= Some(200_000) && blended >= before, "{model}");
        assert!(model["supports"].as_array().expect("abilities").contains(&"images".into()), "{model}");
        before = blended;
    }
}

#[test]
fn the_catalog_of_a_configuration_is_shown_as_it_is_completed() {
    let listed = pointsman(&["models", "--json", "-c", "config/quickstart.yaml", "small"]);
    let missing = pointsman(&["models", "-c", "no/such.yaml"]);
    let odd = pointsman(&["models", "--supports", "smell"]);

    let list: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let small = &list["models"][0];
    assert_eq!((&small["model"], &small["upstream_name"]), (&"small".into(), &"gpt-4.1-nano".into()), "{list}");
    assert!(small["price"]["cached_input"].is_number() && small["max_output"].is_number(), "{small}");
    assert_eq!([missing.status.code(), odd.status.code()], [Some(78), Some(64)]);
    assert!(text(&odd.stderr).contains("json_schema"), "{}", text(&odd.stderr));
}

#[test]
fn the_schema_is_the_one_that_is_committed() {
    let printed: Value = serde_json::from_slice(&pointsman(&["schema"]).stdout).expect("JSON");

    let committed: Value =
        serde_json::from_str(&fs::read_to_string("config/schema.json").expect("the file")).expect("JSON");
    assert!(printed == committed, "POINTSMAN_BLESS=1 cargo nextest run -p pointsman-core schema");
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&pointsman(&["completions", shell]).stdout);

        for command in ["init", "serve", "check", "doctor", "models", "schema"] {
            assert!(script.contains(command), "{shell} does not know `{command}`");
        }
    }
    assert_eq!(pointsman(&["completions", "command.com"]).status.code(), Some(64));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("man");

    let whole = text(&pointsman(&["man"]).stdout);
    let one = text(&pointsman(&["man", "doctor"]).stdout);
    let written = pointsman(&["man", "--out", out.to_str().expect("a plain name")]);
    let unknown = pointsman(&["man", "no-such-command"]);

    assert!(whole.contains(".TH pointsman 1"), "{whole}");
    assert!(one.contains("doctor") && one.contains("patience"), "{one}");
    assert!(written.status.success(), "{}", text(&written.stderr));
    let page =
        |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in ["pointsman.1", "pointsman-init.1", "pointsman-serve.1", "pointsman-bundle-verify.1"] {
        assert!(page(name).contains(".SH"), "{name}");
    }
    assert_eq!(unknown.status.code(), Some(64));
    let version = format!("\"pointsman {}", env!("CARGO_PKG_VERSION"));
    for page in [one, page("pointsman-init.1"), page("pointsman-bundle-verify.1")] {
        let head = page.lines().find(|line| line.starts_with(".TH")).expect("a head");
        assert!(head.contains(&version) && head.starts_with(".TH pointsman-"), "{head}");
    }
}

#[test]
fn no_model_that_embeds_texts_is_listed_as_one_that_takes_tools() {
    let listed = pointsman(&["models", "--json", "--supports", "tools"]);
    let embeds = pointsman(&["models", "--json", "*embed*"]);

    let names = |output: &[u8]| -> Vec<String> {
        let list: Value = serde_json::from_slice(output).expect("JSON");
        let models = list["models"].as_array().expect("models").clone();
        models.iter().map(|model| model["model"].as_str().expect("a name").to_owned()).collect()
    };
    let (listed, embeds) = (names(&listed.stdout), names(&embeds.stdout));
    assert!(listed.len() > 100 && embeds.len() > 30, "{} {}", listed.len(), embeds.len());
    assert!(!listed.iter().any(|name| embeds.contains(name)), "{listed:?}");
}

#[test]
fn a_catalog_s_own_prices_are_not_said_to_be_of_the_list() {
    let table = text(&pointsman(&["models", "-c", "config/quickstart.yaml"]).stdout);

    assert!(table.contains("prices of the configuration, and list prices of "), "{table}");
}

#[test]
fn the_cause_of_an_error_is_said_once() {
    let import = pointsman(&["import", "--from", "litellm", "no/such.yaml"]);
    let check = pointsman(&["check", "-c", "no/such.yaml"]);

    for said in [text(&import.stderr), text(&check.stderr)] {
        assert_eq!(said.matches("os error 2").count(), 1, "{said}");
    }
}

#[test]
fn an_import_of_nothing_does_not_say_that_everything_carried_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.json");
    fs::write(&file, "{}").expect("a file");

    let import = pointsman(&["import", "--from", "bifrost", file.to_str().expect("a plain name")]);

    let said = text(&import.stderr);
    assert_eq!(import.status.code(), Some(65), "{said}");
    assert!(said.contains("names a provider") && !said.contains("carried over"), "{said}");
}
