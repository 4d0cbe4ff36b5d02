//! Memory of who answered which request lately: bounded, sharded, 24 bytes each.
//!
//! Clients choose the ids of their requests. An id that two requests had is nobody's: a word on it could be on either.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use pointsman_core::config::Name;
use pointsman_telemetry::{AnswerSide, AnsweredBy};

use super::{AnswerRater, AnswerRating, AnsweredRequest, NotedRating, RatedPair};

/// Locks, so that threads seldom meet.
const SHARDS: usize = 64;

/// Requests that each lock guards.
const SLOTS: usize = 2048;

/// The place of nobody in [`AnsweredRequests::known`].
const NOBODY: u16 = u16::MAX;

/// The quality of what nobody has rated.
const UNRATED: u8 = u8::MAX;

/// The steps from the worst quality to the best.
const STEPS: f64 = 200.0;

type RequestShard = Mutex<Box<[RequestSlot]>>;

/// The answers to recent requests.
#[derive(Default)]
pub(super) struct AnsweredRequests {
    hashes: RandomState,
    /// Made for the first request: a process without a log needs none.
    shards: OnceLock<Box<[RequestShard]>>,
    /// Policies and models that have answered, by which slots name them.
    known: ArcSwap<Vec<AnsweredBy>>,
}

#[derive(Debug, Clone, Copy)]
struct RequestSlot {
    id: u64,
    owner: u32,
    served_by: u16,
    shadow_by: u16,
    /// The qualities of the sides, in steps.
    qualities: [u8; 2],
}

const EMPTY: RequestSlot =
    RequestSlot { id: 0, owner: 0, served_by: NOBODY, shadow_by: NOBODY, qualities: [UNRATED; 2] };

impl RequestSlot {
    const fn by(&self, side: AnswerSide) -> u16 {
        match side {
            AnswerSide::Served => self.served_by,
            AnswerSide::Shadow => self.shadow_by,
        }
    }
}

impl AnsweredRequests {
    /// Notes who answered a request; the older one in its place is forgotten.
    pub(super) fn answered(&self, request: AnsweredRequest<'_>) {
        let Some(served_by) = self.place(request) else { return };
        let (id, owner) = (self.hash(request.request_id), self.owner(request.client));
        self.with_slot(id, |slot| {
            // One that was here before with the same id leaves an id that is nobody's.
            let served_by = if slot.id == id { NOBODY } else { served_by };
            *slot = RequestSlot { id, owner, served_by, ..EMPTY };
        });
    }

    /// Notes that another model was asked the same request, if that is still remembered.
    pub(super) fn shadowed(&self, request: AnsweredRequest<'_>) {
        let Some(shadow_by) = self.place(request) else { return };
        let id = self.hash(request.request_id);
        self.with_slot(id, |slot| {
            if slot.id == id && slot.served_by != NOBODY {
                slot.shadow_by = shadow_by;
            }
        });
    }

    /// Notes a word on an answer; returns who gave it, where the request is remembered and is the rater's to speak of.
    pub(super) fn rated(&self, rating: AnswerRating<'_>) -> Option<NotedRating> {
        let (by, slot, before) = self.with_answer(rating, |slot| {
            let before = *slot;
            if let Some(quality) = rating.quality {
                slot.qualities[side(rating.side)] = steps(quality);
            }
            (slot.by(rating.side), *slot, before)
        })?;
        let by = self.known.load().get(usize::from(by)).cloned()?;
        let is_new = pair(&before).is_none();
        let before = quality(before.qualities[side(rating.side)]);
        Some(NotedRating { by, before, pair: pair(&slot).filter(|_| is_new) })
    }

    /// Tells whether an answer is remembered and is the rater's to speak of.
    pub(super) fn knows(&self, rating: AnswerRating<'_>) -> bool {
        self.with_answer(rating, |_| ()).is_some()
    }

    /// Runs `run` on the request of an answer that is remembered and is the rater's to speak of.
    fn with_answer<T>(&self, rating: AnswerRating<'_>, run: impl FnOnce(&mut RequestSlot) -> T) -> Option<T> {
        let id = self.hash(rating.request_id);
        self.shards.get()?;
        let owner = match rating.rater {
            AnswerRater::Client(client) => Some(self.owner(client)),
            AnswerRater::Operator => None,
        };
        self.with_slot(id, |slot| {
            let is_own = slot.id == id && owner.is_none_or(|owner| owner == slot.owner);
            (is_own && slot.by(rating.side) != NOBODY).then(|| run(slot))
        })
    }

    /// Returns the place of a policy and model, and adds them the first time; `None` where there are too many.
    fn place(&self, request: AnsweredRequest<'_>) -> Option<u16> {
        let find = |known: &[AnsweredBy]| {
            let place = known.iter().position(|by| by.policy == *request.policy && by.model == *request.model);
            place.and_then(|place| u16::try_from(place).ok())
        };
        if let Some(place) = find(&self.known.load()) {
            return Some(place);
        }
        let added = AnsweredBy { policy: request.policy.clone(), model: request.model.clone() };
        self.known.rcu(|known| {
            let mut next = Vec::clone(known);
            if find(known).is_none() && known.len() < usize::from(NOBODY) {
                next.push(added.clone());
            }
            next
        });
        find(&self.known.load())
    }

    /// Returns a hash that is never 0, which empty slots have.
    fn hash(&self, id: &str) -> u64 {
        self.hashes.hash_one(id).max(1)
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is one")]
    fn owner(&self, client: Option<&Name>) -> u32 {
        client.map_or(0, |client| (self.hashes.hash_one(client.as_str()) as u32).max(1))
    }

    fn with_slot<T>(&self, id: u64, run: impl FnOnce(&mut RequestSlot) -> T) -> T {
        let empty = || (0..SHARDS).map(|_| Mutex::new(vec![EMPTY; SLOTS].into())).collect();
        let place = usize::try_from(id >> 32).unwrap_or_default();
        let shard = &self.shards.get_or_init(empty)[place % SHARDS];
        // A slot is whole at any time, so that a panic elsewhere spoils nothing.
        let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut slots[place / SHARDS % SLOTS])
    }
}

const fn side(side: AnswerSide) -> usize {
    match side {
        AnswerSide::Served => 0,
        AnswerSide::Shadow => 1,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 200")]
fn steps(quality: f64) -> u8 {
    (quality.clamp(0.0, 1.0) * STEPS).round() as u8
}

fn quality(steps: u8) -> Option<f64> {
    (steps != UNRATED).then(|| f64::from(steps) / STEPS)
}

fn pair(slot: &RequestSlot) -> Option<RatedPair> {
    let [served, shadow] = slot.qualities.map(quality);
    Some(RatedPair { served: served?, shadow: shadow? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a valid name")
    }

    #[test]
    fn an_id_of_two_requests_is_nobody_s_and_the_memory_is_bounded() {
        let requests = AnsweredRequests::default();
        let (policy, model) = (name("auto"), name("small"));
        let answered = |id: &str| {
            requests.answered(AnsweredRequest { request_id: id, client: None, policy: &policy, model: &model });
        };
        let known = |id: &str| {
            let rating =
                AnswerRating { request_id: id, rater: AnswerRater::Operator, side: AnswerSide::Served, quality: None };
            requests.rated(rating).is_some()
        };

        assert!(!known("a"));
        answered("a");
        assert!(known("a") && !known("b"));
        answered("a");
        assert!(!known("a"));

        let all = SHARDS * SLOTS * 2;
        (0..all).for_each(|request| answered(&format!("r{request}")));
        let remembered = (0..all).filter(|request| known(&format!("r{request}"))).count();
        assert!((1..=SHARDS * SLOTS).contains(&remembered), "{remembered}");
    }
}
