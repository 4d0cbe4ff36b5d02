//! What finding the ask costs: reading requests of people and of agents, of 2 KB and of 100 KB.
//!
//! Uses nothing but `Prompt::parse`, so that the same file measures an earlier version: copy it there and run both binaries in turn.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pointsman_core::prompt::{Dialect, Prompt};
use serde_json::{Value, json};

const PROSE: &str = "Write a Rust function that parses an HTTP request header and returns the content length, handling \
    chunked transfer encoding as well.\nThen explain why the borrow checker complains when it returns a reference.\n";
const REMINDER: &str = "<system-reminder>\nThe to-do list has not been used for a while. If the work would gain from a list of \
    steps, add one; clean it up where it is stale. Do not mention this to the user.\n</system-reminder>";

fn prose(bytes: usize) -> String {
    let mut text = PROSE.repeat(bytes / PROSE.len() + 1);
    text.truncate(bytes);
    text
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// One ask of a person's.
fn plain(bytes: usize) -> Value {
    json!([{"role": "user", "content": [text(&prose(bytes))]}])
}

/// One ask within reminders, and much markup in it.
fn enveloped(bytes: usize) -> Value {
    let markup = "<div class=\"row\">\n<span>cell</span>\n</div>\n".repeat(bytes / 2 / 43);
    json!([{"role": "user", "content": [text(REMINDER), text(REMINDER), text(&markup), text(&prose(bytes / 2))]}])
}

/// A tool loop whose results have reminders beside them, and a short reply at its end.
fn looped(bytes: usize) -> Value {
    let mut messages =
        vec![json!({"role": "user", "content": [text(REMINDER), text("Fix the parser in src/main.rs.")]})];
    for step in 0..(bytes / 1000).max(1) {
        let id = format!("t{step}");
        let call = json!({"type": "tool_use", "id": id, "name": "Read", "input": {"path": format!("src/{step}.rs")}});
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": prose(500)});
        messages.push(json!({"role": "assistant", "content": [call]}));
        messages.push(json!({"role": "user", "content": [result, text(REMINDER)]}));
    }
    messages.push(json!({"role": "assistant", "content": "It is fixed. Shall I go on?"}));
    messages.push(json!({"role": "user", "content": "yes"}));
    json!(messages)
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ask");
    for (size, bytes) in [("2KB", 2000), ("100KB", 100_000)] {
        for (name, messages) in [("plain", plain(bytes)), ("enveloped", enveloped(bytes)), ("looped", looped(bytes))] {
            let body = Bytes::from(json!({"model": "auto", "max_tokens": 100, "messages": messages}).to_string());
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &body, |bencher, body| {
                bencher.iter(|| Prompt::parse(Dialect::Messages, body).expect("the body is valid"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
