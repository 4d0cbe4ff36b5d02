//! Classifiers that run elsewhere: their defaults, and what is refused.

use super::*;

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}}
classifiers: {default: {CLASSIFIER}}
policies:
  - name: auto
    strategy: {kind: random, models: [small]}
";

fn file(classifier: &str) -> String {
    FILE.replace("CLASSIFIER", classifier)
}

/// A section of a remote whose only flaw is that of `more`.
fn remote(protocol: &str, more: &str) -> String {
    format!("remote: {{protocol: {protocol}, {more}}}")
}

#[test]
fn a_remote_is_read_with_its_defaults_and_leaves_time_for_the_bundle_behind_it() {
    let more = "url: http://h:8080/prefix, model: m, heads: {tier: {labels: [a, b]}}";
    let alone = format!("deadline: 100ms, {}", remote("oip_http", more));
    let parse = |text: &str| Config::parse(&file(text), "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let (alone, before) = (parse(&alone), parse(&format!("bundle: b, {alone}")));

    let section = &alone.classifiers["default"];
    let remote = section.remote.as_ref().expect("a remote");

    assert_eq!(remote.addresses().collect::<Vec<_>>(), ["http://h:8080/prefix"]);
    assert_eq!((remote.max_concurrent, remote.max_chars, remote.breaker.failures), (16, 20_000, 5));
    assert_eq!((remote.hedge.quantile.get(), remote.hedge.budget.get()), (0.95, 0.05));
    assert_eq!((section.bundle.as_ref(), section.remote_patience()), (None, TimeSpan::from_millis(100)));
    assert_eq!(before.classifiers["default"].remote_patience(), TimeSpan::from_millis(75));
}

#[test]
fn a_classifier_needs_a_bundle_or_a_server_and_one_place_for_the_server() {
    for (classifier, expected) in [
        ("deadline: 1s".to_owned(), "classifiers.default.bundle: is required, unless `remote` names a server"),
        (
            remote("pointsman", "model: m"),
            "remote: names no server, or names it twice (allowed: one of `url` and `urls`)",
        ),
        (remote("pointsman", "url: http://h, urls: [http://i]"), "remote: names no server, or names it twice"),
        (remote("pointsman", "url: ftp://h"), "remote.url: is not the URL of a server (allowed: http(s)://host"),
        (remote("pointsman", "urls: [http://h, 'http://u:hunter2@h']"), "remote.urls[1]: is not the URL of a server"),
        (remote("pointsman", "url: http://h, tls: {ca: x}"), "remote.tls: has no meaning for this url"),
        (
            remote("pointsman", "url: http://h, timeout: 1s"),
            "remote.timeout: 1s is out of bounds (allowed: 1ms to 20ms)",
        ),
        (remote("pointsman", "url: http://h, headers: {host: {env: X}}"), "remote.headers.host: is not a header field"),
        (remote("pointsman", "url: http://h, hedge: {quantile: 0.2}"), "remote.hedge.quantile: 0.2 is out of bounds"),
        (remote("pointsman", "url: http://h, version: '1'"), "remote.version: has no meaning for `pointsman`"),
        (remote("oip_http", "url: http://h, heads: {tier: {labels: [a, b]}}"), "remote.model: is missing"),
        (
            remote("oip_http", "url: http://h, model: a/b, heads: {tier: {labels: [a, b]}}"),
            "remote.model: is no part of a path",
        ),
        (remote("tei", "url: http://h"), "remote.heads: has no head (allowed: at least one"),
        (
            format!("shadow: {{bundle: b}}, {}", remote("pointsman", "url: http://h")),
            "shadow: has nothing to be compared with",
        ),
    ] {
        let found = problems(&file(&classifier));

        assert!(found.len() == 1 && found[0].contains(expected), "{classifier}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
}

#[test]
fn a_head_that_cannot_be_made_of_a_protocol_s_answers_is_refused() {
    for (protocol, head, expected) in [
        ("vllm", "{}", "labels: are missing (allowed: at least two, as `vllm` names none)"),
        ("vllm", "{output: x, labels: [a, b]}", "output: has no meaning for a protocol with one output"),
        ("oip_http", "{labels: [a]}", "labels: has 1 labels (allowed: 2 to 255)"),
        ("oip_http", "{labels: [a, a]}", "labels: holds a label twice"),
        ("tei", "{labels: [a, b], rename: {X: c}}", "rename.X: `c` is not among `labels` (allowed: a, b)"),
        ("oip_http", "{labels: [a, b], cuts: [0.1, 0.2]}", "labels: has 2 labels for 3 parts (allowed: 3)"),
        ("oip_http", "{labels: [a, b, c], cuts: [0.2, 0.1]}", "cuts: do not rise"),
        ("oip_http", "{labels: [a, b], range: [1, 1]}", "range: is no range"),
        ("oip_http", "{labels: [a, b], sum: [{weight: 1}]}", "sum[0].output: is missing"),
        ("oip_http", "{labels: [a, b], sum: [{output: x, divide: 0}]}", "sum[0]: holds a number that is not finite"),
        ("oip_http", "{labels: [a, b], question: {kind: choice, instructions: x}}", "question: has no meaning here"),
        ("decisions", "{labels: [a, b]}", "question: is missing (allowed: what `decisions` is asked)"),
        (
            "decisions",
            "{labels: [a, b, c], question: {kind: predicate, instructions: x}}",
            "question.kind: `predicate` has two answers",
        ),
        (
            "systemone",
            "{labels: [a, b], question: {kind: choice, instructions: x, descriptions: {c: y}}}",
            "question.descriptions.c: `c` is not among `labels`",
        ),
    ] {
        let model = if ["vllm", "tei"].contains(&protocol) { "" } else { "model: m, " };
        let found = problems(&file(&remote(protocol, &format!("url: http://h, {model}heads: {{tier: {head}}}"))));

        assert!(found.len() == 1 && found[0].contains(expected), "{protocol} {head}: {found:?}");
    }
}

#[test]
fn a_batch_has_a_minute_unless_it_is_said_and_never_less_than_a_request() {
    let read = |text: &str| Config::parse(&file(text), "p.yaml");
    let usual = read("bundle: b").unwrap_or_else(|problems| panic!("{problems}"));
    let short = read("bundle: b, deadline: 50ms, batch_deadline: 20ms").expect_err("shorter than a request's");
    let long = read("bundle: b, batch_deadline: 2h").expect_err("longer than an hour");

    assert_eq!(usual.classifiers["default"].batch_deadline, TimeSpan::from_secs(60));
    let short_said = "classifiers.default.batch_deadline: 20ms is out of bounds (allowed: 50ms to 1h)";
    assert!(short.to_string().contains(short_said), "{short}");
    assert!(long.to_string().contains("batch_deadline: 2h is out of bounds (allowed: 20ms to 1h)"), "{long}");
    let slower = ClassifierConfig { batch_deadline: TimeSpan::from_secs(1), ..ClassifierConfig::of("b") };
    assert!(slower.runs_like(&ClassifierConfig::of("b")), "a bundle need not start anew for it");
}
