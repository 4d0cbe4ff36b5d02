//! The top level of a request's body: which parameters are there, and with which values.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use crate::prompt::{count_of, scan};

/// The members of the top level of a body.
pub(super) struct BodyMembers<'b> {
    body: &'b Bytes,
    members: Vec<(Cow<'b, str>, std::ops::Range<usize>)>,
}

impl<'b> BodyMembers<'b> {
    /// Reads `body`, which must be a JSON object that was read before; of anything else nothing is found.
    pub(super) fn of(body: &'b Bytes) -> Self {
        let open = scan::object_at(body, 0);
        let members = open.into_iter().flat_map(|open| scan::members(body, open));
        let members = members.filter_map(|member| Some((member.name(body)?, member.value)));
        // A body can be nothing but millions of members; the parameters of an API are a few dozen.
        Self { body, members: members.filter(|(name, _)| is_parameter(name)).collect() }
    }

    /// Returns the JSON of the value at `path`, a key or `object.key`: the last where a key comes twice.
    pub(super) fn get(&self, path: &str) -> Option<Bytes> {
        let (key, member) = path.split_once('.').map_or((path, None), |(key, member)| (key, Some(member)));
        let (_, range) = self.members.iter().rev().find(|(name, _)| name == key)?;
        let value = self.body.slice(range.clone());
        let Some(member) = member else { return Some(value) };
        let open = scan::object_at(&value, 0)?;
        let found = scan::members(&value, open).filter(|inner| inner.name(&value).as_deref() == Some(member)).last()?;
        Some(value.slice(found.value))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    /// Returns the value at `path`, when it is of the type.
    pub(super) fn read<T: for<'d> Deserialize<'d>>(&self, path: &str) -> Option<T> {
        serde_json::from_slice(&self.get(path)?).ok()
    }

    /// Returns the text at `path`.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.read(path)
    }

    /// Returns the whole number at `path`, read as [`count_of`] does.
    pub(super) fn count(&self, path: &str) -> Option<u64> {
        count_of(str::from_utf8(&self.get(path)?).ok()?)
    }

    /// Returns the names of all parameters, as often as they come.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| &**name)
    }
}

/// Keys of APIs are short words.
pub(super) fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
