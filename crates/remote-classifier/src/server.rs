//! The servers of a remote classifier: where each is, how it is reached, and whether it is left alone.

#[cfg(feature = "grpc")]
mod channel;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use pointsman_core::config::{PeerTls, RemoteClassifierConfig};
use pointsman_core::scores::ClassifierFailure;
use pointsman_http_client::{Destination, ExchangeLimits, FailureBreaker, HttpClient, HttpOrigin, ServerTrust};
use tokio::time::{Instant, timeout_at};

use crate::failure::{RefusedPart, RemoteFailure};
use crate::protocol::HttpQuestion;

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (classifier)");

/// The largest answer that is read; the scores of a batch take some kilobytes.
pub(crate) const MAX_ANSWER: usize = 4 << 20;

/// The longest that a connection is kept unused.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// The longest that a resolved address is used.
const RESOLVED: Duration = Duration::from_secs(30);

/// The longest part of a server's own words about an error that is shown.
const MAX_WORDS: usize = 200;

/// The header fields and the trust with which servers are asked, read from where the configuration says.
#[derive(Clone)]
pub struct RemoteAccess {
    /// The fields that go with every request.
    pub fields: HeaderMap,
    /// Whom servers are trusted by, over `https://`.
    pub trust: ServerTrust,
}

/// The servers of a remote classifier.
#[derive(Debug)]
pub(crate) struct RemoteServers {
    servers: Vec<Arc<RemoteServer>>,
    next: AtomicUsize,
}

/// A server.
#[derive(Debug)]
pub(crate) struct RemoteServer {
    origin: HttpOrigin,
    prefix: String,
    sni: Option<String>,
    access: RemoteAccess,
    pub(crate) breaker: FailureBreaker,
    http: HttpClient,
    resolved: Mutex<Option<(Destination, Instant)>>,
    #[cfg(feature = "grpc")]
    channel: channel::LazyChannel,
}

impl RemoteServers {
    /// Makes the servers of a section, whose URLs were checked.
    pub(crate) fn new(section: &RemoteClassifierConfig, access: &RemoteAccess) -> Self {
        let server = |url: &str| RemoteServer::new(url, section, access).map(Arc::new);
        Self { servers: section.addresses().filter_map(server).collect(), next: AtomicUsize::new(0) }
    }

    /// Returns the next server that may be asked.
    pub(crate) fn choose(&self) -> Option<&Arc<RemoteServer>> {
        self.in_turn().find(|server| server.breaker.admits())
    }

    /// Returns another server than `first` that may be asked.
    pub(crate) fn choose_other(&self, first: &Arc<RemoteServer>) -> Option<&Arc<RemoteServer>> {
        self.in_turn().find(|server| !Arc::ptr_eq(server, first) && server.breaker.admits())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RemoteServer>> {
        self.servers.iter()
    }

    fn in_turn(&self) -> impl Iterator<Item = &Arc<RemoteServer>> {
        let begin = self.next.fetch_add(1, Ordering::Relaxed) % self.servers.len().max(1);
        self.servers[begin..].iter().chain(&self.servers[..begin])
    }
}

impl RemoteServer {
    fn new(url: &str, section: &RemoteClassifierConfig, access: &RemoteAccess) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        Some(Self {
            origin: HttpOrigin::of(&url)?,
            prefix: url.path().trim_end_matches('/').to_owned(),
            sni: section.tls.as_ref().and_then(|tls: &PeerTls| tls.sni.clone()),
            access: access.clone(),
            breaker: FailureBreaker::new(section.breaker.failures, section.breaker.rest.0),
            http: HttpClient::keeping(MAX_IDLE),
            resolved: Mutex::default(),
            #[cfg(feature = "grpc")]
            channel: channel::LazyChannel::default(),
        })
    }

    /// Sends a request and returns the body of an answer that is 200.
    ///
    /// Cancel-safe: dropping the future gives the request up.
    pub(crate) async fn ask(&self, question: HttpQuestion, deadline: Instant) -> Result<Bytes, RemoteFailure> {
        let asked = timeout_at(deadline, self.exchange(question, deadline)).await;
        let answer = asked.unwrap_or_else(|_| Err(RemoteFailure::deadline()))?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let status = answer.status();
        let detail = format!("status {}", status.as_u16());
        Err(RemoteFailure::new(ClassifierFailure::RemoteRefused, detail).lasting(refused_part(status)))
    }

    /// Like [`Self::ask`], for texts of our own: an error's words are shown.
    pub(crate) async fn ask_openly(&self, question: HttpQuestion, deadline: Instant) -> Result<Bytes, RemoteFailure> {
        let asked = timeout_at(deadline, self.exchange(question, deadline)).await;
        let answer = asked.unwrap_or_else(|_| Err(RemoteFailure::deadline()))?;
        if answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        let (status, words) = (answer.status(), words_of(answer.body()));
        let detail = format!("status {}: {words}", status.as_u16());
        Err(RemoteFailure::new(ClassifierFailure::RemoteRefused, detail).lasting(refused_part(status)))
    }

    async fn exchange(&self, question: HttpQuestion, deadline: Instant) -> Result<Response<Bytes>, RemoteFailure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let limits = ExchangeLimits { connect: left, read: left, max_bytes: MAX_ANSWER };
        let destination = self.destination().await?;
        let path = format!("{}{}", self.prefix, question.path);
        let bad = |_| RemoteFailure::new(ClassifierFailure::RemoteUnreachable, "the path is none that HTTP can carry");
        let mut request = Request::new(question.body);
        *request.method_mut() = question.method;
        *request.uri_mut() = path.parse().map_err(bad)?;
        *request.headers_mut() = self.access.fields.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let sent = self.http.send(&destination, request, limits).await;
        if sent.as_ref().is_err_and(pointsman_http_client::HttpError::is_connect) {
            self.forget_destination();
        }
        Ok(sent?)
    }

    /// Returns the server's address, resolved lately.
    pub(crate) async fn destination(&self) -> Result<Destination, RemoteFailure> {
        let now = Instant::now();
        {
            let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((destination, _)) = resolved.as_ref().filter(|(_, until)| *until > now) {
                return Ok(destination.clone());
            }
        }
        let mut destination = self.origin.destination(self.access.trust.clone()).await?;
        if let (Some(tls), Some(sni)) = (&mut destination.tls, &self.sni) {
            tls.server_name.clone_from(sni);
        }
        let kept = (destination.clone(), now + RESOLVED);
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(destination)
    }

    pub(crate) fn forget_destination(&self) {
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the host and port, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.origin.host(), self.origin.port())
    }
}

/// Returns the part of a question that a status refuses for good; `None` where it is for now, as of a server that is
/// overloaded or broken.
fn refused_part(status: StatusCode) -> Option<RefusedPart> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(RefusedPart::Credential),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => None,
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => None,
        _ => Some(RefusedPart::Question),
    }
}

/// Returns the beginning of a server's words, in one line of printable characters.
fn words_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    words.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

impl fmt::Debug for RemoteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields.keys().collect();
        f.debug_struct("RemoteAccess").field("fields", &names).field("trust", &self.trust).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_may_pass_is_no_refusal_for_good() {
        let part = |status: u16| refused_part(StatusCode::from_u16(status).expect("a status"));

        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(part(status), None, "{status}");
        }
        for status in [204, 301, 400, 404, 405, 415, 422, 501] {
            assert_eq!(part(status), Some(RefusedPart::Question), "{status}");
        }
        for status in [401, 403] {
            assert_eq!(part(status), Some(RefusedPart::Credential), "{status}");
        }
    }
}
