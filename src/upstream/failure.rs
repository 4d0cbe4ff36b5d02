//! The reason why an attempt at a provider failed: one reading of an error, from which every label, verdict and answer
//! follows.
//!
//! Pingora tells failures apart by the error's type and source. Whoever counts, retries, reports to a breaker or
//! answers a client asks [`AttemptFailure`], so that no two of them call one failure by different names.

use pingora::{Error, ErrorSource, ErrorType};
use pointsman_telemetry::AttemptOutcome;

use super::PeerOutcome;

/// The error type of an upstream that was silent for too long. It surfaces on the client's side, where the adapter is.
pub(crate) const SILENT: ErrorType = ErrorType::Custom("UpstreamSilent");

/// The error type of a request that found as many others in flight as its provider takes.
pub(crate) const PROVIDER_BUSY: ErrorType = ErrorType::Custom("ProviderBusy");

/// The error type of an attempt whose model has too small a window for the prompt.
pub(crate) const CONTEXT_LENGTH: ErrorType = ErrorType::Custom("ContextLengthExceeded");

/// The error type of an attempt whose key may not ask for the model.
pub(crate) const NO_MODEL_FOR_KEY: ErrorType = ErrorType::Custom("NoModelForKey");

/// The error type of an attempt whose answer is an error although its status is good.
pub(crate) const ERROR_IN_ANSWER: ErrorType = ErrorType::Custom("ErrorInAnswer");

/// The error type of an attempt whose model's API refuses a parameter.
pub(crate) const REFUSED_PARAMETER: ErrorType = ErrorType::Custom("RefusedParameter");

/// The error type of an attempt whose answer has failed a check.
pub(crate) const ESCALATED: ErrorType = ErrorType::Custom("AnswerFailedCheck");

/// The error type of a request that outstayed a shutdown's drain.
pub(crate) const CUT_OFF: ErrorType = ErrorType::Custom("CutOff");

/// Returns whether an answer with `status` is the upstream's failure, whatever was asked: another one may do better.
pub(crate) const fn is_of_upstream(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// The reason why an attempt at a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptFailure {
    /// No connection: refused, unreachable, or the TLS handshake failed.
    Connect,
    /// No connection, or no end of its TLS handshake, within `timeouts.connect`.
    ConnectTimeout,
    /// A connection that took the request no further, for longer than the provider's timeouts allow.
    SendTimeout,
    /// A request that was sent, and then silence for longer than the provider's timeouts allow.
    Timeout,
    /// A connection that broke, or spoke no HTTP.
    Broken,
    /// An answer with a status that says to try elsewhere.
    Status(u16),
    /// An answer that says that the prompt does not fit the model's context window.
    ContextLength,
    /// An answer that says that there is no such model for the key.
    NoModelForKey,
    /// As many requests in flight as the provider takes: nothing was sent.
    Busy,
    /// A client that left.
    ClientGone,
    /// A client that took too long over a body that is passed on.
    ClientSlow,
    /// The end of a shutdown's drain.
    CutOff,
    /// A fault of Pointsman's own.
    Internal,
}

impl AttemptFailure {
    /// Returns what failed, by the error that Pingora or the body adapter reports.
    #[must_use]
    pub(crate) fn of(error: &Error) -> Self {
        use ErrorType::{
            ConnectError, ConnectNoRoute, ConnectProxyFailure, ConnectRefused, ConnectTimedout, HandshakeError,
            InternalError, InvalidCert, ReadTimedout, SocketError, TLSHandshakeFailure, TLSHandshakeTimedout,
            TLSWantX509Lookup, WriteTimedout,
        };
        match (error.etype(), error.esource()) {
            (etype, _) if *etype == SILENT => Self::Timeout,
            (etype, _) if *etype == PROVIDER_BUSY => Self::Busy,
            (etype, _) if *etype == CONTEXT_LENGTH => Self::ContextLength,
            (etype, _) if *etype == NO_MODEL_FOR_KEY => Self::NoModelForKey,
            (etype, _) if *etype == ERROR_IN_ANSWER || *etype == ESCALATED => Self::Status(502),
            (etype, _) if *etype == CUT_OFF => Self::CutOff,
            (ReadTimedout, ErrorSource::Downstream) => Self::ClientSlow,
            (_, ErrorSource::Downstream) => Self::ClientGone,
            (ConnectTimedout | TLSHandshakeTimedout, _) => Self::ConnectTimeout,
            (
                ConnectRefused | ConnectNoRoute | ConnectError | ConnectProxyFailure | SocketError | HandshakeError
                | TLSHandshakeFailure | TLSWantX509Lookup | InvalidCert,
                _,
            ) => Self::Connect,
            (WriteTimedout, _) => Self::SendTimeout,
            (ReadTimedout, _) => Self::Timeout,
            (_, ErrorSource::Internal) | (InternalError, ErrorSource::Unset) => Self::Internal,
            _ => Self::Broken,
        }
    }

    /// Returns how `pointsman_upstream_attempts_total` counts the attempt.
    #[must_use]
    pub(crate) const fn outcome(self) -> AttemptOutcome {
        match self {
            Self::Connect => AttemptOutcome::ConnectFailed,
            Self::ConnectTimeout => AttemptOutcome::ConnectTimeout,
            Self::SendTimeout | Self::Timeout => AttemptOutcome::Timeout,
            Self::Broken => AttemptOutcome::Broken,
            Self::Status(status) => AttemptOutcome::of_status(status),
            Self::ContextLength | Self::NoModelForKey => AttemptOutcome::ClientError,
            Self::Busy => AttemptOutcome::Shed,
            Self::ClientGone | Self::ClientSlow | Self::CutOff => AttemptOutcome::Cancelled,
            Self::Internal => AttemptOutcome::Internal,
        }
    }

    /// Returns the cause by which `pointsman_fallbacks_total` counts what follows; `None` where nothing does, because
    /// another upstream could do no better.
    #[must_use]
    pub(crate) const fn fallback_cause(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::SendTimeout | Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status(408) => "status_408",
            Self::Status(429) => "status_429",
            Self::Status(500..) => "status_5xx",
            Self::Status(_) | Self::NoModelForKey => "status_4xx",
            Self::ContextLength => "context_length",
            Self::Busy => "provider_busy",
            Self::ClientGone | Self::ClientSlow | Self::CutOff | Self::Internal => return None,
        })
    }

    /// Returns what the peer's breaker is told. A client that left and a fault of our own say nothing about the peer.
    #[must_use]
    pub(crate) const fn peer_outcome(self) -> PeerOutcome {
        match self {
            Self::Connect | Self::ConnectTimeout => PeerOutcome::ConnectFailed,
            Self::SendTimeout | Self::Timeout => PeerOutcome::Timeout,
            Self::Broken => PeerOutcome::Broken,
            Self::Status(status) => PeerOutcome::Answered(status),
            Self::ContextLength => PeerOutcome::Answered(400),
            Self::NoModelForKey => PeerOutcome::Answered(404),
            Self::Busy | Self::ClientGone | Self::ClientSlow | Self::CutOff | Self::Internal => PeerOutcome::Cancelled,
        }
    }

    /// Returns whether another peer of the same provider could do better.
    #[must_use]
    pub(crate) const fn is_of_one_peer(self) -> bool {
        !matches!(self, Self::Busy | Self::ContextLength | Self::NoModelForKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a failure: how the attempt is counted, the cause of a fallback, and what the breaker is told.
    fn names(error: &Error) -> (&'static str, Option<&'static str>, PeerOutcome) {
        let failure = AttemptFailure::of(error);
        (failure.outcome().as_str(), failure.fallback_cause(), failure.peer_outcome())
    }

    fn of_upstream(etype: ErrorType) -> Box<Error> {
        Error::new(etype).into_up()
    }

    #[test]
    fn a_provider_that_cannot_be_reached_is_connect_failed_to_all() {
        for etype in [
            ErrorType::ConnectRefused,
            ErrorType::ConnectNoRoute,
            ErrorType::ConnectError,
            ErrorType::SocketError,
            ErrorType::TLSHandshakeFailure,
            ErrorType::TLSWantX509Lookup,
            ErrorType::InvalidCert,
        ] {
            let name = etype.as_str();

            assert_eq!(
                names(&of_upstream(etype)),
                ("connect_failed", Some("connect"), PeerOutcome::ConnectFailed),
                "{name}"
            );
        }
    }

    #[test]
    fn a_connection_or_a_handshake_that_takes_too_long_is_a_connect_timeout_to_all() {
        for etype in [ErrorType::ConnectTimedout, ErrorType::TLSHandshakeTimedout] {
            let name = etype.as_str();

            assert_eq!(
                names(&of_upstream(etype)),
                ("connect_timeout", Some("connect_timeout"), PeerOutcome::ConnectFailed),
                "{name}"
            );
        }
    }

    #[test]
    fn an_upstream_that_is_silent_once_connected_is_a_timeout_to_all() {
        for error in [
            of_upstream(ErrorType::ReadTimedout),
            of_upstream(ErrorType::WriteTimedout),
            Error::new(SILENT).into_down(), // the adapter surfaces it on the client's side
        ] {
            assert_eq!(names(&error), ("timeout", Some("timeout"), PeerOutcome::Timeout), "{error}");
        }
    }

    #[test]
    fn a_connection_that_breaks_is_broken_to_all() {
        for etype in
            [ErrorType::ReadError, ErrorType::ConnectionClosed, ErrorType::H2Error, ErrorType::InvalidHTTPHeader]
        {
            let name = etype.as_str();

            assert_eq!(names(&of_upstream(etype)), ("broken", Some("broken"), PeerOutcome::Broken), "{name}");
        }
    }

    #[test]
    fn a_provider_that_takes_no_more_is_shed_and_no_fault_of_its_peers() {
        let busy = Error::new(PROVIDER_BUSY);

        assert_eq!(names(&busy), ("shed", Some("provider_busy"), PeerOutcome::Cancelled));
        assert!(!AttemptFailure::Busy.is_of_one_peer());
    }

    #[test]
    fn a_prompt_that_is_too_long_is_an_answer_that_the_next_peer_would_give_too() {
        let too_long = Error::new(CONTEXT_LENGTH).into_down();

        assert_eq!(names(&too_long), ("client_error", Some("context_length"), PeerOutcome::Answered(400)));
        assert!(!AttemptFailure::ContextLength.is_of_one_peer());
    }

    #[test]
    fn a_client_that_left_and_a_drain_that_ended_are_nobody_s_fault_and_not_tried_again() {
        for error in [Error::new(ErrorType::ReadError).into_down(), Error::new(CUT_OFF).into_down()] {
            assert_eq!(names(&error), ("cancelled", None, PeerOutcome::Cancelled), "{error}");
        }
    }

    #[test]
    fn a_fault_of_our_own_is_internal_to_all_and_not_the_provider_s() {
        for error in [Error::new(ErrorType::InvalidHTTPHeader).into_in(), Error::new(ErrorType::InternalError)] {
            assert_eq!(names(&error), ("internal", None, PeerOutcome::Cancelled), "{error}");
        }
    }

    #[test]
    fn a_status_is_counted_as_itself() {
        let names = |status| {
            let failure = AttemptFailure::Status(status);
            (failure.outcome().as_str(), failure.fallback_cause())
        };

        assert_eq!(names(408), ("client_error", Some("status_408")));
        assert_eq!(names(429), ("rate_limited", Some("status_429")));
        assert_eq!(names(404), ("client_error", Some("status_4xx")));
        assert_eq!(names(503), ("server_error", Some("status_5xx")));
    }
}
