//! The life of a client's WebSocket whose messages are routed: from the handshake's end to the close.
//!
//! One task has it all: it reads messages, starts their requests, writes their events, and looks at the clock. Requests of
//! one lane wait for each other, those of different lanes do not. What the client sends while its answers are written is
//! read all the same, so that its pongs and its end are seen.

mod clock;
mod incoming;
mod lanes;
mod prepared;
mod requests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pointsman_core::config::TrafficLimits;
use pointsman_telemetry::{ClosedWebSocket, WebSocketMessage, WebSocketMetrics};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as SocketError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use self::clock::{SessionClock, TimeUp};
use self::incoming::MeteredStream;
use self::lanes::Lanes;
use super::exchange::{ExchangeEnd, OutMessage, RequestTemplate, ServingProxy};
use super::handshake::UpgradedConnection;
use super::history::SessionHistory;
use super::loopback::ClientDigests;
use super::server_event::ErrorEvent;
use super::upstream::SessionUpstreams;
use crate::proxy::Proxy;
use crate::proxy::downstream::admission::{Admission, BodyReservation};
use crate::proxy::record::RequestIds;
use crate::router::Router;

/// The memory that each WebSocket reads into.
const READ_BUFFER: usize = 16 << 10;

/// The events that may wait to be written.
const EVENTS: usize = 16;

/// The time that a client may take to close its side too.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a session's requests are served by.
#[derive(Clone)]
pub(in crate::proxy) struct SessionServices {
    pub(in crate::proxy) proxy: Arc<HttpProxy<Proxy>>,
    pub(in crate::proxy) router: Arc<Router>,
    pub(in crate::proxy) admission: Arc<Admission>,
}

/// A WebSocket and all that goes on over it.
struct SocketSession {
    socket: WebSocketStream<MeteredStream>,
    limits: TrafficLimits,
    template: Arc<RequestTemplate>,
    serving: ServingProxy,
    admission: Arc<Admission>,
    upstreams: Arc<SessionUpstreams>,
    history: SessionHistory,
    lanes: Lanes,
    running: FuturesUnordered<futures::future::BoxFuture<'static, ExchangeEnd>>,
    events: mpsc::Sender<OutMessage>,
    outgoing: mpsc::Receiver<OutMessage>,
    clock: SessionClock,
    ids: RequestIds,
    metrics: WebSocketMetrics,
    /// The reason why no more requests are taken; it ends once the last one is answered.
    ending: Option<ClosedWebSocket>,
}

/// The end of a WebSocket.
struct SocketEnd {
    reason: ClosedWebSocket,
    /// The words for the client; `None` where there is nobody to tell.
    farewell: Option<(CloseCode, &'static str)>,
}

/// Something that happens in a session.
enum Happening {
    Read(Option<Result<Message, SocketError>>),
    Event(OutMessage),
    Ended(ExchangeEnd),
    Tick,
    Drain,
}

type Step = Result<(), SocketEnd>;

/// Serves the WebSocket until it ends.
pub(in crate::proxy) async fn serve(
    upgraded: UpgradedConnection,
    services: &SessionServices,
    shutdown: &ShutdownWatch,
) {
    let UpgradedConnection { stream, early, request, mut socket } = upgraded;
    let limits = services.router.snapshot().config.limits.clone();
    let metrics = socket.sockets().metrics().clone();
    let client = Arc::new(ClientDigests::of(&stream));
    let (template, beta) = RequestTemplate::of(&request, client, limits.max_body_bytes);
    let template = Arc::new(template);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(limits.max_body_bytes))
        .max_frame_size(Some(limits.max_body_bytes));
    let memory = BodyReservation::new(&services.admission, limits.bytes_in_flight());
    let stream = MeteredStream::new(stream, early.len(), memory);
    let (events, outgoing) = mpsc::channel(EVENTS);
    let mut session = SocketSession {
        socket: WebSocketStream::from_partially_read(stream, early.to_vec(), Role::Server, Some(config)).await,
        clock: SessionClock::new(&limits),
        upstreams: Arc::new(SessionUpstreams::new(beta, limits.max_body_bytes, metrics.clone())),
        serving: ServingProxy { proxy: Arc::clone(&services.proxy), shutdown: shutdown.clone() },
        admission: Arc::clone(&services.admission),
        history: SessionHistory::new(limits.max_body_bytes),
        lanes: Lanes::default(),
        running: FuturesUnordered::new(),
        ids: RequestIds::default(),
        ending: None,
        limits,
        template,
        events,
        outgoing,
        metrics,
    };
    let end = session.run().await;
    socket.ends_by(end.reason);
    session.finish(end.farewell).await;
}

impl SocketSession {
    async fn run(&mut self) -> SocketEnd {
        if *self.serving.shutdown.borrow() {
            self.ending = Some(ClosedWebSocket::Drain);
        }
        loop {
            let stepped = match self.happening().await {
                Happening::Read(Some(Ok(message))) => self.heard(message).await,
                Happening::Read(read) => Err(end_of_read(read)),
                Happening::Event(event) => self.write(event).await,
                Happening::Ended(end) => self.ended(end).await,
                Happening::Tick => self.look_at_clock().await,
                Happening::Drain => {
                    self.ending.get_or_insert(ClosedWebSocket::Drain);
                    Ok(())
                }
            };
            let over = stepped.err().or_else(|| self.ending.filter(|_| self.is_at_rest()).map(SocketEnd::of_ending));
            match over {
                None => {}
                Some(SocketEnd { reason: ClosedWebSocket::TooLarge, farewell }) => {
                    let _ =
                        self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The message is too large.").await;
                    return SocketEnd { reason: ClosedWebSocket::TooLarge, farewell };
                }
                Some(end) => return end,
            }
        }
    }

    /// Waits for the next thing that happens.
    async fn happening(&mut self) -> Happening {
        let Self { socket, outgoing, running, clock, serving, ending, .. } = self;
        tokio::select! {
            read = socket.next() => Happening::Read(read),
            Some(event) = outgoing.recv() => Happening::Event(event),
            Some(end) = running.next(), if !running.is_empty() => Happening::Ended(end),
            () = clock.tick() => Happening::Tick,
            Ok(()) = serving.shutdown.changed(), if ending.is_none() => Happening::Drain,
        }
    }

    /// Returns whether all that was asked is answered, and written.
    fn is_at_rest(&self) -> bool {
        self.running.is_empty() && self.lanes.are_empty() && self.outgoing.is_empty()
    }

    async fn heard(&mut self, message: Message) -> Step {
        self.clock.heard();
        match message {
            Message::Text(text) => {
                self.socket.get_mut().message_ended();
                self.clock.active();
                self.text(&text).await
            }
            Message::Binary(_) => {
                Err(SocketEnd::told(ClosedWebSocket::Protocol, (CloseCode::Unsupported, "messages are text")))
            }
            Message::Ping(payload) | Message::Pong(payload) => {
                self.socket.get_mut().control_ended(payload.len());
                Ok(())
            }
            Message::Close(_) => {
                let _ = timeout(FAREWELL, self.socket.flush()).await; // the library has answered it
                Err(SocketEnd::untold(ClosedWebSocket::Client))
            }
            Message::Frame(_) => Ok(()), // is never read
        }
    }

    async fn look_at_clock(&mut self) -> Step {
        self.upstreams.tend();
        let is_busy = !self.is_at_rest();
        match self.clock.look(self.socket.get_ref(), is_busy) {
            None => Ok(()),
            Some(TimeUp::Ping) => self.send(Message::Ping(bytes::Bytes::new())).await,
            Some(TimeUp::MaxSession) => {
                self.ending.get_or_insert(ClosedWebSocket::MaxSession);
                Ok(())
            }
            Some(TimeUp::HalfOpen) => Err(SocketEnd::untold(ClosedWebSocket::HalfOpen)),
            Some(TimeUp::Idle) => Err(SocketEnd::told(ClosedWebSocket::Idle, (CloseCode::Normal, "idle"))),
            Some(TimeUp::SlowMessage) => {
                Err(SocketEnd::told(ClosedWebSocket::TooSlow, (CloseCode::Policy, "the message took too long")))
            }
        }
    }

    async fn refuse(&mut self, status: StatusCode, code: &str, message: &str) -> Step {
        self.write_error(&ErrorEvent::new(status, code, message, None), None).await
    }

    async fn write_error(&mut self, event: &ErrorEvent, lane: Option<&str>) -> Step {
        self.write(OutMessage { text: event.message(lane), is_error: true }).await
    }

    async fn write(&mut self, message: OutMessage) -> Step {
        self.clock.active();
        self.metrics.message(if message.is_error { WebSocketMessage::Error } else { WebSocketMessage::Event });
        self.send(Message::text(message.text)).await
    }

    /// Sends a message, for as long as its client takes some of it within each pause that it may make, and the session may
    /// last.
    async fn send(&mut self, message: Message) -> Step {
        let ends = self.clock.ends();
        let written = self.socket.get_ref().written();
        let mut sent = pin!(self.socket.send(message));
        loop {
            let before = written.load(Ordering::Relaxed);
            match timeout(self.limits.write_idle.0, &mut sent).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(SocketEnd::untold(ClosedWebSocket::Client)),
                Err(_) if written.load(Ordering::Relaxed) > before && Instant::now() < ends => {}
                Err(_) => return Err(SocketEnd::untold(ClosedWebSocket::Unread)),
            }
        }
    }

    /// Ends what is still asked, and closes the WebSockets on both sides.
    async fn finish(self, farewell: Option<(CloseCode, &'static str)>) {
        let Self { mut socket, upstreams, running, outgoing, .. } = self;
        drop((running, outgoing)); // their requests end as those of a client that left
        if let Some((code, reason)) = farewell {
            let closed = async {
                socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
                while socket.next().await.is_some_and(|read| read.is_ok()) {}
                Ok::<_, SocketError>(())
            };
            let _ = timeout(FAREWELL, closed).await; // who does not listen is told nothing
        }
        drop(socket);
        upstreams.close().await;
    }
}

impl SocketEnd {
    const fn told(reason: ClosedWebSocket, farewell: (CloseCode, &'static str)) -> Self {
        Self { reason, farewell: Some(farewell) }
    }

    const fn untold(reason: ClosedWebSocket) -> Self {
        Self { reason, farewell: None }
    }

    /// Returns the end of a session that has waited for its last answer.
    const fn of_ending(reason: ClosedWebSocket) -> Self {
        match reason {
            ClosedWebSocket::Drain => Self::told(reason, (CloseCode::Away, "going away")),
            _ => Self::told(reason, (CloseCode::Away, "open a new WebSocket")),
        }
    }
}

/// Returns the end that a read without a message is.
fn end_of_read(read: Option<Result<Message, SocketError>>) -> SocketEnd {
    match read {
        Some(Err(SocketError::Capacity(CapacityError::MessageTooLong { .. }))) => {
            SocketEnd::told(ClosedWebSocket::TooLarge, (CloseCode::Size, "the message is too large"))
        }
        Some(Err(SocketError::Utf8(_))) => {
            SocketEnd::told(ClosedWebSocket::Protocol, (CloseCode::Invalid, "the message is no text"))
        }
        Some(Err(SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
            SocketEnd::untold(ClosedWebSocket::Client)
        }
        Some(Err(SocketError::Protocol(_) | SocketError::AttackAttempt | SocketError::Capacity(_))) => {
            SocketEnd::told(ClosedWebSocket::Protocol, (CloseCode::Protocol, "no WebSocket message"))
        }
        Some(Err(SocketError::Io(error))) if incoming::is_overload(&error) => {
            SocketEnd::told(ClosedWebSocket::Overloaded, (CloseCode::Again, "too much is being read"))
        }
        Some(Ok(_) | Err(_)) | None => SocketEnd::untold(ClosedWebSocket::Client),
    }
}
