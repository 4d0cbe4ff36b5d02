//! Requests in the mode `FULL_DUPLEX_STREAMED`: the header's answer is held until the body is there, and brings with it all
//! that changes; then the body follows in pieces.
//!
//! No time limit of Envoy's runs here, and a stream that ended well before its answer would send an empty body upstream. So
//! every way out is an answer or an error.

use std::time::Instant;

use bytes::Bytes;
use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::{CommonResponse, HttpHeaders};
use pointsman_telemetry::{ExtProcOutcome, ExtProcPhase};
use serde_json::json;
use tonic::Status;

use super::{EnvoyStream, JudgedRequest, StreamError, failed};
use crate::ext_proc::messages::{self, ExchangeSide, with_decision};
use crate::proxy::external::{BodyFeed, ExternalJudgement, ExternalRequest, ForwardedRequest};

/// The body as far as it has come.
#[derive(Default)]
struct HeldBody {
    pieces: Vec<Bytes>,
    bytes: usize,
    has_ended: bool,
    has_trailers: bool,
}

impl EnvoyStream {
    /// Judges a request whose header waits for its body.
    pub(super) async fn full_duplex(
        &mut self,
        request: &mut ExternalRequest,
        feed: BodyFeed,
        headers: &HttpHeaders,
    ) -> Result<JudgedRequest, StreamError> {
        let mut held = HeldBody { has_ended: headers.end_of_stream, ..HeldBody::default() };
        let judgement = match self.admit(request).await {
            Some(judgement) => judgement,
            None => self.gather(request, feed, &mut held).await?,
        };
        match judgement {
            ExternalJudgement::Forward(forwarded) if !headers.end_of_stream => {
                let outcome = self.send_on(*forwarded, held).await?;
                let end = self.read_response(request).await?;
                Ok(JudgedRequest { outcome, end })
            }
            ExternalJudgement::Unjudged(code) if !headers.end_of_stream => {
                request.pass();
                self.let_pass(code.as_str(), held).await?;
                Ok(JudgedRequest::over(ExtProcOutcome::Unjudged))
            }
            other => self.tell(request, other, ExtProcPhase::RequestHeaders).await,
        }
    }

    /// Has the request judged while its body comes.
    async fn gather(
        &mut self,
        request: &mut ExternalRequest,
        feed: BodyFeed,
        held: &mut HeldBody,
    ) -> Result<ExternalJudgement, StreamError> {
        let limit = self.config.message_bytes(&self.proxy.router().snapshot().config.limits);
        let (mut waiting, mut is_fed, mut ended) = (None, false, None);
        let answers = self.answers.clone();
        let mut judging = request.judge(self.config.failure);
        loop {
            let is_due = waiting.is_some() || held.has_ended && !is_fed;
            tokio::select! {
                biased;
                judgement = &mut judging => {
                    ended.into_iter().for_each(|at: Instant| self.metrics.decided(at.elapsed()));
                    return Ok(judgement);
                }
                Some(place) = feed.place(), if is_due => match waiting.take() {
                    Some(piece) => place.piece(piece),
                    None => {
                        place.end();
                        is_fed = true;
                    }
                },
                message = self.next(), if !is_due && !held.has_ended => {
                    let message = message?.request.ok_or_else(|| failed("a message without a request"))?;
                    waiting = held.take(message)?;
                    if held.bytes > limit {
                        return Err(StreamError::Failed(Status::resource_exhausted("the body is too large")));
                    }
                    ended = held.has_ended.then(Instant::now);
                }
                () = answers.left() => return Err(StreamError::Gone),
            }
        }
    }

    /// Sends the header's answer, and the body after it.
    async fn send_on(&mut self, forwarded: ForwardedRequest, held: HeldBody) -> Result<ExtProcOutcome, StreamError> {
        let (changes, outcome) = self.changes(&forwarded);
        let message = messages::answer(ExtProcPhase::RequestHeaders, changes.rerouting());
        self.send(with_decision(message, forwarded.decision)).await?;
        let ends = !held.has_trailers;
        match forwarded.body {
            Some(body) => self.send_pieces(&body, ends).await?,
            None => self.send_held(&held.pieces, ends).await?,
        }
        if held.has_trailers {
            self.send(messages::answer(ExtProcPhase::RequestTrailers, CommonResponse::default())).await?;
        }
        Ok(outcome)
    }

    /// Lets a request pass that could not be judged: what has come of its body, and the rest as it comes.
    async fn let_pass(&mut self, code: &str, held: HeldBody) -> Result<(), StreamError> {
        let decision = [("reason".to_owned(), json!("unjudged")), ("code".to_owned(), json!(code))];
        let message = messages::answer(ExtProcPhase::RequestHeaders, self.without_withheld().rerouting());
        self.send(with_decision(message, decision.into_iter().collect())).await?;
        let ends = held.has_ended && !held.has_trailers;
        self.send_held(&held.pieces, ends).await?;
        if ends {
            return Ok(());
        }
        if held.has_trailers {
            return self.send(messages::answer(ExtProcPhase::RequestTrailers, CommonResponse::default())).await;
        }
        self.pass_rest().await
    }

    /// Sends what was held, as it came; an end by itself is an empty piece.
    async fn send_held(&self, pieces: &[Bytes], ends: bool) -> Result<(), StreamError> {
        let count = pieces.len();
        for (index, piece) in pieces.iter().enumerate() {
            self.send_pieces(piece, ends && index + 1 == count).await?;
        }
        if count == 0 && ends {
            self.send_pieces(&Bytes::new(), true).await?;
        }
        Ok(())
    }

    async fn send_pieces(&self, body: &Bytes, ends: bool) -> Result<(), StreamError> {
        for piece in messages::pieces(body, ends) {
            self.send(messages::streamed(ExchangeSide::Request, piece)).await?;
        }
        Ok(())
    }
}

impl HeldBody {
    /// Takes the next part of the request; returns the piece to be read.
    fn take(&mut self, message: Request) -> Result<Option<Bytes>, StreamError> {
        match message {
            Request::RequestBody(body) => {
                self.has_ended = body.end_of_stream;
                let piece = Bytes::from(body.body);
                if piece.is_empty() {
                    return Ok(None);
                }
                self.bytes += piece.len();
                self.pieces.push(piece.clone());
                Ok(Some(piece))
            }
            Request::RequestTrailers(_) => {
                (self.has_ended, self.has_trailers) = (true, true);
                Ok(None)
            }
            _ => Err(failed("an answer before its request")),
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_protocols::envoy::ext_proc::{HttpBody, HttpTrailers};

    use super::*;

    fn body(bytes: &str, end_of_stream: bool) -> Request {
        Request::RequestBody(HttpBody { body: bytes.into(), end_of_stream, ..HttpBody::default() })
    }

    #[test]
    fn a_body_ends_with_its_last_piece_or_with_its_trailers() {
        let mut held = HeldBody::default();
        assert_eq!(held.take(body("ab", false)).expect("a piece").as_deref(), Some(&b"ab"[..]));
        assert!(held.take(body("", true)).expect("the end").is_none() && held.has_ended);
        assert_eq!((held.bytes, held.has_trailers), (2, false));

        let mut held = HeldBody::default();
        held.take(body("ab", false)).expect("a piece");
        let trailers = Request::RequestTrailers(HttpTrailers::default());
        assert!(held.take(trailers).expect("the end").is_none() && held.has_ended && held.has_trailers);
    }

    #[test]
    fn an_answer_is_no_part_of_a_request() {
        let answer = Request::ResponseHeaders(HttpHeaders::default());
        assert!(matches!(HeldBody::default().take(answer), Err(StreamError::Failed(_))));
    }

    #[test]
    fn a_body_goes_on_in_pieces_of_which_the_last_says_so() {
        let sizes = |length: usize, ends| {
            let pieces = messages::pieces(&Bytes::from(vec![b'x'; length]), ends);
            pieces.iter().map(|piece| (piece.bytes.len(), piece.is_last)).collect::<Vec<(usize, bool)>>()
        };

        assert_eq!(sizes(0, true), [(0, true)]);
        assert_eq!(sizes(messages::PIECE_BYTES, true), [(messages::PIECE_BYTES, true)]);
        assert_eq!(sizes(messages::PIECE_BYTES + 1, true), [(messages::PIECE_BYTES, false), (1, true)]);
        assert_eq!(sizes(3, false), [(3, false)]);
    }
}
