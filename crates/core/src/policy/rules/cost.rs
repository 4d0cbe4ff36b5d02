//! The cost of an expression: an upper bound of the steps that one evaluation takes, worked out when the file is loaded.
//!
//! CEL has no loop but over a list, and the sizes of lists and texts are known: those of the file by looking, those of
//! a request by its bounds. So the bound holds for every request, and the interpreter, which cannot be stopped, need
//! not be. A step is about a twentieth of a microsecond to a third of one: a name, a call, an element copied. Texts of a
//! request are looked at where they are.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::extent::ValueExtent;
use super::vocabulary::{NameMeaning, ValueSlot, Vocabulary};

/// The most steps of one rule, macros included.
pub(in crate::policy) const MAX_RULE_STEPS: u64 = 100_000;
/// The most steps of all the rules of a policy together, each macro counted once.
pub(in crate::policy) const MAX_POLICY_STEPS: u64 = 500_000;
/// The most steps of all the macros of a file, and of all the rules of its policies: what is compiled takes memory.
pub(in crate::policy) const MAX_FILE_STEPS: u64 = 2_000_000;
/// The longest text that a number or a truth is written as.
const NUMBER_BYTES: u64 = 32;
/// What entering the scope of a comprehension's variables takes.
const SCOPE: u64 = 4;

/// The cost of one expression, without that of evaluating the macros it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpressionCost {
    pub(super) steps: u64,
    /// The largest size of the value.
    pub(super) extent: ValueExtent,
    /// The id of the node of the dearest comprehension.
    pub(super) dearest: Option<u64>,
}

/// Works the cost of the expression `tree` out, whose names have these meanings.
pub(super) fn cost_of(tree: &IdedExpr, names: &BTreeMap<u64, NameMeaning>, vocabulary: &Vocabulary) -> ExpressionCost {
    let mut reader = CostReader { names, vocabulary, locals: Vec::new(), dearest: None };
    let ExpressionCost { steps, extent, .. } = reader.read(tree);
    ExpressionCost { steps, extent, dearest: reader.dearest.map(|(_, node)| node) }
}

struct CostReader<'p> {
    names: &'p BTreeMap<u64, NameMeaning>,
    vocabulary: &'p Vocabulary,
    /// The variables of comprehensions, innermost last.
    locals: Vec<(&'p str, ValueExtent)>,
    /// The steps of the dearest comprehension so far, and the id of its node.
    dearest: Option<(u64, u64)>,
}

impl ExpressionCost {
    const fn new(steps: u64, extent: ValueExtent) -> Self {
        Self { steps, extent, dearest: None }
    }

    /// The cost of looking a slot up whose value has this extent.
    fn of_slot(slot: &ValueSlot, extent: ValueExtent) -> Self {
        match slot {
            // A list that a macro made is copied.
            ValueSlot::Macro(_) => Self::new(extent.steps(), extent),
            _ => Self::new(1, extent),
        }
    }
}

impl<'p> CostReader<'p> {
    fn read(&mut self, node: &'p IdedExpr) -> ExpressionCost {
        match self.names.get(&node.id) {
            Some(NameMeaning::Slot(slot)) => return ExpressionCost::of_slot(slot, self.vocabulary.extent_of(slot)),
            Some(NameMeaning::Constant(_, value)) => return literal(value),
            Some(NameMeaning::Unusable) | None => {}
        }
        match &node.expr {
            Expr::Ident(name) => {
                let local = self.locals.iter().rev().find(|(own, _)| own == name);
                ExpressionCost::new(1, local.map_or(ValueExtent::Scalar, |(_, extent)| extent.clone()))
            }
            Expr::List(list) => self.list(&list.elements),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => {
                let cost = self.comprehension(comprehension);
                if self.dearest.is_none_or(|(steps, _)| steps < cost.steps) {
                    self.dearest = Some((cost.steps, node.id));
                }
                cost
            }
            Expr::Select(select) => self.read(&select.operand),
            Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => literal(&node.expr),
        }
    }

    fn list(&mut self, elements: &'p [IdedExpr]) -> ExpressionCost {
        let mut whole = ExpressionCost::new(1, ValueExtent::list(0, ValueExtent::Scalar));
        for element in elements {
            let ExpressionCost { steps, extent, .. } = self.read(element);
            whole.steps = whole.steps.saturating_add(steps).saturating_add(extent.steps());
            whole.extent = whole.extent.and(ValueExtent::list(1, extent));
        }
        whole
    }

    fn call(&mut self, call: &'p CallExpr) -> ExpressionCost {
        let args: Vec<ExpressionCost> =
            call.target.as_deref().into_iter().chain(&call.args).map(|arg| self.read(arg)).collect();
        let own = match (call.func_name.as_str(), args.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => ExpressionCost::new(1, yes.extent.clone().or(no.extent.clone())),
            (operators::ADD, [left, right]) => {
                let both = left.extent.clone().and(right.extent.clone());
                // What a comprehension adds to its own list is put there without copying the list.
                let copied = if self.is_accumulator(&call.args[0]) { right.extent.steps() } else { both.steps() };
                ExpressionCost::new(copied, both)
            }
            (operators::INDEX, [list, _]) => ExpressionCost::new(list.extent.steps(), list.extent.element()),
            ("string", [value]) => {
                let text = ValueExtent::Text(NUMBER_BYTES).or(value.extent.clone());
                ExpressionCost::new(text.steps(), text)
            }
            (name, [left, right]) => {
                ExpressionCost::new(of_two(name, &left.extent, &right.extent), ValueExtent::Scalar)
            }
            // Whatever else there is gives a number or a truth, and reads each operand once.
            _ => {
                let read = args.iter().map(|arg| arg.extent.steps_of_reading()).fold(1, u64::saturating_add);
                ExpressionCost::new(read, ValueExtent::Scalar)
            }
        };
        let steps = args.iter().map(|arg| arg.steps).fold(own.steps, u64::saturating_add);
        ExpressionCost { steps, ..own }
    }

    fn comprehension(&mut self, comprehension: &'p ComprehensionExpr) -> ExpressionCost {
        let range = self.read(&comprehension.iter_range);
        let init = self.read(&comprehension.accu_init);
        let times = range.extent.length();
        let scope = self.locals.len();
        self.locals.push((&comprehension.iter_var, range.extent.element()));
        self.locals.push((&comprehension.accu_var, init.extent.clone()));
        let condition = self.read(&comprehension.loop_cond);
        let step = self.read(&comprehension.loop_step);
        let accumulated = init.extent.grown(step.extent, times);
        if let Some((_, extent)) = self.locals.last_mut() {
            *extent = accumulated;
        }
        let result = self.read(&comprehension.result);
        self.locals.truncate(scope);
        let once = [condition.steps, step.steps, range.extent.element().steps(), 1];
        let looped = once.into_iter().fold(0, u64::saturating_add).saturating_mul(times);
        let all = [range.steps, init.steps, looped, result.steps, result.extent.steps(), SCOPE];
        ExpressionCost::new(all.into_iter().fold(0, u64::saturating_add), result.extent)
    }

    /// Tells whether `node` is the list that the innermost comprehension fills.
    fn is_accumulator(&self, node: &IdedExpr) -> bool {
        matches!((&node.expr, self.locals.last()), (Expr::Ident(name), Some((own, _))) if own == name)
    }
}

/// Returns the steps of a call that gives a number or a truth for two operands.
fn of_two(name: &str, left: &ValueExtent, right: &ValueExtent) -> u64 {
    match name {
        "contains" => left.steps_of_searching(right).saturating_add(2),
        operators::IN => right.length().saturating_mul(left.steps_of_comparing(&right.element())).saturating_add(2),
        _ => left.steps_of_comparing(right).saturating_mul(2).saturating_add(1),
    }
}

/// The cost of a value that the file spells out, which is built anew each time where it is a list.
fn literal(value: &Expr) -> ExpressionCost {
    match value {
        Expr::Literal(LiteralValue::String(text)) => {
            ExpressionCost::new(1, ValueExtent::Text(text.inner().len() as u64))
        }
        Expr::List(list) => {
            let elements = list.elements.iter().map(|element| literal(&element.expr).extent);
            let extent = elements
                .fold(ValueExtent::list(0, ValueExtent::Scalar), |all, element| all.and(ValueExtent::list(1, element)));
            let steps = list.elements.iter().map(|element| 1 + literal(&element.expr).extent.steps());
            ExpressionCost::new(steps.fold(1, u64::saturating_add), extent)
        }
        _ => ExpressionCost::new(1, ValueExtent::Scalar),
    }
}
