//! One fetch of a configuration and its signature: conditional, bounded in time and size, and never from another host than the
//! one that was named.

use std::net::IpAddr;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use bytes::Bytes;
use pointsman_core::config::Config;
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust};
use tokio::time::{sleep, timeout};

use super::HttpSettings;
use super::signature::{MAX_BYTES as MAX_SIGNATURE_BYTES, SUFFIX, SignatureError, TrustedKey};
use super::version::{ConfigVersion, SignatureFacts};
use crate::upstream::TrustedAuthorities;

/// The redirects that are followed, all of them to the same scheme, host and port.
const MAX_REDIRECTS: usize = 3;

/// The time before a text whose signature does not hold is fetched again, once: the two may be written one after the other.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// What a server calls the text that it gave, to be asked whether that is still the one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// A text that was fetched and verified.
#[derive(Debug, Clone)]
pub(super) struct FetchedText {
    pub(super) text: String,
    /// The file of its signature, where one is wanted.
    pub(super) signature: Option<String>,
    pub(super) facts: Option<SignatureFacts>,
    pub(super) validators: Validators,
}

/// The end of a fetch.
#[derive(Debug)]
pub(super) enum FetchEnd {
    /// The server still has the text that the validators are of.
    NotModified,
    /// The server has this text.
    Fetched(FetchedText),
}

/// The reason why a fetch gives no text that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The server is not there, or answers something else than a text. It may be another time.
    #[error("{0}")]
    Unreachable(String),
    /// The server has a text that does not count.
    #[error("{0}")]
    Refused(String),
}

/// One fetch.
pub(super) struct Fetch<'f> {
    pub(super) settings: &'f HttpSettings,
    pub(super) key: Option<&'f TrustedKey>,
    /// The validators of the text that is known.
    pub(super) known: Option<&'f Validators>,
}

impl Fetch<'_> {
    /// Fetches the text and its signature, within the time that the settings give for all of it.
    ///
    /// Cancel-safe: dropping the future closes the connection.
    pub(super) async fn run(self) -> Result<FetchEnd, FetchError> {
        let whole = self.settings.timeout;
        let late = || FetchError::Unreachable(format!("no whole answer within {}", humantime::format_duration(whole)));
        timeout(whole, self.fetch()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn fetch(&self) -> Result<FetchEnd, FetchError> {
        let Some(first) = self.text(self.known).await? else { return Ok(FetchEnd::NotModified) };
        let Some(key) = self.key else { return self.without_signature(first) };
        match self.with_signature(&first, key).await? {
            Ok(fetched) => Ok(FetchEnd::Fetched(fetched)),
            Err(_) => {
                // Perhaps the text and its signature were just being written.
                sleep(SECOND_LOOK).await;
                let Some(second) = self.text(None).await? else { return Ok(FetchEnd::NotModified) };
                let verified = self.with_signature(&second, key).await?;
                verified.map(FetchEnd::Fetched).map_err(|error| FetchError::Refused(error.to_string()))
            }
        }
    }

    fn without_signature(&self, answer: Response<Bytes>) -> Result<FetchEnd, FetchError> {
        let (validators, text) = parts(answer)?;
        Ok(FetchEnd::Fetched(FetchedText { text, signature: None, facts: None, validators }))
    }

    /// Fetches the signature of a text and verifies it; the inner error is one that the next moment may mend.
    async fn with_signature(
        &self,
        answer: &Response<Bytes>,
        key: &TrustedKey,
    ) -> Result<Result<FetchedText, SignatureError>, FetchError> {
        let url = signature_url(&self.settings.url);
        let max_bytes = usize::try_from(MAX_SIGNATURE_BYTES).unwrap_or(usize::MAX);
        let signature = match self.ask(&url, HeaderMap::new(), max_bytes).await {
            Ok(signature) if signature.status() == StatusCode::OK => signature.into_body(),
            Ok(other) if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&other.status()) => {
                let said = format!(
                    "no signature: {} answers {} (wanted: one by key {})",
                    without_query(&url),
                    other.status(),
                    key.id()
                );
                return Err(FetchError::Refused(said));
            }
            Ok(other) => {
                let said = format!("{} answers {}", without_query(&url), other.status());
                return Err(FetchError::Unreachable(said));
            }
            Err(HttpFailure::TooLong) => {
                return Err(FetchError::Refused(format!("{} is larger than a signature", without_query(&url))));
            }
            Err(HttpFailure::Other(said)) => {
                return Err(FetchError::Unreachable(format!("{}: {said}", without_query(&url))));
            }
        };
        let (validators, text) = parts(answer.clone())?;
        let signature = String::from_utf8_lossy(&signature).into_owned();
        Ok(key.verify(text.as_bytes(), &signature).map(|facts| FetchedText {
            text,
            signature: Some(signature),
            facts: Some(facts),
            validators,
        }))
    }

    /// Fetches the text; `None` when it is the one that is `known`.
    async fn text(&self, known: Option<&Validators>) -> Result<Option<Response<Bytes>>, FetchError> {
        let conditions = known.map(Validators::conditions).unwrap_or_default();
        let is_conditional = !conditions.is_empty();
        match self.ask(&self.settings.url, conditions, Config::MAX_FILE_BYTES).await {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(Some(answer)),
            Ok(answer) if answer.status() == StatusCode::NOT_MODIFIED && is_conditional => Ok(None),
            Ok(answer) => Err(FetchError::Unreachable(format!("answers {}", answer.status()))),
            Err(HttpFailure::TooLong) => Err(FetchError::Refused(format!(
                "has more bytes than are read (allowed: a text of at most {} MiB)",
                Config::MAX_FILE_BYTES >> 20
            ))),
            Err(HttpFailure::Other(said)) => Err(FetchError::Unreachable(said)),
        }
    }

    /// Asks for a URL, redirects within its origin followed.
    async fn ask(&self, url: &Uri, conditions: HeaderMap, max_bytes: usize) -> Result<Response<Bytes>, HttpFailure> {
        let origin = HttpOrigin::of(url).ok_or_else(|| HttpFailure::Other("is no URL that can be asked".to_owned()))?;
        let limits = ExchangeLimits { connect: self.settings.timeout, read: self.settings.timeout, max_bytes };
        let mut path = path_of(url).to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let destination = origin.destination(self.trust()?).await?;
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = path.parse().map_err(|_| HttpFailure::Other("redirects to no URL".to_owned()))?;
            *request.headers_mut() = self.headers(&conditions)?;
            let answer = HttpClient::closing().send(&destination, request, limits).await?;
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                return plain(answer);
            }
            path = redirect_path(&origin, answer.headers()).map_err(HttpFailure::Other)?;
        }
        Err(HttpFailure::Other(format!("redirects more than {MAX_REDIRECTS} times")))
    }

    fn headers(&self, conditions: &HeaderMap) -> Result<HeaderMap, HttpFailure> {
        let mut headers = conditions.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = concat!("pointsman/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        for own in &self.settings.headers {
            headers.insert(own.name.clone(), own.read().map_err(HttpFailure::Other)?);
        }
        Ok(headers)
    }

    /// Reads the authorities for each request, so that a rotated file counts.
    fn trust(&self) -> Result<ServerTrust, HttpFailure> {
        let Some(path) = &self.settings.authorities else { return Ok(ServerTrust::System) };
        let authorities = TrustedAuthorities::read(path).map_err(HttpFailure::Other)?;
        Ok(ServerTrust::in_authorities(Some(authorities.authorities().clone())))
    }
}

/// The reason why there is no answer.
enum HttpFailure {
    TooLong,
    Other(String),
}

impl From<HttpError> for HttpFailure {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::TooLong => Self::TooLong,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    /// Returns the header fields that ask for a text only if it is another. The tag is the better one, so it stands alone.
    fn conditions(&self) -> HeaderMap {
        let condition = match (&self.etag, &self.last_modified) {
            (Some(tag), _) => Some((header::IF_NONE_MATCH, tag)),
            (None, Some(time)) => Some((header::IF_MODIFIED_SINCE, time)),
            (None, None) => None,
        };
        let field = condition.and_then(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)));
        field.into_iter().collect()
    }
}

impl FetchedText {
    /// Returns what the text's version is called.
    pub(super) fn version(&self) -> ConfigVersion {
        let Validators { etag, last_modified } = self.validators.clone();
        ConfigVersion { commit: None, etag, last_modified, signature: self.facts.clone() }
    }
}

/// Returns whether a host is this machine, whose connections nobody else sees.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns a URL without its query, which may hold a secret.
pub(super) fn without_query(url: &Uri) -> String {
    let text = url.to_string();
    text.split('?').next().unwrap_or_default().to_owned()
}

/// Returns the URL of the signature of the text at `url`: the same with `.minisig` behind its path.
fn signature_url(url: &Uri) -> Uri {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = url.clone().into_parts();
    parts.path_and_query = format!("{}{SUFFIX}{query}", url.path()).parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| url.clone())
}

fn path_of(url: &Uri) -> &str {
    url.path_and_query().map_or("/", |path| path.as_str())
}

/// Refuses a body that is not the text itself.
fn plain(answer: Response<Bytes>) -> Result<Response<Bytes>, HttpFailure> {
    match answer.headers().get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(HttpFailure::Other("the answer is compressed, unasked".to_owned())),
        _ => Ok(answer),
    }
}

fn parts(answer: Response<Bytes>) -> Result<(Validators, String), FetchError> {
    let validators = Validators::of(answer.headers());
    let text = String::from_utf8(answer.into_body().into());
    text.map(|text| (validators, text)).map_err(|_| FetchError::Refused("is not UTF-8 (allowed: text)".to_owned()))
}

/// Returns the path that an answer redirects to, which has to be of the same origin: header fields may hold a credential.
fn redirect_path(origin: &HttpOrigin, headers: &HeaderMap) -> Result<String, String> {
    let place = headers.get(header::LOCATION).and_then(|place| place.to_str().ok());
    let place = place.ok_or_else(|| "redirects to nowhere".to_owned())?;
    if place.starts_with('/') && !place.starts_with("//") {
        return Ok(place.split('#').next().unwrap_or_default().to_owned());
    }
    let target = place.parse::<Uri>().ok().filter(|target| HttpOrigin::of(target).as_ref() == Some(origin));
    let target = target.ok_or_else(|| "redirects to another host, which is not followed".to_owned())?;
    Ok(path_of(&target).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Uri {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_signature_stands_beside_the_text_and_no_query_is_shown() {
        let own = url("https://host.example/a/p.yaml?sig=secret");

        assert_eq!(signature_url(&own), url("https://host.example/a/p.yaml.minisig?sig=secret"));
        assert_eq!(without_query(&signature_url(&own)), "https://host.example/a/p.yaml.minisig");
    }

    #[test]
    fn redirects_stay_with_scheme_host_and_port() {
        let origin = HttpOrigin::of(&url("https://host.example/p.yaml")).expect("an origin");
        let redirect = |to: &'static str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_static(to))]);
            redirect_path(&origin, &headers)
        };

        assert_eq!(redirect("/v2/p.yaml#top").as_deref(), Ok("/v2/p.yaml"));
        assert_eq!(redirect("https://host.example/v2/p.yaml?a=b").as_deref(), Ok("/v2/p.yaml?a=b"));
        for other in [
            "http://host.example/p",
            "https://other.example/p",
            "https://host.example:8443/p",
            "//other.example/p",
            "p",
        ] {
            assert!(redirect(other).is_err_and(|error| error.contains("another host")), "{other}");
        }
    }

    #[test]
    fn the_tag_is_asked_by_and_the_time_where_there_is_no_tag() {
        let both = Validators { etag: Some("\"a\"".to_owned()), last_modified: Some("Mon".to_owned()) };
        let time = Validators { etag: None, ..both.clone() };

        assert_eq!(both.conditions().keys().collect::<Vec<_>>(), [header::IF_NONE_MATCH]);
        assert_eq!(time.conditions().keys().collect::<Vec<_>>(), [header::IF_MODIFIED_SINCE]);
        assert!(Validators::default().conditions().is_empty());
    }

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        assert!(["localhost", "127.0.0.1", "127.9.9.9", "::1"].into_iter().all(is_loopback));
        assert!(!["localhost.example", "10.0.0.1", "0.0.0.0"].into_iter().any(is_loopback));
    }
}
