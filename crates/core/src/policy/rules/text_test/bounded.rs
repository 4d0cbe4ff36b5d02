//! A search whose time has a bound: it gives up on texts that were made to cost it.
//!
//! The engine writes its table of states while it searches. A few texts, such as `ignore` a thousand times for
//! `ignore.{0,200}instructions`, ask for a new state at nearly every byte; after [`MAX_CLEARS`] full tables in one
//! request it ends. What earlier requests filled does not count.

use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::pool::{Pool, PoolGuard};
use regex_automata::{Input, MatchErrorKind, MatchKind};

/// The largest table, in bytes; each thread has its own.
const MAX_TABLE_BYTES: usize = 2 << 20;
/// The number of full tables before the next one ends the search, unless its states have served so many bytes each.
const MAX_CLEARS: usize = 8;
const MIN_BYTES_PER_STATE: usize = 10;

/// Patterns that are looked for in bounded time.
pub(super) struct BoundedSearch {
    engine: DFA,
    tables: Pool<Cache, MakeTable>,
}

/// A search through the texts of one request.
pub(in crate::policy::rules) struct SearchRun<'s> {
    engine: &'s DFA,
    table: PoolGuard<'s, Cache, MakeTable>,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchOutcome {
    Yes,
    No,
    /// The text was made to cost too much, and was not read to its end.
    GaveUp,
    /// A boundary of words stands beside a letter beyond ASCII, which this engine cannot tell.
    Unknown,
}

type MakeTable = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl BoundedSearch {
    /// Compiles `patterns`, which are known to be some; `None` when their program has more than `most` bytes.
    pub(super) fn new(patterns: &[String], most: usize) -> Option<Self> {
        let program = thompson::Config::new().nfa_size_limit(Some(most)).which_captures(WhichCaptures::None);
        let program = thompson::NFA::compiler().configure(program).build_many(patterns).ok()?;
        let config = Config::new()
            .match_kind(MatchKind::All)
            .unicode_word_boundary(true)
            .cache_capacity(MAX_TABLE_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(MAX_CLEARS))
            .minimum_bytes_per_state(Some(MIN_BYTES_PER_STATE));
        let engine = Builder::new().configure(config).build_from_nfa(program).ok()?;
        let own = engine.clone();
        let make: MakeTable = Box::new(move || own.create_cache());
        Some(Self { engine, tables: Pool::new(make) })
    }

    /// Begins a search through the texts of one request.
    pub(super) fn begin(&self) -> SearchRun<'_> {
        let mut table = self.tables.get();
        if table.clear_count() > 0 {
            table.reset(&self.engine);
        }
        SearchRun { engine: &self.engine, table }
    }
}

impl SearchRun<'_> {
    pub(super) fn find(&mut self, text: &str) -> SearchOutcome {
        match self.engine.try_search_fwd(&mut self.table, &Input::new(text).earliest(true)) {
            Ok(Some(_)) => SearchOutcome::Yes,
            Ok(None) => SearchOutcome::No,
            Err(error) if matches!(error.kind(), MatchErrorKind::GaveUp { .. }) => SearchOutcome::GaveUp,
            Err(_) => SearchOutcome::Unknown,
        }
    }
}
