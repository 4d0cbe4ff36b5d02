use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::{Dialect, Prompt};
use serde_json::json;

use super::*;

fn features(body: &str) -> Features {
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body");
    Features::of(&prompt, &TokenCounter::new())
}

fn pin() -> PinRecord<'static> {
    PinRecord {
        model: Some("small".into()),
        last: None,
        age_seconds: 3,
        idle_seconds: 2,
        in_tool_loop: true,
        outcome: "kept".into(),
        stay_usd: Some(0.5),
        move_usd: Some(1.0),
        instead_of: Some("big".into()),
    }
}

fn candidates() -> Vec<CandidateRecord<'static>> {
    vec![
        CandidateRecord { model: "small".into(), lacks: None },
        CandidateRecord { model: "big".into(), lacks: Some("tools".into()) },
    ]
}

/// A decision with everything that a line can say, but for a refusal's own field.
fn whole<'l>(features: &'l Features, set: &'l BTreeMap<String, Value>) -> DecisionRecord<'l> {
    let labels = BTreeMap::from([("complex".into(), 0.25), ("simple".into(), 0.75)]);
    DecisionRecord {
        kind: RecordKind::Decision,
        time: "2026-11-29T10:00:00.000Z".into(),
        request_id: "id".into(),
        client: Some("team".into()),
        policy: "auto".into(),
        generation: 2,
        classifier: Some("default".into()),
        bundle: Some(BundleRecord { name: "mini".into(), version: "1".into(), sha256: "ab".into() }),
        rule: Some(0),
        strategy: Some("tiers".into()),
        reason: "tier".into(),
        denied: None,
        pin: Some(pin()),
        set: Cow::Borrowed(set),
        judge_cost_usd: Some(0.125),
        degraded: Some("deadline".into()),
        label: Some("simple".into()),
        label_from: Some("ask".into()),
        score: Some(0.75),
        judge_rationale: Some("short".into()),
        source: Some("encoder".into()),
        scores: Some(BTreeMap::from([("tier".into(), labels)])),
        truncated_tokens: Some(0),
        known_ngrams: Some(0.5),
        unfamiliar: Some("script".into()),
        features: LoggedFeatures::Measured(features),
        candidates: candidates(),
        model: Some("small".into()),
        answered_by: Some("big".into()),
        escalated: Some("refusal".into()),
        escalation_cost_usd: Some(0.25),
        cache: Some("hit".into()),
        applied: true,
        attempts: 2,
        key: Some("second".into()),
        status: Some(200),
        error: Some("upstream_error".into()),
        input_tokens: Some(10),
        output_tokens: Some(5),
        tokens_estimated: Some(false),
        cost_usd: Some(0.001),
        baseline_cost_usd: Some(0.01),
        first_byte_ms: Some(1.5),
        duration_ms: 2.0,
        overhead_us: 60,
        conversation: Some("00000000000000ff".into()),
        text_hash: Some("cd".into()),
        text_bytes: 2,
        text: Some("hi".into()),
        text_truncated: true,
        redactions: 1,
        answer: Some("yo".into()),
        tool_calls: vec![ToolCallRecord { name: "look".into(), arguments: "{}".into() }],
        finish_reason: Some("stop".into()),
        answer_bytes: Some(9),
        answer_truncated: true,
    }
}

#[test]
fn a_whole_line_lacks_nothing_but_a_refusal_s_own_field() {
    let (features, set) = (features(r#"{"model":"m","messages":[]}"#), BTreeMap::new());

    let shown = format!("{:#?}", whole(&features, &set));

    let lacks = shown.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(": None,"));
    assert_eq!(lacks.filter(|field| !field.starts_with(' ')).collect::<Vec<_>>(), ["denied"]);
}

#[test]
fn a_whole_line_is_what_it_always_was() {
    let (features, set) = (features(r#"{"model":"m","messages":[]}"#), BTreeMap::from([("seed".to_owned(), json!(7))]));

    let line = serde_json::to_string(&whole(&features, &set)).expect("JSON");

    let start = r#"{"kind":"decision","time":"2026-11-29T10:00:00.000Z","request_id":"id","client":"team","policy":"auto","generation":2,"classifier":"default","bundle":{"name":"mini","version":"1","sha256":"ab"},"rule":0,"strategy":"tiers","reason":"tier","pin":{"model":"small","last":null,"age_seconds":3,"idle_seconds":2,"in_tool_loop":true,"outcome":"kept","stay_usd":0.5,"move_usd":1.0,"instead_of":"big"},"set":{"seed":7},"judge_cost_usd":0.125,"degraded":"deadline","label":"simple","label_from":"ask","score":0.75,"judge_rationale":"short","source":"encoder","scores":{"tier":{"complex":0.25,"simple":0.75}},"truncated_tokens":0,"known_ngrams":0.5,"unfamiliar":"script","features":{"tokens":"#;
    let end = r#""candidates":[{"model":"small"},{"model":"big","lacks":"tools"}],"model":"small","answered_by":"big","escalated":"refusal","escalation_cost_usd":0.25,"cache":"hit","applied":true,"attempts":2,"key":"second","status":200,"error":"upstream_error","input_tokens":10,"output_tokens":5,"tokens_estimated":false,"cost_usd":0.001,"baseline_cost_usd":0.01,"first_byte_ms":1.5,"duration_ms":2.0,"overhead_us":60,"conversation":"00000000000000ff","text_hash":"cd","text_bytes":2,"text":"hi","text_truncated":true,"redactions":1,"answer":"yo","tool_calls":[{"name":"look","arguments":"{}"}],"finish_reason":"stop","answer_bytes":9,"answer_truncated":true}"#;
    assert!(line.starts_with(start), "{line}");
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn a_line_without_the_rest_says_what_is_not_known_and_leaves_out_what_was_not_done() {
    let denied = DenialRecord { status: 403, code: "denied_by_policy".into() };
    let denial = DecisionRecord { kind: RecordKind::Denial, denied: Some(denied), ..DecisionRecord::default() };

    let line = serde_json::to_string(&denial).expect("JSON");

    assert_eq!(
        line,
        r#"{"kind":"denial","time":"","request_id":"","client":null,"policy":"","generation":0,"classifier":null,"bundle":null,"rule":null,"strategy":null,"reason":"","denied":{"status":403,"code":"denied_by_policy"},"degraded":null,"label":null,"label_from":null,"score":null,"source":null,"scores":null,"truncated_tokens":null,"features":{},"candidates":[],"answered_by":null,"applied":false,"attempts":0,"status":null,"error":null,"input_tokens":null,"output_tokens":null,"tokens_estimated":null,"cost_usd":null,"baseline_cost_usd":null,"first_byte_ms":null,"duration_ms":0.0,"overhead_us":0,"text_hash":null,"text_bytes":0}"#
    );
}

#[test]
fn a_line_is_read_back_as_it_was_written() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
    let (features, set) = (features(body), BTreeMap::from([("seed".to_owned(), json!(7))]));
    let written = whole(&features, &set);

    let line = serde_json::to_string(&written).expect("JSON");
    let read: DecisionRecord<'static> = serde_json::from_str(&line).expect("a line");

    assert_eq!(serde_json::to_string(&read).expect("JSON").len(), line.len());
    assert_eq!(json!(read.features()), json!(features));
    let LoggedFeatures::Read(values) = &read.features else { panic!("{:?}", read.features) };
    assert_eq!(DecisionRecord { features: LoggedFeatures::Read(values.clone()), ..written }, read);
}

#[test]
fn an_old_line_lacks_what_came_later() {
    let old =
        r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","answered_by":"m","bundle":{"sha256":"ab"}}"#;

    let read: DecisionRecord<'static> = serde_json::from_str(old).expect("a line");

    let expected = DecisionRecord {
        request_id: "a".into(),
        policy: "p".into(),
        model: Some("m".into()),
        answered_by: Some("m".into()),
        bundle: Some(BundleRecord { sha256: "ab".into(), ..BundleRecord::default() }),
        ..DecisionRecord::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn the_client_s_own_words_are_not_written_as_features() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"reasoning_effort":"My Planted Effort"}"#;
    let features = features(body);

    let line = serde_json::to_string(&LoggedFeatures::Measured(&features)).expect("JSON");

    assert!(line.contains(r#""reasoning_effort":"other""#) && !line.contains("Planted"), "{line}");
}

#[test]
fn a_text_is_whole_where_nothing_but_personal_data_is_missing() {
    let line = |text: &'static str, redactions, text_truncated| DecisionRecord {
        text: Some(text.into()),
        text_bytes: 20,
        redactions,
        text_truncated,
        ..DecisionRecord::default()
    };

    assert_eq!(line("[EMAIL] wrote", 1, false).whole_text(), Some("[EMAIL] wrote"));
    assert_eq!(line("[EMAIL] wrote", 1, true).whole_text(), None);
    assert_eq!(line("half of a text", 0, true).whole_text(), None);
    assert_eq!(line("half of a text", 0, false).whole_text(), None, "a line of an older version");
}
