//! `macros`: expressions with a name, which others may use. Evaluated at most once for each request.
//!
//! Compiled in the order in which they use each other. One with a mistake is left out, and so is every one that uses
//! it: nothing stands in its place, so that no expression ever points at another one than it names.

mod order;

use std::collections::{BTreeMap, BTreeSet};

use cel::Program;

use self::order::CompilationOrder;
use super::constants::check_name;
use super::cost::{MAX_FILE_STEPS, MAX_RULE_STEPS};
use super::expression::{self, CelExpression, ScorePlace, SlotTable};
use super::path::{NamePath, range_of};
use super::typecheck::ExpressionMistake;
use super::types::ExpressionType;
use super::vocabulary::{MacroBounds, ScoreName, Vocabulary};
use crate::config::{Config, ConfigProblem, KeyPath, MAX_PROBLEMS};

/// The depth to which macros may use macros: evaluation recurses.
const MAX_DEPTH: usize = 16;
/// The most macros of a file: each request has room for their values.
const MAX_MACROS: usize = 2000;
/// The longest circle that a problem spells out.
const MAX_SPELLED: usize = 8;

/// The macros of a configuration; each stands after those that it uses.
#[derive(Debug, Default)]
pub(in crate::policy) struct MacroTable {
    list: Vec<Macro>,
    pub(in crate::policy) slots: SlotTable,
}

/// A macro: an expression with a name.
#[derive(Debug)]
pub(in crate::policy) struct Macro {
    pub(in crate::policy) name: String,
    pub(in crate::policy) value: CelExpression,
}

/// A macro that has been parsed.
struct MacroDraft<'c> {
    name: &'c str,
    program: Option<Program>,
    uses: Vec<MacroUse>,
}

/// The place where a macro uses another one.
struct MacroUse {
    /// The used macro's position in the file.
    used: usize,
    offset: usize,
    width: usize,
}

/// The compiler of macros, which reads them in the order in which they use each other.
struct MacroCompiler<'c> {
    config: &'c Config,
    vocabulary: &'c mut Vocabulary,
    macros: MacroTable,
    /// The steps of all macros so far.
    steps: u64,
    problems: Vec<ConfigProblem>,
}

impl MacroTable {
    /// Compiles every macro of `config` and makes it known to `vocabulary`; says what is wrong with the others.
    pub(super) fn compile(config: &Config, vocabulary: &mut Vocabulary) -> (Self, Vec<ConfigProblem>) {
        let mut compiler =
            MacroCompiler { config, vocabulary, macros: Self::default(), steps: 0, problems: Vec::new() };
        let drafts = compiler.parse();
        compiler.compile(&drafts);
        (compiler.macros, compiler.problems)
    }

    pub(in crate::policy) fn get(&self, position: usize) -> Option<&Macro> {
        self.list.get(position)
    }

    pub(in crate::policy) fn iter(&self) -> impl Iterator<Item = &Macro> {
        self.list.iter()
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the scores that `expressions` read, by themselves and through macros, each once.
    pub(super) fn scores<'e>(&'e self, expressions: impl Iterator<Item = &'e CelExpression>) -> Vec<ScoreName> {
        let mut scores: Vec<ScoreName> = Vec::new();
        let mut known: BTreeSet<[&str; 3]> = BTreeSet::new();
        self.visit(expressions, &mut |expression| {
            for ScorePlace { score, .. } in &expression.scores {
                if known.insert([&score.classifier, &score.head, &score.label]) {
                    scores.push(score.clone());
                }
            }
        });
        scores
    }

    /// Returns the steps that evaluating `expressions` once takes at most, each macro evaluated once.
    pub(super) fn steps<'e>(&'e self, expressions: impl Iterator<Item = &'e CelExpression>) -> u64 {
        let mut steps: u64 = 0;
        self.visit(expressions, &mut |expression| steps = steps.saturating_add(expression.cost.steps));
        steps
    }

    /// Says that evaluating `expression` takes too long, if it does.
    pub(super) fn over_budget(&self, expression: &CelExpression) -> Option<ExpressionMistake> {
        let steps = self.steps(std::iter::once(expression));
        (steps > MAX_RULE_STEPS).then(|| expression.over_budget(steps))
    }

    /// Calls `see` with each of `expressions`, and with each macro that one of them uses, once.
    fn visit<'e>(
        &'e self,
        expressions: impl Iterator<Item = &'e CelExpression>,
        see: &mut impl FnMut(&'e CelExpression),
    ) {
        let mut visited: BTreeSet<usize> = BTreeSet::new();
        let mut open: Vec<&CelExpression> = expressions.collect();
        open.reverse();
        while let Some(expression) = open.pop() {
            see(expression);
            let unvisited = expression.macros.iter().filter(|position| visited.insert(**position));
            open.extend(unvisited.filter_map(|position| Some(&self.get(*position)?.value)));
        }
    }
}

impl<'c> MacroCompiler<'c> {
    /// Parses every macro, and says which cannot be.
    fn parse(&mut self) -> Vec<MacroDraft<'c>> {
        let config = self.config;
        if config.macros.len() > MAX_MACROS {
            let message = format!("holds {} macros (allowed: {MAX_MACROS})", config.macros.len());
            self.problems.extend(config.problem(&KeyPath::root().key("macros"), message));
            config.macros.keys().for_each(|name| self.vocabulary.add_unusable_macro(name));
            return Vec::new();
        }
        let positions: BTreeMap<&str, usize> =
            config.macros.keys().enumerate().map(|(position, name)| (name.as_str(), position)).collect();
        let mut drafts = Vec::with_capacity(config.macros.len());
        for (name, source) in &config.macros {
            let named = check_name(name).map_err(|message| self.problems.extend(config.problem(&path(name), message)));
            let program = named.ok().and_then(|()| {
                let parsed = expression::parse(source);
                parsed.map_err(|mistakes| self.place(name, mistakes)).ok()
            });
            let uses = program.as_ref().map_or_else(Vec::new, |program| uses(program, &positions));
            drafts.push(MacroDraft { name, program, uses });
        }
        drafts
    }

    /// Compiles the drafts in their order; what is in a circle, wrong, or uses such a one becomes unusable.
    fn compile(&mut self, drafts: &[MacroDraft<'c>]) {
        let uses: Vec<Vec<usize>> =
            drafts.iter().map(|draft| draft.uses.iter().map(|place| place.used).collect()).collect();
        let order = CompilationOrder::of(&uses);
        drafts.iter().for_each(|draft| self.vocabulary.add_unusable_macro(draft.name));
        for circle in &order.circles {
            self.report_circle(drafts, circle);
        }
        // The depth of each macro that has been read: one without a place in the table counts no more.
        let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
        for position in order.sorted {
            let draft = &drafts[position];
            let below = draft.uses.iter().filter_map(|place| depths.get(&place.used)).max();
            let depth = 1 + below.copied().unwrap_or_default();
            match self.compile_one(draft, depth) {
                Ok(value) => {
                    depths.insert(position, depth);
                    let bounds = MacroBounds { extent: value.cost.extent.clone(), depth: value.depth };
                    self.vocabulary.add_macro(draft.name, value.kind.clone(), bounds);
                    self.macros.list.push(Macro { name: draft.name.to_owned(), value });
                }
                Err(mistakes) => self.place(draft.name, mistakes),
            }
        }
    }

    fn compile_one(&mut self, draft: &MacroDraft<'c>, depth: usize) -> Result<CelExpression, Vec<ExpressionMistake>> {
        let Some(program) = &draft.program else { return Err(Vec::new()) }; // has been reported
        if depth > MAX_DEPTH
            && let Some(MacroUse { offset, width, .. }) = draft.uses.first()
        {
            let message = format!("macros use macros too deeply (allowed: {MAX_DEPTH} levels)");
            return Err(vec![ExpressionMistake { message, offset: *offset, width: *width }]);
        }
        let value = CelExpression::of(program, &ExpressionType::Any, self.vocabulary, &mut self.macros.slots)?;
        self.steps = self.steps.saturating_add(value.cost.steps);
        if self.steps > MAX_FILE_STEPS {
            let message = format!("the macros of the file take {} steps (allowed: {MAX_FILE_STEPS})", self.steps);
            return Err(vec![ExpressionMistake { message, offset: 0, width: 1 }]);
        }
        match self.macros.over_budget(&value) {
            Some(mistake) => Err(vec![mistake]),
            None => Ok(value),
        }
    }

    /// Reports a circle at the macro that closes it, which is the last one in the file's order of names.
    fn report_circle(&mut self, drafts: &[MacroDraft<'c>], circle: &[usize]) {
        let (Some(first), Some(last)) = (circle.first(), circle.last()) else { return };
        let names = circle.iter().chain([first]).map(|position| drafts[*position].name);
        let spelled: Vec<&str> = if circle.len() <= MAX_SPELLED {
            names.collect()
        } else {
            names.take(MAX_SPELLED).chain(["...", drafts[*first].name]).collect()
        };
        let message = format!("`macros.{}` uses itself: {}", drafts[*first].name, spelled.join(" -> "));
        let place = drafts[*last].uses.iter().find(|place| place.used == *first);
        let mistakes = place.map(|place| ExpressionMistake { message, offset: place.offset, width: place.width });
        self.place(drafts[*last].name, mistakes);
    }

    fn place(&mut self, name: &str, mistakes: impl IntoIterator<Item = ExpressionMistake>) {
        let (config, path) = (self.config, path(name));
        let place = |m: ExpressionMistake| config.problem_within(&path, m.message, m.offset..m.offset + m.width);
        let left = MAX_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(mistakes.into_iter().take(left).filter_map(place));
    }
}

/// Finds the macros that `program` uses; `positions` are their places in the file.
fn uses(program: &Program, positions: &BTreeMap<&str, usize>) -> Vec<MacroUse> {
    let mut uses: Vec<MacroUse> = Vec::new();
    expression::visit(program.expression(), &mut |node| {
        if let Some(["macros", own]) = NamePath::of(node).as_ref().map(|path| path.words.as_slice())
            && let Some(used) = positions.get(own)
            && uses.iter().all(|known| known.used != *used)
        {
            let (offset, width) = range_of(program.source_info(), node);
            uses.push(MacroUse { used: *used, offset, width });
        }
    });
    uses
}

fn path(name: &str) -> KeyPath {
    KeyPath::root().key("macros").key(name)
}
