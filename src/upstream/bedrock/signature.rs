//! The signature of a request to AWS (Signature Version 4), over its method, path, host, type and body.
//!
//! Other header fields are not signed: what is between us and AWS may change them.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};

use super::AwsCredentials;

/// The name of the service that Bedrock's requests are signed for.
const SERVICE: &str = "bedrock";

/// The signer of a provider's requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestSigner<'s> {
    pub(crate) credentials: &'s AwsCredentials,
    pub(crate) region: &'s str,
}

/// The reason why a request is not signed.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub(crate) struct SignatureError(String);

impl SignatureError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl RequestSigner<'_> {
    /// Signs a request of which these are all bytes of the body: adds `Authorization`, `X-Amz-Date` and the session's
    /// token.
    ///
    /// # Errors
    /// When the request cannot be signed, of which its own parts would be the cause.
    pub(crate) fn sign(&self, request: &mut Parts, body: &[u8]) -> Result<(), SignatureError> {
        self.sign_at(request, body, SystemTime::now())
    }

    fn sign_at(&self, request: &mut Parts, body: &[u8], now: SystemTime) -> Result<(), SignatureError> {
        let AwsCredentials { id, secret, session_token } = self.credentials;
        let identity = Credentials::new(id, secret, session_token.clone(), None, "pointsman").into();
        let params = v4::SigningParams::builder().identity(&identity).region(self.region).name(SERVICE).time(now);
        let params = params.settings(SigningSettings::default()).build().map_err(SignatureError::of)?.into();
        let text = |name: HeaderName| Some((name.clone(), request.headers.get(name)?.to_str().ok()?));
        let signed: Vec<_> = [header::HOST, header::CONTENT_TYPE].into_iter().filter_map(text).collect();
        let host = signed.iter().find(|(name, _)| *name == header::HOST).map_or("", |(_, host)| host);
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let fields = signed.iter().map(|(name, value)| (name.as_str(), *value));
        let signable = SignableRequest::new(
            request.method.as_str(),
            format!("https://{host}{path}"),
            fields,
            SignableBody::Bytes(body),
        );
        let (instructions, _) =
            sign(signable.map_err(SignatureError::of)?, &params).map_err(SignatureError::of)?.into_parts();
        let added: Result<Vec<_>, SignatureError> =
            instructions.headers().map(|(name, value)| field(name, value)).collect();
        request.headers.extend(added?);
        Ok(())
    }
}

/// Returns a field that the signature adds, marked sensitive.
fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), SignatureError> {
    let name: HeaderName = name.parse().map_err(SignatureError::of)?;
    let mut value = HeaderValue::from_str(value).map_err(SignatureError::of)?;
    value.set_sensitive(true);
    Ok((name, value))
}
