//! An answer that is kept, in the words and bytes that its client got.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pointsman_core::config::Name;
use serde::{Deserialize, Serialize};

/// The version of [`AnswerHead`]'s spelling.
const SPELLING: u8 = 1;

/// Compresses about as fast as memory is read, at half the size of a stream's events.
const LEVEL: i32 = 1;

/// The largest value of the store; the store's client takes no larger answer.
const MAX_STORED: usize = 60 << 10;

/// The largest body that is compressed for the store: a larger one would not fit.
const MAX_COMPRESSED: usize = 1 << 20;

/// Bytes of an entry beside its body and type: maps, counters, key.
const ENTRY_BYTES: usize = 256;

/// The milliseconds since 1970 at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct UnixMillis(pub(crate) u64);

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CachedAnswer {
    /// The moment in which it was whole.
    pub(crate) kept_at: UnixMillis,
    /// Its `Content-Type`.
    pub(crate) content_type: Box<str>,
    /// Its body: one document, or a stream with all of its events.
    pub(crate) body: Bytes,
    /// The model that gave it.
    pub(crate) model: Name,
    /// Its cost in US dollars, where prices are known.
    pub(crate) cost: Option<f64>,
    /// The cost with the policy's most expensive model.
    pub(crate) baseline: Option<f64>,
}

/// The part of a stored answer before its body.
#[derive(Serialize, Deserialize)]
struct AnswerHead {
    kept_at: UnixMillis,
    content_type: Box<str>,
    model: Box<str>,
    cost: Option<f64>,
    baseline: Option<f64>,
}

impl UnixMillis {
    /// Returns this moment.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the time from `earlier` on; none where clocks disagree.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl CachedAnswer {
    /// Returns the memory that it takes.
    pub(super) fn bytes(&self) -> u64 {
        (ENTRY_BYTES + self.body.len() + self.content_type.len()) as u64
    }

    /// Returns the answer as the store keeps it; `None` for one that is too large.
    pub(super) fn stored(&self) -> Option<Vec<u8>> {
        if self.body.len() > MAX_COMPRESSED {
            return None;
        }
        let head = AnswerHead {
            kept_at: self.kept_at,
            content_type: self.content_type.clone(),
            model: self.model.as_str().into(),
            cost: self.cost,
            baseline: self.baseline,
        };
        let head = serde_json::to_vec(&head).ok()?;
        let mut plain = u32::try_from(head.len()).ok()?.to_le_bytes().to_vec();
        plain.extend_from_slice(&head);
        plain.extend_from_slice(&self.body);
        let mut value = vec![SPELLING];
        value.extend(zstd::bulk::compress(&plain, LEVEL).ok()?);
        (value.len() <= MAX_STORED).then_some(value)
    }

    /// Reads a stored answer whose body has `max_bytes` at most. One that another version wrote is as good as none.
    pub(super) fn read(value: &[u8], max_bytes: usize) -> Option<Self> {
        let (&SPELLING, compressed) = value.split_first()? else { return None };
        let room = max_bytes.min(MAX_COMPRESSED) + (4 << 10);
        let plain = Bytes::from(zstd::bulk::decompress(compressed, room).ok()?);
        let (length, rest) = plain.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let head: AnswerHead = serde_json::from_slice(rest.get(..length)?).ok()?;
        Some(Self {
            kept_at: head.kept_at,
            content_type: head.content_type,
            body: plain.slice(4 + length..),
            model: Name::new(&head.model).ok()?,
            cost: head.cost,
            baseline: head.baseline,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    pub(in crate::response_cache) fn answer(body: &'static str) -> CachedAnswer {
        CachedAnswer {
            kept_at: UnixMillis(1_000_000),
            content_type: "application/json".into(),
            body: Bytes::from_static(body.as_bytes()),
            model: Name::new("small").expect("a name"),
            cost: Some(0.25),
            baseline: Some(1.0),
        }
    }

    #[test]
    fn a_stored_answer_is_read_as_it_was_written() {
        for answer in [answer("{\"a\":1}"), CachedAnswer { cost: None, baseline: None, ..answer("") }] {
            let value = answer.stored().expect("a small answer");

            assert_eq!(CachedAnswer::read(&value, 1 << 20), Some(answer));
        }
    }

    #[test]
    fn what_is_no_answer_or_a_larger_one_is_nothing() {
        let value = answer("{\"a\":1}").stored().expect("a small answer");

        for bad in [&b""[..], b"\x01", b"\x01garbage", &value[..value.len() - 3], b"\x02abc"] {
            assert_eq!(CachedAnswer::read(bad, 1 << 20), None, "{bad:?}");
        }
        let bomb = CachedAnswer { body: vec![b'x'; 512 << 10].into(), ..answer("") };
        let value = bomb.stored().expect("it compresses well");
        assert_eq!(CachedAnswer::read(&value, 64 << 10), None, "larger than the policy keeps");
        assert!(CachedAnswer::read(&value, 1 << 20).is_some());
    }

    #[test]
    fn what_does_not_fit_into_the_store_is_not_sent_there() {
        let noise: Vec<u8> = (0..6250_u32).flat_map(|part| Sha256::digest(part.to_le_bytes())).collect();

        assert!(CachedAnswer { body: noise.into(), ..answer("") }.stored().is_none());
        assert!(CachedAnswer { body: vec![0; MAX_COMPRESSED + 1].into(), ..answer("") }.stored().is_none());
    }
}
