//! The test whether one `match` takes every request that another one does. No is never wrong.

use super::budget::LintBudget;
use crate::config::{Glob, RequestMatch};

/// The steps of comparing two patterns that count as one of the budget.
const STEPS_OF_ONE: usize = 256;

/// Tells whether every request that fits `inner` fits `outer` too; no where the budget does not last.
pub(super) fn covers(outer: &RequestMatch, inner: &RequestMatch, budget: &LintBudget) -> bool {
    let affordable = |outer: &Glob, inner: &Glob| {
        budget.spend(1 + outer.as_str().len() * inner.as_str().len() / STEPS_OF_ONE).is_some()
    };
    let includes = |outer: &Glob, inner: &Glob| affordable(outer, inner) && includes(outer, inner);
    let header = |name: &str| inner.header.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    every(&outer.model, &inner.model, includes)
        && every(&outer.path, &inner.path, includes)
        && outer.header.iter().all(|(name, glob)| header(name).is_some_and(|(_, own)| includes(glob, own)))
}

/// Tells whether each of the `inner` patterns is part of an `outer` one; no pattern at all is any text.
fn every(outer: &[Glob], inner: &[Glob], includes: impl Fn(&Glob, &Glob) -> bool) -> bool {
    let any = |glob: &Glob| glob.as_str().chars().all(|c| c == '*');
    let included = |own: &Glob| outer.iter().any(|glob| includes(glob, own));
    outer.is_empty() || outer.iter().any(any) || (!inner.is_empty() && inner.iter().all(included))
}

/// Tells whether every text that fits `inner` fits `outer`.
///
/// Matches `outer` with the pattern `inner` as if it were a text, in which a `*` is taken by nothing but a `*` and a
/// `?` by either: what stands for the wildcard of `inner` is then taken by that of `outer`.
fn includes(outer: &Glob, inner: &Glob) -> bool {
    let (outer, inner): (Vec<char>, Vec<char>) = (outer.as_str().chars().collect(), inner.as_str().chars().collect());
    // fits[i]: what follows so far of `outer` fits what is left of `inner` from i on; filled from the end of `outer`.
    let mut fits: Vec<bool> = (0..=inner.len()).map(|from| from == inner.len()).collect();
    for wanted in outer.iter().rev() {
        let mut next = vec![false; inner.len() + 1];
        for from in (0..=inner.len()).rev() {
            let takes_one = from < inner.len() && fits[from + 1];
            next[from] = match wanted {
                '*' => fits[from] || (from < inner.len() && next[from + 1]),
                '?' => takes_one && inner[from] != '*',
                literal => takes_one && inner[from] == *literal,
            };
        }
        fits = next;
    }
    fits[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn includes(outer: &str, inner: &str) -> bool {
        super::includes(&Glob::new(outer).expect("a pattern"), &Glob::new(inner).expect("a pattern"))
    }

    #[test]
    fn a_pattern_includes_what_is_narrower() {
        assert!(
            includes("*", "gpt-*") && includes("gpt-*", "gpt-4*") && includes("gpt-*", "gpt-?") && includes("a*", "a")
        );
        assert!(includes("a?c", "abc") && includes("a?c", "a?c") && includes("*a*", "xa?"));
        assert!(
            !includes("gpt-4*", "gpt-*") && !includes("a?", "a*") && !includes("abc", "a?c") && !includes("a", "b")
        );
    }

    proptest! {
        #[test]
        fn what_fits_a_pattern_fits_every_pattern_that_includes_it(
            outer in "[ab*?]{1,6}", inner in "[ab*?]{1,6}", text in "[ab]{0,8}",
        ) {
            let fits = |pattern: &str| Glob::new(pattern).expect("a pattern").matches(&text);

            prop_assert!(!(includes(&outer, &inner) && fits(&inner)) || fits(&outer), "{outer} {inner} {text}");
        }
    }
}
