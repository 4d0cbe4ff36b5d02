//! The responses that only the session knows: those of requests with `store: false`, which no provider keeps and the next
//! request may go on from.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client_message::CreateRequest;
use crate::proxy::downstream::admission::{BodyReservation, KeptMemory};

/// The lanes of a session whose responses are kept: as many as are answered at a time.
const LANES: usize = 16;

/// The newest response of each lane.
#[derive(Debug)]
pub(super) struct SessionHistory {
    /// The one that was kept last stands last.
    lanes: Vec<KeptResponse>,
    /// The most bytes that all of them take: what is longer no request could send.
    max_bytes: usize,
}

/// A response with all that came before it.
#[derive(Debug)]
struct KeptResponse {
    lane: Option<String>,
    id: String,
    /// Items of input and output, as JSON with commas between them.
    items: String,
    memory: KeptMemory,
}

/// A response that a lane has got.
#[derive(Debug)]
pub(super) struct NewResponse {
    pub(super) lane: Option<String>,
    pub(super) id: String,
    /// The items of its whole input.
    pub(super) input: String,
    /// The items of its output.
    pub(super) output: String,
}

impl SessionHistory {
    /// Makes one that keeps nothing yet, and never more than `max_bytes`.
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { lanes: Vec::new(), max_bytes }
    }

    /// Returns the items of a request's whole input, where the session knows what it goes on from.
    pub(super) fn whole_input(&self, request: &CreateRequest) -> Option<String> {
        Some(joined(&self.before(request)?.items, &request.items))
    }

    /// Returns how many bytes the session knows of what a request goes on from.
    pub(super) fn bytes_before(&self, request: &CreateRequest) -> usize {
        self.before(request).map_or(0, |kept| kept.items.len())
    }

    fn before(&self, request: &CreateRequest) -> Option<&KeptResponse> {
        let previous = request.previous.as_deref()?;
        self.lanes.iter().find(|kept| kept.id == previous)
    }

    /// Keeps a response in place of its lane's last one, while there is memory for it. The oldest of other lanes make room.
    pub(super) fn keep(&mut self, response: NewResponse, memory: BodyReservation) {
        let NewResponse { lane, id, input, output } = response;
        self.lanes.retain(|kept| kept.lane != lane);
        let items = joined(&input, &output);
        if items.len() > self.max_bytes {
            return;
        }
        while self.lanes.len() >= LANES || self.bytes() + items.len() > self.max_bytes {
            self.lanes.remove(0);
        }
        if let Some(memory) = memory.kept(items.len()) {
            self.lanes.push(KeptResponse { lane, id, items, memory });
        }
    }

    fn bytes(&self) -> usize {
        self.lanes.iter().map(|kept| kept.memory.bytes()).sum()
    }
}

/// Returns the items of an output as the next input has them: without reasoning that its provider did not seal, which
/// nobody can look up.
pub(super) fn items_of_output(output: &[&RawValue]) -> String {
    #[derive(Deserialize)]
    struct Item {
        r#type: Option<String>,
        encrypted_content: Option<String>,
    }
    let is_lost = |item: &Item| item.r#type.as_deref() == Some("reasoning") && item.encrypted_content.is_none();
    let items = output.iter().map(|item| item.get());
    let kept = items.filter(|text| serde_json::from_str::<Item>(text).is_ok_and(|item| !is_lost(&item)));
    kept.collect::<Vec<_>>().join(",")
}

/// Returns the items of two lists in one.
fn joined(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first},{second}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_telemetry::Metrics;

    use super::super::client_message::ClientMessage;
    use super::*;
    use crate::proxy::downstream::admission::Admission;

    fn request(previous: &str) -> CreateRequest {
        let text = format!(r#"{{"type":"response.create","previous_response_id":"{previous}","input":[3]}}"#);
        match ClientMessage::read(&text) {
            ClientMessage::Create(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn response(lane: Option<&str>, id: &str) -> NewResponse {
        NewResponse { lane: lane.map(str::to_owned), id: id.to_owned(), input: "1".into(), output: "2".into() }
    }

    #[test]
    fn a_request_that_goes_on_from_what_the_session_knows_is_whole() {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let memory = |limit| BodyReservation::new(&admission, limit);
        let mut history = SessionHistory::new(100);
        history.keep(response(None, "resp_1"), memory(100));
        history.keep(response(Some("a"), "resp_2"), memory(100));

        assert_eq!(history.whole_input(&request("resp_1")).as_deref(), Some("1,2,3"));
        assert_eq!(history.whole_input(&request("resp_2")).as_deref(), Some("1,2,3"));
        assert_eq!(history.whole_input(&request("resp_3")), None);
        assert_eq!(admission.held(), 6);
        history.keep(response(None, "resp_4"), memory(100));
        assert_eq!(history.whole_input(&request("resp_1")), None, "its lane has a newer one");
        history.keep(response(None, "resp_5"), memory(5));
        assert_eq!(history.whole_input(&request("resp_5")), None, "there was no memory for it");
        assert_eq!(admission.held(), 3);
        drop(history);
        assert_eq!(admission.held(), 0);
    }

    #[test]
    fn a_session_keeps_no_more_lanes_and_bytes_than_its_bounds_and_the_newest_stay() {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let memory = || BodyReservation::new(&admission, 1000);
        let mut many = SessionHistory::new(1000);
        for lane in 0..=LANES {
            many.keep(response(Some(&format!("{lane}")), &format!("resp_{lane}")), memory());
        }
        assert_eq!(many.whole_input(&request("resp_0")), None, "the oldest lane has made room");
        assert_eq!(many.whole_input(&request("resp_1")).as_deref(), Some("1,2,3"));
        assert_eq!(admission.held(), 3 * LANES);

        let mut small = SessionHistory::new(7);
        for lane in ["a", "b", "c"] {
            small.keep(response(Some(lane), lane), memory());
        }
        let known = ["a", "b", "c"].map(|id| small.whole_input(&request(id)).is_some());
        assert_eq!(known, [false, true, true]);
        small.keep(NewResponse { input: "12345678".into(), ..response(None, "long") }, memory());
        assert_eq!(small.whole_input(&request("long")), None, "no request could send it");
        assert!(small.whole_input(&request("c")).is_some());
    }

    #[test]
    fn reasoning_that_nobody_can_look_up_is_not_sent_again() {
        let text = r#"[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","encrypted_content":"x"},{"type":"message"}]"#;
        let output: Vec<&RawValue> = serde_json::from_str(text).expect("a list");

        assert_eq!(items_of_output(&output), r#"{"type":"reasoning","encrypted_content":"x"},{"type":"message"}"#);
    }
}
