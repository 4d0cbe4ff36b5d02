//! What one policy decision costs: ten rules, none of which matches, then the strategy and the constraints.
//!
//! The budget is 20 us for the whole decision: the step that asks for the scores and the step that decides with them.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pointsman::config::{Config, Name};
use pointsman::features::{Features, TokenCount};
use pointsman::policy::{PolicySet, RequestFacts, Signals, Step};
use pointsman::scores::{HeadScores, Scores};

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
            let mut signals = Signals::default();
            let asked = policy.step(&facts, black_box(&features), &signals);
            assert!(matches!(asked, Step::Need(_)));
            signals.add_scores(classifier.clone(), Ok(scores.clone()));
            policy.step(&facts, black_box(&features), &signals)
        });
    });
}

criterion_group!(benches, decision);
criterion_main!(benches);
