//! A client key that was made at run time, as the registry keeps it: hashes, dates and whose it is. The key itself is
//! shown once and kept nowhere.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pointsman_core::config::{KeyHash, Name, UtcMoment};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize, Serializer};

use super::registry::KeyRegistryError;
use super::{hash_key, number_of};

/// The beginning of every key, by which scanners find one in a text.
const PREFIX: &str = "pm-";

/// The former keys that may be good beside the present one.
pub(crate) const MAX_FORMER: usize = 4;

/// Characters of a note at most.
pub(crate) const MAX_NOTE: usize = 200;

/// A client key that was made at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedKey {
    /// The name of the key, which stays when it is rotated.
    pub(crate) id: Name,
    /// The client whose key it is.
    pub(crate) client: Name,
    #[serde(serialize_with = "whole")]
    sha256: KeyHash,
    pub(crate) created: UtcMoment,
    /// The moment from which the key is good no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<UtcMoment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<UtcMoment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotated: Option<UtcMoment>,
    /// The keys before the last rotations, the oldest first, each of which is good beside the present one for its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    former: Vec<FormerHash>,
    /// A word of the operator's on what the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// The hash of a key that was rotated away, and the end of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerHash {
    #[serde(serialize_with = "whole")]
    sha256: KeyHash,
    until: UtcMoment,
}

/// An order for a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    pub(crate) client: Name,
    #[serde(default)]
    pub(crate) expires: Option<UtcMoment>,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// The text of a key that was just made; never printed by `Debug`, and not kept.
pub(crate) struct PlainKey(String);

/// The standing of a key at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyStanding {
    /// The key is good.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody has revoked it.
    Revoked,
}

impl PlainKey {
    /// Makes a key of 256 random bits.
    fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// Returns the key, to be shown to whoever asked for it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(***)")
    }
}

impl KeyStanding {
    pub(crate) const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// Returns the stable name used in metrics and lists.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl IssuedKey {
    /// Makes a key; `None` where the system gives no random bytes.
    pub(crate) fn make(order: NewKey, now: u64) -> Option<(Self, PlainKey)> {
        let NewKey { client, expires, note } = order;
        let (plain, mut id) = (PlainKey::random()?, [0; 8]);
        SystemRandom::new().fill(&mut id).ok()?;
        let id = Name::new(&format!("key_{:016x}", u64::from_be_bytes(id))).ok()?;
        let (sha256, created) = (hash_key(plain.expose().as_bytes()), UtcMoment(now));
        let (revoked, rotated, former) = (None, None, Vec::new());
        Some((Self { id, client, sha256, created, expires, revoked, rotated, former, note }, plain))
    }

    /// Replaces the key by a new one. It stays good for `grace`, as each former key does for the time that was promised;
    /// a `grace` of nothing ends all of them.
    ///
    /// # Errors
    /// When too many former keys are good still, or the system gives no random bytes.
    pub(crate) fn rotate(&mut self, grace: Duration, now: u64) -> Result<PlainKey, KeyRegistryError> {
        let mut former = std::mem::take(&mut self.former);
        former.retain(|former| !grace.is_zero() && former.until.0 > now);
        if former.len() >= MAX_FORMER {
            let until = former.iter().map(|former| former.until).min_by_key(|until| until.0).unwrap_or(UtcMoment(now));
            self.former = former;
            return Err(KeyRegistryError::TooManyFormer { id: self.id.clone(), until });
        }
        let plain = PlainKey::random().ok_or(KeyRegistryError::NoRandomness)?;
        let sha256 = std::mem::replace(&mut self.sha256, hash_key(plain.expose().as_bytes()));
        if !grace.is_zero() {
            former.push(FormerHash { sha256, until: UtcMoment(now.saturating_add(grace.as_secs())) });
        }
        (self.former, self.rotated) = (former, Some(UtcMoment(now)));
        Ok(plain)
    }

    /// Ends the key, and those before it, now. A second time changes nothing.
    pub(crate) fn revoke(&mut self, now: u64) {
        self.former.clear();
        self.revoked.get_or_insert(UtcMoment(now));
    }

    /// Returns how the key stands at `now`.
    pub(crate) fn standing(&self, now: u64) -> KeyStanding {
        match self {
            Self { revoked: Some(_), .. } => KeyStanding::Revoked,
            Self { expires: Some(expires), .. } if expires.0 <= now => KeyStanding::Expired,
            _ => KeyStanding::Active,
        }
    }

    /// Returns the hashes by which the key is known, each with the second from which it is good no longer.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (KeyHash, u64)> {
        let end = self.expires.map_or(u64::MAX, |expires| expires.0);
        let former = self.former.iter().map(move |former| (former.sha256, former.until.0.min(end)));
        let own = [(self.sha256, end)].into_iter().chain(former);
        own.filter(|_| self.revoked.is_none())
    }

    /// Returns whether another key stands in this record than in `other`.
    pub(super) fn has_other_hash(&self, other: &Self) -> bool {
        self.sha256 != other.sha256
    }

    /// Returns the number that tells the key apart from others, before a rotation and after it.
    pub(super) fn number(&self) -> u64 {
        number_of("key", self.id.as_bytes())
    }

    /// Returns the ends of the former keys that are good at `now` beside the present one, the oldest key's first.
    pub(crate) fn former(&self, now: u64) -> Vec<UtcMoment> {
        self.former.iter().map(|former| former.until).filter(|until| until.0 > now).collect()
    }

    /// Returns when the last of the former keys ends that are good at `now`.
    pub(crate) fn former_until(&self, now: u64) -> Option<UtcMoment> {
        self.former(now).into_iter().max_by_key(|until| until.0)
    }
}

/// The former keys of a record: one as it was written before there could be several, more of them as a list.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use super::FormerHash;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(FormerHash),
        Many(Vec<FormerHash>),
    }

    pub(super) fn serialize<S: Serializer>(former: &[FormerHash], serializer: S) -> Result<S::Ok, S::Error> {
        match former {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FormerHash>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}

/// Writes all digits of a hash: `/config` shows a part of them.
fn whole<S: Serializer>(hash: &KeyHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

/// Returns the seconds since 1970-01-01 00:00 UTC.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> NewKey {
        NewKey { client: Name::new("web").expect("a name"), expires: None, note: None }
    }

    fn is_good(key: &IssuedKey, plain: &PlainKey, now: u64) -> bool {
        let hash = hash_key(plain.expose().as_bytes());
        key.hashes().any(|(own, end)| own == hash && now < end)
    }

    #[test]
    fn a_key_has_256_random_bits_and_its_record_never_the_key() {
        let (key, plain) = IssuedKey::make(order(), 5).expect("random bytes");
        let (_, other) = IssuedKey::make(order(), 5).expect("random bytes");

        let record = serde_json::to_string(&key).expect("a record");

        assert_eq!((plain.expose().len(), &plain.expose()[..3]), (46, "pm-"));
        assert_ne!(plain.expose(), other.expose());
        assert!(!record.contains(&plain.expose()[3..]) && !format!("{key:?}{plain:?}").contains(&plain.expose()[3..]));
        assert!(record.contains(&hash_key(plain.expose().as_bytes()).to_string()), "{record}");
        assert_eq!(serde_json::from_str::<IssuedKey>(&record).expect("a record"), key);
    }

    #[test]
    fn a_rotated_key_is_good_for_its_grace_beside_the_new_one() {
        let (mut key, first) = IssuedKey::make(order(), 0).expect("random bytes");
        let number = key.number();

        let second = key.rotate(Duration::from_secs(60), 100).expect("random bytes");

        assert_eq!([is_good(&key, &first, 159), is_good(&key, &first, 160)], [true, false]);
        assert!(is_good(&key, &second, 1 << 40));
        assert_eq!(key.number(), number, "a rotation is no way to a fresh budget");
        let third = key.rotate(Duration::ZERO, 110).expect("random bytes");
        assert!(!is_good(&key, &second, 111) && !is_good(&key, &first, 111) && is_good(&key, &third, 111));
    }

    #[test]
    fn every_former_key_is_good_for_the_grace_that_it_was_promised() {
        let (mut key, first) = IssuedKey::make(order(), 0).expect("random bytes");

        let second = key.rotate(Duration::from_secs(60), 100).expect("random bytes");
        let third = key.rotate(Duration::from_secs(10), 110).expect("random bytes");

        let good = |now| [&first, &second, &third].map(|plain| is_good(&key, plain, now));
        assert_eq!([good(119), good(120), good(160)], [[true; 3], [true, false, true], [false, false, true]]);
        assert_eq!((key.former(119).len(), key.former_until(119)), (2, Some(UtcMoment(160))));
        assert_eq!(key.former_until(160), None);
    }

    #[test]
    fn a_rotation_that_would_end_a_former_key_before_its_time_is_refused_and_changes_nothing() {
        let (mut key, _) = IssuedKey::make(order(), 0).expect("random bytes");
        for now in 0..MAX_FORMER as u64 {
            key.rotate(Duration::from_secs(60), now).expect("room for a former key");
        }
        let before = key.clone();

        let refused = key.rotate(Duration::from_secs(60), 59).expect_err("none has ended");
        let (unchanged, later) = (key == before, key.rotate(Duration::from_secs(60), 60));

        assert!(matches!(refused, KeyRegistryError::TooManyFormer { until: UtcMoment(60), .. }), "{refused}");
        assert!(unchanged && later.is_ok(), "the oldest has ended");
        assert!(key.rotate(Duration::ZERO, 61).is_ok() && key.former(61).is_empty());
    }

    #[test]
    fn records_of_before_with_one_former_key_are_read_and_written_as_they_were() {
        let (mut key, _) = IssuedKey::make(order(), 0).expect("random bytes");
        key.rotate(Duration::from_secs(60), 100).expect("random bytes");
        let one = serde_json::to_value(&key).expect("a record");
        key.rotate(Duration::from_secs(60), 100).expect("random bytes");
        let two = serde_json::to_value(&key).expect("a record");

        assert!(one["former"]["until"].is_string(), "{one}");
        assert_eq!(two["former"].as_array().map(Vec::len), Some(2), "{two}");
        for record in [one, two] {
            let read: IssuedKey = serde_json::from_value(record.clone()).expect("a record");
            assert_eq!(serde_json::to_value(&read).expect("a record"), record);
        }
    }

    #[test]
    fn a_key_ends_when_it_expires_or_is_revoked() {
        let expiring = NewKey { expires: Some(UtcMoment(50)), ..order() };
        let (mut key, plain) = IssuedKey::make(expiring, 0).expect("random bytes");

        assert_eq!([key.standing(49), key.standing(50)], [KeyStanding::Active, KeyStanding::Expired]);
        assert_eq!([is_good(&key, &plain, 49), is_good(&key, &plain, 50)], [true, false]);
        key.revoke(10);
        key.revoke(20);

        assert_eq!((key.standing(11), key.revoked), (KeyStanding::Revoked, Some(UtcMoment(10))));
        assert!(!is_good(&key, &plain, 11));
    }
}
