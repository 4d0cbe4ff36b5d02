//! Checks an expression's types before it ever runs.
//!
//! Knows the features' types, CEL's operators, and the functions that rules may call. What it accepts evaluates without
//! a type error, numbers that are none (NaN) included: a test in [`super`] runs every construct. `matches` is refused,
//! because the interpreter compiles its pattern again for each request.

mod texts;

use std::collections::{BTreeMap, BTreeSet};

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::path::{NamePath, is_operator, range_of, symbol};
use super::text_test::TextTestKind;
use super::types::ExpressionType;
use super::vocabulary::{NameMeaning, ValueSlot, Vocabulary};
use crate::config::nearest;

/// A mistake in an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpressionMistake {
    pub(super) message: String,
    /// The first character of the mistake.
    pub(super) offset: usize,
    pub(super) width: usize,
}

/// The types and names of an expression without mistakes.
#[derive(Debug)]
pub(super) struct TypedExpression {
    pub(super) kind: ExpressionType,
    /// The meanings of the names in the expression, by the ids of their nodes.
    pub(super) names: BTreeMap<u64, NameMeaning>,
    /// The comparisons of which a side may be no number (NaN), by the ids of their nodes.
    pub(super) partial: BTreeSet<u64>,
}

/// Methods on a text that take a text and are true or false.
const TEXT_TESTS: [&str; 3] = ["contains", "endsWith", "startsWith"];
const FUNCTIONS: [&str; 14] = [
    "contains",
    "endsWith",
    "startsWith",
    "size",
    "int",
    "uint",
    "double",
    "string",
    "exists",
    "all",
    "filter",
    "map",
    "prompt.contains_any",
    "prompt.matches_any",
];

/// Finds every mistake in `program`, whose value must be of the type `wanted`.
///
/// # Errors
/// The mistakes; none where a macro cannot be used that has been reported.
pub(super) fn check(
    program: &Program,
    vocabulary: &Vocabulary,
    wanted: &ExpressionType,
) -> Result<TypedExpression, Vec<ExpressionMistake>> {
    let source = program.source_info();
    let mut checker = TypeChecker {
        source,
        vocabulary,
        locals: Vec::new(),
        names: BTreeMap::new(),
        partial: BTreeSet::new(),
        mistakes: Vec::new(),
    };
    let kind = checker.infer(program.expression());
    if !kind.fits(wanted) {
        let width = source.source.chars().count().max(1);
        checker.mistakes.push(ExpressionMistake {
            message: format!("must be true or false, but is {kind}"),
            offset: 0,
            width,
        });
    }
    let TypeChecker { names, partial, mistakes, .. } = checker;
    let is_usable = !names.values().any(|named| matches!(named, NameMeaning::Unusable));
    if mistakes.is_empty() && is_usable { Ok(TypedExpression { kind, names, partial }) } else { Err(mistakes) }
}

struct TypeChecker<'p> {
    source: &'p SourceInfo,
    vocabulary: &'p Vocabulary,
    /// Names that macros such as `exists` bind, innermost last.
    locals: Vec<(&'p str, ExpressionType)>,
    names: BTreeMap<u64, NameMeaning>,
    partial: BTreeSet<u64>,
    mistakes: Vec<ExpressionMistake>,
}

impl<'p> TypeChecker<'p> {
    fn infer(&mut self, node: &'p IdedExpr) -> ExpressionType {
        if let Some(path) = NamePath::of(node) {
            return self.name(node, &path);
        }
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Select(select) if select.test => {
                self.wrong(node, "`has` is not needed: every variable always has a value")
            }
            Expr::Select(select) => {
                let operand = self.infer(&select.operand);
                self.wrong(node, &format!("{operand} has no field `{}`", select.field))
            }
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                let elements: Vec<ExpressionType> = list.elements.iter().map(|element| self.infer(element)).collect();
                let mut element = ExpressionType::Any;
                for other in &elements {
                    let Some(both) = element.unify(other) else {
                        let message = format!("a list's elements must have one type, got {element} and {other}");
                        return self.wrong(node, &message);
                    };
                    element = both;
                }
                ExpressionType::List(Box::new(element))
            }
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::Ident(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.wrong(node, "mappings are not allowed here (allowed: numbers, texts, lists)")
            }
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> ExpressionType {
        let kind = ExpressionType::of(literal);
        kind.unwrap_or_else(|| self.wrong(node, "null and bytes are not allowed: every variable always has a value"))
    }

    fn name(&mut self, node: &IdedExpr, path: &NamePath<'p>) -> ExpressionType {
        if let Some((local, kind)) = self.locals.iter().rev().find(|(own, _)| *own == path.words[0]) {
            return match path.words.get(1) {
                None => kind.clone(),
                Some(field) => {
                    let message = format!("`{local}` is {kind} and has no field `{field}`");
                    self.wrong(node, &message)
                }
            };
        }
        match self.vocabulary.find(path) {
            Ok((named, kind)) => {
                self.names.insert(node.id, named);
                kind
            }
            Err(message) => self.wrong(node, &message),
        }
    }

    fn call(&mut self, node: &'p IdedExpr, call: &'p CallExpr) -> ExpressionType {
        if let Some(kind) = TextTestKind::ALL.into_iter().find(|kind| kind.as_str() == call.func_name) {
            return self.text_test(node, call, kind);
        }
        let target = call.target.as_deref().map(|target| self.infer(target));
        let args: Vec<ExpressionType> = call.args.iter().map(|arg| self.infer(arg)).collect();
        let name = call.func_name.as_str();
        match (name, &target, args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, None, _) => {
                for (arg, operand) in call.args.iter().zip(&args) {
                    self.want(arg, operand, &ExpressionType::Bool, symbol(name));
                }
                ExpressionType::Bool
            }
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                self.want(&call.args[0], condition, &ExpressionType::Bool, "?");
                self.same(node, yes, no, "? :")
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                self.labels(&call.args);
                if !left.comparable(right) {
                    self.operands(node, name, &args);
                }
                ExpressionType::Bool
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                if !left.comparable(right) || matches!(left, ExpressionType::List(_)) {
                    self.operands(node, name, &args);
                } else if call.args.iter().zip(&args).any(|(arg, kind)| self.may_be_nan(arg, kind)) {
                    self.partial.insert(node.id);
                }
                ExpressionType::Bool
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO
                | operators::NEGATE,
                None,
                _,
            ) => self.arithmetic(node, name, &args),
            (operators::IN, None, [element, ExpressionType::List(elements)]) if element.comparable(elements) => {
                self.labels(&call.args);
                ExpressionType::Bool
            }
            (operators::INDEX, None, [ExpressionType::List(elements), ExpressionType::Int | ExpressionType::Any]) => {
                (**elements).clone()
            }
            _ => self.function(node, call, target.as_ref(), &args),
        }
    }

    /// Tells whether a number may be none. What a request says of itself and what classifiers say never is; what is
    /// computed may be.
    fn may_be_nan(&self, node: &IdedExpr, kind: &ExpressionType) -> bool {
        let is_given = match self.names.get(&node.id) {
            Some(NameMeaning::Slot(slot)) => !matches!(slot, ValueSlot::Macro(_)),
            Some(NameMeaning::Constant(..)) => true,
            Some(NameMeaning::Unusable) => false,
            None => matches!(node.expr, Expr::Literal(_)),
        };
        *kind == ExpressionType::Double && !is_given
    }

    fn arithmetic(&mut self, node: &IdedExpr, operator: &str, args: &[ExpressionType]) -> ExpressionType {
        let result = match args {
            [operand] => Some(operand.clone()).filter(|operand| *operand != ExpressionType::Uint),
            [left, right] => left.unify(right),
            _ => None,
        };
        match (operator, result) {
            (_, Some(ExpressionType::Any)) => ExpressionType::Any,
            (operators::ADD, Some(both @ (ExpressionType::Text | ExpressionType::List(_)))) => both,
            (operators::MODULO, Some(ExpressionType::Double)) => self.operands(node, operator, args),
            (_, Some(both)) if both.is_number() => both,
            _ => self.operands(node, operator, args),
        }
    }

    fn function(
        &mut self,
        node: &'p IdedExpr,
        call: &CallExpr,
        target: Option<&ExpressionType>,
        args: &[ExpressionType],
    ) -> ExpressionType {
        let name = call.func_name.as_str();
        match (name, target, args) {
            (_, Some(ExpressionType::Text | ExpressionType::Any), [ExpressionType::Text | ExpressionType::Any]) if TEXT_TESTS.contains(&name) => ExpressionType::Bool,
            ("size", Some(value), []) | ("size", None, [value])
                if matches!(value, ExpressionType::Text | ExpressionType::List(_) | ExpressionType::Any) => ExpressionType::Int,
            ("int" | "uint" | "double" | "string", None, [value]) if !matches!(value, ExpressionType::Bool | ExpressionType::List(_)) => {
                match name {
                    "int" => ExpressionType::Int,
                    "uint" => ExpressionType::Uint,
                    "double" => ExpressionType::Double,
                    _ => ExpressionType::Text,
                }
            }
            ("string", None, [ExpressionType::Bool]) => ExpressionType::Text,
            // What the parser adds around the body of `all` and `exists`.
            (operators::NOT_STRICTLY_FALSE, None, [_]) => ExpressionType::Bool,
            ("matches", ..) => self.wrong(
                node,
                "`matches` is not allowed, its pattern would be compiled for each request (allowed: contains, startsWith, endsWith; of \
                 the prompt: prompt.matches_any([...]))",
            ),
            _ if is_operator(name) || FUNCTIONS.contains(&name) => {
                let all: Vec<ExpressionType> = target.into_iter().chain(args).cloned().collect();
                self.operands(node, name, &all)
            }
            _ => {
                let near = nearest(name, FUNCTIONS).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
                self.wrong(node, &format!("unknown function `{name}`{near} (allowed: {})", FUNCTIONS.join(", ")))
            }
        }
    }

    /// `exists`, `all`, `filter` and `map`, as the parser expands them.
    fn comprehension(&mut self, node: &IdedExpr, comprehension: &'p ComprehensionExpr) -> ExpressionType {
        let element = match self.infer(&comprehension.iter_range) {
            ExpressionType::List(element) => *element,
            ExpressionType::Any => ExpressionType::Any,
            other => self.wrong(node, &format!("needs a list, got {other}")),
        };
        let result = self.infer(&comprehension.accu_init);
        let locals = self.locals.len();
        self.locals.push((&comprehension.iter_var, element));
        self.locals.push((&comprehension.accu_var, result.clone()));
        self.infer(&comprehension.loop_cond);
        let step = self.infer(&comprehension.loop_step);
        let bound = self.locals.len() - 1;
        self.locals[bound].1 = result.unify(&step).unwrap_or(result);
        let result = self.infer(&comprehension.result);
        self.locals.truncate(locals);
        result
    }

    fn want(&mut self, node: &IdedExpr, got: &ExpressionType, wanted: &ExpressionType, operator: &str) {
        if !got.fits(wanted) {
            self.wrong(node, &format!("`{operator}` needs {wanted}, got {got}"));
        }
    }

    fn same(
        &mut self,
        node: &IdedExpr,
        left: &ExpressionType,
        right: &ExpressionType,
        operator: &str,
    ) -> ExpressionType {
        if let Some(both) = left.unify(right) {
            return both;
        }
        self.wrong(node, &format!("both sides of `{operator}` must have one type, got {left} and {right}"))
    }

    fn operands(&mut self, node: &IdedExpr, name: &str, got: &[ExpressionType]) -> ExpressionType {
        if got.contains(&ExpressionType::Any) {
            return ExpressionType::Any;
        }
        let types = got.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let mixed = got.len() == 2 && got[0] != got[1] && got.iter().all(ExpressionType::is_number);
        let hint = if mixed { " (convert one with int() or double())" } else { "" };
        self.wrong(node, &format!("`{}` does not take {types}{hint}", symbol(name)))
    }

    fn wrong(&mut self, node: &IdedExpr, message: &str) -> ExpressionType {
        let (offset, width) = range_of(self.source, node);
        let mistake = ExpressionMistake { message: message.to_owned(), offset, width };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
        ExpressionType::Any
    }
}
