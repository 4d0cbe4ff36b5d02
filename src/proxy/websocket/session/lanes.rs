//! The requests of a session that wait: those of one lane are answered in turn.

use std::collections::{HashSet, VecDeque};

use super::super::client_message::CreateRequest;
use crate::proxy::downstream::admission::BodyReservation;

/// The requests that may wait in all lanes together.
const WAITING: usize = 64;

/// The lanes that are answered at a time.
const LANES: usize = 16;

/// A request that waits for its turn, and the memory that it takes.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    pub(super) request: CreateRequest,
    pub(super) memory: BodyReservation,
}

/// The lanes of a session.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    busy: HashSet<Option<String>>,
    waiting: VecDeque<WaitingRequest>,
}

impl Lanes {
    /// Takes a request; gives it back when too many wait.
    pub(super) fn take(&mut self, request: WaitingRequest) -> Result<(), Box<WaitingRequest>> {
        if self.waiting.len() >= WAITING {
            return Err(Box::new(request));
        }
        self.waiting.push_back(request);
        Ok(())
    }

    /// Returns the oldest request whose lane is free, which is busy from now on.
    pub(super) fn next(&mut self) -> Option<WaitingRequest> {
        if self.busy.len() >= LANES {
            return None;
        }
        let index = self.waiting.iter().position(|waiting| !self.busy.contains(&waiting.request.lane))?;
        let next = self.waiting.remove(index)?;
        self.busy.insert(next.request.lane.clone());
        Some(next)
    }

    /// Notes that a lane is free again.
    pub(super) fn ended(&mut self, lane: &Option<String>) {
        self.busy.remove(lane);
    }

    /// Returns whether no request waits.
    pub(super) fn are_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_telemetry::Metrics;

    use super::super::super::client_message::ClientMessage;
    use super::*;
    use crate::proxy::downstream::admission::Admission;

    fn request(lane: &str) -> WaitingRequest {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let text = format!(r#"{{"type":"response.create","stream_id":"{lane}"}}"#);
        let ClientMessage::Create(request) = ClientMessage::read(&text) else { panic!("a request") };
        WaitingRequest { request, memory: BodyReservation::new(&admission, 1) }
    }

    fn next(lanes: &mut Lanes) -> Option<String> {
        lanes.next().and_then(|next| next.request.lane)
    }

    #[test]
    fn one_lane_waits_for_itself_and_not_for_others() {
        let mut lanes = Lanes::default();
        for lane in ["a", "a", "b"] {
            lanes.take(request(lane)).expect("room");
        }

        assert_eq!([next(&mut lanes), next(&mut lanes), next(&mut lanes)], [Some("a".into()), Some("b".into()), None]);
        lanes.ended(&Some("a".to_owned()));
        assert_eq!(next(&mut lanes).as_deref(), Some("a"));
        assert!(lanes.are_empty());
    }

    #[test]
    fn waiting_requests_and_busy_lanes_are_bounded() {
        let mut lanes = Lanes::default();
        for lane in 0..WAITING {
            lanes.take(request(&lane.to_string())).expect("room");
        }
        assert!(lanes.take(request("more")).is_err());

        let started = std::iter::from_fn(|| lanes.next()).count();

        assert_eq!(started, LANES);
    }
}
