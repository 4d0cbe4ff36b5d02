//! The caller of a request to the admin plane: known by a token, by a client certificate, or by nothing where the
//! configuration asks nobody.
//!
//! Tokens are known by their SHA-256 alone, and every stored hash is compared in constant time; tokens are long and
//! random, so no slow hash is needed.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use pointsman_core::config::{AdminAuth, AdminCertificate, AdminRole, Name};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::certificates::CallerCertificate;
use crate::clients::hash_key;
use crate::snapshot::AdminTerms;

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 4096;

/// The connection that a request came by.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerConnection {
    /// The address of the other side.
    pub(super) address: Option<SocketAddr>,
    /// The certificate that the other side has shown.
    pub(super) certificate: Option<Arc<CallerCertificate>>,
}

/// Someone who may use the admin plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdminCaller {
    pub(super) name: CallerName,
    pub(super) role: AdminRole,
}

/// The way in which a caller is known, and its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallerName {
    /// The caller has a token.
    Token(Name),
    /// The caller has a client certificate.
    Certificate(Name),
    /// Nobody is asked, and the caller is on this machine.
    Loopback,
    /// Nobody is asked, and the caller is on another machine.
    Open,
}

/// The credential of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// One that counts: the caller.
    Known(AdminCaller),
    /// A token that is nobody's.
    Wrong,
    /// None.
    Absent,
}

/// The caller of a request, for the routes: `None` where a route is open and the caller is a stranger.
#[derive(Debug, Clone)]
pub(super) struct RequestCaller(pub(super) Option<AdminCaller>);

impl Credential {
    /// Finds the caller of a request. A token counts before a certificate.
    pub(super) fn of(terms: &AdminTerms, peer: &PeerConnection, headers: &HeaderMap) -> Self {
        let Some(auth) = &terms.section.auth else {
            let is_near = peer.address.is_some_and(|address| address.ip().to_canonical().is_loopback());
            let name = if is_near { CallerName::Loopback } else { CallerName::Open };
            return Self::Known(AdminCaller { name, role: AdminRole::Edit });
        };
        match token(headers) {
            Some(token) => of_token(auth, token).map_or(Self::Wrong, Self::Known),
            None => of_certificate(terms, auth, peer).map_or(Self::Absent, Self::Known),
        }
    }
}

impl CallerName {
    /// Returns the way in which the caller is known, as audit lines say it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Certificate(_) => "certificate",
            Self::Loopback => "loopback",
            Self::Open => "open",
        }
    }

    /// Returns the caller's name.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Token(name) | Self::Certificate(name) => name.as_str(),
            Self::Loopback => "loopback",
            Self::Open => "anyone",
        }
    }
}

impl AdminCaller {
    /// Describes the caller, for itself; `may_edit` says whether the file lets the console change it.
    pub(super) fn describe(&self, terms: &AdminTerms) -> Value {
        let roles: Vec<_> = AdminRole::ALL.into_iter().filter(|role| *role <= self.role).collect();
        json!({
            "name": self.name.as_str(),
            "kind": self.name.kind(),
            "role": self.role,
            "roles": roles,
            "edits": self.may_edit(terms),
        })
    }

    /// Returns whether the caller may change the configuration file.
    pub(super) fn may_edit(&self, terms: &AdminTerms) -> bool {
        self.role >= AdminRole::Edit && terms.section.console.edit
    }
}

impl RequestCaller {
    /// Returns whether the caller may do what `role` may.
    pub(super) fn may(&self, role: AdminRole) -> bool {
        self.0.as_ref().is_some_and(|caller| caller.role >= role)
    }

    /// Returns whether the caller may change the configuration file.
    pub(super) fn may_edit(&self, terms: &AdminTerms) -> bool {
        self.0.as_ref().is_some_and(|caller| caller.may_edit(terms))
    }
}

/// Returns the token of a request; an empty one, which is nobody's, where what is sent is no single token.
pub(super) fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let first = sent.next()?.as_bytes();
    let is_single = sent.next().is_none() && first.len() <= MAX_TOKEN_BYTES;
    let parts = first.split_at_checked("bearer ".len()).filter(|_| is_single);
    let token = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, token)| token);
    Some(token.unwrap_or_default().trim_ascii())
}

/// Returns whose token this is. Takes as long for a wrong one as for a right one.
fn of_token(auth: &AdminAuth, token: &[u8]) -> Option<AdminCaller> {
    let hash = hash_key(token);
    let mut found = None;
    for known in &auth.tokens {
        if bool::from(known.sha256.bytes().ct_eq(hash.bytes())) {
            found = Some(known);
        }
    }
    let found = found.filter(|_| !token.is_empty())?;
    Some(AdminCaller { name: CallerName::Token(found.name.clone()), role: found.role })
}

fn of_certificate(terms: &AdminTerms, auth: &AdminAuth, peer: &PeerConnection) -> Option<AdminCaller> {
    let shown = peer.certificate.as_ref()?;
    terms.tls.as_ref().filter(|tls| tls.trusts(shown))?;
    let is_meant = |own: &&AdminCertificate| match (&own.common_name, &own.san) {
        (Some(common_name), _) => shown.common_names.contains(common_name),
        (None, Some(san)) => shown.sans.contains(san),
        (None, None) => false,
    };
    let found = auth.certificates.iter().filter(is_meant).max_by_key(|own| own.role)?;
    Some(AdminCaller { name: CallerName::Certificate(found.name.clone()), role: found.role })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_no_single_bearer_token_is_an_empty_one() {
        assert_eq!(token(&headers(&["Bearer abc"])), Some(&b"abc"[..]));
        assert_eq!(token(&headers(&["bearer  abc "])), Some(&b"abc"[..]));
        for bad in [&["Basic abc"][..], &["Bearer"], &["Bearer abc", "Bearer abc"], &[""]] {
            assert_eq!(token(&headers(bad)), Some(&b""[..]), "{bad:?}");
        }
        assert_eq!(token(&headers(&[])), None);
    }
}
