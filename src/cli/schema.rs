//! `pointsman schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use pointsman_core::config::config_schema;

use super::print_whole;

pub(super) fn run() -> ExitCode {
    print_whole(text().as_bytes())
}

/// Returns the schema as a file holds it.
pub(super) fn text() -> String {
    serde_json::to_string_pretty(&config_schema()).expect("a schema is JSON") + "\n"
}
