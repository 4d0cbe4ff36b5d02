//! Names in expressions, such as `prompt.images`, `headers['x-team']` or `scores.default.tier['complex']`, and the
//! characters that spell them.

use std::fmt;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, SourceInfo, operators};

/// Roots below which a name may also stand in brackets, because headers and labels are not all words.
const BRACKETED: [&str; 3] = ["headers", "judge", "scores"];
/// Marks around the names of operators.
const OPERATOR_MARKS: [char; 2] = ['_', '@'];

/// A name of one or more words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamePath<'e> {
    /// The words from the root, without dots and brackets.
    pub(super) words: Vec<&'e str>,
    root: &'e IdedExpr,
    /// The last name in brackets, if the path ends with one.
    last: Option<&'e IdedExpr>,
}

impl<'e> NamePath<'e> {
    /// Reads `node` as a name, if it is one.
    pub(super) fn of(node: &'e IdedExpr) -> Option<Self> {
        match &node.expr {
            Expr::Ident(name) => Some(Self { words: vec![name], root: node, last: None }),
            Expr::Select(select) if !select.test => Self::of(&select.operand).map(|mut path| {
                path.words.push(&select.field);
                Self { last: None, ..path }
            }),
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] => {
                    let mut path = Self::of(operand).filter(|path| BRACKETED.contains(&path.words[0]))?;
                    path.words.push(name.inner());
                    Some(Self { last: Some(&call.args[1]), ..path })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Finds the bytes that spell the name.
    fn range(&self, source: &SourceInfo) -> (usize, usize) {
        let start = start_of(source, self.root);
        let dotted = start + self.words.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
        let end = self.last.and_then(|last| {
            let at = start_of(source, last);
            source.source.get(at..)?.find(']').map(|length| at + length + 1)
        });
        (start, end.unwrap_or(dotted))
    }
}

impl fmt::Display for NamePath<'_> {
    /// The name with dots alone: close enough to what was written, for a message that points at it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join("."))
    }
}

/// Finds the characters that show a node best, as offset and width: a whole name, a function's name, an operator.
///
/// The parser marks a selection by its dot and a call by its parenthesis, in bytes.
pub(super) fn range_of(source: &SourceInfo, node: &IdedExpr) -> (usize, usize) {
    let text = source.source.as_str();
    let reads = |at: usize, part: &str| text.get(at..).is_some_and(|rest| rest.starts_with(part));
    let at = start_of(source, node);
    let (start, end) = match (NamePath::of(node), &node.expr) {
        (Some(path), _) => path.range(source),
        (None, Expr::Call(call)) => {
            let name = symbol(&call.func_name);
            let before = at.checked_sub(name.len()).filter(|before| reads(*before, name));
            let start = if reads(at, name) { Some(at) } else { before };
            start.map_or((at, at + 1), |start| (start, start + name.len()))
        }
        _ => (at, at + 1),
    };
    let chars = |range: Option<&str>| range.map_or(0, |text| text.chars().count());
    (chars(text.get(..start)), chars(text.get(start..end)).max(1))
}

fn start_of(source: &SourceInfo, node: &IdedExpr) -> usize {
    source.offset_for(node.id).map_or(0, |(start, _)| start as usize)
}

/// Returns what an operator looks like in the source, and any other function's name as it is.
pub(super) fn symbol(name: &str) -> &str {
    if name == operators::INDEX { "[]" } else { name.trim_matches(OPERATOR_MARKS) }
}

pub(super) fn is_operator(name: &str) -> bool {
    symbol(name) != name
}
