//! The requests of a session: from a message to an answer that has begun.

use std::sync::Arc;

use http::StatusCode;
use pointsman_telemetry::{ClosedWebSocket, WebSocketMessage};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::super::client_message::{ClientMessage, CreateRequest, SteerRequest};
use super::super::exchange::{Exchange, ExchangeEnd, OutMessage};
use super::super::server_event::ErrorEvent;
use super::super::upstream::{InputIncrement, RoutedMessage};
use super::lanes::WaitingRequest;
use super::{SocketSession, Step, prepared};
use crate::proxy::downstream::admission::BodyReservation;
use crate::proxy::large_work::{self, LARGE_BODY};

impl SocketSession {
    /// Reads a text message.
    pub(super) async fn text(&mut self, text: &Utf8Bytes) -> Step {
        let mut memory = BodyReservation::new(&self.admission, self.limits.bytes_in_flight());
        if memory.cover(text.len()).is_err() {
            return self.overloaded(None).await;
        }
        let read = || ClientMessage::read(text.as_str());
        let message = if text.len() < LARGE_BODY {
            read()
        } else {
            match Box::pin(large_work::place_within(self.limits.body_idle.0)).await {
                Ok(_place) => large_work::run(read),
                Err(_) => {
                    let words = "Too many large messages are being read: try again.";
                    return self.refuse(StatusCode::SERVICE_UNAVAILABLE, "overloaded", words).await;
                }
            }
        };
        match message {
            ClientMessage::Create(request) => {
                self.metrics.message(WebSocketMessage::Request);
                if memory.cover(request.bytes()).is_err() {
                    return self.overloaded(request.lane.as_deref()).await;
                }
                self.asked(request, memory).await
            }
            ClientMessage::Steer(steer) => {
                self.metrics.message(WebSocketMessage::OtherRequest);
                self.steered(&steer).await
            }
            ClientMessage::Unreadable(fault) => {
                self.metrics.message(WebSocketMessage::OtherRequest);
                let event = ErrorEvent::new(StatusCode::BAD_REQUEST, fault.code, fault.message, fault.param);
                self.write_error(&event, None).await
            }
        }
    }

    /// Takes a request, unless the session is ending or too many wait.
    async fn asked(&mut self, request: CreateRequest, memory: BodyReservation) -> Step {
        let lane = request.lane.clone();
        let refusal = match self.ending {
            Some(ClosedWebSocket::MaxSession) => Some((
                StatusCode::BAD_REQUEST,
                "websocket_connection_limit_reached",
                "This WebSocket is at the end of its life: open a new one.",
            )),
            Some(_) => {
                Some((StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "Pointsman is shutting down: try again."))
            }
            None => None,
        };
        if let Some((status, code, message)) = refusal {
            return self.write_error(&ErrorEvent::new(status, code, message, None), lane.as_deref()).await;
        }
        match self.lanes.take(WaitingRequest { request, memory }) {
            Ok(()) => self.start_next().await,
            Err(_refused) => {
                let words = "Too many requests of this WebSocket wait for an answer.";
                let event = ErrorEvent::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", words, None);
                self.write_error(&event, lane.as_deref()).await
            }
        }
    }

    /// Starts the requests that need not wait.
    async fn start_next(&mut self) -> Step {
        while let Some(WaitingRequest { request, memory }) = self.lanes.next() {
            if request.generates {
                self.start(request, memory).await?;
            } else {
                let lane = request.lane.clone();
                self.prepare(&request, memory).await?;
                self.lanes.ended(&lane);
            }
        }
        Ok(())
    }

    async fn start(&mut self, request: CreateRequest, mut memory: BodyReservation) -> Step {
        let kept = self.history.bytes_before(&request);
        if memory.cover(2 * (request.bytes() + kept)).is_err() {
            self.lanes.ended(&request.lane);
            return self.overloaded(request.lane.as_deref()).await;
        }
        let (whole, body) = large_work::at_once(request.bytes() + kept, || {
            let whole = self.history.whole_input(&request);
            let body = request.body(whole.as_deref());
            (whole, body)
        });
        let increment = request.previous.clone().filter(|_| whole.is_some());
        let increment = increment.map(|previous| InputIncrement { previous, items: request.items.clone() });
        // Of what it goes on from, all must be known for the next request to go on from it.
        let is_kept = !request.is_stored && (whole.is_some() || request.previous.is_none());
        let kept_input = is_kept.then(|| whole.unwrap_or_else(|| request.items.clone()));
        let lane = request.lane;
        let known = increment.as_ref().map_or(0, |increment| increment.items.len());
        memory.settle(body.len() + known + kept_input.as_ref().map_or(0, String::len));
        let exchange = Exchange {
            template: Arc::clone(&self.template),
            serving: self.serving.clone(),
            message: Arc::new(RoutedMessage { upstreams: Arc::clone(&self.upstreams), increment }),
            lane,
            body,
            kept_input,
            memory,
        };
        self.running.push(Box::pin(exchange.run(self.events.clone())));
        Ok(())
    }

    /// Says that there is no memory for a request.
    pub(super) async fn overloaded(&mut self, lane: Option<&str>) -> Step {
        let words = "Too much is in memory: try again.";
        self.write_error(&ErrorEvent::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", words, None), lane).await
    }

    /// Takes what a request leaves behind, and starts those that waited for it. What it has still to say goes first: the
    /// answer to the next may be written at once.
    pub(super) async fn ended(&mut self, end: ExchangeEnd) -> Step {
        self.clock.active();
        while let Ok(event) = self.outgoing.try_recv() {
            self.write(event).await?;
        }
        let ExchangeEnd { lane, response, memory } = end;
        self.lanes.ended(&lane);
        if let Some(response) = response {
            self.history.keep(response, memory);
        }
        self.start_next().await
    }

    /// Declines to steer: a response is one request here, and takes no more input.
    async fn steered(&mut self, steer: &SteerRequest) -> Step {
        self.write(OutMessage { text: prepared::steer_failed(steer), is_error: true }).await
    }
}
