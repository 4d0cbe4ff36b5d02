//! A property: the upstream's body is the client's, byte for byte, but for the value of `model`, and for the
//! `stream_options` of a stream that did not say whether it wants its usage.

use bytes::Bytes;
use http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestError, TestRunner};
use tokio::runtime::Runtime;

use crate::client::{CHAT, Connection, Framing};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

/// A body in four parts; the second one is the value of `model`, and the third ends with the last member.
#[derive(Debug, Clone)]
struct Body {
    before: String,
    model: &'static str,
    after: String,
    end: String,
    /// The member that is added to the last one.
    added: &'static str,
}

/// A top-level member, with the white space around it.
#[derive(Debug, Clone)]
struct Member {
    key: String,
    value: String,
    gap: String,
}

/// The request for a stream's usage, as docs/costs.md says.
const ASKED: &str = r#","stream_options":{"include_usage":true}"#;

#[test]
fn the_upstream_s_body_is_the_client_s_but_for_the_model_and_for_the_usage_of_streams_that_did_not_say() {
    let runtime = Runtime::new().expect("a runtime");
    let (small, gateway) = runtime.block_on(async {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
        (small, gateway)
    });
    let framing = prop::sample::select(&Framing::ALL[..]);

    let mut runner = TestRunner::new(Runs { cases: 200, failure_persistence: None, ..Runs::default() });
    let outcome = runner.run(&(body(), framing), |(body, framing)| {
        let Body { before, model, after, end, added } = body;
        let sent = format!("{before}{model}{after}{end}");
        let (reply, request) = runtime.block_on(async {
            let reply = Connection::open(gateway.listen, framing).await.post(framing, CHAT, sent).await;
            (reply, small.take())
        });
        prop_assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
        let request = request.expect("an answered request has arrived");
        prop_assert_eq!(request.body, Bytes::from(format!("{before}\"small-1\"{after}{added}{end}")));
        Ok(())
    });

    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => panic!("{reason}\n{input:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// Objects as clients write them: any order, any white space, keys twice, numbers in any spelling, a `model` within.
fn body() -> impl Strategy<Value = Body> {
    let members = || vec(prop_oneof![8 => member(), 1 => stream(), 1 => stream_options()], 0..5);
    let model = prop::sample::select(&["\"auto\"", "\"\\u0061uto\"", "\"a\\u0075to\""][..]);
    let name = prop::sample::select(&["\"model\"", "\"mod\\u0065l\""][..]);
    (members(), members(), model, name, vec(space(), 5)).prop_map(|(first, last, model, name, gaps)| {
        let all = || first.iter().chain(&last);
        let streams = all().rfind(|member| member.key == "\"stream\"").is_some_and(|it| is_on(&it.value));
        let says = all().any(|member| member.key == "\"stream_options\"");
        let added = if streams && !says { ASKED } else { "" };
        let before: String =
            first.iter().map(|Member { key, value, gap }| format!("{gap}{key}:{gap}{value},")).collect();
        let after: Vec<String> =
            last.iter().map(|Member { key, value, gap }| format!(",{gap}{key}{gap}:{value}")).collect();
        let [a, b, c, d, e] = gaps.try_into().expect("five gaps");
        Body {
            before: format!("{a}{{{before}{b}{name}{c}:{d}"),
            model,
            after: after.join(&e),
            end: format!("{e}}}{a}"),
            added,
        }
    })
}

fn member() -> impl Strategy<Value = Member> {
    (key(), value(), space()).prop_map(|(key, value, gap)| Member { key, value, gap })
}

/// Tells whether a value asks for a stream, as the most lenient server reads it (docs/costs.md).
fn is_on(value: &str) -> bool {
    match serde_json::from_str(value) {
        Ok(serde_json::Value::Bool(on)) => on,
        Ok(serde_json::Value::Number(number)) => number.as_f64() == Some(1.0),
        Ok(serde_json::Value::String(word)) => {
            ["true", "1", "on", "t", "y", "yes"].contains(&word.to_ascii_lowercase().as_str())
        }
        _ => false,
    }
}

fn stream() -> impl Strategy<Value = Member> {
    let value = prop::sample::select(&["true", "false"][..]).prop_map(str::to_owned);
    (value, space()).prop_map(|(value, gap)| Member { key: "\"stream\"".to_owned(), value, gap })
}

/// The word of a client on its stream's usage, which stays as it is.
fn stream_options() -> impl Strategy<Value = Member> {
    (space(), space()).prop_map(|(within, gap)| {
        let value = format!("{{\"include_usage\"{within}:{within}true}}");
        Member { key: "\"stream_options\"".to_owned(), value, gap }
    })
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

fn key() -> impl Strategy<Value = String> {
    let known = ["messages", "temperature", "top_k", "stream", "tools", "model ", "models", "metadata", ""];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(|key| format!("\"{key}\"")), text()]
        .prop_filter("a second `model` is refused", |key| {
            serde_json::from_str::<String>(key).is_ok_and(|key| key != "model")
        })
}

/// Any JSON value, with spellings that a parser and a printer between them would change.
fn value() -> impl Strategy<Value = String> {
    let numbers = ["0", "-0", "1.0", "1e2", "1E+2", "0.10", "123456789012345678901234567890", "1e400", "-1.50e-3"];
    let leaf = prop_oneof![
        prop::sample::select(&["null", "true", "false", "\"auto\"", "\"model\""][..]).prop_map(str::to_owned),
        prop::sample::select(numbers.to_vec()).prop_map(str::to_owned),
        text(),
        message(),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), space())
                .prop_map(|(items, gap)| format!("[{gap}{}{gap}]", items.join(&format!("{gap},")))),
            (vec((text(), inner.clone()), 0..4), inner).prop_map(|(members, model)| {
                let members: String = members.into_iter().map(|(key, value)| format!("{key}:{value},")).collect();
                format!("{{{members}\"model\":{model}}}")
            }),
        ]
    })
}

fn message() -> impl Strategy<Value = String> {
    text().prop_map(|text| format!("[{{\"role\":\"user\",\"content\":{text}}}]"))
}

/// Strings with escapes and characters of every width.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -!#-\\[\\]-~]{0,12}",
        "[à-ÿ漢-龥]{0,4}",
        prop::sample::select(
            &["\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude80", "\u{2028}", "🚂", "\u{7f}"][..]
        )
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}
