//! Comparisons of numbers one of which may be no number: false, as CEL's specification and IEEE 754 have it.
//!
//! The interpreter's own `<` fails there, and a rule that fails is no guard: a client that sends `NaN` in a header
//! would turn `!(double(headers['x-n']) <= 5.0)` off. Comparisons that cannot meet one stay the interpreter's, which
//! are cheaper.

use std::cmp::Ordering;

use cel::common::ast::operators;
use cel::common::types::{CelBool, CelDouble, CelInt, CelUInt, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

/// The operators, and what takes their place. No expression can spell these names.
const REPLACED: [(&str, &str, CompareFunction); 4] = [
    (operators::LESS, "@less", |args| ordered(&args, Ordering::is_lt)),
    (operators::LESS_EQUALS, "@less_equals", |args| ordered(&args, Ordering::is_le)),
    (operators::GREATER, "@greater", |args| ordered(&args, Ordering::is_gt)),
    (operators::GREATER_EQUALS, "@greater_equals", |args| ordered(&args, Ordering::is_ge)),
];

type CompareFunction = for<'b, 'v> fn(Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError>;

/// Makes the comparisons known to `env`.
pub(super) fn declare(env: &mut Env) {
    for (_, name, compare) in REPLACED {
        env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], compare).expect("each name is declared once");
    }
}

/// Returns the name of the comparison that takes the place of `operator`, if it is one that compares.
pub(super) fn replacement(operator: &str) -> Option<&'static str> {
    REPLACED.iter().find(|(own, ..)| *own == operator).map(|(_, name, _)| *name)
}

/// Returns the operator that a function of a compiled expression stands for; any other function's name as it is.
pub(in crate::policy) fn operator_of(function: &str) -> &str {
    REPLACED.iter().find(|(_, name, _)| *name == function).map_or(function, |(operator, ..)| operator)
}

fn ordered<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    holds: impl Fn(Ordering) -> bool,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = args else {
        return Err(ExecutionError::invalid_argument_count(2, args.len()));
    };
    let (left, right) = (number(left.as_ref())?, number(right.as_ref())?);
    Ok(CowVal::owned(CelBool::from(left.partial_cmp(&right).is_some_and(holds))))
}

/// Returns a number as the interpreter compares it with a double.
#[expect(clippy::cast_precision_loss, reason = "the interpreter's own comparison with a double loses it as well")]
fn number(value: &dyn Val) -> Result<f64, ExecutionError> {
    let int = || value.downcast_ref::<CelInt>().map(|int| *int.inner() as f64);
    let uint = || value.downcast_ref::<CelUInt>().map(|uint| *uint.inner() as f64);
    let double = value.downcast_ref::<CelDouble>().map(|double| *double.inner());
    double.or_else(int).or_else(uint).ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: "number".to_owned(),
    })
}
