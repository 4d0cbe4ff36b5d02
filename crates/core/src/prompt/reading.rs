//! The reading of one body: the bounds within which it is read, and the first thing in it that is beyond them.
//!
//! Owns what every reader of a dialect does with a member, an element or a key: how many there may be, how deep they
//! may lie, and that a key of the API stands there in the API's own spelling. A body beyond a bound is left where the
//! bound is met, so that what is refused costs no more than what is allowed.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::api_key::{ApiKey, ApiKeySeed};
use super::odd_keys::OddKeys;
use super::parse_error::ParseError;
use super::scan::deepest;
use super::tolerant::{FromJson, TolerantSeed};

/// The levels that a reader descends; what lies deeper is stepped over. Keeps serde_json's own bound out of reach.
const MOST_LEVELS: usize = 64;

/// Bounds on what a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingLimits {
    /// The most messages of a conversation: also items of an `input`, and texts to complete or to embed.
    pub messages: usize,
    /// The most elements of all other lists together: parts of messages, calls of tools, tools, unknown members.
    pub parts: usize,
    /// The most objects and arrays within each other.
    pub depth: usize,
    /// True where a key of the API that stands there in another case is refused.
    pub is_case_exact: bool,
}

/// A kind of list whose elements are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedList {
    /// See [`ReadingLimits::messages`].
    Messages,
    /// See [`ReadingLimits::parts`].
    Parts,
    /// The models that a body names.
    Models,
}

impl ReadingLimits {
    /// No bounds: for bodies of our own, and for those that were read within bounds before.
    pub const NONE: Self = Self { messages: usize::MAX, parts: usize::MAX, depth: usize::MAX, is_case_exact: false };
}

impl CountedList {
    /// Returns the word for the elements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Parts => "parts",
            Self::Models => "models",
        }
    }
}

/// The counts of one body, and the reason why its reading ended early.
pub(super) struct BodyTally {
    limits: ReadingLimits,
    messages: Cell<usize>,
    parts: Cell<usize>,
    refusal: RefCell<Option<ParseError>>,
    /// Keys in another case within the content that is being read.
    odd_keys: Cell<Option<Box<OddKeys>>>,
}

/// A place in the reading of one body.
#[derive(Clone, Copy)]
pub(super) struct BodyReading<'r> {
    tally: &'r BodyTally,
    /// The objects and arrays that are open here.
    depth: usize,
    odd_keys: OddKeyPolicy,
}

/// The treatment of a key in another case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OddKeyPolicy {
    Refused,
    /// It is refused or not once it is known where it stands.
    Held,
}

impl BodyTally {
    pub(super) const fn new(limits: ReadingLimits) -> Self {
        let (messages, parts) = (Cell::new(0), Cell::new(0));
        Self { limits, messages, parts, refusal: RefCell::new(None), odd_keys: Cell::new(None) }
    }

    /// Returns the place before the body.
    pub(super) const fn begin(&self) -> BodyReading<'_> {
        BodyReading { tally: self, depth: 0, odd_keys: OddKeyPolicy::Refused }
    }

    /// Returns why the reading ended, where it is not for the JSON itself.
    pub(super) fn into_refusal(self) -> Option<ParseError> {
        self.refusal.into_inner()
    }
}

impl<'r> BodyReading<'r> {
    /// Returns the place within an object or array that stands here.
    pub(super) fn within<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.tally.limits.depth { Err(self.too_deep()) } else { Ok(Self { depth, ..self }) }
    }

    /// Tells whether readers descend no further from here.
    pub(super) const fn is_at_bottom(self) -> bool {
        self.depth >= MOST_LEVELS
    }

    /// Reads the value of a member, whatever its type.
    pub(super) fn value<'b, T: FromJson<'b>, A: MapAccess<'b>>(self, object: &mut A) -> Result<T, A::Error> {
        object.next_value_seed(TolerantSeed::new(self))
    }

    /// Takes the value of a member as it stands.
    pub(super) fn raw<'b, A: MapAccess<'b>>(self, object: &mut A) -> Result<&'b RawValue, A::Error> {
        let raw = object.next_value::<&'b RawValue>()?;
        self.bound(raw)?;
        Ok(raw)
    }

    /// Takes the value of a member as it stands, unless it is `null`.
    pub(super) fn optional<'b, A: MapAccess<'b>>(self, object: &mut A) -> Result<Option<&'b RawValue>, A::Error> {
        self.raw(object).map(|raw| Some(raw).filter(|raw| raw.get() != "null"))
    }

    /// Takes the value of a member that this version does not know.
    pub(super) fn unknown<'b, A: MapAccess<'b>>(self, object: &mut A) -> Result<&'b RawValue, A::Error> {
        self.count(CountedList::Parts)?;
        self.raw(object)
    }

    /// Steps over the value of a member.
    pub(super) fn skip<'b, A: MapAccess<'b>>(self, object: &mut A) -> Result<(), A::Error> {
        self.raw(object).map(drop)
    }

    /// Reads the next key of an object.
    pub(super) fn key<'b, K: ApiKey, A: MapAccess<'b>>(self, object: &mut A) -> Result<Option<K>, A::Error> {
        object.next_key_seed(ApiKeySeed(self, PhantomData))
    }

    /// Reads the next message of a conversation.
    pub(super) fn message<'b, T: FromJson<'b>, A: SeqAccess<'b>>(self, array: &mut A) -> Result<Option<T>, A::Error> {
        self.counted(CountedList::Messages, array)
    }

    /// Reads the next part of a message, or the next element of another list within the body.
    pub(super) fn part<'b, T: FromJson<'b>, A: SeqAccess<'b>>(self, array: &mut A) -> Result<Option<T>, A::Error> {
        self.counted(CountedList::Parts, array)
    }

    /// Reads the next element of a list that may be as long as it likes.
    pub(super) fn element<'b, T: FromJson<'b>, A: SeqAccess<'b>>(self, array: &mut A) -> Result<Option<T>, A::Error> {
        array.next_element_seed(TolerantSeed::new(self))
    }

    /// Takes the next part as it stands.
    pub(super) fn raw_part<'b, A: SeqAccess<'b>>(self, array: &mut A) -> Result<Option<&'b RawValue>, A::Error> {
        let Some(raw) = array.next_element::<&'b RawValue>()? else { return Ok(None) };
        self.count(CountedList::Parts)?;
        self.bound(raw)?;
        Ok(Some(raw))
    }

    /// Steps over the elements that are left.
    pub(super) fn skip_elements<'b, A: SeqAccess<'b>>(self, array: &mut A) -> Result<(), A::Error> {
        while let Some(raw) = array.next_element::<&'b RawValue>()? {
            self.bound(raw)?;
        }
        Ok(())
    }

    /// Steps over the members that are left.
    pub(super) fn skip_members<'b, A: MapAccess<'b>>(self, object: &mut A) -> Result<(), A::Error> {
        while object.next_key::<serde::de::IgnoredAny>()?.is_some() {
            self.skip(object)?;
        }
        Ok(())
    }

    /// Adds an element to the count of its kind.
    pub(super) fn count<E: Error>(self, list: CountedList) -> Result<(), E> {
        let BodyTally { limits, messages, parts, .. } = self.tally;
        let (count, limit) = match list {
            CountedList::Messages => (messages, limits.messages),
            CountedList::Parts | CountedList::Models => (parts, limits.parts),
        };
        count.set(count.get() + 1);
        if count.get() > limit { Err(self.refuse(ParseError::TooMany { list, limit })) } else { Ok(()) }
    }

    /// Tells whether keys in another case than the API's are looked for.
    pub(super) const fn is_case_exact(self) -> bool {
        self.tally.limits.is_case_exact
    }

    /// Returns the place where keys in another case are held, in content that may be the user's own JSON.
    pub(super) const fn holding_odd_keys(self) -> Self {
        Self { odd_keys: OddKeyPolicy::Held, ..self }
    }

    /// Takes the keys that are held.
    pub(super) fn take_odd_keys(self) -> Option<Box<OddKeys>> {
        self.tally.odd_keys.take()
    }

    /// Holds keys, in the place of those that are held.
    pub(super) fn hold_odd_keys(self, keys: Option<Box<OddKeys>>) {
        self.tally.odd_keys.set(keys);
    }

    /// Ends the reading for a key in another case than the API's, or holds it; `folded` is the API's.
    pub(super) fn meet_odd_key<E: Error>(self, key: &str, folded: &str) -> Result<(), E> {
        if self.odd_keys == OddKeyPolicy::Refused {
            return self.refuse_odd_key(Some(key.to_owned()));
        }
        let mut held = self.take_odd_keys().unwrap_or_default();
        held.meet(key, folded);
        self.hold_odd_keys(Some(held));
        Ok(())
    }

    /// Ends the reading for a key in another case than the API's, if there is one.
    pub(super) fn refuse_odd_key<E: Error>(self, key: Option<String>) -> Result<(), E> {
        key.map_or(Ok(()), |key| Err(self.refuse(ParseError::KeyInAnotherCase { key })))
    }

    fn counted<'b, T, A>(self, list: CountedList, array: &mut A) -> Result<Option<T>, A::Error>
    where
        T: FromJson<'b>,
        A: SeqAccess<'b>,
    {
        let element = self.element(array)?;
        if element.is_some() {
            self.count(list)?;
        }
        Ok(element)
    }

    /// Looks at the depth of a value that is taken as it stands; most have fewer brackets than would be too deep.
    fn bound<E: Error>(self, raw: &RawValue) -> Result<(), E> {
        let (json, most) = (raw.get().as_bytes(), self.tally.limits.depth.saturating_sub(self.depth));
        let may_be_deep = json.len() > most && matches!(json.first(), Some(b'{' | b'['));
        let is_bracket = |byte: &&u8| **byte & 0xdf == b'['; // `{` differs from it in one bit
        if may_be_deep && json.iter().filter(is_bracket).count() > most && deepest(json) > most {
            return Err(self.too_deep());
        }
        Ok(())
    }

    fn too_deep<E: Error>(self) -> E {
        self.refuse(ParseError::TooDeep { limit: self.tally.limits.depth })
    }

    /// Keeps why the reading ends.
    fn refuse<E: Error>(self, reason: ParseError) -> E {
        self.tally.refusal.replace(Some(reason));
        E::custom("the body is refused")
    }
}
