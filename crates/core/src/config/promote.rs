//! Promotion: the file's text with a shadow's bundle in the classifier's place, every other byte as it was.

use super::tree::{self, NodeContent, YamlNode};
use super::{Config, KeyPath};

/// A reason why a file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum PromoteError {
    /// The classifier is not there, or has no shadow.
    #[error("classifiers.{classifier}.shadow: there is none (allowed: {allowed})")]
    NoShadow {
        classifier: String,
        /// The classifiers that have one.
        allowed: String,
    },
    /// The section is spelt in a way that cannot be edited safely, such as by an alias.
    #[error("classifiers.{classifier}: cannot be edited safely, so change it by hand")]
    Spelling { classifier: String },
}

/// A node's bytes in the text.
type NodeBytes = std::ops::Range<usize>;

impl Config {
    /// Returns `text` with the bundle of `classifier`'s shadow as its own, and without the shadow.
    ///
    /// # Errors
    /// When there is no shadow, or when the result would not say exactly that.
    pub fn promote(text: &str, classifier: &str) -> Result<String, PromoteError> {
        let spelling = || PromoteError::Spelling { classifier: classifier.to_owned() };
        let (Some(config), _) = Self::inspect(text, "") else { return Err(spelling()) };
        let section = config.classifiers.iter().find(|(name, _)| name.as_str() == classifier);
        let Some(terms) = section.and_then(|(_, section)| section.shadow.as_ref()) else {
            let has_shadow = config.classifiers.iter().filter(|(_, section)| section.shadow.is_some());
            let allowed = has_shadow.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() { "no classifier has one".to_owned() } else { allowed };
            return Err(PromoteError::NoShadow { classifier: classifier.to_owned(), allowed });
        };
        let root = tree::parse(text).0.ok_or_else(spelling)?;
        let path = KeyPath::root().key("classifiers").key(classifier);
        let edited = edit(text, root.locate(&path).node).ok_or_else(spelling)?;
        let says_so = |promoted: &Self| {
            promoted.classifiers.len() == config.classifiers.len()
                && promoted.classifiers.iter().all(|(name, section)| match name.as_str() == classifier {
                    true => section.bundle.as_ref() == Some(&terms.bundle) && section.shadow.is_none(),
                    // An alias may have shared the text.
                    false => config.classifiers.get(name) == Some(section),
                })
        };
        match Self::inspect(&edited, "") {
            (Some(promoted), _) if says_so(&promoted) => Ok(edited),
            _ => Err(spelling()),
        }
    }
}

fn edit(text: &str, section: &YamlNode) -> Option<String> {
    let NodeContent::Map(entries) = &section.kind else { return None };
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let (own, shadow) = (find("bundle")?, find("shadow")?);
    let NodeContent::Map(inner) = &shadow.value.kind else { return None };
    let new = inner.iter().find(|entry| entry.key == "bundle")?;
    let is_flow = text.get(section.at.start..)?.starts_with('{');
    let whole = shadow.at.start..end(text, &shadow.value)?;
    let removed = if is_flow { flow_entry(text, whole) } else { block_entry(text, whole) };
    let value = text.get(new.value.at.start..new.value.at.end)?;
    let replaced = own.value.at.start..own.value.at.end;
    // From the back, so that the places stay right.
    let mut edits = [(replaced, value), (removed, "")];
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut edited = text.to_owned();
    for (range, with) in edits {
        edited.get(range.clone())?;
        edited.replace_range(range, with);
    }
    Some(edited)
}

/// Returns where a value ends, the bracket that closes it included.
fn end(text: &str, node: &YamlNode) -> Option<usize> {
    let NodeContent::Map(entries) = &node.kind else { return Some(node.at.end) };
    let last = entries.iter().map(|entry| end(text, &entry.value)).max()??;
    if !text.get(node.at.start..)?.starts_with('{') {
        return Some(last);
    }
    Some(last + text.get(last..)?.find('}')? + 1)
}

/// Adds the comma that an entry of `{...}` has behind it, or else before it.
fn flow_entry(text: &str, entry: NodeBytes) -> NodeBytes {
    let behind = &text[entry.end..];
    if let Some(rest) = behind.trim_start().strip_prefix(',') {
        return entry.start..text.len() - rest.trim_start().len();
    }
    let before = text[..entry.start].trim_end();
    before.strip_suffix(',').map_or(entry.start, |kept| kept.trim_end().len())..entry.end
}

/// Takes the whole lines of an entry, a comment behind its value included.
fn block_entry(text: &str, entry: NodeBytes) -> NodeBytes {
    let start = text[..entry.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[entry.end..].find('\n').map_or(text.len(), |newline| entry.end + newline + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(classifiers: &str) -> String {
        format!(
            "# ours\nversion: 1\nlisten: {{address: '127.0.0.1:0'}} # local\nproviders: {{one: {{base_url: 'http://one'}}}}\n\
             models: {{a: {{provider: one}}}}\n\nclassifiers:\n{classifiers}\n# the end\n"
        )
    }

    #[test]
    fn a_section_in_one_line_keeps_everything_else() {
        let before = "  default: {bundle: old, deadline: 5ms, shadow: {bundle: new, sample: 0.5}, queue: 3} # why";

        let after = Config::promote(&file(before), "default").expect("a shadow");

        assert_eq!(after, file("  default: {bundle: new, deadline: 5ms, queue: 3} # why"));
    }

    #[test]
    fn a_shadow_at_the_end_of_a_line_takes_its_comma_along() {
        let before = "  default: {bundle: old, shadow: {bundle: 'new one', sample: 0.5 } }";

        let after = Config::promote(&file(before), "default").expect("a shadow");

        assert_eq!(after, file("  default: {bundle: 'new one' }"));
    }

    #[test]
    fn a_section_in_lines_keeps_its_comments() {
        let before = "  default:\n    # weights\n    bundle: old # of spring\n    shadow: # trial\n      bundle: new\n      \
                      sample: 0.5 # half\n    deadline: 5ms # tight\n  other: {bundle: x}";

        let after = Config::promote(&file(before), "default").expect("a shadow");

        let expected =
            "  default:\n    # weights\n    bundle: new # of spring\n    deadline: 5ms # tight\n  other: {bundle: x}";
        assert_eq!(after, file(expected));
    }

    #[test]
    fn a_shadow_that_stands_first_is_found() {
        let before = "  default:\n    shadow: {bundle: new}\n    bundle: old";

        let after = Config::promote(&file(before), "default").expect("a shadow");

        assert_eq!(after, file("  default:\n    bundle: new"));
    }

    #[test]
    fn a_classifier_without_a_shadow_is_refused_with_those_that_have_one() {
        let text = file("  default: {bundle: old}\n  other: {bundle: old, shadow: {bundle: new}}");

        let errors = ["default", "nobody"].map(|name| Config::promote(&text, name).expect_err("no shadow").to_string());

        assert_eq!(errors[0], "classifiers.default.shadow: there is none (allowed: other)");
        assert_eq!(errors[1], "classifiers.nobody.shadow: there is none (allowed: other)");
    }

    #[test]
    fn a_section_behind_an_alias_is_left_to_the_operator() {
        let text = file("  default: &d {bundle: old, shadow: {bundle: new}}\n  other: *d");

        let error = Config::promote(&text, "other").expect_err("shared text");

        // Editing the anchor would change both.
        assert_eq!(error, PromoteError::Spelling { classifier: "other".to_owned() });
    }
}
