//! The reading of one request by expressions while they are evaluated.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError, Value};

use super::expression::{CelExpression, SlotTable, context};
use super::macros::MacroTable;
use super::text_test::TextTest;
use super::vocabulary::{ClockPart, MAX_READ_BYTES, NamedJudge, ScoreName, ValueSlot};
use crate::features;
use crate::policy::rule_memory::{ExpressionFailure, ExpressionValues};
use crate::policy::signals::{Judgement, RequestEvidence, Signal};

/// The longest text of an error that is kept.
const MAX_ERROR_CHARS: usize = 200;
const DAY: i64 = 86_400;
/// The longest header that is made a text again for each expression, in bytes.
const SHORT_HEADER_BYTES: usize = 512;
/// The headers that are kept as texts, other than short ones: more are made texts again each time.
const KEPT_HEADERS: usize = 64;

/// One request, as expressions read it.
pub(super) struct RequestReading<'r> {
    evidence: RequestEvidence<'r>,
    macros: &'r MacroTable,
    values: &'r ExpressionValues,
    /// The trouble for which a name had no value, since this was last looked at.
    trouble: Mutex<Option<EvaluationTrouble>>,
    /// The macros that wait for a signal, by their positions: none is evaluated twice before it has come.
    waiting: Mutex<BTreeMap<usize, Signal>>,
    /// The headers that it took long to make texts of.
    headers: OnceLock<Box<[OnceLock<HeaderText<'r>>]>>,
}

/// A header's name, and its value as a text.
#[derive(Debug)]
struct HeaderText<'r> {
    name: Box<str>,
    value: Cow<'r, str>,
}

/// The reason for which an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EvaluationTrouble {
    /// A signal is needed that nobody asked for yet.
    Unasked(Signal),
    /// The expression failed, such as by a division by zero.
    Failed(ExpressionFailure),
}

/// A request, seen by expressions that were compiled with the same slots.
pub(super) struct SlotScope<'s, 'r> {
    pub(super) slots: &'s SlotTable,
    pub(super) reading: &'s RequestReading<'r>,
}

impl<'r> RequestReading<'r> {
    pub(super) const fn new(
        evidence: RequestEvidence<'r>,
        macros: &'r MacroTable,
        values: &'r ExpressionValues,
    ) -> Self {
        Self {
            evidence,
            macros,
            values,
            trouble: Mutex::new(None),
            waiting: Mutex::new(BTreeMap::new()),
            headers: OnceLock::new(),
        }
    }

    /// Evaluates `expression` in `context`, whose resolver is a [`SlotScope`] of this reading.
    pub(super) fn evaluate(
        &self,
        expression: &CelExpression,
        context: &Context<'_, '_>,
    ) -> Result<Value, EvaluationTrouble> {
        let before = self.take_trouble();
        let result = Value::resolve(&expression.tree, context);
        let trouble = self.take_trouble();
        // What one side of an `||` lacks is no trouble when the other side is true.
        self.put_trouble(before);
        result.map_err(|error| match (trouble, error) {
            (Some(unasked @ EvaluationTrouble::Unasked(_)), _) => unasked,
            (Some(failed), ExecutionError::UndeclaredReference(_)) => failed,
            (_, error) => {
                let text = error.to_string().chars().take(MAX_ERROR_CHARS).collect();
                EvaluationTrouble::Failed(ExpressionFailure::of_request(text))
            }
        })
    }

    fn take_trouble(&self) -> Option<EvaluationTrouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put_trouble(&self, trouble: Option<EvaluationTrouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Records the trouble for which a name has no value; a signal that can still be asked for goes before a failure.
    fn record<T>(&self, trouble: EvaluationTrouble) -> Option<T> {
        let mut recorded = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*recorded, Some(EvaluationTrouble::Unasked(_))) {
            *recorded = Some(trouble);
        }
        None
    }

    /// Shows a text out of the body; one that is longer than rules read fails whoever reads it.
    fn within_bound<'b>(&self, value: &'b str) -> Option<CowVal<'b, 'b>> {
        if value.len() <= MAX_READ_BYTES {
            return Some(text(value));
        }
        let failed = format!("a text of the body has {} bytes (allowed: {MAX_READ_BYTES})", value.len());
        self.record(EvaluationTrouble::Failed(ExpressionFailure::of_request(failed)))
    }

    /// Shows the header `name`. A loop reads it many times: what is long, or no UTF-8, is made a text once.
    fn header(&self, name: &str) -> CelString<'_> {
        let kept = self.headers.get().into_iter().flatten().map_while(OnceLock::get);
        if let Some(kept) = kept.into_iter().find(|kept| *kept.name == *name) {
            return CelString::from(&*kept.value);
        }
        let value = match self.evidence.facts.live.header(name).unwrap_or_default() {
            Cow::Borrowed(value) if value.len() <= SHORT_HEADER_BYTES => return CelString::from(value),
            value => value,
        };
        let cells = self.headers.get_or_init(|| std::iter::repeat_with(OnceLock::new).take(KEPT_HEADERS).collect());
        let Some(cell) = cells.iter().find(|cell| cell.get().is_none()) else { return CelString::from(value) };
        CelString::from(&*cell.get_or_init(|| HeaderText { name: name.into(), value }).value)
    }

    fn score(&self, score: &ScoreName) -> Option<f64> {
        let ScoreName { classifier, head, label } = score;
        let scores = match self.evidence.signals.scores_of(classifier) {
            None => return self.record(EvaluationTrouble::Unasked(Signal::Scores { classifier: classifier.clone() })),
            Some(Err(degraded)) => {
                let failed = format!("there are no scores of `{classifier}`: {}", degraded.as_str());
                return self.record(EvaluationTrouble::Failed(ExpressionFailure::of_signal(failed)));
            }
            Some(Ok(scores)) => scores,
        };
        let probability = scores.head(head).and_then(|head| {
            let position = head.labels.iter().position(|own| **own == **label)?;
            head.probabilities.get(position).copied().filter(|probability| !probability.is_nan())
        });
        let failed = || {
            let text = format!("`{classifier}` gave no score for `{head}.{label}`");
            EvaluationTrouble::Failed(ExpressionFailure::of_signal(text))
        };
        probability.map(|probability| f64::from(probability).clamp(0.0, 1.0)).or_else(|| self.record(failed()))
    }

    fn judgement(&self, judge: &NamedJudge) -> Option<&Judgement> {
        match self.evidence.signals.judgement(&judge.strategy) {
            Ok(Ok(judgement)) => Some(judgement),
            Ok(Err(unanswered)) => {
                let why = unanswered.failure.as_str();
                let failed = format!("the judge `{}` gave no answer: {why}", judge.judge);
                self.record(EvaluationTrouble::Failed(ExpressionFailure::of_signal(failed)))
            }
            Err(signal) => self.record(EvaluationTrouble::Unasked(signal)),
        }
    }

    fn confidence(&self, judge: &NamedJudge) -> Option<f64> {
        let said = self.judgement(judge)?.confidence.filter(|confidence| !confidence.is_nan());
        let failed = || {
            let text = format!("the judge `{}` did not say how sure it is", judge.judge);
            EvaluationTrouble::Failed(ExpressionFailure::of_signal(text))
        };
        said.map(|confidence| f64::from(confidence).clamp(0.0, 1.0)).or_else(|| self.record(failed()))
    }

    fn is_in_texts(&self, test: &TextTest) -> Option<bool> {
        let cell = self.values.tests.get(test.id)?;
        if let Some(known) = cell.get() {
            return Some(*known);
        }
        let mut search = test.begin();
        let Some(found) = self.evidence.facts.live.any_text(test.scope, &mut |text: &str| search.is_in(text)) else {
            let failure = ExpressionFailure::of_signal("the request's texts are not at hand".to_owned());
            return self.record(EvaluationTrouble::Failed(failure));
        };
        Some(*cell.get_or_init(|| found))
    }

    fn value_of(&self, position: usize) -> Option<&Value> {
        let (cell, used) = (self.values.macros.get(position)?, self.macros.get(position)?);
        if cell.get().is_none() {
            let waits = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&position).cloned();
            if let Some(signal) = waits {
                return self.record(EvaluationTrouble::Unasked(signal));
            }
            let scope = SlotScope { slots: &self.macros.slots, reading: self };
            let mut context = context();
            context.set_variable_resolver(&scope);
            let value = match self.evaluate(&used.value, &context) {
                Ok(value) => Ok(value),
                Err(EvaluationTrouble::Unasked(signal)) => {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.insert(position, signal.clone());
                    return self.record(EvaluationTrouble::Unasked(signal));
                }
                Err(EvaluationTrouble::Failed(ExpressionFailure { cause, text })) => {
                    Err(ExpressionFailure { cause, text: format!("macros.{}: {text}", used.name) })
                }
            };
            let _ = cell.set(value); // one thread evaluates
        }
        match cell.get()? {
            Ok(value) => Some(value),
            Err(failure) => self.record(EvaluationTrouble::Failed(failure.clone())),
        }
    }
}

impl VariableResolver for SlotScope<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let RequestEvidence { facts, features, .. } = self.reading.evidence;
        match self.slots.find(variable)? {
            ValueSlot::Feature(index) => match features.value_in(*index, facts.live.prompt()) {
                features::FeatureValue::Text(value) => self.reading.within_bound(value),
                value => Some(feature(value)),
            },
            ValueSlot::Model => self.reading.within_bound(facts.model),
            ValueSlot::Path => Some(text(facts.path)),
            ValueSlot::Client => Some(text(facts.client.unwrap_or_default())),
            ValueSlot::Header(name) => Some(CowVal::owned(self.reading.header(name))),
            ValueSlot::Now(part) => Some(CowVal::owned(CelInt::from(part.of(facts.now)))),
            ValueSlot::Score(score) => self.reading.score(score).map(|score| CowVal::owned(CelDouble::from(score))),
            ValueSlot::Macro(position) => self.reading.value_of(*position).and_then(borrowed),
            ValueSlot::Text(test) => self.reading.is_in_texts(test).map(|found| CowVal::owned(CelBool::from(found))),
            ValueSlot::Judge(judge) => self.reading.judgement(judge).map(|judgement| text(&judgement.label)),
            ValueSlot::Confidence(judge) => {
                self.reading.confidence(judge).map(|sure| CowVal::owned(CelDouble::from(sure)))
            }
        }
    }
}

impl ClockPart {
    /// Returns this part of `now`, in seconds since 1970.
    pub(super) fn of(self, now: u64) -> i64 {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        match self {
            Self::Hour => now.rem_euclid(DAY) / 3600,
            Self::Minute => now.rem_euclid(3600) / 60,
            // The epoch was a Thursday.
            Self::Weekday => (now.div_euclid(DAY) + 3).rem_euclid(7) + 1,
            Self::Timestamp => now,
        }
    }
}

fn feature(value: features::FeatureValue<'_>) -> CowVal<'_, '_> {
    match value {
        features::FeatureValue::Int(value) => CowVal::owned(CelInt::from(value)),
        features::FeatureValue::Float(value) => CowVal::owned(CelDouble::from(value)),
        features::FeatureValue::Bool(value) => CowVal::owned(CelBool::from(value)),
        features::FeatureValue::Text(value) => text(value),
    }
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

/// Shows a value again that was computed before.
fn borrowed(value: &Value) -> Option<CowVal<'_, '_>> {
    Some(match value {
        Value::Bool(value) => CowVal::owned(CelBool::from(*value)),
        Value::Int(value) => CowVal::owned(CelInt::from(*value)),
        Value::UInt(value) => CowVal::owned(CelUInt::from(*value)),
        Value::Float(value) => CowVal::owned(CelDouble::from(*value)),
        Value::String(value) => text(value),
        other => CowVal::Owned(Box::<dyn Val>::try_from(other.clone()).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_an_hour_a_minute_and_a_weekday_in_utc() {
        let parts = |now| [ClockPart::Hour, ClockPart::Minute, ClockPart::Weekday].map(|part| part.of(now));

        assert_eq!(parts(0), [0, 0, 4]);
        assert_eq!(parts(1_704_110_400), [12, 0, 1]); // Monday, 2024-01-01T12:00:00Z
        assert_eq!(parts(1_709_251_199), [23, 59, 4]); // Thursday, 2024-02-29T23:59:59Z
        assert_eq!(ClockPart::Timestamp.of(7), 7);
    }
}
