//! Answers of every vendor's shape, with their costs by the vendor's published arithmetic.

use super::*;

#[derive(serde::Deserialize)]
struct UsageRecord {
    name: String,
    vendor: String,
    path: String,
    price: TokenPrice,
    answer: Value,
    tokens: Value,
    arithmetic: String,
    cost: f64,
}

impl UsageRecord {
    /// Returns the usage that is read when the answer comes in pieces of `size` bytes.
    fn usage(&self, size: usize) -> Usage {
        let format = AnswerFormat::of_path(&self.path);
        let (framing, text) = match &self.answer {
            Value::Array(events) => (AnswerFraming::Events, events.iter().map(event).collect()),
            whole => (AnswerFraming::Json, whole.to_string()),
        };
        let reader = read(format, framing, &text, size);
        usage(&reader).expect("a usage")
    }
}

fn event(data: &Value) -> String {
    let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
    format!("data: {text}\n\n")
}

#[test]
fn every_vendors_usage_costs_what_its_price_list_says() {
    let text = include_str!("../../../../../tests/fixtures/usage_records.json");
    let records: Vec<UsageRecord> = serde_json::from_str(text).expect("a file of ours");
    assert!(records.len() >= 30);
    for record in records {
        for size in [7, 100_000] {
            let usage = record.usage(size);

            let UsageRecord { name, vendor, arithmetic, tokens, .. } = &record;
            let counted = [
                ("input", usage.input),
                ("output", usage.output),
                ("cached", usage.cached),
                ("written", usage.written),
                ("written_1h", usage.written_1h),
                ("reasoning", usage.reasoning),
                ("input_audio", usage.input_audio),
                ("output_audio", usage.output_audio),
                ("input_image", usage.input_image),
                ("output_image", usage.output_image),
            ];
            for (kind, count) in counted {
                assert_eq!(count, tokens[kind].as_u64().unwrap_or_default(), "{vendor}, {name}: {kind} of {usage:?}");
            }
            assert!(!usage.estimated, "{vendor}, {name}");
            let cost = usage.paid(Some(&record.price)).expect("a price");
            let cents = (cost - record.cost).abs() * 100.0;
            assert!(cents < 1e-9, "{vendor}, {name}: {cost} is not {arithmetic} = {}", record.cost);
        }
    }
}

#[test]
fn cost_is_by_million_tokens_and_cached_input_may_be_cheaper() {
    let usage = Usage { cached: 400_000, ..used(1_000_000, 500_000) };
    let price = TokenPrice::new(2.0, 8.0);

    assert!((usage.cost(&price) - 6.0).abs() < 1e-9);
    assert!((usage.cost(&TokenPrice { cached_input: Some(0.5), ..price }) - 5.4).abs() < 1e-9);
}
