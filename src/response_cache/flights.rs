//! Requests under way whose answers others wait for: one at a time asks for what a key stands for.
//!
//! A flight belongs to the request that leads it and ends with it, whatever becomes of the request. Who waits looks for the
//! answer then, and where there is none the first of them leads. The locks are held for a look, never across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::key::CacheKey;

const SHARDS: usize = 16;

/// The flights of this process. As many as there are requests, at most.
#[derive(Debug)]
pub(crate) struct Flights(Vec<Mutex<HashMap<CacheKey, watch::Receiver<()>>>>);

/// The seat of a request in the flight for its answer.
#[derive(Debug)]
pub(crate) enum FlightSeat {
    /// The request asks; it holds this until its answer is kept, or will not be.
    Lead(FlightLead),
    /// Another one asks.
    Follow(FlightEnd),
}

/// The lead of a flight; dropping it ends the flight.
#[derive(Debug)]
pub(crate) struct FlightLead {
    flights: Arc<Flights>,
    key: CacheKey,
    _open: watch::Sender<()>,
}

/// The end of a flight that another request leads.
#[derive(Debug)]
pub(crate) struct FlightEnd(watch::Receiver<()>);

impl Default for Flights {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(SHARDS).collect())
    }
}

impl Flights {
    /// Joins the flight for an answer, or begins one.
    pub(crate) fn join(self: &Arc<Self>, key: CacheKey) -> FlightSeat {
        let mut shard = self.shard(key);
        if let Some(end) = shard.get(&key) {
            return FlightSeat::Follow(FlightEnd(end.clone()));
        }
        let (open, end) = watch::channel(());
        shard.insert(key, end);
        FlightSeat::Lead(FlightLead { flights: Arc::clone(self), key, _open: open })
    }

    fn shard(&self, key: CacheKey) -> MutexGuard<'_, HashMap<CacheKey, watch::Receiver<()>>> {
        self.0[usize::from(key.0[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlightEnd {
    /// Waits until the request that leads is over.
    pub(crate) async fn wait(mut self) {
        while self.0.changed().await.is_ok() {} // nothing is ever sent: an error is the end
    }
}

impl Drop for FlightLead {
    fn drop(&mut self) {
        self.flights.shard(self.key).remove(&self.key); // before the sender goes, so that who wakes up can lead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: CacheKey = CacheKey([7; 32]);

    fn lead(flights: &Arc<Flights>, key: CacheKey) -> FlightLead {
        match flights.join(key) {
            FlightSeat::Lead(lead) => lead,
            FlightSeat::Follow(_) => panic!("nobody else asks"),
        }
    }

    fn follow(flights: &Arc<Flights>) -> FlightEnd {
        match flights.join(KEY) {
            FlightSeat::Follow(end) => end,
            FlightSeat::Lead(_) => panic!("another one asks"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_the_others_wait_for_its_end() {
        let flights = Arc::new(Flights::default());
        let first = lead(&flights, KEY);
        let waiting = [follow(&flights), follow(&flights)].map(|end| tokio::spawn(end.wait()));
        let _other = lead(&flights, CacheKey([8; 32]));

        assert!(waiting.iter().all(|task| !task.is_finished()));
        drop(first);

        for task in waiting {
            task.await.expect("no panic");
        }
        let _next = lead(&flights, KEY);
        follow(&flights);
    }
}
