//! From expressions to [`ConditionCases`].
//!
//! CEL has three truths: true, false and failing. `a && b` is false when one side is, whatever becomes of the other;
//! `a || b` is true when one side is. A rule is taken when it is true; it is passed over when it is false or fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::budget::LintBudget;
use super::cases::ConditionCases;
use super::domain::{Comparison, RangeEdge, RangeUnion, TruthSet, ValueDomain};
use crate::config::Name;
use crate::features::{FEATURE_TABLE, FeatureKind};
use crate::policy::rules::{CelExpression, ClockPart, MacroTable, NamedJudge, SlotTable, ValueSlot, operator_of};

/// Parts of an expression, macros written out, after which it is not looked into.
const MAX_PARTS: usize = 5000;
/// Whole numbers are compared with others as `f64`, which holds them exactly below this.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The truth that is wanted of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedTruth {
    True,
    False,
    /// The expression is false, or fails.
    NotTrue,
    /// The expression is true, or fails.
    NotFalse,
}

/// The reader of expressions, which counts the parts that it looked into.
pub(super) struct ConditionReader<'m> {
    scope: LintScope<'m>,
    parts: usize,
}

/// The macros that expressions use, and the work that reading them may take.
#[derive(Clone, Copy)]
pub(super) struct LintScope<'m> {
    pub(super) macros: &'m MacroTable,
    pub(super) budget: &'m LintBudget,
}

/// A part of an expression, with what its names stand for.
#[derive(Clone, Copy)]
struct ExpressionPart<'e> {
    node: &'e IdedExpr,
    slots: &'e SlotTable,
}

/// Returns the requests for which `expression` is as wanted, and maybe more; `None` when it is too long to tell.
pub(super) fn cases(
    expression: &CelExpression,
    slots: &SlotTable,
    scope: LintScope<'_>,
    want: WantedTruth,
) -> Option<ConditionCases> {
    ConditionReader { scope, parts: 0 }.cases(ExpressionPart { node: &expression.tree, slots }, want)
}

impl WantedTruth {
    /// Returns the truth that is wanted of `x` where this one is wanted of `!x`.
    const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::NotTrue => Self::NotFalse,
            Self::NotFalse => Self::NotTrue,
        }
    }

    const fn admits_failure(self) -> bool {
        matches!(self, Self::NotTrue | Self::NotFalse)
    }

    /// Tells whether it is to be true, rather than false, if it does not fail.
    const fn is_true(self) -> bool {
        matches!(self, Self::True | Self::NotFalse)
    }
}

impl<'m> ConditionReader<'m> {
    fn cases(&mut self, part: ExpressionPart<'m>, want: WantedTruth) -> Option<ConditionCases> {
        let part = self.within_macros(part)?;
        self.scope.budget.spend(1)?;
        let at = |node| ExpressionPart { node, ..part };
        match &part.node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => {
                Some(if *value.inner() == want.is_true() { ConditionCases::all() } else { ConditionCases::none() })
            }
            Expr::Call(call) => match (operator_of(&call.func_name), call.args.as_slice()) {
                (operators::LOGICAL_NOT, [operand]) => self.cases(at(operand), want.negated()),
                (operators::LOGICAL_AND, [left, right]) => self.both(at(left), at(right), want, want.is_true()),
                (operators::LOGICAL_OR, [left, right]) => self.both(at(left), at(right), want, !want.is_true()),
                (operators::CONDITIONAL, [condition, yes, no]) => {
                    self.conditional(at(condition), [at(yes), at(no)], want)
                }
                (operators::NOT_EQUALS, [left, right]) => {
                    self.compared(part, operators::EQUALS, [at(left), at(right)], want.negated())
                }
                (operator, [left, right]) => self.compared(part, operator, [at(left), at(right)], want),
                _ => self.opaque(part, want),
            },
            _ => self.opaque(part, want),
        }
    }

    /// Wants the same of `left` and `right` together, or of one of them.
    fn both(
        &mut self,
        left: ExpressionPart<'m>,
        right: ExpressionPart<'m>,
        want: WantedTruth,
        together: bool,
    ) -> Option<ConditionCases> {
        let (left, right) = (self.cases(left, want)?, self.cases(right, want)?);
        self.scope.budget.spend(left.len() * right.len())?;
        if together { left.and(&right) } else { left.or(right) }
    }

    fn conditional(
        &mut self,
        condition: ExpressionPart<'m>,
        [yes, no]: [ExpressionPart<'m>; 2],
        want: WantedTruth,
    ) -> Option<ConditionCases> {
        let yes = self.cases(condition, WantedTruth::True)?.and(&self.cases(yes, want)?)?;
        let no = self.cases(condition, WantedTruth::False)?.and(&self.cases(no, want)?)?;
        let either = yes.or(no)?;
        if !want.admits_failure() {
            return Some(either);
        }
        let fails = self.cases(condition, WantedTruth::NotTrue)?.and(&self.cases(condition, WantedTruth::NotFalse)?)?;
        either.or(fails)
    }

    /// Reads `left operator right`, which `part` is, where one side is a variable and the other a constant.
    fn compared(
        &mut self,
        part: ExpressionPart<'m>,
        operator: &str,
        sides: [ExpressionPart<'m>; 2],
        want: WantedTruth,
    ) -> Option<ConditionCases> {
        let [left, right] = [self.within_macros(sides[0])?, self.within_macros(sides[1])?];
        // `x == true` is x, `x == false` is !x.
        if operator == operators::EQUALS {
            for (side, other) in [(left, right), (right, left)] {
                if let Expr::Literal(LiteralValue::Boolean(value)) = &side.node.expr {
                    return self.cases(other, if *value.inner() { want } else { want.negated() });
                }
            }
        }
        let known = match (left.variable(), right.variable()) {
            (Some(slot), _) => domains(slot, operator, &right.node.expr, false).map(|domains| (slot, domains)),
            (None, Some(slot)) => domains(slot, operator, &left.node.expr, true).map(|domains| (slot, domains)),
            (None, None) => None,
        };
        let Some((slot, [yes, no])) = known else { return self.opaque_equality(part, operator, want) };
        let domain = match if want.is_true() { yes } else { no } {
            ValueDomain::Number { ranges, .. } if !slot.is_certain() => {
                ValueDomain::Number { ranges, missing: want.admits_failure() }
            }
            ValueDomain::Text { listed, only, .. } if !slot.is_certain() => {
                ValueDomain::Text { listed, only, missing: want.admits_failure() }
            }
            domain => domain,
        };
        Some(ConditionCases::one(format!("{slot:?}"), domain))
    }

    /// `a != b` came here as what is wanted of `a == b`, under the name that `part` has.
    fn opaque_equality(
        &mut self,
        part: ExpressionPart<'m>,
        operator: &str,
        want: WantedTruth,
    ) -> Option<ConditionCases> {
        let is_unequal = matches!(&part.node.expr, Expr::Call(call) if operator_of(&call.func_name) != operator);
        self.opaque(part, if is_unequal { want.negated() } else { want })
    }

    /// Takes an expression as it stands: the same text has the same truth.
    fn opaque(&mut self, part: ExpressionPart<'m>, want: WantedTruth) -> Option<ConditionCases> {
        let mut name = String::new();
        self.write(part, &mut name)?;
        let truth = if want.is_true() { TruthSet::YES } else { TruthSet::NO };
        let fails = want.admits_failure() && !self.is_certain(part);
        Some(ConditionCases::one(name, ValueDomain::Opaque(if fails { truth.or(TruthSet::FAILS) } else { truth })))
    }

    /// Follows macros to what they stand for; `None` when that is too long.
    fn within_macros(&mut self, mut part: ExpressionPart<'m>) -> Option<ExpressionPart<'m>> {
        loop {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                return None;
            }
            let Some(ValueSlot::Macro(position)) = part.slot() else { return Some(part) };
            part =
                ExpressionPart { node: &self.scope.macros.get(*position)?.value.tree, slots: &self.scope.macros.slots };
        }
    }

    /// Tells whether an expression cannot fail. No is never wrong.
    fn is_certain(&mut self, part: ExpressionPart<'m>) -> bool {
        const SAFE: [&str; 13] = [
            operators::LOGICAL_AND,
            operators::LOGICAL_OR,
            operators::LOGICAL_NOT,
            operators::EQUALS,
            operators::NOT_EQUALS,
            operators::LESS,
            operators::LESS_EQUALS,
            operators::GREATER,
            operators::GREATER_EQUALS,
            operators::IN,
            "contains",
            "startsWith",
            "endsWith",
        ];
        let Some(part) = self.within_macros(part) else { return false };
        match &part.node.expr {
            Expr::Literal(_) => true,
            Expr::Ident(_) => part.slot().is_some_and(ValueSlot::is_certain),
            Expr::List(list) => list.elements.iter().all(|node| self.is_certain(ExpressionPart { node, ..part })),
            Expr::Call(call) if SAFE.contains(&operator_of(&call.func_name)) || call.func_name == "size" => {
                let mut operands = call.target.as_deref().into_iter().chain(&call.args);
                operands.all(|node| self.is_certain(ExpressionPart { node, ..part }))
            }
            _ => false,
        }
    }

    /// Writes an expression so that equal ones read the same.
    fn write(&mut self, part: ExpressionPart<'m>, text: &mut String) -> Option<()> {
        let part = self.within_macros(part)?;
        let mut all = |nodes: &mut dyn Iterator<Item = &'m IdedExpr>, text: &mut String| -> Option<()> {
            text.push('(');
            for node in nodes {
                self.write(ExpressionPart { node, ..part }, text)?;
                text.push(',');
            }
            text.push(')');
            Some(())
        };
        match &part.node.expr {
            Expr::Ident(name) => match part.slot() {
                Some(slot) => write!(text, "{slot:?}").ok(),
                None => write!(text, "{name}").ok(),
            },
            Expr::Literal(literal) => write!(text, "{literal:?}").ok(),
            Expr::Select(select) => {
                write!(text, ".{}", select.field).ok()?;
                all(&mut std::iter::once(&*select.operand), text)
            }
            Expr::List(list) => {
                text.push_str("list");
                all(&mut list.elements.iter(), text)
            }
            Expr::Call(call) => {
                write!(text, "{}{}", call.func_name, if call.target.is_some() { "." } else { "" }).ok()?;
                all(&mut call.target.as_deref().into_iter().chain(&call.args), text)
            }
            Expr::Comprehension(c) => {
                write!(text, "each {} {}", c.iter_var, c.accu_var).ok()?;
                all(&mut [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter(), text)
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => None, // the checker refuses them
        }
    }
}

impl<'e> ExpressionPart<'e> {
    fn slot(self) -> Option<&'e ValueSlot> {
        match &self.node.expr {
            Expr::Ident(name) => self.slots.find(name),
            _ => None,
        }
    }

    fn variable(self) -> Option<&'e ValueSlot> {
        self.slot().filter(|slot| !matches!(slot, ValueSlot::Macro(_)))
    }
}

/// Returns the values of a variable for which its comparison with `constant` is true, and those for which it is false.
///
/// `None` when the constant is none, or the two are not compared one with the other.
fn domains(slot: &ValueSlot, operator: &str, constant: &Expr, swapped: bool) -> Option<[ValueDomain; 2]> {
    if operator == operators::IN {
        return if swapped { None } else { listed(slot, constant) };
    }
    let comparison = match operator {
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::AtMost,
        operators::EQUALS => Comparison::Equal,
        operators::GREATER_EQUALS => Comparison::AtLeast,
        operators::GREATER => Comparison::Greater,
        _ => return None,
    };
    let comparison = if swapped { comparison.flipped() } else { comparison };
    match (values_of(slot), constant) {
        (VariableValues::Whole(least, most), _) => {
            let all = RangeUnion::one(least, most);
            Some(comparison.whole(number(constant)?).map(|ranges| ValueDomain::Whole(ranges.and(&all))))
        }
        (VariableValues::Number(least, most), _) => {
            let all = RangeUnion::one(RangeEdge::at(least), RangeEdge::at(most));
            let domain =
                |ranges: RangeUnion<RangeEdge>| ValueDomain::Number { ranges: ranges.and(&all), missing: false };
            Some(comparison.numbers(number(constant)?).map(domain))
        }
        (values @ (VariableValues::Text | VariableValues::Label(_)), Expr::Literal(LiteralValue::String(text)))
            if comparison == Comparison::Equal =>
        {
            Some(texts(&values, BTreeSet::from([text.inner().to_owned()])))
        }
        _ => None,
    }
}

/// `variable in ['a', 'b']`.
fn listed(slot: &ValueSlot, constant: &Expr) -> Option<[ValueDomain; 2]> {
    let (values @ (VariableValues::Text | VariableValues::Label(_)), Expr::List(list)) = (values_of(slot), constant)
    else {
        return None;
    };
    let text = |node: &IdedExpr| match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    };
    list.elements.iter().map(text).collect::<Option<_>>().map(|listed| texts(&values, listed))
}

fn texts(values: &VariableValues<'_>, listed: BTreeSet<String>) -> [ValueDomain; 2] {
    let missing = false;
    let VariableValues::Label(labels) = values else {
        return [
            ValueDomain::Text { listed: listed.clone(), only: true, missing },
            ValueDomain::Text { listed, only: false, missing },
        ];
    };
    let (yes, no): (BTreeSet<String>, BTreeSet<String>) =
        labels.iter().map(ToString::to_string).partition(|label| listed.contains(label));
    [yes, no].map(|listed| ValueDomain::Text { listed, only: true, missing })
}

/// Reads a constant that `f64` holds exactly.
#[expect(clippy::cast_precision_loss, reason = "what lost precision is too large to pass")]
fn number(constant: &Expr) -> Option<f64> {
    let Expr::Literal(literal) = constant else { return None };
    let number = match literal {
        LiteralValue::Int(value) => *value.inner() as f64,
        LiteralValue::UInt(value) => *value.inner() as f64,
        LiteralValue::Double(value) => *value.inner(),
        _ => return None,
    };
    (number.abs() < EXACT).then_some(number)
}

/// The values that a variable can have at all.
enum VariableValues<'s> {
    Whole(i64, i64),
    Number(f64, f64),
    Text,
    /// One of these labels.
    Label(&'s [Name]),
    Other,
}

fn values_of(slot: &ValueSlot) -> VariableValues<'_> {
    match slot {
        ValueSlot::Feature(index) => match FEATURE_TABLE[*index].kind {
            FeatureKind::Int => VariableValues::Whole(0, i64::MAX),
            FeatureKind::Float => VariableValues::Number(f64::NEG_INFINITY, f64::INFINITY),
            FeatureKind::Text => VariableValues::Text,
            FeatureKind::Bool => VariableValues::Other,
        },
        ValueSlot::Model | ValueSlot::Path | ValueSlot::Header(_) | ValueSlot::Client => VariableValues::Text,
        ValueSlot::Now(ClockPart::Hour) => VariableValues::Whole(0, 23),
        ValueSlot::Now(ClockPart::Minute) => VariableValues::Whole(0, 59),
        ValueSlot::Now(ClockPart::Weekday) => VariableValues::Whole(1, 7),
        ValueSlot::Now(ClockPart::Timestamp) => VariableValues::Whole(i64::MIN, i64::MAX),
        ValueSlot::Score(_) | ValueSlot::Confidence(_) => VariableValues::Number(0.0, 1.0),
        ValueSlot::Judge(NamedJudge { labels, .. }) => VariableValues::Label(labels),
        ValueSlot::Macro(_) | ValueSlot::Text(_) => VariableValues::Other,
    }
}
