//! Who may do what: every route, every role, and nobody.

use pointsman_core::config::{AdminRole, AdminToken, MetricsAccess};

use super::routes::{AdminRoute, RouteAccess, TABLE};
use super::*;
use crate::clients::hash_key;

/// A plane whose callers have a token for each role: `view-token` and so on.
fn governed() -> Scripted {
    let token = |role: AdminRole| AdminToken {
        name: Name::new(role.as_str()).expect("a valid name"),
        sha256: hash_key(format!("{role}-token").as_bytes()),
        role,
    };
    let auth = AdminAuth { tokens: AdminRole::ALL.map(token).to_vec(), ..AdminAuth::default() };
    Scripted { auth: Some(auth), ..Scripted::default() }
}

/// Returns the row's request line, with a value in the place of each parameter.
fn line(route: &AdminRoute) -> String {
    let path = route.path.replace("{number}", "1").replace("{id}", "x").replace("{file}", "main.js");
    format!("{} {path}", route.method)
}

/// Sends a request with these header lines; returns the status, the error's code and the head.
async fn send(admin: &Admin, line: &str, headers: &str) -> (u16, String, String) {
    let label = "host: 127.0.0.1\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = admin.raw(format!("{line} HTTP/1.1\r\n{label}{headers}\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned(), head.to_lowercase())
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn each_role_reaches_its_routes_and_those_of_lesser_roles() {
    let admin = Admin::of(Arc::new(governed())).await;

    for route in &TABLE {
        for role in AdminRole::ALL {
            let (status, code, _) = send(&admin, &line(route), &bearer(&format!("{role}-token"))).await;

            let needed = match route.access {
                RouteAccess::Open => AdminRole::View,
                RouteAccess::Metrics => AdminRole::View,
                RouteAccess::Role(needed) => needed,
            };
            let is_refused = (status, &*code) == (403, "role_too_low");
            assert_eq!(is_refused, role < needed, "{role}: {route:?} got {status} {code}");
            assert_ne!(status, 401, "{role}: {route:?}");
        }
    }
}

#[tokio::test]
async fn without_a_token_only_probes_and_pages_that_say_nothing_are_answered() {
    let admin = Admin::of(Arc::new(governed())).await;

    for route in &TABLE {
        let (status, code, head) = send(&admin, &line(route), "").await;

        let is_open = route.access == RouteAccess::Open;
        assert_eq!((status, &*code) == (401, "authentication_required"), !is_open, "{route:?} got {status} {code}");
        assert_eq!(head.contains("www-authenticate: bearer"), !is_open, "{head}");
    }
    assert_eq!(send(&admin, "GET /nothing", "").await.0, 401);
    assert_eq!(send(&admin, "DELETE /reload", "").await.0, 401);
}

#[tokio::test]
async fn metrics_are_shown_to_everybody_where_it_is_said() {
    let mut plane = governed();
    plane.auth.as_mut().expect("a section").metrics = MetricsAccess::Open;
    let admin = Admin::of(Arc::new(plane)).await;

    assert_eq!(send(&admin, "GET /metrics", "").await.0, 200);
    assert_eq!(send(&admin, "GET /config", "").await.0, 401);
}

#[tokio::test]
async fn every_route_of_the_router_has_a_row_and_every_row_a_route() {
    let shown = format!("{:?}", http::router(Arc::new(Scripted::default())));

    // `routes: {RouteId(1): MethodRouter(..)}, node: Node { paths: {RouteId(1): "/", ..} }`, then the fallbacks.
    let (own, _) = shown.split_once(", fallback_router: ").expect("the routes before the fallbacks");
    let (routes, paths) = own.split_once(", node: ").expect("the routes and their paths");
    let numbered = |text: &str| -> BTreeMap<usize, String> {
        let entries = text.split("RouteId(").skip(1).filter_map(|entry| entry.split_once("): "));
        entries.filter_map(|(number, rest)| Some((number.parse().ok()?, rest.to_owned()))).collect()
    };
    let (routes, paths) = (numbered(routes), numbered(paths));
    let mut found = Vec::new();
    for (number, methods) in &routes {
        let path = paths[number].split('"').nth(1).expect("a path in quotation marks");
        for method in ["get", "head", "delete", "options", "patch", "post", "put", "trace", "connect"] {
            let (_, handler) = methods.split_once(&format!("{method}: ")).expect("every method is shown");
            if !handler.starts_with("None") {
                found.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found.sort();

    let mut rows: Vec<_> = TABLE.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    rows.sort();
    assert_eq!(found, rows, "src/admin/routes.rs says who may use each route");
}

#[test]
fn whatever_is_no_question_and_no_read_leaves_an_audit_line() {
    for route in &TABLE {
        let is_change = match route.access {
            RouteAccess::Open | RouteAccess::Metrics => false,
            RouteAccess::Role(role) => role >= AdminRole::Operate && route.path != "/api/configuration/check",
        };
        assert_eq!(route.change.is_some(), is_change, "{route:?}");
        assert!(route.method != "GET" || route.change.is_none(), "{route:?}");
    }
}

#[tokio::test]
async fn strangers_learn_from_probes_whether_traffic_may_come_and_no_more() {
    let admin = Admin::of(Arc::new(governed())).await;
    let ask = async |path: &str, headers: &str| {
        let line = format!("GET {path} HTTP/1.1\r\n{headers}x-rest:");
        admin.ask_json(&line, "").await.1
    };

    assert_eq!(ask("/readyz", "").await, json!({"ready": true, "generation": 1}));
    assert_eq!(ask("/health", "").await, json!({"status": "ok", "generation": 1}));
    assert!(ask("/readyz", &bearer("view-token")).await["classifiers"].is_object());
    assert!(ask("/health", &bearer("view-token")).await["version"].is_string());
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_after_many_no_token_is_looked_at() {
    let plane = Arc::new(governed());
    let admin = Admin::of(Arc::clone(&plane)).await;

    for _ in 0..failures::ALLOWED {
        let (status, code, head) = send(&admin, "GET /config", &bearer("nobody-s")).await;
        assert_eq!((status, &*code), (401, "invalid_token"));
        assert!(head.contains("error=\"invalid_token\""), "{head}");
    }
    let (status, code, head) = send(&admin, "GET /config", &bearer("view-token")).await;

    assert_eq!((status, &*code), (429, "too_many_failures"));
    assert!(head.contains("retry-after: "), "{head}");
    assert_eq!(send(&admin, "GET /readyz", &bearer("nobody-s")).await.0, 200, "probes go on");
    assert_eq!(plane.refusals.load(Ordering::Relaxed), failures::ALLOWED + 1);
}

#[tokio::test]
async fn what_is_no_bearer_token_lets_nobody_in() {
    let admin = Admin::of(Arc::new(governed())).await;

    for bad in ["authorization: Basic dmlldy10b2tlbg==", "authorization: Bearer", "authorization: view-token"] {
        assert_eq!(send(&admin, "GET /config", &format!("{bad}\r\n")).await.0, 401, "{bad}");
    }
    let twice = format!("{}{}", bearer("view-token"), bearer("edit-token"));
    assert_eq!(send(&admin, "GET /config", &twice).await.0, 401);
    assert_eq!(send(&admin, "GET /config", "cookie: token=view-token\r\n").await.0, 401, "no cookie counts");
    assert_eq!(send(&admin, "GET /config?token=view-token", "").await.0, 401, "no URL counts");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_whatever_token_it_has() {
    let admin = Admin::of(Arc::new(governed())).await;

    for foreign in ["origin: https://evil.example", "sec-fetch-site: cross-site", "origin: null"] {
        let headers = format!("{foreign}\r\n{}", bearer("edit-token"));
        for route in TABLE.iter().filter(|route| route.change.is_some()) {
            let (status, code, _) = send(&admin, &line(route), &headers).await;
            assert_eq!((status, &*code), (403, "cross_site"), "{route:?} with {foreign}");
        }
    }
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_taken_for() {
    let (open, governed) = (Admin::of(Arc::default()).await, Admin::of(Arc::new(governed())).await);

    let nobody = open.ask_json("GET /v1/whoami", "").await.1;
    assert_eq!(
        (&nobody["kind"], &nobody["role"], &nobody["edits"]),
        (&json!("loopback"), &json!("edit"), &json!(false))
    );

    let line = format!("GET /v1/whoami HTTP/1.1\r\n{}x-rest:", bearer("operate-token"));
    let known = governed.ask_json(&line, "").await.1;
    assert_eq!((&known["name"], &known["kind"]), (&json!("operate"), &json!("token")));
    assert_eq!(known["roles"], json!(["view", "decide", "operate"]));
}

#[test]
fn every_change_and_every_route_for_programs_stands_in_the_docs() {
    let [admin, operations] =
        [include_str!("../../../docs/admin.md"), include_str!("../../../docs/operations.md")].map(str::to_owned);

    for route in TABLE.iter().filter(|route| !route.path.starts_with("/api/") && !route.path.starts_with("/console")) {
        let path = match route.path {
            path if path.starts_with("/v2/models/") => "/v2/models/...",
            "/" | "/v1/keys/{id}" => continue, // no name of its own, and beside its method alone
            path => path,
        };
        assert!(admin.contains(path), "docs/admin.md has no `{path}`, which needs a role");
        let known = if path.starts_with("/v2/health/") { "/v2/health/..." } else { path };
        assert!(operations.contains(&format!("{known}`")), "docs/operations.md has no `{known}`");
    }
    for change in TABLE.iter().filter_map(|route| route.change) {
        assert!(admin.contains(&format!("`{change}`")), "docs/admin.md has no audited action `{change}`");
    }
}
