//! What expressions may say, and that nothing that the checker accepts fails for its types.

use proptest::prelude::*;

use super::*;
use crate::features::FEATURE_TABLE;

/// What `expression` is for a prompt with 2 images and 10 tokens.
fn evaluate(expression: &str) -> Result<RuleOutcome, String> {
    let mut features = Features::default().with_tokens(TokenCount { tokens: 10, estimated: false });
    features.attachments.images = 2;
    let mut slots = SlotTable::default();
    let when = CelExpression::compile(expression, &ExpressionType::Bool, &Vocabulary::default(), &mut slots);
    let when = when.map_err(|mistakes| format!("{mistakes:?}"))?;
    let rule = Rule { when, action: None, set: BTreeMap::new(), ends: true };
    let rules = PolicyRules { list: vec![rule], slots, macros: Arc::default(), scores: Vec::new(), tests: 0 };
    let name = Name::new("x").expect("a name");
    let facts = RequestFacts::bare("auto-1", "/v1/chat/completions");
    let ruled = rules
        .run(&name, RequestEvidence { facts: &facts, features: &features, signals: &KnownSignals::default() })
        .expect("needs no signal");
    Ok(ruled.traces[0].outcome.clone())
}

#[test]
fn what_the_checker_accepts_evaluates_and_is_true() {
    for expression in [
        "prompt.images == 2 && features.images > 1",
        "request.temperature > 0.5 && request.temperature == 1 && request.temperature < 2",
        "prompt.tokens > 9.5 && prompt.tokens + 2 == 12 && prompt.tokens * 3 % 7 == 2 && -prompt.tokens < 0",
        "double(prompt.tokens) / 4.0 == 2.5 && prompt.tokens / 4 == 2 && int(2.5) == 2",
        "request.model.startsWith('auto') && request.model.endsWith('-1') && request.model.contains('to')",
        "request.model in ['auto-1', 'auto-2'] && !(prompt.images in [5, 6])",
        "size(request.model) == 6 && request.path.size() > 3 && size([1, 2]) == 2",
        "prompt.images > 0 ? !request.stream : false",
        "['auto', 'gpt'].exists(p, request.model.startsWith(p)) && [1, 2].all(x, x <= prompt.images)",
        "[1, 2, 3].filter(x, x > prompt.images) == [3] && [1, 2].map(x, x * 2)[1] == 4",
        "request.model + '!' == 'auto-1!' && string(prompt.images) == '2'",
        "request.response_format == 'text' && request.reasoning_effort == ''",
        "prompt.tokens > 10u || prompt.tokens == 10u || true",
    ] {
        assert_eq!(evaluate(expression), Ok(RuleOutcome::Matched), "{expression}");
    }
}

#[test]
fn a_comparison_with_what_is_no_number_is_false() {
    for expression in [
        "!(double('NaN') <= 5.0) && !(double('NaN') > 5.0) && !(5 >= double('NaN')) && !(7u < double('NaN'))",
        "!(0.0 / 0.0 < 1.0) && !(0.0 / 0.0 >= 1.0) && !(0.0 / 0.0 == 0.0 / 0.0) && 0.0 / 0.0 != 1.0",
        "![1.0, 0.0 / 0.0].exists(x, x > 1.0) && ![0.0 / 0.0].all(x, x <= 2)",
        "!((prompt.images > 0 ? double('nan') : 1.0) < 2.0)",
        "double(prompt.images) <= 2 && 2.5 > double(prompt.images) && double('inf') > 1e300 && double(3u) >= 3",
    ] {
        assert_eq!(evaluate(expression), Ok(RuleOutcome::Matched), "{expression}");
    }
}

#[test]
fn a_rule_that_fails_at_run_time_is_traced_and_does_not_match() {
    for expression in [
        "10 / prompt.tools > 1",
        "[1][prompt.tokens] == 1",
        "int(request.model) > 1",
        "9223372036854775807 + prompt.images > 0",
    ] {
        let outcome = evaluate(expression).expect("it compiles");

        assert!(matches!(outcome, RuleOutcome::Failed(_)), "{expression}: {outcome:?}");
    }
}

/// Ways to write an expression of a kind: `$i` stands for one of whole numbers, `d` of doubles, `b` of booleans, `t` of
/// texts, `l` of lists.
const fn templates(kind: char, depth: u8) -> &'static [&'static str] {
    match (kind, depth) {
        ('i', 0) => &["0", "7", "-3", "prompt.images", "features.tokens", "now.hour"],
        ('d', 0) => &[
            "2.5",
            "0.0",
            "prompt.digits_ratio",
            "request.temperature",
            "double('NaN')",
            "(0.0 / 0.0)",
            "double('inf')",
        ],
        ('b', 0) => &["true", "request.stream", "prompt.tokens_estimated", "(double('nan') > 1)"],
        ('t', 0) => &["'a'", "''", "request.model", "request.response_format", "client.name"],
        (_, 0) => &["[]", "[1, 2]", "[prompt.images, 2]", "[1, 'a']", "[[1], []][0]"],
        ('i', _) => WHOLE,
        ('d', _) => &["($d + $d)", "($d / 2.5)", "double($i)", "($b ? $d : $d)", "-$d", "($i * $d)"],
        ('b', _) => BOOLEAN,
        ('t', _) => &["($t + $t)", "string($i)", "string($d)", "($b ? $t : $t)", "string($b)"],
        _ => LIST,
    }
}

const WHOLE: &[&str] = &[
    "($i + $i)",
    "($i - $i)",
    "($i * $i)",
    "($i / $i)",
    "($i % $i)",
    "size($t)",
    "$l.size()",
    "int($d)",
    "int($t)",
    "$l[$i]",
    "($b ? $i : $i)",
    "-$i",
    "$l.map(x, x)[0]",
];

const BOOLEAN: &[&str] = &[
    "($i < $d)",
    "($d >= $i)",
    "($d < $d)",
    "($d <= $d)",
    "($d > $i)",
    "!($d <= 5.0)",
    "[$d, $d].exists(x, x > 1.0)",
    "(3u >= $d)",
    "($i == $d)",
    "($t == $t)",
    "($t < $t)",
    "($l == $l)",
    "($b && $b)",
    "($b || !$b)",
    "$t.contains($t)",
    "$t.startsWith($t)",
    "($i in $l)",
    "($d in $l)",
    "$l.exists(x, x > $i)",
    "$l.all(x, x == $d)",
    "(3u > $i)",
    "($b == $b)",
    "($b < $b)",
    "($l < $l)",
    "($t in $l)",
];

const LIST: &[&str] =
    &["[$i, $i]", "($l + $l)", "$l.filter(x, x > $i)", "$l.map(x, x + $i)", "[$t, $i]", "[$i, $d]", "($b ? $l : [])"];

/// Builds an expression that is mostly of the kind wanted, from a supply of choices.
fn expression(choices: &mut impl Iterator<Item = u8>, kind: char, depth: u8) -> String {
    let choice = choices.next().unwrap_or_default();
    // Now and then something of another type, which the checker must notice.
    let kind = if choice > 248 { ['i', 'd', 'b', 't', 'l'][usize::from(choice % 5)] } else { kind };
    let templates = templates(kind, depth);
    let template = templates[usize::from(choice) % templates.len()];
    let mut text = String::new();
    let mut parts = template.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (inner, rest) = part.split_at(1);
        let kind = inner.chars().next().unwrap_or('i');
        text.push_str(&expression(choices, kind, depth - 1));
        text.push_str(rest);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_the_checker_accepts_never_fails_for_its_types(
        choices in prop::collection::vec(any::<u8>(), 40), depth in 1..4_u8,
    ) {
        let expression = expression(&mut choices.into_iter(), 'b', depth);
        if let Ok(RuleOutcome::Failed(error)) = evaluate(&expression) {
            let by_value = ["zero", "Overflow", "overflow", "out of bounds", "Error executing function"];
            prop_assert!(by_value.iter().any(|cause| error.contains(cause)), "{expression}: {error}");
        }
    }

    #[test]
    fn no_text_makes_compiling_panic(expression in "[a-z0-9 .()\\[\\]{}'\"?:&|<>=!+*/%,-]{0,40}|\\PC{0,20}") {
        let _ = evaluate(&expression);
    }
}

#[test]
fn every_feature_resolves_in_its_scope_and_in_features() {
    for spec in FEATURE_TABLE {
        let expression = format!("{}.{} == features.{}", spec.scope.as_str(), spec.name, spec.name);

        assert_eq!(evaluate(&expression), Ok(RuleOutcome::Matched), "{expression}");
    }
}
