//! The values that a variable may have where a condition holds.
//!
//! Domains are exact for numbers, texts and booleans that are compared with constants. An expression that is not looked
//! into has three: true, false, and failing.

use std::collections::BTreeSet;

/// The values that a variable or an expression may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueDomain {
    /// A whole number.
    Whole(RangeUnion<i64>),
    /// A number; `missing` when it may have no value at all, as a score without its classifier.
    Number { ranges: RangeUnion<RangeEdge>, missing: bool },
    /// A text: one of `listed`, or any but these; `missing` when it may have no value at all, as the label of a silent
    /// judge.
    Text { listed: BTreeSet<String>, only: bool, missing: bool },
    /// True, false, failing.
    Opaque(TruthSet),
}

/// Which of three truths are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TruthSet {
    pub(super) yes: bool,
    pub(super) no: bool,
    pub(super) fails: bool,
}

/// A union of closed ranges, in order and without overlap.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RangeUnion<T>(Vec<(T, T)>);

/// A number, or the place right before or after it: `x > 2` begins right after 2.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct RangeEdge {
    number: f64,
    /// The side of the number, -1 or 1; 0 for the number itself.
    beside: i8,
}

/// The comparison of a variable with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

impl ValueDomain {
    /// Returns the values that are in both; they are of one variable, so of one kind.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Self::Whole(left.and(right)),
            (Self::Number { ranges, missing }, Self::Number { ranges: others, missing: other }) => {
                Self::Number { ranges: ranges.and(others), missing: *missing && *other }
            }
            (Self::Text { listed, only, missing }, Self::Text { listed: others, only: other, missing: absent }) => {
                let (listed, only) = match (only, other) {
                    (true, true) => (listed & others, true),
                    (true, false) => (listed - others, true),
                    (false, true) => (others - listed, true),
                    (false, false) => (listed | others, false),
                };
                Self::Text { listed, only, missing: *missing && *absent }
            }
            (Self::Opaque(left), Self::Opaque(right)) => Self::Opaque(TruthSet {
                yes: left.yes && right.yes,
                no: left.no && right.no,
                fails: left.fails && right.fails,
            }),
            _ => self.clone(), // the larger of two is never wrong
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Whole(ranges) => ranges.0.is_empty(),
            Self::Number { ranges, missing } => ranges.0.is_empty() && !missing,
            Self::Text { listed, only, missing } => *only && listed.is_empty() && !missing,
            Self::Opaque(TruthSet { yes, no, fails }) => !(*yes || *no || *fails),
        }
    }
}

impl<T: PartialOrd + Copy> RangeUnion<T> {
    /// One range; empty when its ends are the wrong way round.
    pub(super) fn one(from: T, to: T) -> Self {
        Self(if from <= to { vec![(from, to)] } else { Vec::new() })
    }

    /// The union with `other`, which lies behind it.
    pub(super) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let both = |(from, to): &(T, T), (other_from, other_to): &(T, T)| {
            let from = if other_from > from { *other_from } else { *from };
            let to = if other_to < to { *other_to } else { *to };
            (from <= to).then_some((from, to))
        };
        Self(self.0.iter().flat_map(|left| other.0.iter().filter_map(move |right| both(left, right))).collect())
    }
}

impl RangeEdge {
    const LEAST: Self = Self::at(f64::NEG_INFINITY);
    const MOST: Self = Self::at(f64::INFINITY);

    pub(super) const fn at(number: f64) -> Self {
        Self { number, beside: 0 }
    }
}

impl TruthSet {
    pub(super) const YES: Self = Self { yes: true, no: false, fails: false };
    pub(super) const NO: Self = Self { yes: false, no: true, fails: false };
    pub(super) const FAILS: Self = Self { yes: false, no: false, fails: true };

    pub(super) const fn or(self, other: Self) -> Self {
        Self { yes: self.yes || other.yes, no: self.no || other.no, fails: self.fails || other.fails }
    }
}

impl Comparison {
    /// Returns the comparison with its sides swapped.
    pub(super) const fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Equal => Self::Equal,
            Self::AtLeast => Self::AtMost,
            Self::Greater => Self::Less,
        }
    }

    /// Returns the numbers that compare so with `bound`, and those that do not.
    pub(super) fn numbers(self, bound: f64) -> [RangeUnion<RangeEdge>; 2] {
        let edge = |beside| RangeEdge { number: bound, beside };
        let below = |beside| RangeUnion::one(RangeEdge::LEAST, edge(beside));
        let above = |beside| RangeUnion::one(edge(beside), RangeEdge::MOST);
        match self {
            Self::Less => [below(-1), above(0)],
            Self::AtMost => [below(0), above(1)],
            Self::Equal => [RangeUnion::one(edge(0), edge(0)), below(-1).then(above(1))],
            Self::AtLeast => [above(0), below(-1)],
            Self::Greater => [above(1), below(0)],
        }
    }

    /// Returns the whole numbers that compare so with `bound`, and those that do not.
    #[expect(clippy::cast_possible_truncation, reason = "the caller keeps to numbers that f64 holds exactly")]
    pub(super) fn whole(self, bound: f64) -> [RangeUnion<i64>; 2] {
        let (floor, ceiling) = (bound.floor() as i64, bound.ceil() as i64);
        let up_to = |last: i64| RangeUnion::one(i64::MIN, last);
        let from = |first: i64| RangeUnion::one(first, i64::MAX);
        match self {
            Self::Less => [up_to(ceiling - 1), from(ceiling)],
            Self::AtMost => [up_to(floor), from(floor + 1)],
            Self::Equal if floor == ceiling => [RangeUnion::one(floor, floor), up_to(floor - 1).then(from(floor + 1))],
            Self::Equal => [RangeUnion(Vec::new()), from(i64::MIN)],
            Self::AtLeast => [from(ceiling), up_to(ceiling - 1)],
            Self::Greater => [from(floor + 1), up_to(floor)],
        }
    }
}
