//! The responses that only the session knows: those of requests with `store: false`, which no provider keeps and the next
//! request may go on from.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client_message::CreateRequest;
use crate::proxy::downstream::admission::BodyReservation;

/// The newest response of each lane.
#[derive(Debug, Default)]
pub(super) struct SessionHistory {
    lanes: HashMap<Option<String>, KeptResponse>,
}

/// A response with all that came before it.
#[derive(Debug)]
struct KeptResponse {
    id: String,
    /// Items of input and output, as JSON with commas between them.
    items: String,
    _memory: BodyReservation,
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
    /// Returns the items of a request's whole input, where the session knows what it goes on from.
    pub(super) fn whole_input(&self, request: &CreateRequest) -> Option<String> {
        let previous = request.previous.as_deref()?;
        let kept = self.lanes.values().find(|kept| kept.id == previous)?;
        Some(joined(&kept.items, &request.items))
    }

    /// Keeps a response in place of its lane's last one, while there is memory for it.
    pub(super) fn keep(&mut self, response: NewResponse, mut memory: BodyReservation) {
        let NewResponse { lane, id, input, output } = response;
        self.lanes.remove(&lane);
        let items = joined(&input, &output);
        if memory.cover(items.len()).is_ok() {
            self.lanes.insert(lane, KeptResponse { id, items, _memory: memory });
        }
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
        let mut history = SessionHistory::default();
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
    fn reasoning_that_nobody_can_look_up_is_not_sent_again() {
        let text = r#"[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","encrypted_content":"x"},{"type":"message"}]"#;
        let output: Vec<&RawValue> = serde_json::from_str(text).expect("a list");

        assert_eq!(items_of_output(&output), r#"{"type":"reasoning","encrypted_content":"x"},{"type":"message"}"#);
    }
}
