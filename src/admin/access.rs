//! The check of who may do what: after the guard has kept web pages out, and before a route runs.
//!
//! Every request has a caller or is refused, unless its route is open. Each change, made or refused, leaves an audit
//! line. Callers are known by a header field or by the connection, never by a cookie, so that no page can make a browser
//! send what only the operator may.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use pointsman_core::config::{AdminRole, MetricsAccess};
use pointsman_telemetry::{AdminRefusal, AuditLine, AuditOutcome};
use serde_json::Value;

use super::caller::{AdminCaller, Credential, PeerConnection, RequestCaller, token};
use super::failures::TokenFailures;
use super::routes::{self, AdminRoute, RouteAccess};
use super::state::{AdminError, AdminPlane};
use crate::proxy::rejection::Rejection;
use crate::snapshot::AdminTerms;

/// The check's state: the process behind the plane, and the wrong tokens of late.
pub(super) struct AccessCheck {
    plane: Arc<dyn AdminPlane>,
    failures: TokenFailures,
}

/// The object of a change, which its route names for the audit line.
#[derive(Debug, Clone, Default)]
pub(super) struct AuditSubject(Arc<OnceLock<String>>);

/// A request as the check sees it.
struct CheckedRequest {
    /// The route's row; `None` for what no row has.
    route: Option<&'static AdminRoute>,
    /// The method and the path's pattern.
    shown: String,
    is_known_path: bool,
    peer: PeerConnection,
}

/// The reason why a caller may not do what it asks for.
enum Refusal {
    NoCredential,
    WrongToken,
    TooManyFailures(Duration),
    RoleTooLow(AdminCaller, AdminRole),
}

impl AccessCheck {
    pub(super) fn of(plane: &Arc<dyn AdminPlane>) -> Arc<Self> {
        Arc::new(Self { plane: Arc::clone(plane), failures: TokenFailures::default() })
    }

    /// Finds the caller of a request; `None` for a stranger who may ask this.
    fn caller(
        &self,
        terms: &AdminTerms,
        checked: &CheckedRequest,
        request: &Request<Body>,
    ) -> Result<Option<AdminCaller>, Refusal> {
        let needed = checked.needed(terms);
        match (self.credential(terms, checked, request), needed) {
            (Ok(Credential::Known(caller)), Some(needed)) if caller.role < needed => {
                Err(Refusal::RoleTooLow(caller, needed))
            }
            (Ok(Credential::Known(caller)), _) => Ok(Some(caller)),
            (Ok(_) | Err(_), None) => Ok(None),
            (Ok(Credential::Wrong), Some(_)) => Err(Refusal::WrongToken),
            (Ok(Credential::Absent), Some(_)) => Err(Refusal::NoCredential),
            (Err(wait), Some(_)) => Err(Refusal::TooManyFailures(wait)),
        }
    }

    /// Reads the credential of a request; a wrong token counts against its address.
    ///
    /// # Errors
    /// How long the address has to wait before a token from it is looked at.
    fn credential(
        &self,
        terms: &AdminTerms,
        checked: &CheckedRequest,
        request: &Request<Body>,
    ) -> Result<Credential, Duration> {
        let address = checked.address();
        let has_token = terms.section.auth.is_some() && token(request.headers()).is_some();
        if let Some(wait) = self.failures.wait(address).filter(|_| has_token) {
            return Err(wait);
        }
        let credential = Credential::of(terms, &checked.peer, request.headers());
        if credential == Credential::Wrong {
            self.failures.note(address);
            tracing::warn!(peer = address.map(tracing::field::display), "A wrong token for the admin plane");
        }
        Ok(credential)
    }
}

impl CheckedRequest {
    fn of(request: &Request<Body>) -> Self {
        let pattern = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let method = request.method().as_str();
        Self {
            route: pattern.and_then(|pattern| routes::find(method, pattern)),
            shown: format!("{method} {}", pattern.unwrap_or("?")),
            is_known_path: pattern.is_some(),
            peer: request.extensions().get::<PeerConnection>().cloned().unwrap_or_default(),
        }
    }

    /// Returns the role that the request needs; `None` where strangers may ask it.
    fn needed(&self, terms: &AdminTerms) -> Option<AdminRole> {
        let has_open_metrics = terms.section.auth.as_ref().is_some_and(|auth| auth.metrics == MetricsAccess::Open);
        match self.route.map(|route| route.access) {
            Some(RouteAccess::Open) => None,
            Some(RouteAccess::Metrics) => (!has_open_metrics).then_some(AdminRole::View),
            Some(RouteAccess::Role(role)) => Some(role),
            // A route that nobody has said anything of.
            None if self.is_known_path => Some(AdminRole::Edit),
            None => Some(AdminRole::View),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.peer.address.map(|address| address.ip().to_canonical())
    }

    fn change(&self) -> Option<&'static str> {
        self.route.and_then(|route| route.change)
    }

    /// Returns the audit line of a change, before its outcome is known.
    fn line<'r>(&'r self, action: &'static str, caller: &'r AdminCaller, generation: u64) -> AuditLine<'r> {
        AuditLine {
            action,
            subject: None,
            caller_kind: caller.name.kind(),
            caller: caller.name.as_str(),
            role: Some(caller.role.as_str()),
            peer: self.address(),
            route: Some(&self.shown),
            status: None,
            outcome: AuditOutcome::Refused,
            generation_before: Some(generation),
            generation_after: Some(generation),
        }
    }
}

impl AuditSubject {
    /// Says what the change is about; the first word stands.
    pub(super) fn name(&self, subject: impl Into<String>) {
        let _ = self.0.set(subject.into());
    }
}

/// Lets a request through whose caller may ask it, and writes down what changes.
pub(super) async fn check(State(check): State<Arc<AccessCheck>>, mut request: Request<Body>, next: Next) -> Response {
    let (terms, checked) = (check.plane.terms(), CheckedRequest::of(&request));
    let generation = check.plane.generation();
    let caller = match check.caller(&terms, &checked, &request) {
        Ok(caller) => caller,
        Err(refusal) => {
            check.plane.refused(refusal.reason());
            if let (Refusal::RoleTooLow(caller, _), Some(action)) = (&refusal, checked.change()) {
                let status = Some(StatusCode::FORBIDDEN.as_u16());
                AuditLine { status, ..checked.line(action, caller, generation) }.emit();
            }
            return refusal.into_response();
        }
    };
    let subject = AuditSubject::default();
    request.extensions_mut().insert(RequestCaller(caller.clone()));
    request.extensions_mut().insert(subject.clone());
    let (Some(action), Some(caller)) = (checked.change(), caller) else { return next.run(request).await };
    let change = async move {
        let answer = next.run(request).await;
        let status = answer.status().as_u16();
        AuditLine {
            subject: subject.0.get().map(String::as_str),
            status: Some(status),
            outcome: AuditOutcome::of_status(status),
            generation_after: Some(check.plane.generation()),
            ..checked.line(action, &caller, generation)
        }
        .emit();
        answer
    };
    // On its own: a change is made to its end and written down, whether or not its caller waits for it.
    tokio::spawn(change).await.unwrap_or_else(|_| AdminError::from(Rejection::Internal).into_response())
}

/// Answers `GET /v1/whoami`: who the caller is taken for, and what it may do.
pub(super) async fn whoami(
    State(plane): State<Arc<dyn AdminPlane>>,
    Extension(RequestCaller(caller)): Extension<RequestCaller>,
) -> Result<Json<Value>, AdminError> {
    let caller = caller.ok_or_else(AdminError::no_credential)?;
    Ok(Json(caller.describe(&plane.terms())))
}

impl Refusal {
    const fn reason(&self) -> AdminRefusal {
        match self {
            Self::NoCredential => AdminRefusal::NoCredential,
            Self::WrongToken => AdminRefusal::WrongToken,
            Self::TooManyFailures(_) => AdminRefusal::TooManyFailures,
            Self::RoleTooLow(..) => AdminRefusal::RoleTooLow,
        }
    }

    fn into_response(self) -> Response {
        const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"pointsman\"");
        const INVALID: HeaderValue = HeaderValue::from_static("Bearer realm=\"pointsman\", error=\"invalid_token\"");
        match self {
            Self::NoCredential => ([(header::WWW_AUTHENTICATE, BEARER)], AdminError::no_credential()).into_response(),
            Self::WrongToken => ([(header::WWW_AUTHENTICATE, INVALID)], AdminError::wrong_token()).into_response(),
            Self::TooManyFailures(wait) => {
                let seconds = HeaderValue::from(wait.as_secs() + 1);
                ([(header::RETRY_AFTER, seconds)], AdminError::too_many_failures()).into_response()
            }
            Self::RoleTooLow(caller, needed) => AdminError::role_too_low(&caller, needed).into_response(),
        }
    }
}
