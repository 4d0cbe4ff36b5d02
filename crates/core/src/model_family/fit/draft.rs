//! The changes of one request while they are found.

use std::borrow::Cow;

use bytes::Bytes;

use super::super::change::{ChangeReason, ParameterAction, ParameterChange};
use super::super::members::BodyMembers;
use super::super::profile::ModelProfile;
use super::super::refusal::RefusedParameter;
use super::{FittedParameters, ParameterFit};
use crate::prompt::{BodyEdits, Dialect, scan};

/// The changes of one request while they are found.
pub(super) struct FitDraft<'r> {
    pub(super) profile: &'r ModelProfile,
    pub(super) dialect: Dialect,
    pub(super) members: BodyMembers<'r>,
    pub(super) limit: Option<u64>,
    /// The parameters that the model's API has refused before.
    pub(super) refused: &'r [RefusedParameter],
    /// True when the model is going to think.
    pub(super) thinks: bool,
    changes: Vec<ParameterChange>,
}

impl<'r> FitDraft<'r> {
    pub(super) fn new(profile: &'r ModelProfile, request: &ParameterFit<'r>) -> Self {
        let members = BodyMembers::of(request.body);
        let ParameterFit { dialect, limit, refused, .. } = *request;
        Self { profile, dialect, members, limit, refused, thinks: false, changes: Vec::new() }
    }

    /// Returns the reason that is the family's, by a fact from `source`.
    pub(super) fn by_family(&self, source: &'static str) -> ChangeReason {
        let family = self.profile.family.map_or("none", |family| family.name);
        ChangeReason::Family { family, source }
    }

    /// Leaves `path` out, if it is there.
    pub(super) fn drop(&mut self, path: &str, reason: ChangeReason) {
        let top = path.split('.').next().unwrap_or_default();
        if self.members.has(path) && !self.profile.is_partly_own(top) {
            self.change(path, ParameterAction::Dropped, reason);
        }
    }

    pub(super) fn rename(&mut self, key: &str, new: &'static str, reason: ChangeReason) {
        if !self.profile.is_own(key) && !self.profile.is_own(new) {
            self.change(key, ParameterAction::Renamed(Cow::Borrowed(new)), reason);
        }
    }

    /// Sets `path` to the JSON `value`, unless it is that already.
    pub(super) fn set(&mut self, path: &str, value: &str, reason: ChangeReason) {
        let is_there = self.members.get(path).is_some_and(|there| there == value.as_bytes());
        let is_refused = self.refused.iter().any(|refused| refused.name == path && refused.refuses(value.as_bytes()));
        if !self.profile.is_own(path) && !is_there && !is_refused {
            self.change(path, ParameterAction::Set(value.to_owned()), reason);
        }
    }

    /// Lowers the tokens at `path`.
    pub(super) fn lower(&mut self, path: &str, tokens: u64, reason: ChangeReason) {
        if !self.profile.is_own(path) {
            self.change(path, ParameterAction::Lowered(tokens), reason);
        }
    }

    /// Returns whether `path` is left out by a change before.
    pub(super) fn is_dropped(&self, path: &str) -> bool {
        self.changes.iter().any(|change| change.parameter == path && change.action == ParameterAction::Dropped)
    }

    /// Adds a change. What is left out needs no other change; of two others for one parameter the first stays, but for a
    /// rename, which goes with a new value.
    fn change(&mut self, path: &str, action: ParameterAction, reason: ChangeReason) {
        let whole = path.split('.').next().unwrap_or_default();
        if self.is_dropped(path) || self.is_dropped(whole) {
            return;
        }
        let is_rename = |action: &ParameterAction| matches!(action, ParameterAction::Renamed(_));
        if action == ParameterAction::Dropped {
            let is_in = |other: &str| other == path || other.split('.').next() == Some(path);
            self.changes.retain(|change| !is_in(&change.parameter));
        } else if self
            .changes
            .iter()
            .any(|known| known.parameter == path && is_rename(&known.action) == is_rename(&action))
        {
            return;
        }
        self.changes.push(ParameterChange { parameter: Cow::Owned(path.to_owned()), action, reason });
    }

    /// Makes the edits of the changes.
    pub(super) fn finish(self) -> FittedParameters {
        let mut edits = BodyEdits::NONE;
        let mut objects: Vec<&str> = Vec::new();
        for change in &self.changes {
            let path = &*change.parameter;
            match (&change.action, path.split_once('.')) {
                (_, Some((key, _))) if objects.contains(&key) => {}
                (_, Some((key, _))) => {
                    objects.push(key);
                    self.edit_object(key, &mut edits);
                }
                (ParameterAction::Dropped, None) => edits.drop_key(path),
                (ParameterAction::Renamed(new), None) => edits.rename_key(path, new),
                (ParameterAction::Set(value), None) => edits.set_json(path, value.as_bytes()),
                (ParameterAction::Lowered(tokens), None) => edits.set_json(path, tokens.to_string()),
            }
        }
        FittedParameters { edits, changes: self.changes }
    }

    /// Adds the changes of the object at `key`: as parts where something is set, else as a whole without what is left
    /// out; an object of which nothing is left is left out itself.
    fn edit_object(&self, key: &str, edits: &mut BodyEdits) {
        let inner = |change: &ParameterChange| {
            let (top, member) = change.parameter.split_once('.')?;
            (top == key).then(|| (member.to_owned(), change.action.clone()))
        };
        let changes: Vec<(String, ParameterAction)> = self.changes.iter().filter_map(inner).collect();
        let drops = changes.iter().any(|(_, action)| *action == ParameterAction::Dropped);
        let mut parts = BodyEdits::NONE;
        for (member, action) in &changes {
            let path = if drops { member.clone() } else { format!("{key}.{member}") };
            let target = if drops { &mut parts } else { &mut *edits };
            match action {
                ParameterAction::Dropped => target.drop_key(&path),
                ParameterAction::Set(value) => target.set_json(&path, value.as_bytes()),
                ParameterAction::Lowered(tokens) => target.set_json(&path, tokens.to_string()),
                ParameterAction::Renamed(_) => {}
            }
        }
        if drops {
            let object = self.members.get(key).unwrap_or_else(|| Bytes::from_static(b"{}"));
            let left = parts.apply_around(&object, 0..0).0;
            let is_empty = scan::object_at(&left, 0).is_some_and(|open| scan::members(&left, open).next().is_none());
            // An object that says nothing any more would be one that the client has not written.
            if is_empty {
                edits.drop_key(key);
            } else {
                edits.set_json(key, left);
            }
        }
    }
}
