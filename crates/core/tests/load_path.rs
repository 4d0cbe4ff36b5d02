//! The way from a file's text to a decision, for files out of the fuzz target's grammar: nothing panics or overflows a
//! small stack, and what is accepted decides in bounded time.
//!
//! `make fuzz FUZZ_TARGETS=configuration` looks for more, by what the code does with each.

#[path = "../../../fuzz/src/grammar.rs"]
mod grammar;

use std::thread;

use pointsman_core::config::Config;
use pointsman_core::features::Features;
use pointsman_core::policy::{KnownSignals, PolicySet, RequestFacts};
use proptest::prelude::*;

/// The stack of a thread that loads: half of what a thread has by default.
const STACK_BYTES: usize = 1 << 20;

/// Loads a file and decides by it; says whether it was accepted.
fn load(text: &str) -> bool {
    let (config, problems) = Config::inspect(text, "generated.yaml");
    let _ = problems.to_string();
    let Some(config) = config else { return false };
    let Ok(set) = PolicySet::compile(&config) else { return false };
    for warning in set.lint() {
        let _ = warning.to_string();
    }
    for (_, rules, whole) in set.rule_steps() {
        assert!(whole <= PolicySet::MAX_POLICY_STEPS && rules.iter().all(|rule| *rule <= PolicySet::MAX_RULE_STEPS));
    }
    for policy in set.iter().filter(|_| problems.is_empty()) {
        let facts = RequestFacts::bare("auto", "/v1/chat/completions");
        let _ = policy.step(&facts, &Features::default(), &KnownSignals::default());
    }
    problems.is_empty()
}

fn on_small_stack(text: String) -> bool {
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || load(&text)).expect("a thread");
    thread.join().expect("nothing panics")
}

#[test]
fn the_first_choices_of_the_grammar_are_accepted() {
    assert!(on_small_stack(grammar::configuration(&[])));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn no_file_out_of_the_grammar_ends_the_process(choices in prop::collection::vec(any::<u8>(), 0..2000)) {
        on_small_stack(grammar::configuration(&choices));
    }
}
