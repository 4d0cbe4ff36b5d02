//! `GET /`: a page for browsers, JSON for programs.

use super::*;

#[tokio::test]
async fn the_index_names_every_route_and_loads_nothing_from_elsewhere() {
    let admin = Admin::of(Arc::default()).await;

    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let (head, page) = admin.ask(&asking("GET /", browser), "").await;

    assert!(head.contains("content-type: text/html") && head.contains("vary: accept"), "{head}");
    for route in http::ROUTES.iter().filter(|route| **route != "GET /") {
        assert!(page.contains(route), "no `{route}` in the page");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
}

#[tokio::test]
async fn programs_get_the_index_as_json() {
    let admin = Admin::of(Arc::default()).await;

    for accepted in ["application/json", "*/*", "application/json, text/html;q=0.5", "text/html;q=0", "text/plain"] {
        let (status, index) = admin.ask_json(&asking("GET /", accepted), "").await;

        assert_eq!((status, &index["name"]), (200, &json!("pointsman")), "{accepted}");
        assert_eq!((&index["routes"], &index["openapi"]), (&json!(&http::ROUTES[..]), &json!("/openapi.json")));
    }
    assert_eq!(admin.ask_json("GET /", "").await.1["version"], env!("CARGO_PKG_VERSION"));
}

/// Returns a request line with an `Accept` behind it.
fn asking(line: &str, accepted: &str) -> String {
    format!("{line} HTTP/1.1\r\naccept: {accepted}\r\nx-rest:")
}
