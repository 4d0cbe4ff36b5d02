//! The whole way from a file's text to what serves: read, validated, compiled, linted, its cost worked out, and one
//! request decided by it.

use std::borrow::Cow;
use std::thread;

use pointsman_classifier::Manifest;
use pointsman_core::config::{Config, Name};
use pointsman_core::features::Features;
use pointsman_core::policy::{KnownSignals, PolicySet, PolicyStep, PolicyWorld, RequestFacts, Signal};
use pointsman_core::prompt::TextScope;
use pointsman_core::scores::{HeadScores, Scores};

use crate::grammar;

/// The stack of the thread that loads, which is what a thread has by default.
const STACK_BYTES: usize = 2 << 20;
/// The first byte of an input that chooses a configuration out of the grammar.
const GRAMMAR: u8 = 0xff;
/// The bytes that a header has at most by default.
const HEADER_BYTES: usize = 64 << 10;

/// Loads `input` as a configuration, and as a manifest; one that begins with the byte 255 chooses a configuration out
/// of the grammar, any other is the text itself.
///
/// # Panics
///
/// If loading does, or a file that was accepted decides nothing.
pub fn load(input: &[u8]) {
    let (text, is_generated) = match input.split_first() {
        Some((&GRAMMAR, choices)) => (grammar::configuration(choices), true),
        _ => (String::from_utf8_lossy(input).into_owned(), false),
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        configuration(&text);
        if !is_generated {
            let _ = Manifest::parse(&text).map_err(|error| error.to_string());
        }
    });
    thread.expect("a thread starts").join().expect("nothing panics");
}

fn configuration(text: &str) {
    let (config, problems) = Config::inspect(text, "fuzz.yaml");
    let _ = problems.to_string();
    let Some(config) = config else { return };
    let compiled = PolicySet::compile(&config);
    let Ok(set) = compiled else { return };
    for problem in set.lint() {
        let _ = problem.to_string();
    }
    for (policy, rules, whole) in set.rule_steps() {
        assert!(whole <= PolicySet::MAX_POLICY_STEPS, "{policy}: {rules:?}");
    }
    if problems.is_empty() {
        decide(&set);
    }
}

/// Decides one dear request by every policy.
fn decide(set: &PolicySet) {
    let world = DearRequest("red ".repeat(HEADER_BYTES / 4));
    let features = Features::default();
    let model = "m".repeat(4096);
    for policy in set.iter() {
        let facts = RequestFacts { live: &world, ..RequestFacts::bare(&model, "/v1/chat/completions") };
        let mut signals = KnownSignals::default();
        // Asks at most once for each classifier; judges and pins are left unanswered.
        for _ in 0..8 {
            match policy.step(&facts, &features, &signals) {
                PolicyStep::Need(Signal::Scores { classifier }) => signals.add_scores(classifier, Ok(scores())),
                PolicyStep::Need(_) | PolicyStep::Decide(_) | PolicyStep::Deny(_) => break,
            }
        }
    }
}

fn scores() -> Scores {
    Scores::of(vec![HeadScores::new("tier", &["simple", "complex"], &[0.25, 0.75])])
}

/// A request with the longest header that is read by default, under every name.
struct DearRequest(String);

impl PolicyWorld for DearRequest {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        (!name.starts_with("x-pointsman")).then_some(Cow::Borrowed(&self.0))
    }

    fn any_text(&self, _: TextScope, is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        Some(is_wanted(&self.0))
    }

    fn allows(&self, _: &Name) -> bool {
        true
    }
}
