//! The messages that Envoy gets, and what those mean that come from it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pointsman_protocols::envoy::core::header_value_option::HeaderAppendAction;
use pointsman_protocols::envoy::core::{HeaderMap as EnvoyHeaders, HeaderValue as EnvoyHeader, HeaderValueOption};
use pointsman_protocols::envoy::ext_proc::processing_response::Response;
use pointsman_protocols::envoy::ext_proc::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ImmediateResponse,
    ProcessingRequest, ProcessingResponse, StreamedBodyResponse, TrailersResponse, body_mutation,
};
use pointsman_protocols::envoy::filter::ProcessingMode;
use pointsman_protocols::envoy::filter::processing_mode::{BodySendMode, HeaderSendMode};
use pointsman_protocols::envoy::types::HttpStatus;
use pointsman_telemetry::ExtProcPhase;
use serde_json::{Map, Value};

use super::metadata;
use crate::proxy::external::{ExternalHeader, OwnAnswer};

/// The largest piece of a body in one message.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// The way in which Envoy sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyMode {
    /// Not at all.
    None,
    /// Whole, in one message.
    Buffered,
    /// In one message, as much as fits.
    BufferedPartial,
    /// In pieces, each of which waits for its answer.
    Streamed,
    /// In pieces, answered whenever the server likes.
    FullDuplex,
    /// In a way that is not served.
    Unserved,
}

/// The modes of an exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyModes {
    pub(super) request: BodyMode,
    pub(super) response: BodyMode,
}

/// The side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExchangeSide {
    Request,
    Response,
}

/// A piece of a body, and whether it is the last.
pub(super) struct BodyPiece {
    pub(super) bytes: Bytes,
    pub(super) is_last: bool,
}

/// The changes of a header.
#[derive(Debug, Default)]
pub(super) struct HeaderChanges {
    set: Vec<HeaderValueOption>,
    removed: Vec<String>,
}

impl BodyMode {
    fn of(number: i32) -> Self {
        match BodySendMode::try_from(number) {
            Ok(BodySendMode::None) => Self::None,
            Ok(BodySendMode::Buffered) => Self::Buffered,
            Ok(BodySendMode::BufferedPartial) => Self::BufferedPartial,
            Ok(BodySendMode::Streamed) => Self::Streamed,
            Ok(BodySendMode::FullDuplexStreamed) => Self::FullDuplex,
            Ok(BodySendMode::Grpc) | Err(_) => Self::Unserved,
        }
    }
}

impl BodyModes {
    /// Reads the modes from the first message; a sender that does not say them sends whole bodies, and no answers.
    pub(super) fn of(first: &ProcessingRequest) -> Self {
        first.protocol_config.as_ref().map_or(
            Self { request: BodyMode::Buffered, response: BodyMode::None },
            |config| Self {
                request: BodyMode::of(config.request_body_mode),
                response: BodyMode::of(config.response_body_mode),
            },
        )
    }

    /// Returns the mode of a side.
    pub(super) const fn of_side(self, side: ExchangeSide) -> BodyMode {
        match side {
            ExchangeSide::Request => self.request,
            ExchangeSide::Response => self.response,
        }
    }
}

impl HeaderChanges {
    /// Sets a field, whatever stood there.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.set.push(HeaderValueOption {
            // Envoy sends and reads the raw value alone.
            header: Some(EnvoyHeader { key: name.to_owned(), value: String::new(), raw_value: value.into() }),
            append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
            ..HeaderValueOption::default()
        });
    }

    /// Removes a field, unless it is set.
    pub(super) fn remove(&mut self, name: &str) {
        let is_same = |set: &HeaderValueOption| set.header.as_ref().is_some_and(|set| set.key == name);
        if !self.set.iter().any(is_same) {
            self.removed.push(name.to_owned());
        }
    }

    /// Returns whether nothing changes.
    pub(super) const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    fn into_mutation(self) -> Option<HeaderMutation> {
        let is_empty = self.is_empty();
        let Self { set, removed } = self;
        (!is_empty).then_some(HeaderMutation { set_headers: set, remove_headers: removed })
    }

    /// Returns the answer that makes these changes in a request, of which the route is chosen anew.
    pub(super) fn rerouting(self) -> CommonResponse {
        let clear_route_cache = !self.is_empty(); // it counts only where a header changes
        CommonResponse { clear_route_cache, ..self.changing() }
    }

    /// Returns the answer that makes these changes.
    pub(super) fn changing(self) -> CommonResponse {
        CommonResponse { header_mutation: self.into_mutation(), ..CommonResponse::default() }
    }
}

/// Returns the phase of a message; `None` for one that is of none.
pub(super) const fn phase(
    request: &pointsman_protocols::envoy::ext_proc::processing_request::Request,
) -> (ExtProcPhase, ExchangeSide) {
    use pointsman_protocols::envoy::ext_proc::processing_request::Request;
    match request {
        Request::RequestHeaders(_) => (ExtProcPhase::RequestHeaders, ExchangeSide::Request),
        Request::RequestBody(_) => (ExtProcPhase::RequestBody, ExchangeSide::Request),
        Request::RequestTrailers(_) => (ExtProcPhase::RequestTrailers, ExchangeSide::Request),
        Request::ResponseHeaders(_) => (ExtProcPhase::ResponseHeaders, ExchangeSide::Response),
        Request::ResponseBody(_) => (ExtProcPhase::ResponseBody, ExchangeSide::Response),
        Request::ResponseTrailers(_) => (ExtProcPhase::ResponseTrailers, ExchangeSide::Response),
    }
}

/// Returns the answer to a message of a phase.
pub(super) fn answer(phase: ExtProcPhase, common: CommonResponse) -> ProcessingResponse {
    let response = match phase {
        ExtProcPhase::RequestHeaders => Response::RequestHeaders(HeadersResponse { response: Some(common) }),
        ExtProcPhase::ResponseHeaders => Response::ResponseHeaders(HeadersResponse { response: Some(common) }),
        ExtProcPhase::RequestBody => Response::RequestBody(BodyResponse { response: Some(common) }),
        ExtProcPhase::ResponseBody => Response::ResponseBody(BodyResponse { response: Some(common) }),
        ExtProcPhase::RequestTrailers => {
            Response::RequestTrailers(TrailersResponse { header_mutation: common.header_mutation })
        }
        ExtProcPhase::ResponseTrailers => {
            Response::ResponseTrailers(TrailersResponse { header_mutation: common.header_mutation })
        }
    };
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}

/// Returns the message that passes a piece of a body on in the mode `FULL_DUPLEX_STREAMED`.
pub(super) fn streamed(side: ExchangeSide, piece: BodyPiece) -> ProcessingResponse {
    let streamed = StreamedBodyResponse {
        body: piece.bytes.into(),
        end_of_stream: piece.is_last,
        ..StreamedBodyResponse::default()
    };
    let mutation = BodyMutation { mutation: Some(body_mutation::Mutation::StreamedResponse(streamed)) };
    let phase = match side {
        ExchangeSide::Request => ExtProcPhase::RequestBody,
        ExchangeSide::Response => ExtProcPhase::ResponseBody,
    };
    answer(phase, CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() })
}

/// Returns a body in pieces, the last of which says so where `ends`; an empty body is one empty piece.
pub(super) fn pieces(body: &Bytes, ends: bool) -> Vec<BodyPiece> {
    let count = body.len().div_ceil(PIECE_BYTES).max(1);
    let piece = |index: usize| {
        let start = index * PIECE_BYTES;
        let bytes = body.slice(start..body.len().min(start + PIECE_BYTES));
        BodyPiece { bytes, is_last: ends && index + 1 == count }
    };
    (0..count).map(piece).collect()
}

/// Returns the change that puts another body in place of the one that came.
pub(super) fn replacement(body: Bytes) -> BodyMutation {
    let mutation = if body.is_empty() {
        body_mutation::Mutation::ClearBody(true)
    } else {
        body_mutation::Mutation::Body(body.into())
    };
    BodyMutation { mutation: Some(mutation) }
}

/// Returns the message that answers the client in place of an upstream.
pub(super) fn immediate(own: OwnAnswer) -> ProcessingResponse {
    let OwnAnswer { status, fields, body, code, decision } = own;
    let mut changes = HeaderChanges::default();
    for (name, value) in &fields {
        if *name != http::header::CONTENT_LENGTH {
            changes.set(name.as_str(), value.as_bytes()); // Envoy states the length itself
        }
    }
    let details = code.map_or_else(|| "pointsman".to_owned(), |code| format!("pointsman_{}", code.as_str()));
    let immediate = ImmediateResponse {
        status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
        headers: changes.into_mutation(),
        body: body.into(),
        grpc_status: None,
        details,
    };
    with_decision(
        ProcessingResponse { response: Some(Response::ImmediateResponse(immediate)), ..ProcessingResponse::default() },
        decision,
    )
}

/// Adds a decision to a message, for access logs.
pub(super) fn with_decision(message: ProcessingResponse, decision: Map<String, Value>) -> ProcessingResponse {
    ProcessingResponse { dynamic_metadata: Some(metadata::of(decision)), ..message }
}

/// Asks Envoy for nothing more of an exchange, where it lets servers say so.
pub(super) fn asking_nothing_more(message: ProcessingResponse) -> ProcessingResponse {
    let mode = ProcessingMode {
        request_header_mode: HeaderSendMode::Skip.into(),
        response_header_mode: HeaderSendMode::Skip.into(),
        request_body_mode: BodySendMode::None.into(),
        response_body_mode: BodySendMode::None.into(),
        request_trailer_mode: HeaderSendMode::Skip.into(),
        response_trailer_mode: HeaderSendMode::Skip.into(),
    };
    ProcessingResponse { mode_override: Some(mode), ..message }
}

/// Reads the header of a request; `None` where it is none that HTTP knows.
pub(super) fn request_header(headers: &HttpHeaders) -> Option<(ExternalHeader, HeaderMap)> {
    let (pseudo, fields) = read_fields(headers.headers.as_ref());
    let named = |name: &str| pseudo.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let method = Method::from_bytes(named(":method")?).ok()?;
    let target = std::str::from_utf8(named(":path")?).ok()?;
    Some((ExternalHeader::new(&method, target, &fields)?, fields))
}

/// Reads the header of an answer; `None` where it says no status.
pub(super) fn response_header(headers: &HttpHeaders) -> Option<(StatusCode, HeaderMap)> {
    let (pseudo, fields) = read_fields(headers.headers.as_ref());
    let (_, status) = pseudo.into_iter().find(|(name, _)| *name == ":status")?;
    Some((StatusCode::from_bytes(status).ok()?, fields))
}

/// Returns the pseudo-fields of a header, and its fields, those left out that HTTP does not know.
fn read_fields(headers: Option<&EnvoyHeaders>) -> (Vec<(&str, &[u8])>, HeaderMap) {
    let (mut pseudo, mut fields) = (Vec::new(), HeaderMap::new());
    for EnvoyHeader { key, value, raw_value } in headers.iter().flat_map(|headers| &headers.headers) {
        let value = if raw_value.is_empty() { value.as_bytes() } else { raw_value };
        if key.starts_with(':') {
            pseudo.push((key.as_str(), value));
        } else if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    (pseudo, fields)
}
