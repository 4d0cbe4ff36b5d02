//! Parts of a `match` that no request can fit, and those that say less than they seem to.

use std::collections::{BTreeMap, HashMap};

use super::budget::LintBudget;
use crate::config::{Config, ConfigProblem, Glob, MAX_PROBLEMS};
use crate::policy::paths::path_of;

/// Header fields of one connection, which HTTP/2 does not have.
const OF_CONNECTIONS: [&str; 7] =
    ["connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// The pairs of characters that are compared in the time of one comparison of cases.
const CELLS: usize = 32;

/// Finds the parts of each policy's `match` that cannot be meant.
pub(super) fn warnings(config: &Config, budget: &LintBudget) -> Vec<ConfigProblem> {
    let mut found = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        if found.len() >= MAX_PROBLEMS {
            break;
        }
        let path = path_of(index).key("match");
        let of_headers = headers(&policy.matches.header, budget);
        found.extend(of_headers.into_iter().map(|(name, message)| (path.key("header").key(name), message)));
        let strange = policy.matches.path.iter().position(|glob| !glob.as_str().starts_with(['/', '*', '?']));
        found.extend(strange.map(|at| (path.key("path").index(at), "never fits: a path begins with `/`".to_owned())));
        for (key, globs) in [("model", &policy.matches.model), ("path", &policy.matches.path)] {
            if globs.is_empty() && config.has_key(&path.key(key)) {
                found.push((path.key(key), format!("is empty, which fits every {key}")));
            }
        }
    }
    found.into_iter().take(MAX_PROBLEMS).filter_map(|(path, message)| config.problem(&path, message)).collect()
}

/// Finds header fields that no request has as they are wanted, by their names as the file spells them.
fn headers<'w>(wanted: &'w BTreeMap<String, Glob>, budget: &LintBudget) -> Vec<(&'w str, String)> {
    let mut found = Vec::new();
    // One header may stand there in as many spellings as it has combinations of cases.
    let mut spellings: HashMap<String, Vec<(&str, &Glob)>> = HashMap::new();
    for (name, glob) in wanted {
        let before = spellings.entry(name.to_ascii_lowercase()).or_default();
        let apart = before.iter().find(|(_, own)| are_apart(own, glob, budget).unwrap_or_default());
        let apart = apart.map(|(other, _)| *other);
        before.push((name, glob));
        if let Some(message) = unlike_values(glob) {
            found.push((name.as_str(), message));
        } else if let Some(other) = apart {
            found.push((name.as_str(), format!("never fits: `{other}` is the same header, and wants another value")));
        } else if OF_CONNECTIONS.contains(&name.to_ascii_lowercase().as_str()) {
            found.push((name.as_str(), "never fits a request over HTTP/2, which has no such header".to_owned()));
        }
    }
    found
}

/// Says why no value of a header fits `glob`.
fn unlike_values(glob: &Glob) -> Option<String> {
    let pattern = glob.as_str();
    // The last of several values may be empty: they are joined with `, `.
    let joined = pattern.strip_suffix(' ').is_some_and(|before| before.ends_with([',', '*', '?']));
    let has_blank = pattern.starts_with(' ') || (pattern.ends_with(' ') && !joined);
    has_blank.then(|| "never fits: blanks around a header's value are no part of it".to_owned())
}

/// Tells whether no text fits both patterns; `None` when there is no work left to tell.
fn are_apart(one: &Glob, other: &Glob, budget: &LintBudget) -> Option<bool> {
    budget.spend(1 + one.as_str().len().saturating_mul(other.as_str().len()) / CELLS)?;
    Some(!overlap(one, other))
}

/// Tells whether one text fits both patterns.
fn overlap(one: &Glob, other: &Glob) -> bool {
    let [one, other]: [Vec<char>; 2] = [one, other].map(|glob| glob.as_str().chars().collect());
    // fits[j]: what follows so far of `one` has a text in common with what is left of `other` from j on.
    let mut fits: Vec<bool> = vec![false; other.len() + 1];
    for i in (0..=one.len()).rev() {
        let mut next = vec![false; other.len() + 1];
        for j in (0..=other.len()).rev() {
            let (own, its) = (one.get(i), other.get(j));
            next[j] = match (own, its) {
                (None, None) => true,
                (Some('*'), _) if fits[j] => true,
                (_, Some('*')) if next[j + 1] => true,
                (Some('*'), Some(_)) => next[j + 1],
                (Some(_), Some('*')) => fits[j],
                (Some(own), Some(its)) => (own == its || *own == '?' || *its == '?') && fits[j + 1],
                (Some(_), None) | (None, Some(_)) => false,
            };
        }
        fits = next;
    }
    fits[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The warnings of a file whose policy has this `match`.
    fn found(matches: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{one: {{base_url: 'http://127.0.0.1:1/v1'}}}}\n\
             models: {{small: {{provider: one}}}}\n\
             policies: [{{name: p, match: {matches}, strategy: {{kind: split, models: {{small: 1}}}}}}]\n"
        );
        let config = Config::parse(&text, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        warnings(&config, &LintBudget::new())
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect()
    }

    #[test]
    fn what_no_request_can_fit_is_warned_about() {
        for (matches, warned) in [
            ("{header: {x-team: ' red'}}", "header.x-team: never fits: blanks"),
            ("{header: {x-team: 'red '}}", "header.x-team: never fits: blanks"),
            ("{header: {X-Team: red, x-team: blue}}", "header.x-team: never fits: `X-Team` is the same header"),
            ("{header: {X-Team: 'r*d', x-team: 'b?d'}}", "header.x-team: never fits: `X-Team` is the same header"),
            ("{header: {Transfer-Encoding: '*'}}", "header.Transfer-Encoding: never fits a request over HTTP/2"),
            ("{path: [v1/chat/completions]}", "path[0]: never fits: a path begins with `/`"),
            ("{model: []}", "model: is empty, which fits every model"),
        ] {
            let found = found(matches);

            assert_eq!(found.len(), 1, "{matches}: {found:?}");
            assert!(found[0].starts_with(&format!("policies[0].match.{warned}")), "{found:?}");
        }
    }

    #[test]
    fn a_header_in_thousands_of_spellings_is_compared_within_bounds() {
        let spelling = |number: usize| {
            let cased = |(bit, letter): (usize, char)| {
                if number >> bit & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
            };
            "abcdefghijklmnop".chars().enumerate().map(cased).collect::<String>()
        };
        let header = |value: &dyn Fn(usize) -> String| {
            let all = (0..8000).map(|number| format!("{}: '{}'", spelling(number), value(number)));
            format!("{{header: {{{}}}}}", all.collect::<Vec<_>>().join(", "))
        };

        assert_eq!(found(&header(&|_| format!("*{}*", "a".repeat(80)))), [] as [&str; 0]);
        assert_eq!(found(&header(&|number| number.to_string())).len(), MAX_PROBLEMS);
    }

    #[test]
    fn what_some_request_fits_is_left_alone() {
        for matches in [
            "{header: {x-team: '*, '}}",
            "{header: {x-team: 'a b'}}",
            "{header: {x-team: 'Zürich*'}}",
            "{header: {X-Team: 'r*', x-team: '*d'}}",
            "{header: {X-Team: 'a*c', x-team: 'a?b*'}}",
            "{path: ['/v1/*', '*', '?v1']}",
            "{}",
        ] {
            assert_eq!(found(matches), [] as [&str; 0], "{matches}");
        }
    }
}
