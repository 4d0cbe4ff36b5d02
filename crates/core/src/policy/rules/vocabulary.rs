//! The names that expressions may use, and what they stand for.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::common::ast::Expr;

use super::constants::{self, TypedConstants};
use super::extent::ValueExtent;
use super::text_test::{TextTest, TextTestKind, UnusablePatterns};
use crate::config::{Config, ConfigProblem, Name, StrategyConfig, listed, nearest};
use crate::features::{FEATURE_TABLE, FeatureKind, FeatureScope};
use crate::policy::paths::path_of;
use crate::policy::rules::path::NamePath;
use crate::policy::rules::types::ExpressionType;
use crate::prompt::TextScope;

const ROOTS: &str =
    "prompt.*, request.*, features.*, scores.*, judge.*, headers['...'], client.name, now.*, constants.*, macros.*";

/// The longest text out of a request's body that rules read, in bytes: the model's name, or a feature. A rule that
/// reads a longer one fails.
pub(super) const MAX_READ_BYTES: usize = 4096;
/// Different lists of words or patterns in one file: each is looked for in a request's texts, which are read once for
/// each.
const MAX_TESTS: usize = 100;
/// The times that a file's expressions name such a list.
const MAX_TEST_USES: usize = 2000;
/// The bytes of all the words and patterns of a file.
const MAX_TEST_BYTES: usize = 1 << 20;
/// The longest name that operators give, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The value that a name stands for at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum ValueSlot {
    /// The model that the client asked for.
    Model,
    /// The request's path.
    Path,
    /// The feature with this index of [`FEATURE_TABLE`].
    Feature(usize),
    /// A header, by its lower-case name.
    Header(Box<str>),
    /// The client's name.
    Client,
    /// A part of the time.
    Now(ClockPart),
    /// A probability of a classifier's.
    Score(ScoreName),
    /// The value of the macro with this position.
    Macro(usize),
    /// The outcome of a test of the request's texts.
    Text(TextTest),
    /// The label that a judge answers.
    Judge(NamedJudge),
    /// The confidence of a judge in its label.
    Confidence(NamedJudge),
}

/// A part of the time, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum ClockPart {
    /// The hour, 0 to 23.
    Hour,
    /// The minute, 0 to 59.
    Minute,
    /// The ISO day of the week: 1 is Monday, 7 Sunday.
    Weekday,
    /// Seconds since 1970.
    Timestamp,
}

/// The probability of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct ScoreName {
    pub(in crate::policy) classifier: Name,
    pub(in crate::policy) head: Name,
    pub(in crate::policy) label: Box<str>,
}

/// A judge that rules may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct NamedJudge {
    /// The judge's name in rules.
    pub(in crate::policy) judge: Name,
    /// The path of the judge's strategy in the configuration.
    pub(in crate::policy) strategy: Arc<str>,
    /// The labels that the judge may answer.
    pub(in crate::policy) labels: Arc<[Name]>,
    /// Tells whether the judge is asked for its confidence.
    says_how_sure: bool,
}

/// The meaning of a name in an expression.
#[derive(Debug, Clone)]
pub(in crate::policy) enum NameMeaning {
    /// A value that is known when a request comes.
    Slot(ValueSlot),
    /// A constant's name and value.
    Constant(String, Arc<Expr>),
    /// A macro that could not be compiled, which has been reported: nothing may stand in its place.
    Unusable,
}

/// The bounds of a macro, which those who use it add to their own.
#[derive(Debug)]
pub(super) struct MacroBounds {
    /// The largest size of the value.
    pub(super) extent: ValueExtent,
    /// The levels of the tree, those of the macros that it uses included.
    pub(super) depth: usize,
}

/// The meaning of a macro's name.
#[derive(Debug)]
enum MacroMeaning {
    /// The position of the macro, and the type of its value.
    Compiled(usize, ExpressionType),
    /// The macro has a mistake, or uses one that has.
    Unusable,
}

/// Every name that the expressions of one configuration may use.
#[derive(Debug, Default)]
pub(in crate::policy) struct Vocabulary {
    classifiers: Vec<Name>,
    headers: Vec<String>,
    constants: TypedConstants,
    macros: BTreeMap<String, MacroMeaning>,
    /// The bounds of the macros, by their positions.
    bounds: Vec<MacroBounds>,
    /// The largest header of a request, in bytes.
    header_bytes: usize,
    judges: BTreeMap<String, NamedJudge>,
    /// The tests of texts that expressions made so far: what several say is compiled, and looked for, once.
    tests: Mutex<TextTests>,
}

/// The tests of texts that expressions made so far.
#[derive(Debug, Default)]
struct TextTests {
    list: Vec<TextTest>,
    /// The number of times that expressions asked for one, and the bytes of all words and patterns.
    uses: usize,
    bytes: usize,
}

/// The names that every configuration has.
static FIXED: LazyLock<Vec<(String, ValueSlot, ExpressionType)>> = LazyLock::new(|| {
    let features = FEATURE_TABLE.iter().enumerate().flat_map(|(index, spec)| {
        let kind = match spec.kind {
            FeatureKind::Int => ExpressionType::Int,
            FeatureKind::Float => ExpressionType::Double,
            FeatureKind::Bool => ExpressionType::Bool,
            FeatureKind::Text => ExpressionType::Text,
        };
        let scope = match spec.scope {
            FeatureScope::Prompt => "prompt",
            FeatureScope::Request => "request",
        };
        let slot = ValueSlot::Feature(index);
        [
            (format!("{scope}.{}", spec.name), slot.clone(), kind.clone()),
            (format!("features.{}", spec.name), slot, kind),
        ]
    });
    let others = [
        ("request.model", ValueSlot::Model, ExpressionType::Text),
        ("request.path", ValueSlot::Path, ExpressionType::Text),
        ("client.name", ValueSlot::Client, ExpressionType::Text),
        ("now.hour", ValueSlot::Now(ClockPart::Hour), ExpressionType::Int),
        ("now.minute", ValueSlot::Now(ClockPart::Minute), ExpressionType::Int),
        ("now.weekday", ValueSlot::Now(ClockPart::Weekday), ExpressionType::Int),
        ("now.timestamp", ValueSlot::Now(ClockPart::Timestamp), ExpressionType::Int),
    ];
    others.into_iter().map(|(name, slot, kind)| (name.to_owned(), slot, kind)).chain(features).collect()
});

impl Vocabulary {
    /// Reads the constants, headers and classifiers of `config`, and says what is wrong with the constants.
    pub(super) fn new(config: &Config) -> (Self, Vec<ConfigProblem>) {
        let (constants, problems) = constants::read(config);
        let headers = config.rule_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        let classifiers = config.classifiers.keys().cloned().collect();
        let header_bytes = config.limits.max_header_bytes;
        (Self { classifiers, headers, constants, judges: judges(config), header_bytes, ..Self::default() }, problems)
    }

    /// Makes the macro `name` known, which stands after those that were made known before; later expressions may use
    /// it.
    pub(super) fn add_macro(&mut self, name: &str, kind: ExpressionType, bounds: MacroBounds) {
        self.macros.insert(name.to_owned(), MacroMeaning::Compiled(self.bounds.len(), kind));
        self.bounds.push(bounds);
    }

    /// Makes the name of a macro known that could not be compiled, or was not yet.
    pub(super) fn add_unusable_macro(&mut self, name: &str) {
        self.macros.insert(name.to_owned(), MacroMeaning::Unusable);
    }

    /// Returns the levels of the tree of the macro at `position`, those that it uses included.
    pub(super) fn depth_of(&self, position: usize) -> usize {
        self.bounds.get(position).map_or(0, |bounds| bounds.depth)
    }

    /// Returns the largest size that the value of `slot` can have.
    pub(super) fn extent_of(&self, slot: &ValueSlot) -> ValueExtent {
        // A byte of a header that is no UTF-8 becomes two, and so may one of the path.
        let of_header = ValueExtent::Text(2 * self.header_bytes as u64);
        let name = ValueExtent::Text(MAX_NAME_BYTES as u64);
        match slot {
            ValueSlot::Path | ValueSlot::Header(_) => of_header,
            ValueSlot::Model => ValueExtent::Text(MAX_READ_BYTES as u64),
            ValueSlot::Feature(index) => match FEATURE_TABLE.get(*index).map(|spec| spec.kind) {
                Some(FeatureKind::Text) => ValueExtent::Text(MAX_READ_BYTES as u64),
                _ => ValueExtent::Scalar,
            },
            ValueSlot::Client | ValueSlot::Judge(_) => name,
            ValueSlot::Macro(position) => {
                self.bounds.get(*position).map_or(ValueExtent::Scalar, |bounds| bounds.extent.clone())
            }
            ValueSlot::Now(_) | ValueSlot::Score(_) | ValueSlot::Text(_) | ValueSlot::Confidence(_) => {
                ValueExtent::Scalar
            }
        }
    }

    /// Finds the meaning and type of `path`.
    ///
    /// # Errors
    /// Says that there is no such thing, and what was probably meant.
    pub(in crate::policy) fn find(&self, path: &NamePath<'_>) -> Result<(NameMeaning, ExpressionType), String> {
        match path.words.as_slice() {
            ["scores", classifier, head, label] => self.score(classifier, head, label),
            ["scores", ..] => {
                Err("a score is `scores.<classifier>.<head>.<label>`, such as scores.default.tier.complex".to_owned())
            }
            ["headers", name] => self.header(name),
            ["headers", ..] => Err("a header needs its name in quotes, such as headers['x-team']".to_owned()),
            ["judge", name, part @ ("label" | "confidence")] => self.judge(name, part),
            ["judge", ..] => Err("what a judge says is `judge.<name>.label`, or `judge.<name>.confidence`".to_owned()),
            ["constants", name] if self.constants.contains_key(*name) => {
                let (value, kind) = self.constants[*name].clone();
                Ok((NameMeaning::Constant((*name).to_owned(), value), kind))
            }
            ["macros", name] if self.macros.contains_key(*name) => Ok(match &self.macros[*name] {
                MacroMeaning::Compiled(position, kind) => {
                    (NameMeaning::Slot(ValueSlot::Macro(*position)), kind.clone())
                }
                MacroMeaning::Unusable => (NameMeaning::Unusable, ExpressionType::Any),
            }),
            _ => {
                let name = path.to_string();
                let found = FIXED.iter().find(|(own, ..)| *own == name);
                let found = found.map(|(_, slot, kind)| (NameMeaning::Slot(slot.clone()), kind.clone()));
                found.ok_or_else(|| self.unknown(&name))
            }
        }
    }

    fn score(&self, classifier: &str, head: &str, label: &str) -> Result<(NameMeaning, ExpressionType), String> {
        let Some(known) = self.classifiers.iter().find(|known| known.as_str() == classifier) else {
            return Err(missing("classifier", classifier, self.classifiers.iter().map(Name::as_str)));
        };
        // The bundle is not at hand: `Rules::check_labels` compares heads and labels with it.
        let head = Name::new(head)?;
        let slot = ValueSlot::Score(ScoreName { classifier: known.clone(), head, label: label.into() });
        Ok((NameMeaning::Slot(slot), ExpressionType::Double))
    }

    fn judge(&self, name: &str, part: &str) -> Result<(NameMeaning, ExpressionType), String> {
        let Some(judge) = self.judges.get(name) else {
            return Err(missing("named judge", name, self.judges.keys().map(String::as_str)));
        };
        if part == "label" {
            return Ok((NameMeaning::Slot(ValueSlot::Judge(judge.clone())), ExpressionType::Text));
        }
        if !judge.says_how_sure {
            return Err(format!("judge `{name}` is not asked how sure it is (required: its `min_confidence`)"));
        }
        Ok((NameMeaning::Slot(ValueSlot::Confidence(judge.clone())), ExpressionType::Double))
    }

    fn header(&self, name: &str) -> Result<(NameMeaning, ExpressionType), String> {
        let name = name.to_ascii_lowercase();
        if self.headers.contains(&name) {
            return Ok((NameMeaning::Slot(ValueSlot::Header(name.into())), ExpressionType::Text));
        }
        if self.headers.is_empty() {
            return Err(format!("the header `{name}` is not allow-listed (required: rule_headers: [{name}])"));
        }
        let near = nearest(&name, self.headers.iter().map(String::as_str));
        let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        Err(format!(
            "the header `{name}` is not among `rule_headers`{hint} (allowed: {})",
            listed(self.headers.iter().map(String::as_str))
        ))
    }

    fn unknown(&self, name: &str) -> String {
        let constants = self.constants.keys().map(|name| format!("constants.{name}"));
        let macros = self.macros.keys().map(|name| format!("macros.{name}"));
        let own: Vec<String> = constants.chain(macros).collect();
        let names: Vec<&str> =
            FIXED.iter().map(|(own, ..)| own.as_str()).chain(own.iter().map(String::as_str)).collect();
        // The right name in the wrong scope is a likelier slip than a typing error.
        let last = name.rsplit('.').next().unwrap_or(name);
        let scoped = names.iter().copied().find(|own| own.rsplit('.').next() == Some(last));
        let hint = match scoped.or_else(|| nearest(name, names.iter().copied())) {
            Some(near) => format!(", did you mean `{near}`?"),
            None => format!(" (allowed: {ROOTS}; see docs/policies.md)"),
        };
        format!("unknown variable `{name}`{hint}")
    }

    /// Returns the test that looks for `patterns`; compiles it, unless another expression has it.
    ///
    /// # Errors
    /// What is wrong with the patterns.
    pub(in crate::policy) fn text_test(
        &self,
        kind: TextTestKind,
        scope: TextScope,
        patterns: Vec<String>,
    ) -> Result<TextTest, UnusablePatterns> {
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        let refuse = |message| Err(UnusablePatterns { pattern: None, message });
        tests.uses += 1;
        if tests.uses > MAX_TEST_USES {
            return refuse(format!("the file looks through texts too often (allowed: {MAX_TEST_USES} times)"));
        }
        if let Some(known) = tests.list.iter().find(|test| test.is_of(kind, scope, &patterns)) {
            return Ok(known.clone());
        }
        tests.bytes += patterns.iter().map(String::len).sum::<usize>();
        if tests.list.len() >= MAX_TESTS || tests.bytes > MAX_TEST_BYTES {
            return refuse(format!(
                "the file looks for too much (allowed: {MAX_TESTS} different lists, {MAX_TEST_BYTES} bytes in all)"
            ));
        }
        let test = TextTest::compile(kind, scope, patterns)?.numbered(tests.list.len());
        tests.list.push(test.clone());
        Ok(test)
    }

    /// Returns how many tests of texts the expressions made so far.
    pub(super) fn tests(&self) -> usize {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner).list.len()
    }

    /// Returns the names of the constants.
    pub(super) fn constants(&self) -> impl Iterator<Item = &String> {
        self.constants.keys()
    }
}

/// Finds the judges of strategies that have a name.
fn judges(config: &Config) -> BTreeMap<String, NamedJudge> {
    let mut judges = BTreeMap::new();
    for (index, policy) in config.policies.iter().enumerate() {
        policy.strategy.visit(&path_of(index).key("strategy"), &mut |path, strategy| {
            let StrategyConfig::Judge(section) = strategy else { return };
            if let Some(name) = &section.name {
                let labels = section.choices.iter().map(|choice| choice.label().clone()).collect();
                let (judge, strategy) = (name.clone(), path.to_string().into());
                let says_how_sure = section.min_confidence.is_some();
                let judge = NamedJudge { judge, strategy, labels, says_how_sure };
                judges.insert(name.to_string(), judge);
            }
        });
    }
    judges
}

/// Says that there is no `what` called `name`.
pub(super) fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    let near = nearest(name, known.clone());
    let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let known = listed(known);
    let allowed = if known.is_empty() { "none is declared".to_owned() } else { known };
    format!("there is no {what} `{name}`{hint} (allowed: {allowed})")
}

impl ValueSlot {
    /// Tells whether the slot always has a value: scores and a judge's answer may be missing, a macro may fail, a text
    /// out of the body may be too long.
    pub(in crate::policy) fn is_certain(&self) -> bool {
        match self {
            Self::Score(_) | Self::Judge(_) | Self::Confidence(_) | Self::Macro(_) | Self::Model => false,
            Self::Feature(index) => {
                FEATURE_TABLE.get(*index).is_some_and(|spec| !matches!(spec.kind, FeatureKind::Text))
            }
            Self::Path | Self::Header(_) | Self::Client | Self::Now(_) | Self::Text(_) => true,
        }
    }
}
