//! A unified diff of a change within one line.

use std::fmt::Write as _;

/// Lines that are shown around the change.
const CONTEXT: usize = 3;

/// Returns the diff between two texts of as many lines that differ in one; empty when they are the same.
pub(super) fn unified(file: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let Some(at) = old.iter().zip(&new).position(|(old, new)| old != new) else { return String::new() };
    let from = at.saturating_sub(CONTEXT);
    let to = (at + 1 + CONTEXT).min(old.len());
    let count = to - from;
    let mut diff = format!("--- a/{file}\n+++ b/{file}\n@@ -{0},{count} +{0},{count} @@\n", from + 1);
    for line in &old[from..at] {
        let _ = writeln!(diff, " {line}");
    }
    let _ = writeln!(diff, "-{}\n+{}", old[at], new[at]);
    for line in &old[at + 1..to] {
        let _ = writeln!(diff, " {line}");
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

        let diff = unified("p.yaml", old, &old.replace('5', "five"));

        assert_eq!(diff, "--- a/p.yaml\n+++ b/p.yaml\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert_eq!(unified("p.yaml", old, old), "");
    }

    #[test]
    fn a_change_at_an_end_has_less_around_it() {
        assert_eq!(unified("f", "a\nb", "A\nb"), "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n");
    }
}
