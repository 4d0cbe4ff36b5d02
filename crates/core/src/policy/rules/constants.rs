//! `constants`: values with a name, put into the expressions when they are compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, ListExpr, LiteralValue};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use serde_json::Value;

use crate::config::{Config, ConfigProblem, KeyPath, MAX_PROBLEMS};
use crate::policy::rules::types::ExpressionType;

/// Words that CEL keeps to itself.
const RESERVED: [&str; 22] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "type",
    "var",
    "void",
    "while",
];

/// Constants by their names: each a value, and its type.
pub(super) type TypedConstants = BTreeMap<String, (Arc<Expr>, ExpressionType)>;

/// Reads every constant of `config`, and says what is wrong with the others.
pub(super) fn read(config: &Config) -> (TypedConstants, Vec<ConfigProblem>) {
    let mut constants = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in &config.constants {
        let path = KeyPath::root().key("constants").key(name);
        match check_name(name).and_then(|()| constant(value)) {
            Ok((value, kind)) => {
                constants.insert(name.clone(), (Arc::new(value), kind));
            }
            Err(message) if problems.len() < MAX_PROBLEMS => problems.extend(config.problem(&path, message)),
            Err(_) => {}
        }
    }
    (constants, problems)
}

/// Checks the name of a constant or macro, which stands after a dot in expressions.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(word) && name.len() <= 64 && !RESERVED.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "`{name}` cannot be used in expressions (allowed: letters, digits and `_`, no digit first, no word of CEL)"
    ))
}

fn constant(value: &Value) -> Result<(Expr, ExpressionType), String> {
    const ALLOWED: &str = "(allowed: a number, a text, true or false, or a list of one of them)";
    let Value::Array(elements) = value else {
        let (literal, kind) = scalar(value).ok_or_else(|| format!("is no value for an expression {ALLOWED}"))?;
        return Ok((Expr::Literal(literal), kind));
    };
    let mut kind = ExpressionType::Any;
    let mut nodes = Vec::with_capacity(elements.len());
    for element in elements {
        let (literal, own) =
            scalar(element).ok_or_else(|| format!("holds what is no value for an expression {ALLOWED}"))?;
        kind = kind.unify(&own).ok_or_else(|| format!("a list's elements must have one type, got {kind} and {own}"))?;
        nodes.push(IdedExpr { id: 0, expr: Expr::Literal(literal) });
    }
    Ok((Expr::List(ListExpr::new(nodes)), ExpressionType::List(Box::new(kind))))
}

fn scalar(value: &Value) -> Option<(LiteralValue, ExpressionType)> {
    let literal = match value {
        Value::Bool(value) => LiteralValue::Boolean(CelBool::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => LiteralValue::Int(CelInt::from(number)),
            // A whole number beyond 64 bits with a sign would lose digits.
            None => LiteralValue::Double(CelDouble::from(number.as_f64().filter(|_| number.is_f64())?)),
        },
        Value::String(text) => LiteralValue::String(CelString::from(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let kind = ExpressionType::of(&literal)?;
    Some((literal, kind))
}
