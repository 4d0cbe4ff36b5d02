//! The health of the watch on files, as the admin plane shows it.

use std::fmt::Write as _;

/// The number of folders or files that are named; of more, the count is said.
const NAMED: usize = 3;

/// The health of the watch on files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum WatchHealth {
    /// Files are looked at, with or without events.
    Watching {
        /// The number of folders that give events.
        folders: usize,
        /// The folders that give none, each with the reason.
        unwatched: Vec<String>,
        /// The files that are not there.
        missing: Vec<String>,
    },
    /// Nobody looks at files.
    #[default]
    Ended,
}

impl WatchHealth {
    /// Returns the number of folders that give events.
    #[must_use]
    pub(crate) const fn folders(&self) -> usize {
        match self {
            Self::Watching { folders, .. } => *folders,
            Self::Ended => 0,
        }
    }

    /// Returns what is not as it should be.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        let Self::Watching { unwatched, missing, .. } = self else {
            return Some("files are not watched; reload with SIGHUP or POST /reload".to_owned());
        };
        let mut trouble = Vec::new();
        if !unwatched.is_empty() {
            trouble.push(format!("no events come from {}; files are looked at every two seconds", listed(unwatched)));
        }
        if !missing.is_empty() {
            let quoted: Vec<_> = missing.iter().map(|file| format!("`{file}`")).collect();
            trouble.push(format!("not there: {}", listed(&quoted)));
        }
        (!trouble.is_empty()).then(|| trouble.join("; "))
    }
}

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED {
        let _ = write!(text, " and {} more", names.len() - NAMED); // writing to a string
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_and_long_lists_are_cut() {
        let whole = WatchHealth::Watching { folders: 2, unwatched: Vec::new(), missing: Vec::new() };
        let unwatched = ["a", "b", "c", "d"].map(|name| format!("`/{name}` (no)")).to_vec();
        let partly = WatchHealth::Watching { folders: 2, unwatched, missing: vec!["/p.yaml".to_owned()] };

        assert_eq!(whole.trouble(), None);
        assert_eq!(
            partly.trouble().as_deref(),
            Some(
                "no events come from `/a` (no), `/b` (no), `/c` (no) and 1 more; files are looked at every two seconds; \
                 not there: `/p.yaml`"
            )
        );
        assert!(WatchHealth::Ended.trouble().is_some_and(|trouble| trouble.contains("SIGHUP")));
    }
}
