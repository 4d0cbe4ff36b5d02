//! The listener for Envoy: its defaults, and what is refused.

use std::path::Path;
use std::time::Duration;

use super::*;

fn parsed(section: &str) -> Result<Config, ConfigProblems> {
    let text = format!(
        "version: 1\nlisten: {{address: '127.0.0.1:8080'}}\nproviders: {{p: {{base_url: http://h}}}}\next_proc: {{{section}}}\n"
    );
    Config::parse(&text, "p.yaml")
}

#[test]
fn an_empty_section_is_a_listener_with_its_defaults() {
    let config = parsed("").unwrap_or_else(|problems| panic!("{problems}"));

    let section = config.ext_proc.as_ref().expect("a section");

    assert_eq!(section.address.to_string(), "127.0.0.1:9002");
    assert_eq!((section.failure, section.streamed_bodies), (ExtProcFailure::Closed, StreamedBodies::Pass));
    assert_eq!(section.deadline.0, Duration::from_millis(150));
    assert_eq!(section.model_header, "x-pointsman-model");
    assert_eq!(section.upstream_model_header.as_deref(), Some("x-gateway-model-name"));
    assert_eq!(section.message_bytes(&config.limits), (32 << 20) + (1 << 20));
    assert!(
        Config::parse("version: 1\nlisten: {address: '127.0.0.1:1'}\nproviders: {}\n", "p.yaml")
            .expect("sound")
            .ext_proc
            .is_none()
    );
}

#[test]
fn other_machines_reach_it_within_tls_or_where_the_operator_says_so() {
    for sound in ["address: '0.0.0.0:9002', allow_open: true", "address: '0.0.0.0:9002', tls: {cert: a, key: b}"] {
        assert!(parsed(sound).is_ok(), "{sound}");
    }
    let problems = parsed("address: '0.0.0.0:9002'").expect_err("an open listener").to_string();
    assert!(problems.contains("ext_proc.address: other machines may reach 0.0.0.0:9002"), "{problems}");
}

#[test]
fn a_socket_stands_in_for_the_address() {
    let config = parsed("socket: run/pm.sock").unwrap_or_else(|it| panic!("{it}"));
    let place = config.ext_proc.as_ref().expect("a section").place(Path::new("/etc/pm"));

    assert_eq!(place, ExtProcPlace::Unix("/etc/pm/run/pm.sock".into()));
    assert_eq!(place.to_string(), "unix:/etc/pm/run/pm.sock");
}

#[test]
fn neither_header_of_the_model_is_one_that_says_something_else() {
    for key in ["model_header", "upstream_model_header"] {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "authorization",
            "x-api-key",
            "content-type",
            "cookie",
            "proxy-authorization",
            "x-amz-security-token",
            "connection",
            "traceparent",
        ] {
            let problems = parsed(&format!("{key}: {name}")).expect_err(name).to_string();
            assert!(
                problems.contains(&format!("ext_proc.{key}: `{name}` says something else of a request")),
                "{problems}"
            );
        }
        assert!(parsed(&format!("{key}: x-llm")).is_ok());
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_path() {
    for (section, expected) in [
        ("address: '127.0.0.1:8080'", "ext_proc.address: must differ from the other listeners"),
        ("model_header: 'a b'", "ext_proc.model_header: `a b` is not a header's name"),
        ("model_header: X-Envoy-Model", "Envoy lets nobody set `X-Envoy-Model`"),
        ("upstream_model_header: X-Pointsman-Model", "ext_proc.upstream_model_header: must differ from `model_header`"),
        ("deadline: 2h", "ext_proc.deadline"),
        ("max_message_bytes: 1", "ext_proc.max_message_bytes"),
        ("failure: maybe", "ext_proc.failure"),
        (
            "socket: pm.sock, address: '127.0.0.1:9003'",
            "ext_proc.socket: stands in for `address`, which says another place (allowed: one of the two)",
        ),
        ("socket: ''", "ext_proc.socket: must be the path of a Unix socket"),
        ("tls: {cert: '', key: b}", "ext_proc.tls.cert: must be the path of a PEM file"),
    ] {
        let problems = parsed(section).expect_err(section).to_string();
        assert!(problems.contains(expected), "no `{expected}` in\n{problems}");
    }
}
