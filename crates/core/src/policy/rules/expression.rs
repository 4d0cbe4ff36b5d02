//! One expression, from its text to a tree that evaluates without looking any name up.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr};
use cel::{Context, Env, ParseError, Program};

use super::cost::{self, ExpressionCost, MAX_RULE_STEPS};
use super::ordering;
use super::path::range_of;
use super::typecheck::{self, ExpressionMistake, TypedExpression};
use super::types::ExpressionType;
use super::vocabulary::{NameMeaning, ScoreName, ValueSlot, Vocabulary};

/// The longest expression that is compiled, in bytes.
const MAX_EXPRESSION_BYTES: usize = 4096;

/// The deepest tree that is compiled: whoever walks it recurses, the interpreter at each request too. Macros add up.
const MAX_EXPRESSION_DEPTH: usize = 200;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    ordering::declare(&mut env);
    Arc::new(env)
});

/// A compiled expression.
///
/// The names in it are identifiers such as `#3`, which is the slot with that position in the [`SlotTable`] that it was
/// compiled with: CEL would put a dotted name together again and look it up each time.
#[derive(Debug, Clone)]
pub(in crate::policy) struct CelExpression {
    pub(in crate::policy) tree: IdedExpr,
    pub(in crate::policy) source: Box<str>,
    pub(super) kind: ExpressionType,
    /// The cost of an evaluation, without that of the macros.
    pub(super) cost: ExpressionCost,
    /// The levels of the tree, those of the macros that it uses included.
    pub(super) depth: usize,
    /// The first of the characters that cost the most, and their number.
    pub(super) dearest: (usize, usize),
    /// The constants that it uses.
    pub(in crate::policy) constants: Vec<String>,
    /// The macros that it uses, by their positions.
    pub(in crate::policy) macros: Vec<usize>,
    pub(super) scores: Vec<ScorePlace>,
}

/// The place of a score in an expression.
#[derive(Debug, Clone)]
pub(super) struct ScorePlace {
    pub(super) score: ScoreName,
    /// The first character of the score's name, and the number of its characters.
    pub(super) offset: usize,
    pub(super) width: usize,
}

/// The slots that the names of some expressions stand for, each once.
#[derive(Debug, Default)]
pub(in crate::policy) struct SlotTable(Vec<ValueSlot>);

impl SlotTable {
    /// Returns what an identifier of a compiled expression stands for; `None` for the variables of CEL's own macros.
    pub(in crate::policy) fn find(&self, identifier: &str) -> Option<&ValueSlot> {
        let position = identifier.strip_prefix('#')?.parse::<usize>().ok()?;
        self.0.get(position)
    }

    fn identifier(&mut self, slot: &ValueSlot) -> String {
        let known = self.0.iter().position(|known| known == slot);
        let position = known.unwrap_or_else(|| {
            self.0.push(slot.clone());
            self.0.len() - 1
        });
        format!("#{position}")
    }
}

impl CelExpression {
    /// Compiles and type-checks `source`, whose value must be of the type `wanted`.
    ///
    /// # Errors
    /// Every mistake; none where all that is wrong is a macro that it uses, which has been reported.
    pub(super) fn compile(
        source: &str,
        wanted: &ExpressionType,
        vocabulary: &Vocabulary,
        slots: &mut SlotTable,
    ) -> Result<Self, Vec<ExpressionMistake>> {
        Self::of(&parse(source)?, wanted, vocabulary, slots)
    }

    /// Compiles and type-checks what has been parsed; the same errors.
    pub(super) fn of(
        program: &Program,
        wanted: &ExpressionType,
        vocabulary: &Vocabulary,
        slots: &mut SlotTable,
    ) -> Result<Self, Vec<ExpressionMistake>> {
        let checked = typecheck::check(program, vocabulary, wanted)?;
        let mut expression = Self {
            tree: program.expression().clone(),
            source: program.source_info().source.as_str().into(),
            kind: checked.kind.clone(),
            depth: depth_of(program.expression()),
            dearest: (0, program.source_info().source.chars().count().max(1)),
            cost: cost::cost_of(program.expression(), &checked.names, vocabulary),
            constants: Vec::new(),
            macros: Vec::new(),
            scores: Vec::new(),
        };
        visit(program.expression(), &mut |node| {
            if expression.cost.dearest == Some(node.id) {
                expression.dearest = range_of(program.source_info(), node);
            }
        });
        for named in checked.names.values() {
            match named {
                NameMeaning::Constant(name, _) => expression.constants.push(name.clone()),
                NameMeaning::Slot(ValueSlot::Macro(position)) => expression.macros.push(*position),
                NameMeaning::Slot(_) | NameMeaning::Unusable => {}
            }
        }
        let below = expression.macros.iter().map(|position| vocabulary.depth_of(*position)).max();
        expression.depth += below.unwrap_or_default();
        if expression.depth > MAX_EXPRESSION_DEPTH {
            return Err(vec![too_deep(expression.depth)]);
        }
        if expression.cost.steps > MAX_RULE_STEPS {
            // Constants are written out below: not those of an expression that is too long.
            return Err(vec![expression.over_budget(expression.cost.steps)]);
        }
        expression.constants.sort_unstable();
        expression.constants.dedup();
        expression.macros.sort_unstable();
        expression.macros.dedup();
        visit(program.expression(), &mut |node| {
            if let Some(NameMeaning::Slot(ValueSlot::Score(score))) = checked.names.get(&node.id) {
                let (offset, width) = range_of(program.source_info(), node);
                expression.scores.push(ScorePlace { score: score.clone(), offset, width });
            }
        });
        expression.write_out(&checked, slots);
        Ok(expression)
    }
}

impl CelExpression {
    /// Puts slots and the values of constants in place of names.
    fn write_out(&mut self, checked: &TypedExpression, slots: &mut SlotTable) {
        rewrite(&mut self.tree, &mut |node| {
            if let Expr::Call(call) = &mut node.expr
                && checked.partial.contains(&node.id)
                && let Some(name) = ordering::replacement(&call.func_name)
            {
                name.clone_into(&mut call.func_name);
            }
            let Some(named) = checked.names.get(&node.id) else { return false };
            node.expr = match named {
                NameMeaning::Slot(slot) => Expr::Ident(slots.identifier(slot)),
                NameMeaning::Constant(_, value) => (**value).clone(),
                NameMeaning::Unusable => return true, // the checker refuses it
            };
            true
        });
    }

    /// Says that an evaluation takes `steps`, which are too many.
    pub(super) fn over_budget(&self, steps: u64) -> ExpressionMistake {
        let (offset, width) = self.dearest;
        let message = format!("takes up to {steps} steps for each request (allowed: {MAX_RULE_STEPS})");
        ExpressionMistake { message, offset, width }
    }
}

/// Returns a context that knows CEL's functions and nothing else.
pub(super) fn context<'v>() -> Context<'static, 'v> {
    Context::with_env(Arc::clone(&ENV))
}

/// Parses `source`.
pub(super) fn parse(source: &str) -> Result<Program, Vec<ExpressionMistake>> {
    if source.len() > MAX_EXPRESSION_BYTES {
        let message = format!("the expression has {} bytes (allowed: {MAX_EXPRESSION_BYTES})", source.len());
        return Err(vec![ExpressionMistake { message, offset: 0, width: 1 }]);
    }
    let program = ENV
        .compile(source)
        .map_err(|errors| errors.errors.iter().map(|error| syntax_mistake(source, error)).collect::<Vec<_>>())?;
    let depth = depth_of(program.expression());
    if depth > MAX_EXPRESSION_DEPTH { Err(vec![too_deep(depth)]) } else { Ok(program) }
}

fn too_deep(depth: usize) -> ExpressionMistake {
    let message = format!("is nested {depth} levels deep, macros included (allowed: {MAX_EXPRESSION_DEPTH})");
    ExpressionMistake { message, offset: 0, width: 1 }
}

/// Counts the levels of a tree, without recursion.
fn depth_of(tree: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut open = vec![(tree, 1)];
    while let Some((node, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(children(node).into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

fn syntax_mistake(source: &str, error: &ParseError) -> ExpressionMistake {
    let (line, column) = (usize::try_from(error.pos.0).unwrap_or(1), usize::try_from(error.pos.1).unwrap_or(1));
    let before: usize = source.split_inclusive('\n').take(line.max(1) - 1).map(|line| line.chars().count()).sum();
    let offset = (before + column.max(1) - 1).min(source.chars().count().saturating_sub(1));
    // The parser's list of expected tokens is for its authors.
    let message = error.msg.split(" expecting ").next().unwrap_or_default();
    ExpressionMistake { message: format!("not a valid expression: {message}"), offset, width: 1 }
}

/// Calls `see` with every node of a tree.
pub(super) fn visit<'e>(node: &'e IdedExpr, see: &mut impl FnMut(&'e IdedExpr)) {
    see(node);
    for child in children(node) {
        visit(child, see);
    }
}

fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        // The checker refuses structures and mappings.
        Expr::Ident(_) | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Vec::new(),
    }
}

/// Calls `replace` with every node of a tree, from the root; where it says that it replaced the node, its children are
/// left alone.
fn rewrite(node: &mut IdedExpr, replace: &mut impl FnMut(&mut IdedExpr) -> bool) {
    if replace(node) {
        return;
    }
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(|child| rewrite(child, replace));
        }
        Expr::Select(select) => rewrite(&mut select.operand, replace),
        Expr::List(list) => list.elements.iter_mut().for_each(|child| rewrite(child, replace)),
        Expr::Comprehension(c) => {
            [&mut c.iter_range, &mut c.accu_init, &mut c.loop_cond, &mut c.loop_step, &mut c.result]
                .into_iter()
                .for_each(|child| rewrite(child, replace));
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}
