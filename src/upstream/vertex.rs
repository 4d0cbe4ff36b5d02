//! Vertex AI: where its models are asked, and the token that lets one ask.
//!
//! A token comes from the key file of a service account (a JWT, signed by RS256, is exchanged at the file's `token_uri`) or
//! from the metadata server of the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use pointsman_core::config::{GoogleCredentials, RegularFile};
use pointsman_http_client::HttpOrigin;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::ConfigSurroundings;
use super::renewal::fetch::{FetchError, ask};
use super::renewal::{CredentialSource, FetchedCredential};

/// The scope of tokens.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The lifetime that a service account asks for: the longest that Google grants.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The type of a request for a token by a JWT (RFC 7523).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The metadata server of Google's machines, and its path of the default account's token.
const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// The largest key file that is read.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The source of Google's tokens.
pub(crate) enum GoogleTokens {
    /// A service account's own key.
    ServiceAccount(Box<ServiceAccount>),
    /// The metadata server.
    Metadata(Uri),
}

/// A service account that can sign for itself.
pub(crate) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    token_uri: Uri,
    key: RsaKeyPair,
    /// The hash of the key file.
    sha256: [u8; 32],
}

/// The key file of a service account.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key_id: Option<String>,
    #[serde(default)]
    private_key: String,
    #[serde(default = "default_token_uri")]
    token_uri: String,
}

/// The answer to a request for a token.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

fn default_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl GoogleTokens {
    /// Reads what `credentials` name.
    ///
    /// # Errors
    /// Says what is wrong with the file or the server's name, and never what the file holds.
    pub(super) fn resolve(credentials: &GoogleCredentials, place: &ConfigSurroundings<'_>) -> Result<Self, String> {
        match credentials {
            GoogleCredentials::Metadata => {
                let host = (place.environment)("GCE_METADATA_HOST").filter(|host| !host.is_empty());
                let url = format!("http://{}{METADATA_PATH}", host.as_deref().unwrap_or(METADATA_HOST));
                let url: Option<Uri> = url.parse().ok().filter(|url| HttpOrigin::of(url).is_some());
                url.map(Self::Metadata).ok_or_else(|| "`GCE_METADATA_HOST` is not a host".to_owned())
            }
            GoogleCredentials::File(file) => {
                let path = place.base_dir.join(file);
                let text = RegularFile::open(&path, MAX_FILE_BYTES).and_then(RegularFile::text);
                let text = text.map_err(|error| format!("cannot read the key file: {error}"))?;
                ServiceAccount::read(&text).map(|account| Self::ServiceAccount(Box::new(account)))
            }
        }
    }
}

impl ServiceAccount {
    fn read(text: &str) -> Result<Self, String> {
        let file: KeyFile =
            serde_json::from_str(text).map_err(|_| "the key file is not JSON with the keys of one".to_owned())?;
        if file.kind != "service_account" {
            return Err("the key file is of another kind (allowed: `type` `service_account`)".to_owned());
        }
        let token_uri = file.token_uri.parse().ok().filter(is_guarded);
        let token_uri = token_uri.ok_or("the key file's `token_uri` is no https URL")?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes()).ok();
        let key = key.and_then(|key| RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok());
        let key = key.ok_or("the key file's `private_key` is no RSA key in PKCS #8")?;
        if file.client_email.is_empty() {
            return Err("the key file has no `client_email`".to_owned());
        }
        let sha256 = Sha256::digest(text.as_bytes()).into();
        Ok(Self { email: file.client_email, key_id: file.private_key_id, token_uri, key, sha256 })
    }

    /// Returns the JWT that is exchanged for a token (RFC 7519, signed as in RFC 7518, 3.3).
    fn assertion(&self, now: SystemTime) -> Result<String, FetchError> {
        let issued = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut head = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key_id {
            head["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri.to_string(), "iat": issued,
            "exp": issued + LIFETIME.as_secs(),
        });
        let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let done = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
        done.map_err(|_| FetchError::Signature)?;
        Ok(format!("{signed}.{}", encoded(&signature)))
    }

    fn request(&self, now: SystemTime) -> Result<Request<Bytes>, FetchError> {
        let assertion = self.assertion(now)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("grant_type", GRANT).append_pair("assertion", &assertion).finish();
        let request = Request::post(self.token_uri.clone());
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(request.body(body.into())?)
    }
}

/// Tells whether a URL keeps what is sent there to itself: `https`, or a server on this machine. One with a user's
/// password is none that is asked, and would be shown.
pub(super) fn is_guarded(url: &Uri) -> bool {
    if HttpOrigin::of(url).is_none() {
        return false;
    }
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = || host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_here(),
        _ => false,
    }
}

impl CredentialSource for GoogleTokens {
    /// The value of `Authorization`, marked sensitive.
    type Credential = HeaderValue;

    async fn fetch(&self) -> Result<FetchedCredential<HeaderValue>, FetchError> {
        let request = match self {
            Self::ServiceAccount(account) => account.request(SystemTime::now())?,
            Self::Metadata(url) => Request::get(url.clone()).header("metadata-flavor", "Google").body(Bytes::new())?,
        };
        token_of(&ask(request).await?)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ServiceAccount(one), Self::ServiceAccount(other)) => one.sha256 == other.sha256,
            (Self::Metadata(one), Self::Metadata(other)) => one == other,
            _ => false,
        }
    }
}

fn token_of(body: &[u8]) -> Result<FetchedCredential<HeaderValue>, FetchError> {
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| FetchError::Unreadable("holds no token"))?;
    if answer.expires_in == 0 {
        return Err(FetchError::Unreadable("holds a token that has expired"));
    }
    let value = HeaderValue::from_str(&format!("Bearer {}", answer.access_token));
    let mut value = value.map_err(|_| FetchError::Unreadable("holds a token that no header can carry"))?;
    value.set_sensitive(true);
    Ok(FetchedCredential { value, lifetime: Some(Duration::from_secs(answer.expires_in)) })
}
