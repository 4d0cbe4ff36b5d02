//! The files of the console's pages.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

use super::super::state::AdminError;
use super::not_found;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The entry of the console; every page is a part of it.
const PAGE: &str = include_str!("assets/index.html");

/// The files that the page loads, by their names.
const FILES: [(&str, &str, &str); 18] = [
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("main.js", SCRIPT, include_str!("assets/main.js")),
    ("api.js", SCRIPT, include_str!("assets/api.js")),
    ("login.js", SCRIPT, include_str!("assets/login.js")),
    ("dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("charts.js", SCRIPT, include_str!("assets/charts.js")),
    ("series.js", SCRIPT, include_str!("assets/series.js")),
    ("overview.js", SCRIPT, include_str!("assets/overview.js")),
    ("decisions.js", SCRIPT, include_str!("assets/decisions.js")),
    ("explanation.js", SCRIPT, include_str!("assets/explanation.js")),
    ("policies.js", SCRIPT, include_str!("assets/policies.js")),
    ("classifiers.js", SCRIPT, include_str!("assets/classifiers.js")),
    ("upstreams.js", SCRIPT, include_str!("assets/upstreams.js")),
    ("diff.js", SCRIPT, include_str!("assets/diff.js")),
    ("generations.js", SCRIPT, include_str!("assets/generations.js")),
    ("configuration.js", SCRIPT, include_str!("assets/configuration.js")),
    ("playground.js", SCRIPT, include_str!("assets/playground.js")),
];

/// Leads to the page, whose files are beside it.
pub(super) async fn entrance() -> Redirect {
    Redirect::permanent("/console/")
}

pub(super) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE)
}

pub(super) async fn file(Path(name): Path<String>) -> Result<Response, AdminError> {
    let file = FILES.iter().find(|(own, ..)| *own == name);
    let (_, kind, text) = file.ok_or_else(|| not_found("The console has no such file.".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, *kind)], *text).into_response())
}
