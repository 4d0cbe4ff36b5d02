//! The allowances of one quota by holder, and the changes that other replicas have not heard of.

use std::collections::HashMap;

use pointsman_core::config::Name;
use pointsman_core::policy::quota::{PolicyQuota, QuotaAllowance, QuotaChange};

/// The key of an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AllowanceKey {
    pub(super) client: Option<Name>,
    /// `None` for the allowance that the client itself has, or that sessions without one of their own share.
    pub(super) session: Option<u64>,
}

/// The allowances of one quota.
#[derive(Debug, Default)]
pub(super) struct AllowanceBook {
    clients: HashMap<Option<Name>, ClientAllowances>,
    /// Changes that other replicas have not heard of.
    unshared: HashMap<AllowanceKey, QuotaChange>,
}

/// The allowances of one client.
#[derive(Debug, Default)]
struct ClientAllowances {
    own: Option<QuotaAllowance>,
    sessions: HashMap<u64, QuotaAllowance>,
    /// The time of the last search for sessions that are over, in seconds since 1970.
    swept: u64,
}

impl AllowanceBook {
    /// Forgets the clients that are no more.
    pub(super) fn keep_clients(&mut self, is_known: impl Fn(&str) -> bool) {
        self.clients.retain(|client, _| client.as_ref().is_none_or(|client| is_known(client)));
    }

    /// Returns an allowance as it is `now`; a holder that is not known has a fresh one.
    pub(super) fn find(&self, quota: &PolicyQuota, key: &AllowanceKey, now: u64) -> QuotaAllowance {
        let known = self.clients.get(&key.client).and_then(|client| match key.session {
            Some(session) if client.sessions.contains_key(&session) => client.sessions.get(&session),
            Some(_) if client.sessions.len() < quota.max_sessions() => None,
            _ => client.own.as_ref(),
        });
        known.map_or_else(|| quota.fresh(now), |known| quota.at(*known, now))
    }

    /// Changes an allowance, and returns the key of the one that was changed.
    pub(super) fn change(
        &mut self,
        quota: &PolicyQuota,
        mut key: AllowanceKey,
        change: QuotaChange,
        now: u64,
    ) -> AllowanceKey {
        let client = self.clients.entry(key.client.clone()).or_default();
        key.session = key.session.filter(|session| client.has_room(quota, *session, now));
        let fresh = || quota.fresh(now);
        let allowance = match key.session {
            Some(session) => client.sessions.entry(session).or_insert_with(fresh),
            None => client.own.get_or_insert_with(fresh),
        };
        *allowance = quota.changed(quota.at(*allowance, now), change);
        key
    }

    /// Replaces an allowance by what all replicas know of it, and adds what came in meanwhile.
    pub(super) fn replace(&mut self, quota: &PolicyQuota, key: &AllowanceKey, together: QuotaAllowance) {
        let Some(client) = self.clients.get_mut(&key.client) else { return };
        let known = match key.session {
            Some(session) => client.sessions.get_mut(&session),
            None => client.own.as_mut(),
        };
        let meanwhile = self.unshared.get(key).copied().unwrap_or_default();
        if let Some(known) = known {
            *known = quota.changed(together, meanwhile);
        }
    }

    /// Notes a change that other replicas are to hear of.
    pub(super) fn note(&mut self, key: AllowanceKey, change: QuotaChange) {
        let all = self.unshared.entry(key).or_default();
        *all = all.and(change);
    }

    /// Takes out at most so many of the changes that other replicas are to hear of.
    pub(super) fn take_unshared(&mut self, most: usize) -> Vec<(AllowanceKey, QuotaChange)> {
        let keys: Vec<AllowanceKey> = self.unshared.keys().take(most).cloned().collect();
        keys.into_iter().filter_map(|key| self.unshared.remove_entry(&key)).collect()
    }
}

impl ClientAllowances {
    /// Returns whether a session has an allowance of its own, or may have one. Looks for those that are over now and then
    /// only: a client that makes up sessions must not make it look at all of them each time.
    fn has_room(&mut self, quota: &PolicyQuota, session: u64, now: u64) -> bool {
        if self.sessions.contains_key(&session) || self.sessions.len() < quota.max_sessions() {
            return true;
        }
        if self.swept != now {
            self.swept = now;
            self.sessions.retain(|_, allowance| !quota.is_forgotten(*allowance, now));
        }
        self.sessions.len() < quota.max_sessions()
    }
}

#[cfg(test)]
mod tests;
