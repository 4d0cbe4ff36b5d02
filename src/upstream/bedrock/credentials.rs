//! The credentials that requests to AWS are signed with: fixed ones, or those of a role, which expire.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Uri};
use pointsman_core::config::{AwsAccessKey, AwsCredentialSource, AwsProfile, RegularFile};
use pointsman_http_client::HttpOrigin;
use serde::Deserialize;

use super::profile::credentials_of_profile;
use crate::upstream::ConfigSurroundings;
use crate::upstream::renewal::fetch::{FetchError, ask, lifetime_until};
use crate::upstream::renewal::{CredentialSource, FetchedCredential};
use crate::upstream::vertex::is_guarded;

/// The server of a machine's metadata.
const INSTANCE_SERVER: &str = "http://169.254.169.254";
/// The server of a container's credentials on ECS, which `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is at.
const CONTAINER_SERVER: &str = "http://169.254.170.2";
/// The addresses of containers' servers that may be asked without TLS: those of ECS and EKS.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// The path of a machine's roles.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// The largest file of credentials or of a token.
const MAX_FILE_BYTES: u64 = 256 << 10;

/// An access key. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AwsCredentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session_token: Option<String>,
}

/// The source of the credentials of a provider.
#[derive(PartialEq, Eq)]
pub(crate) enum AwsCredentialServer {
    /// None: the credentials are fixed.
    Fixed(AwsCredentials),
    /// The server of a container's credentials.
    Container { url: Uri, token: ContainerToken },
    /// The server of a machine's metadata (IMDSv2), without a path.
    Instance(String),
}

/// The token that a container's server wants to see.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ContainerToken {
    None,
    Fixed(String),
    /// A file that is written anew from time to time.
    File(PathBuf),
}

/// The answer of either server.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialAnswer {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

impl AwsCredentialServer {
    /// Finds the source that `section` names, and reads what does not expire.
    ///
    /// # Errors
    /// Says what is missing, and never what was found.
    pub(crate) fn resolve(section: &AwsCredentialSource, place: &ConfigSurroundings<'_>) -> Result<Self, String> {
        match section {
            AwsCredentialSource::Environment => of_environment(place).map(Self::Fixed),
            AwsCredentialSource::Container => container(place),
            AwsCredentialSource::Instance => instance(place),
            AwsCredentialSource::Profile(AwsProfile { file, profile }) => {
                let text = RegularFile::open(&place.base_dir.join(file), MAX_FILE_BYTES).and_then(RegularFile::text);
                let text = text.map_err(|error| format!("cannot read the credentials file: {error}"))?;
                credentials_of_profile(&text, profile).map(Self::Fixed)
            }
            AwsCredentialSource::AccessKey(AwsAccessKey { id, secret, session_token }) => {
                let read = |source: &pointsman_core::config::SecretSource| {
                    source.resolve(place.environment, place.base_dir).map(|secret| secret.expose().to_owned())
                };
                let session_token = session_token.as_ref().map(read).transpose()?;
                Ok(Self::Fixed(AwsCredentials { id: read(id)?, secret: read(secret)?, session_token }))
            }
        }
    }
}

fn variable(place: &ConfigSurroundings<'_>, name: &str) -> Option<String> {
    (place.environment)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn of_environment(place: &ConfigSurroundings<'_>) -> Result<AwsCredentials, String> {
    let wanted = |name: &str| variable(place, name).ok_or_else(|| format!("environment variable `{name}` is not set"));
    let credentials = AwsCredentials {
        id: wanted("AWS_ACCESS_KEY_ID")?,
        secret: wanted("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable(place, "AWS_SESSION_TOKEN"),
    };
    credentials.checked()
}

fn container(place: &ConfigSurroundings<'_>) -> Result<AwsCredentialServer, String> {
    let relative = variable(place, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = variable(place, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let text = relative.map(|path| format!("{CONTAINER_SERVER}{path}")).or(full).ok_or(
        "neither `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` nor `AWS_CONTAINER_CREDENTIALS_FULL_URI` is set in the environment",
    )?;
    let url: Option<Uri> = text.parse().ok().filter(|url| is_guarded(url) || is_container_host(url));
    let url = url.ok_or(
        "the container's credentials are at a URL that may not be asked (allowed: https, or the machine itself)",
    )?;
    let file = variable(place, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|file| ContainerToken::File(file.into()));
    let fixed = || variable(place, "AWS_CONTAINER_AUTHORIZATION_TOKEN").map(ContainerToken::Fixed);
    let token = file.or_else(fixed).unwrap_or(ContainerToken::None);
    Ok(AwsCredentialServer::Container { url, token })
}

fn instance(place: &ConfigSurroundings<'_>) -> Result<AwsCredentialServer, String> {
    let server = variable(place, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let server = server.unwrap_or_else(|| INSTANCE_SERVER.to_owned());
    let url: Option<Uri> = server.parse().ok().filter(|url| HttpOrigin::of(url).is_some());
    url.ok_or("`AWS_EC2_METADATA_SERVICE_ENDPOINT` is not a URL that can be asked")?;
    Ok(AwsCredentialServer::Instance(server.trim_end_matches('/').to_owned()))
}

fn is_container_host(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = host.parse().ok().filter(|_| HttpOrigin::of(url).is_some());
    CONTAINER_HOSTS.iter().any(|known| known.parse().ok() == address && address.is_some())
}

impl AwsCredentials {
    /// Returns them, where both parts are what a header can carry.
    pub(super) fn checked(self) -> Result<Self, String> {
        let parts = [Some(&self.id), Some(&self.secret), self.session_token.as_ref()];
        let is_plain = |part: &String| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        if parts.into_iter().flatten().all(is_plain) {
            return Ok(self);
        }
        Err("the access key holds characters that no key has (allowed: printable ASCII, no spaces)".to_owned())
    }
}

impl ContainerToken {
    /// Reads the token; a file of it on a thread that may wait for a disk.
    async fn read(&self) -> Result<Option<String>, FetchError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Fixed(token) => return Ok(Some(token.clone())),
            Self::File(path) => path.clone(),
        };
        let read = move || {
            let text = RegularFile::open(&path, MAX_FILE_BYTES).and_then(RegularFile::text);
            text.map_err(|error| error.to_string())
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a token is read once in its life, and its file may be on a slow mount"
        )]
        let read = tokio::task::spawn_blocking(read).await;
        let text = read.unwrap_or_else(|error| Err(error.to_string()));
        let text = text.map_err(|error| FetchError::File(format!("cannot read the token's file: {error}")))?;
        Ok(Some(text.trim().to_owned()))
    }
}

impl CredentialSource for AwsCredentialServer {
    type Credential = AwsCredentials;

    async fn fetch(&self) -> Result<FetchedCredential<AwsCredentials>, FetchError> {
        match self {
            Self::Fixed(credentials) => Ok(FetchedCredential { value: credentials.clone(), lifetime: None }),
            Self::Container { url, token } => {
                let mut request = Request::get(url.clone());
                if let Some(token) = token.read().await? {
                    request = request.header(http::header::AUTHORIZATION, token);
                }
                credentials_of(&ask(request.body(Bytes::new())?).await?, SystemTime::now())
            }
            Self::Instance(server) => of_instance(server).await,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Asks a machine's metadata for the credentials of its role, by a token of the session (IMDSv2).
async fn of_instance(server: &str) -> Result<FetchedCredential<AwsCredentials>, FetchError> {
    let request = Request::builder().method(Method::PUT).uri(format!("{server}/latest/api/token"));
    let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", "21600").body(Bytes::new())?;
    let token = ask(request).await?;
    let get = |path: &str| {
        let request = Request::get(format!("{server}{path}"));
        request.header("x-aws-ec2-metadata-token", &token[..]).body(Bytes::new())
    };
    let roles = ask(get(ROLES)?).await?;
    let role = str::from_utf8(&roles).ok().and_then(|text| text.lines().next()).map(str::trim);
    let role = role.filter(|role| !role.is_empty()).ok_or(FetchError::Unreadable("names no role"))?;
    credentials_of(&ask(get(&format!("{ROLES}{role}"))?).await?, SystemTime::now())
}

fn credentials_of(body: &[u8], now: SystemTime) -> Result<FetchedCredential<AwsCredentials>, FetchError> {
    let unreadable = FetchError::Unreadable;
    let answer: CredentialAnswer = serde_json::from_slice(body).map_err(|_| unreadable("holds no credentials"))?;
    let CredentialAnswer { access_key_id: id, secret_access_key: secret, token: session_token, expiration } = answer;
    let lifetime: Option<Duration> = match &expiration {
        Some(moment) => Some(lifetime_until(moment, now).ok_or(unreadable("holds credentials that have expired"))?),
        None => None,
    };
    let value = AwsCredentials { id, secret, session_token };
    let value = value.checked().map_err(|_| unreadable("holds credentials that no header can carry"))?;
    Ok(FetchedCredential { value, lifetime })
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for AwsCredentialServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed(***)",
            Self::Container { .. } => "Container",
            Self::Instance(_) => "Instance",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn resolved(section: &AwsCredentialSource, variables: &[(&str, &str)]) -> Result<AwsCredentialServer, String> {
        let environment =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let place = ConfigSurroundings { environment: &environment, base_dir: Path::new(".") };
        AwsCredentialServer::resolve(section, &place)
    }

    #[test]
    fn the_environment_has_both_parts_or_says_which_is_missing() {
        let both = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "s3cret"), ("AWS_SESSION_TOKEN", "")];

        let server = resolved(&AwsCredentialSource::Environment, &both).expect("both");
        let Err(missing) = resolved(&AwsCredentialSource::Environment, &both[..1]) else { panic!("one is missing") };

        let fixed = AwsCredentials { id: "AKID".into(), secret: "s3cret".into(), session_token: None };
        assert!(server == AwsCredentialServer::Fixed(fixed));
        assert_eq!(missing, "environment variable `AWS_SECRET_ACCESS_KEY` is not set");
        assert_eq!(format!("{server:?}"), "Fixed(***)");
    }

    #[test]
    fn a_container_s_server_is_on_the_machine_or_speaks_tls() {
        for (url, is_allowed) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://127.0.0.1:8080/x", true),
            ("https://credentials.example/x", true),
            ("https://user:planted@credentials.example/x", false),
            ("http://user:planted@169.254.170.23/x", false),
            ("http://credentials.example/x", false),
            ("http://10.0.0.1/x", false),
            ("file:///etc/passwd", false),
        ] {
            let found = resolved(&AwsCredentialSource::Container, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);

            assert_eq!(found.is_ok(), is_allowed, "{url}");
        }
        assert!(resolved(&AwsCredentialSource::Container, &[]).is_err());
    }

    #[test]
    fn a_machine_s_metadata_is_at_a_url_that_can_be_asked() {
        for (url, is_allowed) in [
            ("http://169.254.169.254/", true),
            ("http://[fd00:ec2::254]", true),
            ("metadata", false),
            ("http://u:p@h", false),
        ] {
            let found = resolved(&AwsCredentialSource::Instance, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)]);

            assert_eq!(found.is_ok(), is_allowed, "{url}");
        }
        assert!(resolved(&AwsCredentialSource::Instance, &[]).is_ok());
    }

    #[test]
    fn credentials_are_good_until_they_expire() {
        let body = |expiration: &str| {
            format!(r#"{{"AccessKeyId": "AKID", "SecretAccessKey": "s", "Token": "t"{expiration}, "Code": "Success"}}"#)
        };
        let now = humantime::parse_rfc3339("2026-11-30T04:00:00Z").expect("a moment");
        let lifetime = |expiration: &str| Some(credentials_of(body(expiration).as_bytes(), now).ok()?.lifetime);

        assert_eq!(lifetime(r#", "Expiration": "2026-11-30T04:10:00Z""#), Some(Some(Duration::from_secs(600))));
        assert_eq!(lifetime(""), Some(None));
        assert_eq!(lifetime(r#", "Expiration": "2026-11-30T03:10:00Z""#), None);
        assert!(credentials_of(b"{}", now).is_err());
    }
}
