//! What each request pays before any model runs: splice, parse, features.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt, model_field, splice};
use serde_json::json;

const SIZES: [(&str, usize); 3] = [("1KiB", 1 << 10), ("100KiB", 100 << 10), ("5MiB", 5 << 20)];
const PROSE: &str = "Write a Rust function that parses an HTTP request header and returns the content length, handling \
    chunked transfer encoding as well.\nThen explain why the borrow checker \"complains\" (日本語 too) when it returns a \
    reference to a local variable.\n";

fn prose(bytes: usize) -> String {
    let mut text = PROSE.repeat(bytes / PROSE.len() + 1);
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// A conversation of turns of about 4 KiB, with the model at its end, where it is found last.
fn body(bytes: usize) -> Bytes {
    let turns: Vec<_> = (0..bytes.div_ceil(4096))
        .map(
            |turn| json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": prose(bytes.min(4096))}),
        )
        .collect();
    format!(r#"{{"messages":{},"temperature":0.3,"model":"auto"}}"#, json!(turns)).into()
}

fn splicing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("splice");
    for (name, size) in SIZES {
        let body = body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &body, |bencher, body| {
            bencher.iter(|| {
                let span = model_field(body).expect("the body names a model").span;
                splice(body, span, "gpt-4.1-nano")
            });
        });
    }
    group.finish();
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prompt_parse");
    for (name, size) in SIZES {
        let body = body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &body, |bencher, body| {
            bencher.iter(|| Prompt::parse(Dialect::ChatCompletions, body).expect("the body is valid"));
        });
    }
    group.finish();
}

fn features(criterion: &mut Criterion) {
    let counter = TokenCounter::new();
    let mut group = criterion.benchmark_group("features");
    for (name, size) in [("2KB", 2000), ("5MiB", 5 << 20)] {
        let body = body(size);
        let prompt = Prompt::parse(Dialect::ChatCompletions, &body).expect("the body is valid");
        group.bench_function(name, |bencher| bencher.iter(|| Features::of(black_box(&prompt), &counter)));
    }
    let text = prose(2000);
    group.bench_function("2KB/structure", |bencher| bencher.iter(|| TextStructure::of(black_box(&text))));
    group.bench_function("2KB/tokens", |bencher| bencher.iter(|| counter.count([black_box(text.as_str())])));
    group.finish();
}

/// An agent's request: tools of about 100 KB, a call and its result, an image.
fn agent_body() -> Bytes {
    let parameters = json!({"type": "object", "properties": {"path": {"type": "string", "description": prose(400)}}});
    let tool = |index| json!({"name": format!("tool_{index}"), "description": prose(500), "input_schema": parameters});
    let tools: Vec<_> = (0..100).map(tool).collect();
    let image = json!({"type": "base64", "media_type": "image/png",
        "data": "iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAYAAAAA".to_owned() + &"A".repeat(100_000)});
    let call = json!({"type": "tool_use", "id": "a", "name": "write", "input": {"text": prose(4000)}});
    let result = json!({"type": "tool_result", "tool_use_id": "a", "content": prose(2000)});
    let messages = json!([
        {"role": "user", "content": [{"type": "image", "source": image}, {"type": "text", "text": prose(1000)}]},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]);
    json!({"model": "auto", "max_tokens": 1000, "tools": tools, "messages": messages}).to_string().into()
}

/// What an agent's request pays: read always, counted only where a window, a price or a limit asks.
fn agent(criterion: &mut Criterion) {
    let body = agent_body();
    let parse = || Prompt::parse(Dialect::Messages, &body).expect("the body is valid");
    let mut group = criterion.benchmark_group("agent");
    group.bench_function("parse", |bencher| bencher.iter(|| black_box(parse())));
    group.bench_function("parse_and_defer", |bencher| {
        bencher.iter(|| Features::deferred(black_box(&parse()), &body));
    });
    group.bench_function("count", |bencher| {
        bencher.iter_batched(
            || Features::deferred(&parse(), &body),
            |features| features.tokens(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The token count's time is bounded by effort: these are the texts that cost the tokenizer most.
fn hostile_tokens(criterion: &mut Criterion) {
    let counter = TokenCounter::new();
    let mut random = 7_u64;
    let mut letter = |alphabet: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((random >> 33) % alphabet).expect("the alphabet is ASCII"))
    };
    let dense: String = (0..1 << 16).map(|_| letter(94)).collect();
    let words: String = (0..1 << 16).map(|index| if index % 9 == 0 { ' ' } else { letter(94) }).collect();
    let repeated = |text: &str| text.repeat((1 << 20) / text.len());
    let texts = [
        ("letters", repeated("a")),
        ("spaces", repeated(" ")),
        ("newlines", repeated("\n")),
        ("two_spaces", repeated("  x")),
        ("cjk", repeated("模型路由")),
        ("random", dense),
        ("random_words", words),
    ];
    let mut group = criterion.benchmark_group("hostile_tokens");
    group.sample_size(20);
    for (name, text) in &texts {
        group.bench_function(*name, |bencher| bencher.iter(|| counter.count([black_box(text.as_str())])));
    }
    group.finish();
}

criterion_group!(benches, splicing, parsing, features, agent, hostile_tokens);
criterion_main!(benches);
