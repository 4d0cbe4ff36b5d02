//! Answers that the session gives itself: to a request that only prepares the next one, and to one that steers.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::client_message::{CreateRequest, SteerRequest};
use super::super::exchange::OutMessage;
use super::super::history::NewResponse;
use super::super::server_event::{ErrorEvent, in_lane};
use super::{SocketSession, Step};
use crate::proxy::downstream::admission::BodyReservation;

impl SocketSession {
    /// Answers a request with `generate: false`: its input is kept for the next one, and nobody is asked.
    pub(super) async fn prepare(&mut self, request: &CreateRequest, mut memory: BodyReservation) -> Step {
        if memory.cover(2 * request.bytes() + self.history.bytes_before(request)).is_err() {
            return self.overloaded(request.lane.as_deref()).await;
        }
        let whole = self.history.whole_input(request);
        let input = match (&request.previous, whole) {
            (_, Some(whole)) => whole,
            (None, None) => request.items.clone(),
            (Some(_), None) => {
                let words = "The previous response is not known on this WebSocket.";
                let param = Some("previous_response_id");
                let event = ErrorEvent::new(StatusCode::BAD_REQUEST, "previous_response_not_found", words, param);
                return self.write_error(&event, request.lane.as_deref()).await;
            }
        };
        let id = format!("resp_{}", self.ids.next().replace('-', ""));
        for event in prepared_events(&id, request.model.as_deref()) {
            self.write(OutMessage { text: in_lane(event, request.lane.as_deref()), is_error: false }).await?;
        }
        let response = NewResponse { lane: request.lane.clone(), id, input, output: String::new() };
        self.history.keep(response, memory);
        Ok(())
    }
}

fn prepared_events(id: &str, model: Option<&str>) -> [String; 2] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let response = |status: &str, usage: Value| {
        json!({
            "id": id, "object": "response", "created_at": now, "status": status, "model": model, "output": [],
            "error": null, "incomplete_details": null, "usage": usage,
        })
    };
    let usage = json!({
        "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
    });
    let event = |kind: &str, number: u64, response: Value| {
        json!({"type": kind, "sequence_number": number, "response": response}).to_string()
    };
    [
        event("response.created", 0, response("in_progress", Value::Null)),
        event("response.completed", 1, response("completed", usage)),
    ]
}

/// Returns the event that gives input for steering back.
pub(super) fn steer_failed(steer: &SteerRequest) -> String {
    #[derive(serde::Serialize)]
    struct SteerFailure<'s> {
        r#type: &'static str,
        sequence_number: u64,
        error: Value,
        steer: UnusedSteer<'s>,
    }
    #[derive(serde::Serialize)]
    struct UnusedSteer<'s> {
        previous_response_id: &'s str,
        input: Option<Box<RawValue>>,
    }
    let error = json!({
        "type": "invalid_request_error", "code": "steering_not_supported",
        "message": "Responses cannot be steered here: send the input by `response.create`.",
    });
    let input = RawValue::from_string(steer.input.clone()).ok(); // it was read as JSON
    let steer = UnusedSteer { previous_response_id: &steer.previous, input };
    let failed = SteerFailure { r#type: "response.steer.failed", sequence_number: 0, error, steer };
    serde_json::to_string(&failed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_for_steering_is_given_back_as_it_was_written() {
        let steer = SteerRequest { previous: "resp_1".into(), input: r#"[ {"role":"user"} ]"#.into() };

        let event = steer_failed(&steer);

        assert!(event.contains(r#""steer":{"previous_response_id":"resp_1","input":[ {"role":"user"} ]}"#), "{event}");
        assert!(event.contains(r#""code":"steering_not_supported""#), "{event}");
    }

    #[test]
    fn a_prepared_response_begins_and_is_complete() {
        let [begun, done] = prepared_events("resp_1", Some("auto"));

        assert!(begun.contains(r#""status":"in_progress""#) && done.contains(r#""status":"completed""#));
    }
}
