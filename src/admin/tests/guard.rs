//! Who may use the admin plane, over real connections.

use super::*;

/// Everything that a route which is not for probes refuses, with its status.
const FOREIGN: [(&str, u16); 9] = [
    ("host: evil.example", 421),
    ("host: evil.example:9090", 421),
    ("host: 127.0.0.1\r\nhost: evil.example", 421),
    ("host: 127.0.0.1.evil.example", 421),
    ("x-none: there is no host", 421),
    ("host: 127.0.0.1\r\norigin: https://evil.example", 403),
    ("host: 127.0.0.1\r\norigin: null", 403),
    ("host: 127.0.0.1\r\nsec-fetch-site: cross-site", 403),
    ("host: 127.0.0.1\r\nsec-fetch-site: same-site", 403),
];

/// Sends a request with these header lines, and `length` bytes of body; returns the status and the answer's head.
async fn status(admin: &Admin, line: &str, headers: &str, body: &str) -> (u16, String) {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let request = format!("{line} HTTP/1.1\r\nconnection: close\r\n{length}{headers}\r\n\r\n{body}");
    let answer = admin.raw(request.as_bytes()).await;
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line"), head)
}

#[tokio::test]
async fn every_route_but_health_and_metrics_refuses_other_hosts_origins_and_sites() {
    let admin = Admin::of(Arc::default()).await;

    for route in
        http::ROUTES.iter().chain(&console::ROUTES).chain(&["GET /nothing", "DELETE /reload", "OPTIONS /kill-switch"])
    {
        for (headers, expected) in FOREIGN {
            let headers = format!("{headers}\r\ncontent-type: application/json");
            let (got, head) = status(&admin, route, &headers, "").await;

            let is_probe =
                ["GET /health", "GET /healthz", "GET /readyz", "GET /v2/health/live", "GET /v2/health/ready"]
                    .contains(route);
            let is_scrape = *route == "GET /metrics" && expected == 421;
            let wanted = if is_probe || is_scrape { 200 } else { expected };
            assert_eq!(got, wanted, "{route} with {headers}");
            assert!(!head.to_lowercase().contains("access-control-"), "{head}");
        }
    }
}

#[tokio::test]
async fn a_browser_gets_no_metrics_by_a_name_that_is_not_ours() {
    let admin = Admin::of(Arc::default()).await;

    for (host, field, expected) in [
        ("rebound.example", "sec-fetch-site: same-origin", 421),
        ("rebound.example", "sec-fetch-mode: cors", 421),
        ("rebound.example", "sec-ch-ua: x", 421),
        ("rebound.example", "accept-language: en", 421),
        ("rebound.example", "referer: http://rebound.example/", 421),
        ("pointsman.monitoring.svc", "user-agent: Prometheus/3.5.0", 200),
        ("127.0.0.1", "sec-fetch-site: same-origin", 200),
        ("gateway.example", "accept-language: en", 200),
    ] {
        let (got, _) = status(&admin, "GET /metrics", &format!("host: {host}\r\n{field}"), "").await;

        assert_eq!(got, expected, "{host}, {field}");
    }
}

#[tokio::test]
async fn a_target_that_names_another_host_is_refused_whatever_the_host_field_says() {
    let admin = Admin::of(Arc::default()).await;

    for (target, expected) in [("http://evil.example/config", 421), ("http://127.0.0.1/config", 200)] {
        let (got, _) = status(&admin, &format!("GET {target}"), "host: 127.0.0.1", "").await;
        assert_eq!(got, expected, "{target}");
    }
}

#[tokio::test]
async fn addresses_localhost_and_configured_names_are_served() {
    let admin = Admin::of(Arc::default()).await;

    for (host, expected) in [
        ("localhost:9090", 200),
        ("10.0.0.7:9090", 200),
        ("[::1]:9090", 200),
        ("Gateway.example", 200),
        ("gateway.example:8443", 200),
        ("proxied:9090", 200),
        ("proxied", 421),
    ] {
        assert_eq!(status(&admin, "GET /config", &format!("host: {host}"), "").await.0, expected, "{host}");
    }
    let proxied = "host: 127.0.0.1\r\norigin: https://gateway.example\r\ncontent-type: application/json";
    assert_eq!(status(&admin, "PUT /kill-switch", proxied, "{}").await.0, 200);
}

#[tokio::test]
async fn what_changes_something_takes_json_alone() {
    let admin = Admin::of(Arc::default()).await;
    let changing = ["PUT /kill-switch", "POST /v1/feedback", "POST /reload"];
    let labelled = |label: &str| format!("host: localhost\r\n{label}");

    for route in changing {
        for label in ["x-none: no label", "content-type: text/plain", "content-type: application/x-www-form-urlencoded"]
        {
            assert_eq!(status(&admin, route, &labelled(label), "{}").await.0, 415, "{route} with {label}");
        }
        let json = labelled("content-type: application/json; charset=utf-8");
        assert_eq!(status(&admin, route, &json, "{}").await.0, 200, "{route}");
    }
    assert_eq!(status(&admin, "POST /reload", &labelled("content-type: text/plain"), "").await.0, 415);
    let chunked = labelled("transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0");
    assert_eq!(status(&admin, "POST /reload", &chunked, "").await.0, 415);
}

#[tokio::test]
async fn curl_needs_no_label_to_reload_or_to_ask() {
    let admin = Admin::of(Arc::default()).await;
    let curl = "host: localhost:9090\r\ncontent-type: application/x-www-form-urlencoded";

    assert_eq!(status(&admin, "POST /reload", "host: localhost:9090", "").await.0, 200);
    assert_eq!(status(&admin, "POST /reload", curl, "").await.0, 200);
    assert_eq!(status(&admin, "POST /v1/decide", curl, "{}").await.0, 200);
    assert_eq!(status(&admin, "POST /v1/decide", "host: localhost\r\ncontent-type: text/plain", "{}").await.0, 415);
}

#[tokio::test]
async fn a_link_on_another_page_opens_the_pages_for_people_and_nothing_else() {
    let admin = Admin::of(Arc::default()).await;
    let visit = "host: localhost\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: ";

    for (route, place, expected) in [
        ("GET /", "document", 200),
        ("GET /docs", "document", 200),
        ("GET /docs", "iframe", 403),
        ("GET /config", "document", 403),
        ("POST /reload", "document", 403),
    ] {
        assert_eq!(status(&admin, route, &format!("{visit}{place}"), "").await.0, expected, "{route} {place}");
    }
}

#[tokio::test]
async fn every_answer_is_for_no_frame_and_no_other_page() {
    let admin = Admin::of(Arc::default()).await;

    for (line, host) in [("GET /docs", "localhost"), ("GET /config", "evil.example"), ("GET /nothing", "localhost")] {
        let (_, head) = status(&admin, line, &format!("host: {host}"), "").await;
        for field in [
            "x-frame-options: DENY",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "content-security-policy: default-src 'none'; script-src 'sha256-",
            "frame-ancestors 'none'",
        ] {
            assert!(head.contains(field), "{line}: no `{field}` in {head}");
        }
    }
}
