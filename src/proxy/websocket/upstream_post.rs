//! The request of an attempt whose provider refused a WebSocket: posted, as without one.

use std::io;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::upstream_answer::{AnswerBody, remove_framing};
use super::upstream_socket::ProviderConnection;

/// Returns whether a status says that there is no WebSocket where one may post: no such path for a `GET`, no such
/// method, nothing that is known of upgrades, or a word that this one does not hold.
pub(super) fn asks_to_post(status: StatusCode) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::UPGRADE_REQUIRED, StatusCode::NOT_IMPLEMENTED]
        .contains(&status)
}

/// Posts a request as Pingora wrote it, over a connection of its own.
///
/// # Errors
/// When there is no answer.
pub(super) async fn post(
    connection: Box<dyn ProviderConnection>,
    head: &Parts,
    body: Bytes,
) -> io::Result<Response<AnswerBody>> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await.map_err(io::Error::other)?;
    let mut driving = JoinSet::new(); // aborts with the answer, and thereby hangs up
    driving.spawn(async move { drop(driver.await) }); // how it ended, the answer's reader is told
    let mut request =
        Request::builder().method(&head.method).uri(&head.uri).body(Full::new(body)).map_err(io::Error::other)?;
    let fields = request.headers_mut();
    fields.clone_from(&head.headers);
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::EXPECT] {
        fields.remove(name); // the body's length is known
    }
    let (mut parts, incoming) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
    remove_framing(&mut parts.headers);
    let body = incoming.map_err(io::Error::other).map_frame(move |frame| {
        let _ = &driving;
        frame
    });
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}
