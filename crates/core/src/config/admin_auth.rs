//! The sections `admin.auth` and `admin.tls`: who may use the admin plane, for what, and how its listener proves itself.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edge::{KeyHash, ListenerTls};
use super::values::Name;

/// The callers that the admin plane knows. Without this section everybody who reaches the listener may do everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminAuth {
    /// Tokens that callers send as `Authorization: Bearer`, known here by their hashes. Default none.
    #[serde(default)]
    pub tokens: Vec<AdminToken>,
    /// Client certificates that callers show; `admin.tls.client_ca` says who vouches for them. Default none.
    #[serde(default)]
    pub certificates: Vec<AdminCertificate>,
    /// Who may read `/metrics`. Default `view`.
    #[serde(default)]
    pub metrics: MetricsAccess,
}

/// A caller that is known by a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// The caller's name in the audit lines. Two tokens of one name are one caller whose token is being rotated.
    pub name: Name,
    /// The SHA-256 of the token, as `pointsman hash-key` prints it.
    pub sha256: KeyHash,
    /// What the caller may do.
    pub role: AdminRole,
}

/// A caller that is known by a client certificate; exactly one of `common_name` and `san` says which.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminCertificate {
    /// The caller's name in the audit lines.
    pub name: Name,
    /// The common name of the certificate's subject.
    #[serde(default)]
    pub common_name: Option<String>,
    /// One of the certificate's alternative names: of DNS, an e-mail address, or a URI such as a SPIFFE id.
    #[serde(default)]
    pub san: Option<String>,
    /// What the caller may do.
    pub role: AdminRole,
}

/// The role of a caller of the admin plane; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRole {
    /// Reads: metrics, the configuration without secrets, decisions, what serves.
    View,
    /// Asks for decisions, which may cost what judges cost, and sends requests from the playground.
    Decide,
    /// Changes what serves without changing the file: reloads, rolls back, turns kill switches, rates answers.
    Operate,
    /// Changes the configuration file from the console, where `admin.console.edit` lets it.
    Edit,
}

/// The access to `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Callers with the role `view` or more.
    #[default]
    View,
    /// Everybody who reaches the listener: for scrapers that have no token.
    Open,
}

/// The certificates of a listener whose callers may show theirs; read again when the files change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MutualTls {
    /// The certificate chain in PEM, the leaf first; relative to the configuration file's folder.
    pub cert: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
    /// The authorities in PEM that vouch for client certificates. Callers of the admin listener need none as long as they have
    /// a token; those of listeners that speak gRPC need one.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

impl AdminRole {
    /// Every role, from the one that may do least.
    pub const ALL: [Self; 4] = [Self::View, Self::Decide, Self::Operate, Self::Edit];

    /// Returns the role as the configuration spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Decide => "decide",
            Self::Operate => "operate",
            Self::Edit => "edit",
        }
    }
}

impl fmt::Display for AdminRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl MutualTls {
    /// Returns the listener's own certificate and key.
    #[must_use]
    pub fn listener(&self) -> ListenerTls {
        ListenerTls { cert: self.cert.clone(), key: self.key.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(AdminRole::ALL.is_sorted());
        assert!(AdminRole::Edit > AdminRole::Operate && AdminRole::Decide > AdminRole::View);
    }
}
