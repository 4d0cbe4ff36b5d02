//! Comparisons with texts that are known when the file is loaded: words, patterns, and the labels of judges.

use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::TypeChecker;
use crate::config::{Name, nearest};
use crate::policy::rules::path::NamePath;
use crate::policy::rules::text_test::{MAX_PATTERNS, TextTestKind, UnusablePatterns};
use crate::policy::rules::types::ExpressionType;
use crate::policy::rules::vocabulary::{NameMeaning, NamedJudge, ValueSlot};
use crate::prompt::TextScope;

/// The only thing that words and patterns are looked for in.
const SEARCHED: &str = "prompt";

impl<'p> TypeChecker<'p> {
    /// Checks and compiles `prompt.contains_any([...], 'scope')` or `prompt.matches_any([...], 'scope')`.
    pub(super) fn text_test(&mut self, node: &'p IdedExpr, call: &'p CallExpr, kind: TextTestKind) -> ExpressionType {
        let name = kind.as_str();
        let is_local = self.locals.iter().any(|(local, _)| *local == SEARCHED);
        let target = call.target.as_deref().and_then(NamePath::of);
        if is_local || target.is_none_or(|path| path.words != [SEARCHED]) {
            return self.wrong(node, &format!("`{name}` looks through the prompt alone, as in prompt.{name}(['...'])"));
        }
        let (list, scope) = match call.args.as_slice() {
            [list] => (list, Some(TextScope::All)),
            [list, scope] => (list, self.scope(scope)),
            _ => return self.wrong(node, &format!("`{name}` takes a list of texts, and a scope")),
        };
        let (Some(patterns), Some(scope)) = (self.texts(list, name), scope) else { return ExpressionType::Bool };
        match self.vocabulary.text_test(kind, scope, patterns) {
            Ok(test) => drop(self.names.insert(node.id, NameMeaning::Slot(ValueSlot::Text(test)))),
            Err(UnusablePatterns { pattern, message }) => {
                let elements = if let Expr::List(list) = &list.expr { list.elements.as_slice() } else { &[] };
                self.wrong(pattern.and_then(|index| elements.get(index)).unwrap_or(list), &message);
            }
        }
        ExpressionType::Bool
    }

    fn scope(&mut self, node: &IdedExpr) -> Option<TextScope> {
        let text = literal(&node.expr);
        let scope = TextScope::ALL.into_iter().find(|scope| Some(scope.as_str()) == text);
        if scope.is_none() {
            let allowed = TextScope::ALL.map(|scope| format!("'{}'", scope.as_str())).join(", ");
            self.wrong(node, &format!("is no scope (allowed: {allowed})"));
        }
        scope
    }

    /// Reads a list of texts: in quotes, or constants.
    fn texts(&mut self, node: &'p IdedExpr, name: &str) -> Option<Vec<String>> {
        let mistakes = self.mistakes.len();
        let elements: Option<Vec<Arc<Expr>>> = match &node.expr {
            Expr::List(list) => list.elements.iter().map(|element| self.constant(element)).collect(),
            _ => match self.constant(node).as_deref() {
                // One more than is allowed says that there are too many.
                Some(Expr::List(list)) => {
                    let elements = list.elements.iter().take(MAX_PATTERNS + 1);
                    Some(elements.map(|element| Arc::new(element.expr.clone())).collect())
                }
                _ => None,
            },
        };
        let texts =
            elements.and_then(|elements| elements.iter().map(|expr| literal(expr).map(str::to_owned)).collect());
        if texts.is_none() && self.mistakes.len() == mistakes {
            let allowed = "a list of texts in quotes, or of `constants`: it is compiled when the file is loaded";
            self.wrong(node, &format!("`{name}` takes {allowed}"));
        }
        texts
    }

    /// Returns what a literal or the name of a constant is.
    fn constant(&mut self, node: &'p IdedExpr) -> Option<Arc<Expr>> {
        let Some(path) = NamePath::of(node) else {
            return matches!(node.expr, Expr::Literal(_)).then(|| Arc::new(node.expr.clone()));
        };
        self.name(node, &path);
        match self.names.get(&node.id) {
            Some(NameMeaning::Constant(_, value)) => Some(Arc::clone(value)),
            _ => None,
        }
    }

    /// Finds texts that a judge whose label is compared with them never answers.
    pub(super) fn labels(&mut self, args: &'p [IdedExpr]) {
        let [left, right] = args else { return };
        for (judge, other) in [(left, right), (right, left)] {
            let Some(NameMeaning::Slot(ValueSlot::Judge(judge))) = self.names.get(&judge.id) else { continue };
            let judge = judge.clone();
            let texts =
                if let Expr::List(list) = &other.expr { list.elements.as_slice() } else { std::slice::from_ref(other) };
            for text in texts {
                if let Some(message) = literal(&text.expr).and_then(|label| unknown_label(&judge, label)) {
                    self.wrong(text, &message);
                }
            }
        }
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn unknown_label(NamedJudge { judge, labels, .. }: &NamedJudge, label: &str) -> Option<String> {
    if labels.iter().any(|own| own.as_str() == label) {
        return None;
    }
    let known = labels.iter().map(Name::as_str);
    let hint = nearest(label, known.clone()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let known = known.collect::<Vec<_>>().join(", ");
    Some(format!("judge `{judge}`: there is no label `{label}`{hint} (allowed: {known})"))
}
