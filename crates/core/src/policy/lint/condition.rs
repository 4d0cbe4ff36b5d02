//! From expressions to [`Cases`].
//!
//! CEL has three truths: true, false and failing. `a && b` is false when one side is, whatever becomes of the other;
//! `a || b` is true when one side is. A rule is taken when it is true; it is passed over when it is false or fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::cases::Cases;
use super::domain::{Comparison, Domain, Edge, Ranges, Truths};
use crate::config::Name;
use crate::features::{Kind, TABLE};
use crate::policy::rules::{Clock, Expression, Macros, NamedJudge, Slot, Slots, operator_of};

/// Parts of an expression, macros written out, after which it is not looked into.
const MAX_PARTS: usize = 5000;
/// Whole numbers are compared with others as `f64`, which holds them exactly below this.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The truth that is wanted of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    True,
    False,
    /// The expression is false, or fails.
    NotTrue,
    /// The expression is true, or fails.
    NotFalse,
}

/// The reader of expressions, which counts the parts that it looked into.
pub(super) struct Reader<'m> {
    macros: &'m Macros,
    parts: usize,
}

/// A part of an expression, with what its names stand for.
#[derive(Clone, Copy)]
struct Part<'e> {
    node: &'e IdedExpr,
    slots: &'e Slots,
}

/// Returns the requests for which `expression` is as wanted, and maybe more; `None` when it is too long to tell.
pub(super) fn cases(expression: &Expression, slots: &Slots, macros: &Macros, want: Want) -> Option<Cases> {
    Reader { macros, parts: 0 }.cases(Part { node: &expression.tree, slots }, want)
}

impl Want {
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

impl<'m> Reader<'m> {
    fn cases(&mut self, part: Part<'m>, want: Want) -> Option<Cases> {
        let part = self.within_macros(part)?;
        let at = |node| Part { node, ..part };
        match &part.node.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => {
                Some(if *value.inner() == want.is_true() { Cases::all() } else { Cases::none() })
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
    fn both(&mut self, left: Part<'m>, right: Part<'m>, want: Want, together: bool) -> Option<Cases> {
        let (left, right) = (self.cases(left, want)?, self.cases(right, want)?);
        if together { left.and(&right) } else { left.or(right) }
    }

    fn conditional(&mut self, condition: Part<'m>, [yes, no]: [Part<'m>; 2], want: Want) -> Option<Cases> {
        let yes = self.cases(condition, Want::True)?.and(&self.cases(yes, want)?)?;
        let no = self.cases(condition, Want::False)?.and(&self.cases(no, want)?)?;
        let either = yes.or(no)?;
        if !want.admits_failure() {
            return Some(either);
        }
        let fails = self.cases(condition, Want::NotTrue)?.and(&self.cases(condition, Want::NotFalse)?)?;
        either.or(fails)
    }

    /// Reads `left operator right`, which `part` is, where one side is a variable and the other a constant.
    fn compared(&mut self, part: Part<'m>, operator: &str, sides: [Part<'m>; 2], want: Want) -> Option<Cases> {
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
            Domain::Number { ranges, .. } if !slot.is_certain() => {
                Domain::Number { ranges, missing: want.admits_failure() }
            }
            Domain::Text { listed, only, .. } if !slot.is_certain() => {
                Domain::Text { listed, only, missing: want.admits_failure() }
            }
            domain => domain,
        };
        Some(Cases::one(format!("{slot:?}"), domain))
    }

    /// `a != b` came here as what is wanted of `a == b`, under the name that `part` has.
    fn opaque_equality(&mut self, part: Part<'m>, operator: &str, want: Want) -> Option<Cases> {
        let is_unequal = matches!(&part.node.expr, Expr::Call(call) if operator_of(&call.func_name) != operator);
        self.opaque(part, if is_unequal { want.negated() } else { want })
    }

    /// Takes an expression as it stands: the same text has the same truth.
    fn opaque(&mut self, part: Part<'m>, want: Want) -> Option<Cases> {
        let mut name = String::new();
        self.write(part, &mut name)?;
        let truth = if want.is_true() { Truths::YES } else { Truths::NO };
        let fails = want.admits_failure() && !self.is_certain(part);
        Some(Cases::one(name, Domain::Opaque(if fails { truth.or(Truths::FAILS) } else { truth })))
    }

    /// Follows macros to what they stand for; `None` when that is too long.
    fn within_macros(&mut self, mut part: Part<'m>) -> Option<Part<'m>> {
        loop {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                return None;
            }
            let Some(Slot::Macro(position)) = part.slot() else { return Some(part) };
            part = Part { node: &self.macros.get(*position)?.value.tree, slots: &self.macros.slots };
        }
    }

    /// Tells whether an expression cannot fail. No is never wrong.
    fn is_certain(&mut self, part: Part<'m>) -> bool {
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
            Expr::Ident(_) => part.slot().is_some_and(Slot::is_certain),
            Expr::List(list) => list.elements.iter().all(|node| self.is_certain(Part { node, ..part })),
            Expr::Call(call) if SAFE.contains(&operator_of(&call.func_name)) || call.func_name == "size" => {
                let mut operands = call.target.as_deref().into_iter().chain(&call.args);
                operands.all(|node| self.is_certain(Part { node, ..part }))
            }
            _ => false,
        }
    }

    /// Writes an expression so that equal ones read the same.
    fn write(&mut self, part: Part<'m>, text: &mut String) -> Option<()> {
        let part = self.within_macros(part)?;
        let mut all = |nodes: &mut dyn Iterator<Item = &'m IdedExpr>, text: &mut String| -> Option<()> {
            text.push('(');
            for node in nodes {
                self.write(Part { node, ..part }, text)?;
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

impl<'e> Part<'e> {
    fn slot(self) -> Option<&'e Slot> {
        match &self.node.expr {
            Expr::Ident(name) => self.slots.find(name),
            _ => None,
        }
    }

    fn variable(self) -> Option<&'e Slot> {
        self.slot().filter(|slot| !matches!(slot, Slot::Macro(_)))
    }
}

/// Returns the values of a variable for which its comparison with `constant` is true, and those for which it is false.
///
/// `None` when the constant is none, or the two are not compared one with the other.
fn domains(slot: &Slot, operator: &str, constant: &Expr, swapped: bool) -> Option<[Domain; 2]> {
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
        (Values::Whole(least, most), _) => {
            let all = Ranges::one(least, most);
            Some(comparison.whole(number(constant)?).map(|ranges| Domain::Whole(ranges.and(&all))))
        }
        (Values::Number(least, most), _) => {
            let all = Ranges::one(Edge::at(least), Edge::at(most));
            let domain = |ranges: Ranges<Edge>| Domain::Number { ranges: ranges.and(&all), missing: false };
            Some(comparison.numbers(number(constant)?).map(domain))
        }
        (values @ (Values::Text | Values::Label(_)), Expr::Literal(LiteralValue::String(text)))
            if comparison == Comparison::Equal =>
        {
            Some(texts(&values, BTreeSet::from([text.inner().to_owned()])))
        }
        _ => None,
    }
}

/// `variable in ['a', 'b']`.
fn listed(slot: &Slot, constant: &Expr) -> Option<[Domain; 2]> {
    let (values @ (Values::Text | Values::Label(_)), Expr::List(list)) = (values_of(slot), constant) else {
        return None;
    };
    let text = |node: &IdedExpr| match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    };
    list.elements.iter().map(text).collect::<Option<_>>().map(|listed| texts(&values, listed))
}

fn texts(values: &Values<'_>, listed: BTreeSet<String>) -> [Domain; 2] {
    let missing = false;
    let Values::Label(labels) = values else {
        return [
            Domain::Text { listed: listed.clone(), only: true, missing },
            Domain::Text { listed, only: false, missing },
        ];
    };
    let (yes, no): (BTreeSet<String>, BTreeSet<String>) =
        labels.iter().map(ToString::to_string).partition(|label| listed.contains(label));
    [yes, no].map(|listed| Domain::Text { listed, only: true, missing })
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
enum Values<'s> {
    Whole(i64, i64),
    Number(f64, f64),
    Text,
    /// One of these labels.
    Label(&'s [Name]),
    Other,
}

fn values_of(slot: &Slot) -> Values<'_> {
    match slot {
        Slot::Feature(index) => match TABLE[*index].kind {
            Kind::Int => Values::Whole(0, i64::MAX),
            Kind::Float => Values::Number(f64::NEG_INFINITY, f64::INFINITY),
            Kind::Text => Values::Text,
            Kind::Bool => Values::Other,
        },
        Slot::Model | Slot::Path | Slot::Header(_) | Slot::Client => Values::Text,
        Slot::Now(Clock::Hour) => Values::Whole(0, 23),
        Slot::Now(Clock::Minute) => Values::Whole(0, 59),
        Slot::Now(Clock::Weekday) => Values::Whole(1, 7),
        Slot::Now(Clock::Timestamp) => Values::Whole(i64::MIN, i64::MAX),
        Slot::Score(_) | Slot::Confidence(_) => Values::Number(0.0, 1.0),
        Slot::Judge(NamedJudge { labels, .. }) => Values::Label(labels),
        Slot::Macro(_) | Slot::Text(_) => Values::Other,
    }
}
