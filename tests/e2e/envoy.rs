//! Envoy's side of external processing: one exchange, message by message, as it sends them.

use std::net::SocketAddr;

use pointsman_protocols::envoy::core::{HeaderMap, HeaderValue};
use pointsman_protocols::envoy::ext_proc::external_processor_client::ExternalProcessorClient;
use pointsman_protocols::envoy::ext_proc::processing_request::Request;
use pointsman_protocols::envoy::ext_proc::processing_response::Response;
use pointsman_protocols::envoy::ext_proc::{
    CommonResponse, HttpBody, HttpHeaders, HttpTrailers, ImmediateResponse, ProcessingRequest, ProcessingResponse,
    ProtocolConfiguration, body_mutation,
};
use pointsman_protocols::envoy::filter::processing_mode::BodySendMode;
use pointsman_protocols::envoy::protobuf::Value as EnvoyValue;
use pointsman_protocols::envoy::protobuf::value::Kind;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::client::CHAT;
use crate::soon;

/// One exchange, as an Envoy with these modes asks about it.
pub(crate) struct Exchange {
    messages: mpsc::Sender<ProcessingRequest>,
    answers: Streaming<ProcessingResponse>,
    modes: Option<ProtocolConfiguration>,
}

/// Connects to the listener for Envoy.
pub(crate) async fn connect(address: SocketAddr) -> ExternalProcessorClient<Channel> {
    connect_by(format!("http://{address}")).await
}

async fn connect_by(url: String) -> ExternalProcessorClient<Channel> {
    let channel = Endpoint::from_shared(url).expect("a URL").connect().await.expect("a listener");
    ExternalProcessorClient::new(channel).max_encoding_message_size(64 << 20).max_decoding_message_size(64 << 20)
}

impl Exchange {
    /// Opens an exchange whose request bodies come in one mode, and response bodies in another.
    pub(crate) async fn open(address: SocketAddr, request: BodySendMode, response: BodySendMode) -> Self {
        Self::open_by(format!("http://{address}"), request, response).await
    }

    /// Opens an exchange with a listener by its URL; `unix:PATH` is one, too.
    pub(crate) async fn open_by(url: String, request: BodySendMode, response: BodySendMode) -> Self {
        let (messages, receiver) = mpsc::channel(64);
        let mut process = connect_by(url).await;
        let answers = soon("a stream", process.process(ReceiverStream::new(receiver))).await.expect("a stream");
        let modes = ProtocolConfiguration {
            request_body_mode: request.into(),
            response_body_mode: response.into(),
            ..ProtocolConfiguration::default()
        };
        Self { messages, answers: answers.into_inner(), modes: Some(modes) }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, request: Request) {
        let message = ProcessingRequest {
            request: Some(request),
            protocol_config: self.modes.take(),
            ..ProcessingRequest::default()
        };
        self.messages.send(message).await.expect("the stream is open");
    }

    /// Sends the header of a chat completion, with further fields.
    pub(crate) async fn chat(&mut self, fields: &[(&str, &str)], end_of_stream: bool) {
        self.request(CHAT, fields, end_of_stream).await;
    }

    /// Sends the header of a request for a path.
    pub(crate) async fn request(&mut self, path: &str, fields: &[(&str, &str)], end_of_stream: bool) {
        let json = [("content-type", "application/json")];
        let fields: Vec<_> = json.iter().chain(fields).copied().collect();
        self.header("POST", path, &fields, end_of_stream).await;
    }

    /// Sends the header of a request for a WebSocket, with further fields, as Envoy writes it of HTTP/1.1 and HTTP/2 alike.
    pub(crate) async fn socket(&mut self, path: &str, fields: &[(&str, &str)]) {
        let own = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        self.header("GET", path, &fields, false).await;
    }

    async fn header(&mut self, method: &str, path: &str, fields: &[(&str, &str)], end_of_stream: bool) {
        let pseudo = [(":method", method), (":path", path), (":authority", "models"), (":scheme", "http")];
        let all = pseudo.iter().chain(fields).map(|(name, value)| header(name, value));
        let headers = Some(HeaderMap { headers: all.collect() });
        self.send(Request::RequestHeaders(HttpHeaders { headers, end_of_stream, ..HttpHeaders::default() })).await;
    }

    /// Sends a piece of the request's body.
    pub(crate) async fn body(&mut self, body: impl Into<Vec<u8>>, end_of_stream: bool) {
        self.send(Request::RequestBody(HttpBody { body: body.into(), end_of_stream, ..HttpBody::default() })).await;
    }

    /// Sends the request's trailers.
    pub(crate) async fn trailers(&mut self) {
        self.send(Request::RequestTrailers(HttpTrailers { trailers: Some(HeaderMap::default()) })).await;
    }

    /// Sends the header of the answer.
    pub(crate) async fn response(&mut self, status: &str, fields: &[(&str, &str)], end_of_stream: bool) {
        let all = [(":status", status)].into_iter().chain(fields.iter().copied());
        let headers = Some(HeaderMap { headers: all.map(|(name, value)| header(name, value)).collect() });
        self.send(Request::ResponseHeaders(HttpHeaders { headers, end_of_stream, ..HttpHeaders::default() })).await;
    }

    /// Sends a piece of the answer's body.
    pub(crate) async fn response_body(&mut self, body: impl Into<Vec<u8>>, end_of_stream: bool) {
        self.send(Request::ResponseBody(HttpBody { body: body.into(), end_of_stream, ..HttpBody::default() })).await;
    }

    /// Returns the next answer; `None` at the end of the stream.
    pub(crate) async fn try_next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        soon("an answer", self.answers.message()).await
    }

    /// Returns the next answer.
    pub(crate) async fn next(&mut self) -> ProcessingResponse {
        self.try_next().await.expect("no error").expect("the stream goes on")
    }

    /// Checks that the stream ends well, with nothing more in it.
    pub(crate) async fn ends(&mut self) {
        assert_eq!(self.try_next().await.expect("no error"), None);
    }
}

fn header(name: &str, value: &str) -> HeaderValue {
    HeaderValue { key: name.to_owned(), raw_value: value.into(), ..HeaderValue::default() }
}

/// Returns what an answer changes, whatever phase it is of.
pub(crate) fn common(answer: &ProcessingResponse) -> CommonResponse {
    let common = match answer.response.as_ref().expect("an answer of a phase") {
        Response::RequestHeaders(headers) | Response::ResponseHeaders(headers) => headers.response.clone(),
        Response::RequestBody(body) | Response::ResponseBody(body) => body.response.clone(),
        other => panic!("an answer without changes: {other:?}"),
    };
    common.unwrap_or_default()
}

/// Returns the value that an answer sets a field to.
pub(crate) fn field(answer: &ProcessingResponse, name: &str) -> Option<String> {
    let mutation = common(answer).header_mutation?;
    let set = mutation.set_headers.into_iter().filter_map(|set| set.header).find(|set| set.key == name)?;
    assert_eq!(set.value, "", "Envoy reads the raw value alone");
    Some(String::from_utf8(set.raw_value).expect("text"))
}

/// Returns the names of the fields that an answer removes.
pub(crate) fn removed(answer: &ProcessingResponse) -> Vec<String> {
    common(answer).header_mutation.map(|mutation| mutation.remove_headers).unwrap_or_default()
}

/// Returns the body that an answer puts in place of the one that came.
pub(crate) fn replaced(answer: &ProcessingResponse) -> Option<Vec<u8>> {
    match common(answer).body_mutation?.mutation? {
        body_mutation::Mutation::Body(body) => Some(body),
        body_mutation::Mutation::ClearBody(_) => Some(Vec::new()),
        body_mutation::Mutation::StreamedResponse(_) => panic!("a streamed piece"),
    }
}

/// Returns a streamed piece, and whether it is the last.
pub(crate) fn streamed(answer: &ProcessingResponse) -> (Vec<u8>, bool) {
    match common(answer).body_mutation.and_then(|body| body.mutation) {
        Some(body_mutation::Mutation::StreamedResponse(piece)) => (piece.body, piece.end_of_stream),
        other => panic!("no streamed piece: {other:?}"),
    }
}

/// Returns the answer that the client gets at once.
pub(crate) fn immediate(answer: ProcessingResponse) -> ImmediateResponse {
    match answer.response {
        Some(Response::ImmediateResponse(immediate)) => immediate,
        other => panic!("no answer for the client: {other:?}"),
    }
}

/// Returns a text of the decision that an answer tells.
pub(crate) fn told(answer: &ProcessingResponse, key: &str) -> Option<String> {
    let Some(Kind::StructValue(own)) = answer.dynamic_metadata.as_ref()?.fields.get("pointsman")?.kind.clone() else {
        return None;
    };
    match own.fields.get(key)? {
        EnvoyValue { kind: Some(Kind::StringValue(text)) } => Some(text.clone()),
        EnvoyValue { kind: Some(Kind::NumberValue(number)) } => Some(number.to_string()),
        _ => None,
    }
}
