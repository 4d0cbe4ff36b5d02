//! The places of a configuration in which a secret could stand, by the keys that lead to them.
//!
//! What a secret looks like is the affair of [`super`].

use std::ops::Range;

use super::{MASK, holds_secret, is_secret_key, values_of, without_secrets};
use crate::config::nearest;
use crate::config::problem::{KeyPath, KeyStep};
use crate::config::tree::{MapEntry, NodeContent, YamlNode};

/// Sections that hold one secret each: what stands below is a source of it, or the secret itself.
const SOURCE_SECTIONS: [&str; 3] = ["credential", "hash_key", "keys"];
/// The keys and words below such a section that are no secret.
const SOURCE_WORDS: [&str; 17] = [
    "access_key",
    "container",
    "env",
    "environment",
    "file",
    "id",
    "instance",
    "key",
    "metadata",
    "name",
    "none",
    "passthrough",
    "profile",
    "secret",
    "session_token",
    "sha256",
    "weight",
];
/// The section of which each entry holds keys.
const CLIENTS: &str = "clients";
/// The keys of a client that are no secret.
const CLIENT_KEYS: [&str; 4] = ["models", "policies", "rate_limit", "team"];
/// Sections whose `key` is no secret.
const PLAIN_KEY_SECTIONS: [&str; 2] = ["affinity", "tls"];
/// Finds what must not be shown of a file whose text holds no tree, or not all of it: whole sections of secrets.
pub(in crate::config) fn in_blocks(text: &str, found: &mut Vec<Range<usize>>) {
    let mut end = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        let keys = [CLIENTS, "key"].into_iter().chain(SOURCE_SECTIONS);
        let value = keys.filter_map(|key| values_of(line, key).next()).min();
        if let Some(value) = value.filter(|_| start >= end) {
            let own = indent(line);
            let below = text[at..].split_inclusive('\n');
            let below = below.take_while(|next| next.trim().is_empty() || indent(next) > own || next.starts_with('-'));
            end = at + below.map(str::len).sum::<usize>();
            found.push(start + value..end);
        }
    }
}

/// A node of the tree, and what is known of it by the keys above.
struct KeyedNode<'t> {
    node: &'t YamlNode,
    /// The keys above, outermost first; an element of a list has that of the list.
    keys: Vec<&'t str>,
    is_secret: bool,
}

/// Finds the values and keys of the tree `root` of `source` that must not be shown.
pub(super) fn in_tree(root: &YamlNode, source: &str, found: &mut Vec<Range<usize>>) {
    let mut open = vec![KeyedNode { node: root, keys: Vec::new(), is_secret: false }];
    while let Some(KeyedNode { node, keys, is_secret }) = open.pop() {
        match &node.kind {
            NodeContent::Scalar { text, .. } => {
                let range = node.at.start..node.at.end;
                let is_hash = keys.last().is_some_and(|key| *key == "sha256") && is_digest(text);
                let spelled = source.get(range.clone());
                if (is_secret && !is_hash) || holds_secret(text) || spelled.is_some_and(holds_secret) {
                    found.push(range);
                }
            }
            NodeContent::Map(entries) => open.extend(entries.iter().map(|entry| {
                if holds_secret(&entry.key) || (is_secret && is_source(&keys) && !is_source_word(&entry.key)) {
                    found.push(entry.at.start..entry.at.end);
                }
                below(entry, &keys, is_secret)
            })),
            NodeContent::List(nodes) => {
                open.extend(nodes.iter().map(|node| KeyedNode { node, keys: keys.clone(), is_secret }));
            }
            NodeContent::Hole => {}
        }
    }
}

fn below<'t>(entry: &'t MapEntry, keys: &[&'t str], is_secret: bool) -> KeyedNode<'t> {
    let keys: Vec<&str> = keys.iter().copied().chain([entry.key.as_str()]).collect();
    // A client as a whole may be a key, but what it may use is none.
    let is_plain = matches!(*keys, [clients, _, key] if is_like(clients, &[CLIENTS]) && is_like(key, &CLIENT_KEYS));
    KeyedNode { node: &entry.value, is_secret: !is_plain && (is_secret || is_secret_place(&keys)), keys }
}

/// Tells whether the value of the last of `keys`, which lead to it from the root, could be a secret, or hold one.
fn is_secret_place(keys: &[&str]) -> bool {
    match keys {
        [clients] | [clients, _] => is_like(clients, &[CLIENTS]) || keys.last().is_some_and(|key| is_secret_key(key)),
        [.., section, "key"] => !PLAIN_KEY_SECTIONS.contains(section),
        [.., key] => is_secret_key(key),
        [] => false,
    }
}

/// Tells whether `keys` lead into a section that holds one secret and what belongs to its source.
fn is_source(keys: &[&str]) -> bool {
    match keys {
        [clients, _, key, ..] if is_like(clients, &[CLIENTS]) => !is_like(key, &CLIENT_KEYS),
        _ => {
            let is_source = |pair: &[&str]| matches!(pair, ["redis", "url"] | ["headers", _]);
            keys.iter().any(|key| is_like(key, &["credential", "hash_key"])) || keys.windows(2).any(is_source)
        }
    }
}

fn is_source_word(word: &str) -> bool {
    is_like(word, &SOURCE_WORDS)
}

/// Tells whether `key` is one of `names`, or is spelt like one.
fn is_like(key: &str, names: &[&str]) -> bool {
    names.contains(&key) || (key.len() <= 64 && nearest(key, names.iter().copied()).is_some())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes a path of the configuration without what may be a secret that stands in the place of a key.
pub(in crate::config) fn path_without_secrets(path: &KeyPath) -> String {
    let mut keys: Vec<&str> = Vec::new();
    let steps = path.steps().iter().map(|step| match step {
        KeyStep::Key(key) => {
            let is_hidden = is_source(&keys) && !is_source_word(key);
            keys.push(key);
            KeyStep::Key(if is_hidden { MASK.to_owned() } else { without_secrets(key).into_owned() })
        }
        KeyStep::Index(index) => KeyStep::Index(*index),
    });
    let shown: KeyPath = steps.collect();
    without_secrets(&shown.to_string()).into_owned()
}
