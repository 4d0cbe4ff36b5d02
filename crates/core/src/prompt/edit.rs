//! A model's rules for a body: keys that it does not know are dropped, those it calls otherwise renamed, others set.
//!
//! All of them, and the model's name, are spliced in one copy; every byte that no rule is about stays the client's.
//! Keys are the body's top-level ones, however they are escaped; a key that comes twice is treated twice.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

use super::scan::{self, JsonMember};

/// Changes to a body's top level. A key has one role at most; the configuration makes sure of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BodyEdits {
    drop: Vec<String>,
    rename: Vec<(String, String)>,
    set: Vec<(String, KeySetting)>,
}

/// The JSON that a key is set to.
#[derive(Debug, Clone, PartialEq)]
enum KeySetting {
    /// The whole value.
    Whole(Vec<u8>),
    /// Members of the object that it is, or becomes.
    Members(Vec<(String, Vec<u8>)>),
}

/// Bytes of the body and what stands there instead.
type BodyPatch = (Range<usize>, Vec<u8>);

impl BodyEdits {
    /// No rules.
    pub const NONE: Self = Self { drop: Vec::new(), rename: Vec::new(), set: Vec::new() };

    /// Makes the rules: keys to drop, old and new names of keys, and values to set.
    ///
    /// A dot in a key of `set` leads into an object: `stream_options.include_usage`. Where a key to be renamed meets a
    /// body that has the new one already, both stay as they are.
    #[must_use]
    pub fn new(drop: &[String], rename: &BTreeMap<String, String>, set: &BTreeMap<String, Value>) -> Self {
        let mut edits = Self {
            drop: drop.to_vec(),
            rename: rename.iter().map(|(old, new)| (old.clone(), new.clone())).collect(),
            set: Vec::new(),
        };
        for (path, value) in set {
            edits.set(path, value.to_string().into());
        }
        edits
    }

    fn set(&mut self, path: &str, value: Vec<u8>) {
        let Some((key, member)) = path.split_once('.') else {
            self.set.push((path.to_owned(), KeySetting::Whole(value)));
            return;
        };
        let member = (member.to_owned(), value);
        match self.set.iter_mut().find(|(known, _)| known == key) {
            Some((_, KeySetting::Members(members))) => members.push(member),
            _ => self.set.push((key.to_owned(), KeySetting::Members(vec![member]))),
        }
    }

    /// Adds a rule that leaves `key` out.
    pub fn drop_key(&mut self, key: &str) {
        self.drop.push(key.to_owned());
    }

    /// Adds a rule that calls `key` otherwise; both stay as they are where the new one is there already.
    pub fn rename_key(&mut self, key: &str, new: &str) {
        self.rename.push((key.to_owned(), new.to_owned()));
    }

    /// Adds a rule that sets `path`, a key or a member of the object under one, to `value`, which must be JSON.
    pub fn set_json(&mut self, path: &str, value: impl Into<Vec<u8>>) {
        self.set(path, value.into());
    }

    /// Returns the rules and those of `more`. No key may be in both in different roles, but for one that is renamed and
    /// set.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        let mut both = self.clone();
        both.drop.extend_from_slice(&more.drop);
        both.rename.extend_from_slice(&more.rename);
        for (key, setting) in &more.set {
            match (both.set.iter_mut().find(|(known, _)| known == key), setting) {
                (Some((_, KeySetting::Members(known))), KeySetting::Members(members)) => {
                    known.extend_from_slice(members);
                }
                _ => both.set.push((key.clone(), setting.clone())),
            }
        }
        both
    }

    /// Returns the rules without those that set `key` or something in it.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let mut edits = self.clone();
        edits.set.retain(|(known, _)| known != key);
        edits
    }

    /// Tells whether there is nothing to do in any body.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.drop.is_empty() && self.rename.is_empty() && self.set.is_empty()
    }

    /// Returns `body` after the rules, with the bytes of `span` replaced by `model` as a JSON string; with an empty span the
    /// body names no model, and gets none.
    ///
    /// Costs one look at each byte and one copy, or none where nothing changes. `body` must be a JSON object that was
    /// read before; of anything else only the model is replaced.
    ///
    /// # Panics
    ///
    /// When `span` does not lie within `body`: it must come from reading this very body.
    #[must_use]
    pub fn apply(&self, body: &Bytes, span: Range<usize>, model: &str) -> Bytes {
        let mut patches = self.patches(body);
        if !span.is_empty() {
            patches.push((span, quoted(model)));
        }
        patches.retain(|(range, new)| body[range.clone()] != new[..]);
        // What is added at a place stands before what is taken out from there on.
        patches.sort_by_key(|(range, _)| (range.start, range.end));
        if patches.is_empty() { body.clone() } else { patched(body, &patches) }
    }

    /// Returns `body` after the rules, and where the bytes of `span`, which no rule is about, stand then.
    #[must_use]
    pub fn apply_around(&self, body: &Bytes, span: Range<usize>) -> (Bytes, Range<usize>) {
        let mut patches = self.patches(body);
        patches.retain(|(range, new)| body[range.clone()] != new[..]);
        patches.sort_by_key(|(range, _)| (range.start, range.end));
        if patches.is_empty() {
            return (body.clone(), span);
        }
        let before = patches.iter().filter(|(range, _)| range.end <= span.start);
        let (gone, come) = before.fold((0, 0), |(gone, come), (range, new)| (gone + range.len(), come + new.len()));
        let start = span.start - gone + come;
        (patched(body, &patches), start..start + span.len())
    }

    /// Goes over the members twice instead of listing them: a body can be nothing but millions of them.
    fn patches(&self, body: &[u8]) -> Vec<BodyPatch> {
        let Some(open) = scan::object_at(body, 0).filter(|_| !self.is_empty()) else { return Vec::new() };
        let present = self.present(body, open);
        let mut patches = Vec::new();
        let mut kept = None;
        let mut end_before = open + 1;
        let mut members = scan::members(body, open).peekable();
        while let Some(member) = members.next() {
            let name = member.name(body).unwrap_or_default();
            if !self.drop.iter().any(|key| *key == name) {
                kept = Some(member.value.end);
                patches.extend(self.edits_of(body, &member, &name, &present));
            } else if kept.is_some() {
                patches.push((end_before..member.value.end, Vec::new()));
            } else {
                let next = members.peek().map_or(member.value.end, |next| next.key.start);
                patches.push((member.key.start..next, Vec::new()));
            }
            end_before = member.value.end;
        }
        let missing = self.set.iter().filter(|(key, _)| !present.contains(&key.as_str()));
        patches.extend(added(open, kept, missing.map(|(key, setting)| entry(key, &setting.rendered()))));
        patches
    }

    /// Returns which of the keys that rules ask about are there.
    fn present(&self, body: &[u8], open: usize) -> Vec<&str> {
        let asked = || self.rename.iter().map(|(_, new)| new).chain(self.set.iter().map(|(key, _)| key));
        let mut present: Vec<&str> = Vec::new();
        for name in scan::members(body, open).filter_map(|member| member.name(body)) {
            if let Some(key) = asked().find(|key| **key == name).filter(|key| !present.contains(&key.as_str())) {
                present.push(key);
            }
        }
        present
    }

    /// Returns what changes in a member that stays: its key, its value, or nothing.
    fn edits_of(&self, body: &[u8], member: &JsonMember, name: &str, present: &[&str]) -> Vec<BodyPatch> {
        let mut patches = Vec::new();
        if let Some((_, new)) = self.rename.iter().find(|(old, _)| old == name)
            && !present.contains(&new.as_str())
        {
            patches.push((member.key.clone(), quoted(new)));
        }
        if let Some((_, setting)) = self.set.iter().find(|(key, _)| key == name) {
            setting.replace(body, member, &mut patches);
        }
        patches
    }
}

impl KeySetting {
    /// Returns the value of a key that was not there.
    fn rendered(&self) -> Vec<u8> {
        match self {
            Self::Whole(value) => value.clone(),
            Self::Members(members) => {
                let members: Vec<_> = members.iter().map(|(key, value)| entry(key, value)).collect();
                [b"{".as_slice(), &members.join(&b','), b"}"].concat()
            }
        }
    }

    /// Replaces the value of a `member` that is there; what is to have members and is no object becomes one.
    fn replace(&self, body: &[u8], member: &JsonMember, patches: &mut Vec<BodyPatch>) {
        let (Self::Members(settings), Some(open)) = (self, scan::object_at(body, member.value.start)) else {
            patches.push((member.value.clone(), self.rendered()));
            return;
        };
        let mut is_present = vec![false; settings.len()];
        let mut last = None;
        for inner in scan::members(body, open) {
            let name = inner.name(body).unwrap_or_default();
            if let Some(index) = settings.iter().position(|(key, _)| *key == name) {
                is_present[index] = true;
                patches.push((inner.value.clone(), settings[index].1.clone()));
            }
            last = Some(inner.value.end);
        }
        let missing = settings.iter().zip(is_present).filter(|(_, is_present)| !is_present);
        patches.extend(added(open, last, missing.map(|((key, value), _)| entry(key, value))));
    }
}

/// Returns the patch that adds `entries` to the object at `open`, after the last member that stays.
fn added(open: usize, last: Option<usize>, entries: impl Iterator<Item = Vec<u8>>) -> Option<BodyPatch> {
    let entries: Vec<_> = entries.collect();
    let at = last.unwrap_or(open + 1);
    let comma: &[u8] = if last.is_some() { b"," } else { b"" };
    (!entries.is_empty()).then(|| (at..at, [comma, &entries.join(&b',')].concat()))
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    [&quoted(key), &b":"[..], value].concat()
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string is always representable in JSON")
}

/// Returns a copy of `body` with the patches, which are in order and do not overlap.
fn patched(body: &[u8], patches: &[BodyPatch]) -> Bytes {
    let added: usize = patches.iter().map(|(_, new)| new.len()).sum();
    let mut copy = Vec::with_capacity(body.len() + added);
    let mut done = 0;
    for (range, new) in patches {
        copy.extend_from_slice(&body[done..range.start]);
        copy.extend_from_slice(new);
        done = range.end;
    }
    copy.extend_from_slice(&body[done..]);
    copy.into()
}

#[cfg(test)]
mod tests;
