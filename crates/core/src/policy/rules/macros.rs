//! `macros`: expressions with a name, which others may use. Evaluated at most once for each request.

use std::collections::BTreeMap;

use super::constants::check_name;
use super::expression::{self, CelExpression, SlotTable};
use super::path::{NamePath, range_of};
use super::typecheck::ExpressionMistake;
use super::types::ExpressionType;
use super::vocabulary::{ScoreName, Vocabulary};
use crate::config::{Config, ConfigProblem, KeyPath};

/// The depth to which macros may use macros: evaluation recurses.
const MAX_DEPTH: usize = 16;

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

/// The compiler of macros, which reads them in the order in which they use each other.
struct MacroCompiler<'c> {
    config: &'c Config,
    vocabulary: &'c mut Vocabulary,
    macros: MacroTable,
    /// The depth to which each macro that has been read uses others.
    depths: BTreeMap<&'c str, usize>,
    problems: Vec<ConfigProblem>,
}

impl MacroTable {
    /// Compiles every macro of `config` and makes it known to `vocabulary`; says what is wrong with the others.
    pub(super) fn compile(config: &Config, vocabulary: &mut Vocabulary) -> (Self, Vec<ConfigProblem>) {
        let (macros, depths, problems) = (Self::default(), BTreeMap::new(), Vec::new());
        let mut compiler = MacroCompiler { config, vocabulary, macros, depths, problems };
        for name in config.macros.keys() {
            compiler.read(name, &mut Vec::new());
        }
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

    /// Returns the scores that `expression` reads, by itself and through macros.
    pub(super) fn scores(&self, expression: &CelExpression) -> Vec<ScoreName> {
        let own = expression.scores.iter().map(|place| place.score.clone());
        let used = expression.macros.iter().filter_map(|position| self.get(*position));
        own.chain(used.flat_map(|used| self.scores(&used.value))).collect()
    }
}

impl<'c> MacroCompiler<'c> {
    /// Compiles the macro `name` after those that it uses; `trail` leads to it.
    fn read(&mut self, name: &'c str, trail: &mut Vec<&'c str>) {
        if self.depths.contains_key(name) {
            return;
        }
        let path = KeyPath::root().key("macros").key(name);
        let compiled = match check_name(name) {
            Ok(()) => self.compile(name, trail),
            Err(message) => {
                self.problems.extend(self.config.problem(&path, message));
                Err(Vec::new())
            }
        };
        let (kind, depth) = match compiled {
            Ok((value, depth)) => {
                let kind = value.kind.clone();
                self.macros.list.push(Macro { name: name.to_owned(), value });
                (kind, depth)
            }
            Err(mistakes) => {
                let place =
                    |m: ExpressionMistake| self.config.problem_within(&path, m.message, m.offset..m.offset + m.width);
                self.problems.extend(mistakes.into_iter().filter_map(place));
                (ExpressionType::Any, 1) // has been reported; whoever uses it is not to blame
            }
        };
        self.depths.insert(name, depth);
        self.vocabulary.add_macro(name, self.macros.list.len().saturating_sub(1), kind);
    }

    fn compile(
        &mut self,
        name: &'c str,
        trail: &mut Vec<&'c str>,
    ) -> Result<(CelExpression, usize), Vec<ExpressionMistake>> {
        let source = &self.config.macros[name];
        let program = expression::parse(source)?;
        let mut used = Vec::new();
        expression::visit(program.expression(), &mut |node| {
            if let Some(["macros", own]) = NamePath::of(node).as_ref().map(|path| path.words.as_slice())
                && let Some((own, _)) = self.config.macros.get_key_value(*own)
            {
                used.push((own.as_str(), range_of(program.source_info(), node)));
            }
        });
        trail.push(name);
        let mut depth = 1;
        for (own, (offset, width)) in used {
            let mistake = |message| vec![ExpressionMistake { message, offset, width }];
            if let Some(start) = trail.iter().position(|above| *above == own) {
                let circle = trail[start..].iter().chain([&own]).copied().collect::<Vec<_>>().join(" -> ");
                trail.pop();
                return Err(mistake(format!("`macros.{own}` uses itself: {circle}")));
            }
            self.read(own, trail);
            depth = depth.max(1 + self.depths.get(own).copied().unwrap_or_default());
            if depth > MAX_DEPTH {
                trail.pop();
                return Err(mistake(format!("macros use macros too deeply (allowed: {MAX_DEPTH} levels)")));
            }
        }
        trail.pop();
        let value = CelExpression::compile(source, &ExpressionType::Any, self.vocabulary, &mut self.macros.slots)?;
        Ok((value, depth))
    }
}
