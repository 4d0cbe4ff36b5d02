//! Errors, which every vendor has in another shape.

use std::borrow::Cow;
use std::time::Duration;

/// An error of an upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeutralError<'b> {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The vendor's words.
    pub message: Cow<'b, str>,
    /// The vendor's code, such as `context_length_exceeded`.
    pub code: Option<Cow<'b, str>>,
    /// The parameter that is wrong, in the upstream's API's words.
    pub param: Option<Cow<'b, str>>,
    /// The wait that the vendor asks for before the request comes again, as far as its body or its header says so.
    pub retry_after: Option<Duration>,
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong (400).
    InvalidRequest,
    /// The key is wrong (401).
    Authentication,
    /// The account may not pay (402).
    Billing,
    /// The key may not do this (403).
    Permission,
    /// There is no such thing (404).
    NotFound,
    /// The request contradicts the state of something (409).
    Conflict,
    /// The body is too large (413).
    TooLarge,
    /// Too much was asked in too short a time (429).
    RateLimit,
    /// The vendor failed (500).
    Server,
    /// The vendor took too long (504).
    Timeout,
    /// The vendor is overloaded (503, 529).
    Overloaded,
}

impl ErrorKind {
    /// Returns the kind of an answer's status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            408 | 504 => Self::Timeout,
            503 | 529 => Self::Overloaded,
            500.. => Self::Server,
            _ => Self::InvalidRequest,
        }
    }

    /// Returns the status that a server answers with in such a case.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Server => 500,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }
}
