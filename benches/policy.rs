//! What one policy decision costs: ten rules, none of which matches, then the strategy and the constraints.
//!
//! The budget is 20 us for the whole decision: the step that asks for the scores and the step that decides with them.
//! Rules that look through the request's texts cost about a nanosecond for each byte of text and test (`text_rules`).

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use pointsman_core::config::{Config, Name};
use pointsman_core::features::{Features, TokenCount};
use pointsman_core::policy::{KnownSignals, PolicySet, PolicyStep, PolicyWorld, RequestFacts};
use pointsman_core::prompt::{Dialect, Prompt, TextScope};
use pointsman_core::scores::{HeadScores, Scores};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, context: 131072}
  standard: {provider: p, context: 1047576, supports: [tools, images, json_schema]}
  frontier: {provider: p, context: 200000, supports: [tools, images, json_schema]}
classifiers: {default: {bundle: b}}
policies:
  - name: auto
    match: {model: [auto]}
    rules:
      - {when: 'prompt.images > 0 || prompt.files > 0', use: standard}
      - {when: 'request.temperature > 1.2', use: standard}
      - {when: 'prompt.tokens > 100000', use: frontier}
      - {when: 'prompt.code_blocks >= 2 && prompt.code_lines > 50', use: standard}
      - {when: 'request.model.startsWith(\"gpt-\")', use: standard}
      - {when: 'request.reasoning_effort == \"high\"', use: frontier}
      - {when: 'prompt.tools > 0 && prompt.tool_errors > 0', use: frontier}
      - {when: 'request.response_format in [\"json_schema\", \"json_object\"]', use: standard}
      - {when: 'double(prompt.text_chars) / double(prompt.text_words + 1) > 40.0', use: standard}
      - {when: 'request.max_output_tokens > 8000 && !request.stream', use: frontier}
    strategy:
      kind: tiers
      classifier: default
      tiers: {simple: small, medium: standard, complex: frontier}
      min_confidence: 0.45
      otherwise: standard
";

/// What rules may look for: none of it is in the prompts, so everything is read.
const TEXT_RULES: [(&str, &str); 4] = [
    ("one_word", "prompt.contains_any(['aurora'])"),
    (
        "24_words",
        "prompt.contains_any(['aurora', 'nightfall', 'contract', 'lawsuit', 'attorney', 'subpoena', 'verdict', 'plaintiff', \
      'malware', 'ransomware', 'exploit kit', 'keylogger', 'rootkit', 'botnet', 'phishing', 'zero day', 'explosive', 'detonator', \
      'nerve agent', 'chloroform', 'salary', 'payroll', 'diagnosis', 'prescription'])",
    ),
    (
        "5_patterns",
        "prompt.matches_any(['AKIA[0-9A-Z]{16}', 'sk-[A-Za-z0-9_-]{20,}', '-----BEGIN [A-Z ]*PRIVATE KEY-----', \
      '[0-9]{3}-[0-9]{2}-[0-9]{4}', '(?i)ignore (all |any )?(previous|prior) instructions'])",
    ),
    ("4_words_of_the_ask", "prompt.contains_any(['contract', 'lawsuit', 'attorney', 'subpoena'], 'ask')"),
];

const PROSE: &str = "Write a Rust function that parses an HTTP request header and returns the content length, handling \
    chunked transfer encoding as well.\nThen explain why the borrow checker \"complains\" (日本語 too) when it returns a \
    reference to a local variable.\n";

/// A request whose texts can be looked through.
struct Asked<'b> {
    prompt: Prompt<'b>,
    body: &'b Bytes,
}

impl PolicyWorld for Asked<'_> {
    fn any_text(&self, scope: TextScope, is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        Some(self.prompt.any_text(self.body, scope, is_wanted))
    }
}

/// A conversation of turns of about 4 KiB.
fn body(bytes: usize) -> Bytes {
    let turn = PROSE.repeat(bytes.min(4096) / PROSE.len());
    let turns: Vec<_> = (0..bytes.div_ceil(4096))
        .map(|turns| serde_json::json!({"role": if turns % 2 == 0 { "user" } else { "assistant" }, "content": turn}))
        .collect();
    format!(r#"{{"messages":{},"temperature":0.3,"model":"auto"}}"#, serde_json::json!(turns)).into()
}

/// From the body to the decision, with and without rules about texts; and what one such rule costs by itself.
fn text_rules(criterion: &mut Criterion) {
    let rule = |(_, when): &(&str, &str)| format!("      - {{when: \"{when}\", use: frontier}}\n");
    let with = |rules: &str| FILE.replace("    strategy:", &format!("{rules}    strategy:"));
    let all: String = TEXT_RULES.iter().map(rule).collect();
    let mut files = vec![("none", FILE.to_owned()), ("all", with(&all))];
    files.extend(TEXT_RULES.iter().map(|rule_of| (rule_of.0, with(&rule(rule_of)))));
    let head = HeadScores::new("tier", &["simple", "medium", "complex"], &[0.7, 0.2, 0.1]);
    let scores = Scores::of(vec![head]);
    let classifier = Name::new("default").expect("a name");
    for (size, bytes) in [("2KB", 2 << 10), ("100KB", 100 << 10)] {
        let mut group = criterion.benchmark_group(format!("text_rules/{size}"));
        let body = body(bytes);
        for (name, file) in &files {
            let config = Config::parse(file, "bench.yaml").unwrap_or_else(|problems| panic!("{problems}"));
            let set = PolicySet::compile(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    let prompt = Prompt::parse(Dialect::ChatCompletions, black_box(&body)).expect("a request");
                    let features = Features::deferred(&prompt, &body);
                    let asked = Asked { prompt, body: &body };
                    let facts = RequestFacts { live: &asked, ..RequestFacts::bare("auto", "/v1/chat/completions") };
                    let policy = set.find(&facts).expect("the model is auto");
                    let mut signals = KnownSignals::default();
                    signals.add_scores(classifier.clone(), Ok(scores.clone()));
                    policy.step(&facts, &features, &signals)
                });
            });
        }
        group.finish();
    }
}

fn decision(criterion: &mut Criterion) {
    let config = Config::parse(FILE, "bench.yaml").expect("a good file");
    let set = PolicySet::compile(&config).expect("good rules");
    let facts = RequestFacts::bare("auto", "/v1/chat/completions");
    let features = Features::default().with_tokens(TokenCount { tokens: 500, estimated: false });
    let head = HeadScores::new("tier", &["simple", "medium", "complex"], &[0.7, 0.2, 0.1]);
    let scores = Scores::of(vec![head]);

    criterion.bench_function("policy/find", |bencher| bencher.iter(|| set.find(black_box(&facts)).is_some()));
    let policy = set.find(&facts).expect("the model is auto");
    let classifier = Name::new("default").expect("a name");
    criterion.bench_function("policy/decide_10_rules", |bencher| {
        bencher.iter(|| {
            let mut signals = KnownSignals::default();
            let asked = policy.step(&facts, black_box(&features), &signals);
            assert!(matches!(asked, PolicyStep::Need(_)));
            signals.add_scores(classifier.clone(), Ok(scores.clone()));
            policy.step(&facts, black_box(&features), &signals)
        });
    });
}

criterion_group!(benches, decision, text_rules);
criterion_main!(benches);
