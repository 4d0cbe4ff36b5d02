//! Rules: CEL expressions over the features, compiled once and evaluated in order for each request.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ParseError, Program};

use super::decision::{RuleOutcome, RuleTrace};
use super::facts::RequestFacts;
use super::typecheck::{self, Mistake};
use crate::config::{self, Config, KeyPath, Name, Problem};
use crate::features::{Features, Scope, TABLE, Value, index_of};

/// The longest expression that is compiled, in bytes.
const MAX_EXPRESSION_BYTES: usize = 4096;
/// The longest text of a rule's error that is kept.
const MAX_ERROR_CHARS: usize = 200;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A policy's rules.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

/// What a policy's rules came to for one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    /// The first rule that was true.
    pub(super) matched: Option<usize>,
    /// Each rule that was evaluated.
    pub(super) traces: Vec<RuleTrace>,
}

struct Rule {
    program: Program,
    model: Name,
}

/// Answers `prompt.images`, `request.model` and the like straight from the request.
struct Variables<'r> {
    model: &'r str,
    path: &'r str,
    features: &'r Features,
}

impl Rules {
    pub(super) fn compile(config: &Config, path: &KeyPath, rules: &[config::Rule]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            match compile(&rule.when) {
                Ok(program) => compiled.push(Rule { program, model: rule.model.clone() }),
                Err(mistakes) => {
                    let path = path.index(index).key("when");
                    let place = |m: Mistake| config.problem_within(&path, m.message, m.offset, m.width);
                    problems.extend(mistakes.into_iter().filter_map(place));
                }
            }
        }
        if problems.is_empty() { Ok(Self(compiled)) } else { Err(problems) }
    }

    pub(super) fn models(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|rule| &rule.model)
    }

    pub(super) fn model(&self, index: usize) -> &Name {
        &self.0[index].model
    }

    /// Finds the first rule that is true. A rule that fails counts as false and is traced.
    pub(super) fn evaluate(&self, facts: &RequestFacts<'_>, features: &Features) -> Tried {
        let mut tried = Tried { matched: None, traces: Vec::with_capacity(self.0.len()) };
        if self.0.is_empty() {
            return tried;
        }
        let variables = Variables { model: facts.model, path: facts.path, features };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&variables);
        for (index, rule) in self.0.iter().enumerate() {
            let outcome = rule.evaluate(&context);
            tried.matched = (outcome == RuleOutcome::Matched).then_some(index);
            tried.traces.push(RuleTrace { rule: index, outcome });
            if tried.matched.is_some() {
                break;
            }
        }
        tried
    }
}

impl Rule {
    fn evaluate(&self, context: &Context<'_, '_>) -> RuleOutcome {
        match self.program.execute(context) {
            Ok(cel::Value::Bool(true)) => RuleOutcome::Matched,
            Ok(cel::Value::Bool(false)) => RuleOutcome::NotMatched,
            Ok(_) => RuleOutcome::Failed("is not true or false".into()),
            Err(error) => RuleOutcome::Failed(error.to_string().chars().take(MAX_ERROR_CHARS).collect()),
        }
    }
}

/// Compiles and type-checks one expression.
fn compile(source: &str) -> Result<Program, Vec<Mistake>> {
    if source.len() > MAX_EXPRESSION_BYTES {
        let message = format!("the expression has {} bytes (allowed: {MAX_EXPRESSION_BYTES})", source.len());
        return Err(vec![Mistake { message, offset: 0, width: 1 }]);
    }
    let program = ENV
        .compile(source)
        .map_err(|errors| errors.errors.iter().map(|error| syntax_mistake(source, error)).collect::<Vec<_>>())?;
    let mistakes = typecheck::check(&program);
    if mistakes.is_empty() { Ok(program) } else { Err(mistakes) }
}

fn syntax_mistake(source: &str, error: &ParseError) -> Mistake {
    let (line, column) = (usize::try_from(error.pos.0).unwrap_or(1), usize::try_from(error.pos.1).unwrap_or(1));
    let before: usize = source.split_inclusive('\n').take(line.max(1) - 1).map(|line| line.chars().count()).sum();
    let offset = (before + column.max(1) - 1).min(source.chars().count().saturating_sub(1));
    // The parser's list of expected tokens is for its authors.
    let message = error.msg.split(" expecting ").next().unwrap_or_default();
    Mistake { message: format!("not a valid expression: {message}"), offset, width: 1 }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (scope, name) = variable.split_once('.')?;
        match (scope, name) {
            ("request", "model") => return Some(CowVal::owned(CelString::from(self.model))),
            ("request", "path") => return Some(CowVal::owned(CelString::from(self.path))),
            _ => {}
        }
        let index = index_of(name)?;
        let in_scope = match scope {
            "features" => true,
            "prompt" => TABLE[index].scope == Scope::Prompt,
            "request" => TABLE[index].scope == Scope::Request,
            _ => false,
        };
        in_scope.then(|| match self.features.value(index) {
            Value::Int(value) => CowVal::owned(CelInt::from(value)),
            Value::Float(value) => CowVal::owned(CelDouble::from(value)),
            Value::Bool(value) => CowVal::owned(CelBool::from(value)),
            Value::Text(value) => CowVal::owned(CelString::from(value)),
        })
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} => {}", self.program.source_info().source, self.model)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::TokenCount;

    /// What `expression` is for a prompt with 2 images and 10 tokens.
    fn evaluate(expression: &str) -> Result<RuleOutcome, String> {
        let mut features = Features::default().with_tokens(TokenCount { tokens: 10, estimated: false });
        features.attachments.images = 2;
        let program = compile(expression).map_err(|mistakes| format!("{mistakes:?}"))?;
        let rules = Rules(vec![Rule { program, model: Name::new("x").expect("a name") }]);
        let facts = RequestFacts::bare("auto-1", "/v1/chat/completions");
        Ok(rules.evaluate(&facts, &features).traces.remove(0).outcome)
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

    /// Builds an expression that is mostly of the kind wanted, from a supply of choices.
    #[expect(clippy::too_many_lines, reason = "most of them are a table")]
    fn expression(choices: &mut impl Iterator<Item = u8>, kind: char, depth: u8) -> String {
        let choice = choices.next().unwrap_or_default();
        // Now and then something of another type, which the checker must notice.
        let kind = if choice > 248 { ['i', 'd', 'b', 't', 'l'][usize::from(choice % 5)] } else { kind };
        let templates: &[&str] = match (kind, depth) {
            ('i', 0) => &["0", "7", "-3", "prompt.images", "features.tokens"],
            ('d', 0) => &["2.5", "0.0", "prompt.digits_ratio", "request.temperature"],
            ('b', 0) => &["true", "request.stream", "prompt.tokens_estimated"],
            ('t', 0) => &["'a'", "''", "request.model", "request.response_format"],
            (_, 0) => &["[]", "[1, 2]", "[prompt.images, 2]", "[1, 'a']", "[[1], []][0]"],
            ('i', _) => &[
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
            ],
            ('d', _) => &["($d + $d)", "($d / 2.5)", "double($i)", "($b ? $d : $d)", "-$d", "($i * $d)"],
            ('b', _) => &[
                "($i < $d)",
                "($d >= $i)",
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
            ],
            ('t', _) => &["($t + $t)", "string($i)", "string($d)", "($b ? $t : $t)", "string($b)"],
            _ => &[
                "[$i, $i]",
                "($l + $l)",
                "$l.filter(x, x > $i)",
                "$l.map(x, x + $i)",
                "[$t, $i]",
                "[$i, $d]",
                "($b ? $l : [])",
            ],
        };
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
        for spec in TABLE {
            let expression = format!("{}.{} == features.{}", spec.scope.as_str(), spec.name, spec.name);

            assert_eq!(evaluate(&expression), Ok(RuleOutcome::Matched), "{expression}");
        }
    }
}
