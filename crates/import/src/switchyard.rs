//! Switchyard's routes: TOML with `llm_clients`, `targets` and `routes`, and the older YAML with `routes` or
//! `profiles`.

mod route;
mod target;

use self::route::Route;
use self::target::TargetCatalog;
use crate::draft::Draft;
use crate::reader::SourceValue;
use crate::yaml_text::YamlValue;

const REASONS: [(&str, &str); 2] = [
    ("fallback_client", "paths that Pointsman does not read pass through to `default_provider`, with its credential"),
    ("stats", "metrics stand on the admin listener"),
];

/// Puts Switchyard's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    root.take_all(&["schema_version"]);
    let mut catalog = TargetCatalog::read(root, draft);
    let routes = root.get("routes").or_else(|| root.get("profiles"));
    let mut served = Vec::new();
    for (name, value) in routes.map_or_else(Vec::new, |routes| routes.entries()) {
        match Route::read(name, &value, &mut catalog, draft) {
            Some(route) => served.push(route),
            None => value.leave_out_unsaid("it has no type, or one of its targets is not in the file"),
        }
    }
    for route in served {
        route.add_policy(draft);
    }
    if let Some(retries) = catalog.retries() {
        let attempts = retries.saturating_add(1).clamp(1, 16);
        draft.sections.push(("retry".to_owned(), YamlValue::map([("max_attempts", YamlValue::count(attempts))])));
    }
    root.leave_out_all(&REASONS);
}
