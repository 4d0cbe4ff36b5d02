//! Checks an expression's types before it ever runs.
//!
//! Knows the features' types, CEL's operators, and the functions that rules may call. What it accepts evaluates without a
//! type error: a test in [`super::rules`] runs every construct. `matches` is refused, because the interpreter compiles its
//! pattern again for each request.

use std::fmt;

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use crate::config::nearest;
use crate::features::{Kind, Scope, TABLE};

/// One thing that is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) message: String,
    /// Where it begins, in characters.
    pub(super) offset: usize,
    pub(super) width: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Type {
    Int,
    Uint,
    Double,
    Bool,
    Text,
    List(Box<Self>),
    /// Anything: an empty list's elements, and whatever has been reported already.
    Any,
}

/// Methods on a text that take a text and are true or false.
const TEXT_TESTS: [&str; 3] = ["contains", "endsWith", "startsWith"];
const FUNCTIONS: [&str; 12] =
    ["contains", "endsWith", "startsWith", "size", "int", "uint", "double", "string", "exists", "all", "filter", "map"];

/// Finds every mistake in `program`, which must be true or false.
pub(super) fn check(program: &Program) -> Vec<Mistake> {
    let mut checker = Checker { source: program.source_info(), locals: Vec::new(), mistakes: Vec::new() };
    let root = program.expression();
    let result = checker.infer(root);
    if !result.fits(&Type::Bool) {
        let width = checker.source.source.chars().count().max(1);
        checker.mistakes.push(Mistake { message: format!("must be true or false, but is {result}"), offset: 0, width });
    }
    checker.mistakes
}

struct Checker<'p> {
    source: &'p SourceInfo,
    /// Names that macros such as `exists` bind, innermost last.
    locals: Vec<(&'p str, Type)>,
    mistakes: Vec<Mistake>,
}

impl<'p> Checker<'p> {
    fn infer(&mut self, node: &'p IdedExpr) -> Type {
        match &node.expr {
            Expr::Literal(literal) => self.literal(node, literal),
            Expr::Ident(name) => self.variable(node, name),
            Expr::Select(select) if select.test => {
                self.wrong(node, "`has` is not needed: every variable always has a value")
            }
            Expr::Select(select) => match dotted(node) {
                Some((_, name)) => self.variable(node, &name),
                None => {
                    let operand = self.infer(&select.operand);
                    self.wrong(node, &format!("{operand} has no field `{}`", select.field))
                }
            },
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                let elements: Vec<Type> = list.elements.iter().map(|element| self.infer(element)).collect();
                let mut element = Type::Any;
                for other in &elements {
                    let Some(both) = element.unify(other) else {
                        let message = format!("a list's elements must have one type, got {element} and {other}");
                        return self.wrong(node, &message);
                    };
                    element = both;
                }
                Type::List(Box::new(element))
            }
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.wrong(node, "mappings are not allowed here (allowed: numbers, texts, lists)")
            }
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Type {
        match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::UInt(_) => Type::Uint,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                self.wrong(node, "null and bytes are not allowed: every variable always has a value")
            }
        }
    }

    fn variable(&mut self, node: &IdedExpr, name: &str) -> Type {
        if let Some((_, local)) = self.locals.iter().rev().find(|(own, _)| *own == name) {
            return local.clone();
        }
        let Some((_, kind)) = variables().find(|(own, _)| own == name) else {
            let names: Vec<String> = variables().map(|(own, _)| own).collect();
            // The right name in the wrong scope is a likelier slip than a typing error.
            let last = name.rsplit('.').next().unwrap_or(name);
            let scoped = names.iter().find(|own| own.rsplit('.').next() == Some(last)).map(String::as_str);
            let hint = match scoped.or_else(|| nearest(name, names.iter().map(String::as_str))) {
                Some(near) => format!(", did you mean `{near}`?"),
                None => " (allowed: prompt.*, request.* and features.*, see docs/features.md)".to_owned(),
            };
            return self.wrong(node, &format!("unknown variable `{name}`{hint}"));
        };
        kind
    }

    fn call(&mut self, node: &'p IdedExpr, call: &'p CallExpr) -> Type {
        let target = call.target.as_deref().map(|target| self.infer(target));
        let args: Vec<Type> = call.args.iter().map(|arg| self.infer(arg)).collect();
        let name = call.func_name.as_str();
        match (name, &target, args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, None, _) => {
                for (arg, operand) in call.args.iter().zip(&args) {
                    self.want(arg, operand, &Type::Bool, symbol(name));
                }
                Type::Bool
            }
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                self.want(&call.args[0], condition, &Type::Bool, "?");
                self.same(node, yes, no, "? :")
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                if !left.comparable(right) {
                    self.operands(node, name, &args);
                }
                Type::Bool
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                if !left.comparable(right) || matches!(left, Type::List(_)) {
                    self.operands(node, name, &args);
                }
                Type::Bool
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
            (operators::IN, None, [element, Type::List(elements)]) if element.comparable(elements) => Type::Bool,
            (operators::INDEX, None, [Type::List(elements), Type::Int | Type::Any]) => (**elements).clone(),
            _ => self.function(node, call, target.as_ref(), &args),
        }
    }

    fn arithmetic(&mut self, node: &IdedExpr, operator: &str, args: &[Type]) -> Type {
        let result = match args {
            [operand] => Some(operand.clone()).filter(|operand| *operand != Type::Uint),
            [left, right] => left.unify(right),
            _ => None,
        };
        match (operator, result) {
            (_, Some(Type::Any)) => Type::Any,
            (operators::ADD, Some(both @ (Type::Text | Type::List(_)))) => both,
            (operators::MODULO, Some(Type::Double)) => self.operands(node, operator, args),
            (_, Some(both)) if both.is_number() => both,
            _ => self.operands(node, operator, args),
        }
    }

    fn function(&mut self, node: &'p IdedExpr, call: &CallExpr, target: Option<&Type>, args: &[Type]) -> Type {
        let name = call.func_name.as_str();
        match (name, target, args) {
            (_, Some(Type::Text | Type::Any), [Type::Text | Type::Any]) if TEXT_TESTS.contains(&name) => Type::Bool,
            ("size", Some(value), []) | ("size", None, [value])
                if matches!(value, Type::Text | Type::List(_) | Type::Any) => Type::Int,
            ("int" | "uint" | "double" | "string", None, [value]) if !matches!(value, Type::Bool | Type::List(_)) => {
                match name {
                    "int" => Type::Int,
                    "uint" => Type::Uint,
                    "double" => Type::Double,
                    _ => Type::Text,
                }
            }
            ("string", None, [Type::Bool]) => Type::Text,
            // What the parser adds around the body of `all` and `exists`.
            (operators::NOT_STRICTLY_FALSE, None, [_]) => Type::Bool,
            ("matches", ..) => self.wrong(
                node,
                "`matches` is not allowed, its pattern would be compiled for each request (allowed: contains, startsWith, endsWith)",
            ),
            _ if is_operator(name) || FUNCTIONS.contains(&name) => {
                let all: Vec<Type> = target.into_iter().chain(args).cloned().collect();
                self.operands(node, name, &all)
            }
            _ => {
                let near = nearest(name, FUNCTIONS).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
                self.wrong(node, &format!("unknown function `{name}`{near} (allowed: {})", FUNCTIONS.join(", ")))
            }
        }
    }

    /// `exists`, `all`, `filter` and `map`, as the parser expands them.
    fn comprehension(&mut self, node: &IdedExpr, comprehension: &'p ComprehensionExpr) -> Type {
        let element = match self.infer(&comprehension.iter_range) {
            Type::List(element) => *element,
            Type::Any => Type::Any,
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

    fn want(&mut self, node: &IdedExpr, got: &Type, wanted: &Type, operator: &str) {
        if !got.fits(wanted) {
            self.wrong(node, &format!("`{operator}` needs {wanted}, got {got}"));
        }
    }

    fn same(&mut self, node: &IdedExpr, left: &Type, right: &Type, operator: &str) -> Type {
        if let Some(both) = left.unify(right) {
            return both;
        }
        self.wrong(node, &format!("both sides of `{operator}` must have one type, got {left} and {right}"))
    }

    fn operands(&mut self, node: &IdedExpr, name: &str, got: &[Type]) -> Type {
        if got.contains(&Type::Any) {
            return Type::Any;
        }
        let types = got.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let mixed = got.len() == 2 && got[0] != got[1] && got.iter().all(Type::is_number);
        let hint = if mixed { " (convert one with int() or double())" } else { "" };
        self.wrong(node, &format!("`{}` does not take {types}{hint}", symbol(name)))
    }

    fn wrong(&mut self, node: &IdedExpr, message: &str) -> Type {
        let (offset, width) = self.range_of(node);
        let mistake = Mistake { message: message.to_owned(), offset, width };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
        Type::Any
    }

    /// Finds the characters that show a node best: a variable's whole name, a function's name, an operator.
    ///
    /// The parser marks a selection by its dot and a call by its parenthesis, in bytes.
    fn range_of(&self, node: &IdedExpr) -> (usize, usize) {
        let text = self.source.source.as_str();
        let start_of = |node: &IdedExpr| self.source.offset_for(node.id).map_or(0, |(start, _)| start as usize);
        let reads = |at: usize, part: &str| text.get(at..).is_some_and(|rest| rest.starts_with(part));
        let at = start_of(node);
        let (start, width) = match (dotted(node), &node.expr) {
            (Some((root, name)), _) => (start_of(root), name.chars().count()),
            (None, Expr::Call(call)) => {
                let name = symbol(&call.func_name);
                let before = at.checked_sub(name.len()).filter(|before| reads(*before, name));
                let start = if reads(at, name) { Some(at) } else { before };
                start.map_or((at, 1), |start| (start, name.chars().count()))
            }
            _ => (at, 1),
        };
        (text.get(..start).map_or(0, |before| before.chars().count()), width)
    }
}

impl Type {
    /// Tells whether one can stand where the other is wanted.
    fn fits(&self, other: &Self) -> bool {
        self.unify(other).is_some()
    }

    /// Returns the type that both are, the more precise one of the two.
    fn unify(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, known) | (known, Self::Any) => Some(known.clone()),
            (Self::List(left), Self::List(right)) => left.unify(right).map(|element| Self::List(Box::new(element))),
            _ => (self == other).then(|| self.clone()),
        }
    }

    /// CEL compares numbers of different types, and nothing else of different types.
    fn comparable(&self, other: &Self) -> bool {
        self.fits(other) || (self.is_number() && other.is_number())
    }

    const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Bool => f.write_str("bool"),
            Self::Text => f.write_str("text"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// The names that rules may use, and their types.
fn variables() -> impl Iterator<Item = (String, Type)> {
    let features = TABLE.iter().flat_map(|spec| {
        let kind = match spec.kind {
            Kind::Int => Type::Int,
            Kind::Float => Type::Double,
            Kind::Bool => Type::Bool,
            Kind::Text => Type::Text,
        };
        let scope = match spec.scope {
            Scope::Prompt => "prompt",
            Scope::Request => "request",
        };
        [(format!("{scope}.{}", spec.name), kind.clone()), (format!("features.{}", spec.name), kind)]
    });
    ["request.model", "request.path"].into_iter().map(|name| (name.to_owned(), Type::Text)).chain(features)
}

/// Reads `a.b.c` as one name; returns the node of `a` too.
fn dotted(node: &IdedExpr) -> Option<(&IdedExpr, String)> {
    match &node.expr {
        Expr::Ident(name) => Some((node, name.clone())),
        Expr::Select(select) if !select.test => {
            dotted(&select.operand).map(|(root, name)| (root, format!("{name}.{}", select.field)))
        }
        _ => None,
    }
}

fn is_operator(name: &str) -> bool {
    symbol(name) != name
}

/// What an operator looks like in the source.
fn symbol(name: &str) -> &str {
    if name == operators::INDEX { "[]" } else { name.trim_matches(['_', '@']) }
}
