//! The HTTP client of requests that Pointsman makes itself: exports of traces, labels, questions to judges, health
//! checks.
//!
//! Built on hyper's connections and rustls. A caller names the [`Destination`]: the address, the name that a
//! certificate must have, the authorities that are trusted, the HTTP version. Answers are read whole and up to a limit.
//! Traffic of clients does not pass here: Pingora carries it.

mod client;
mod connection;
mod destination;
mod error;
mod failure_breaker;
mod failure_spell;
mod kept;
mod retry_after;
mod tls;

pub use self::client::{AnswerHeadTime, ExchangeLimits, HttpClient};
pub use self::connection::{secured, secured_http2};
pub use self::destination::{Destination, HttpOrigin, HttpVersion, TlsTerms};
pub use self::error::HttpError;
pub use self::failure_breaker::FailureBreaker;
pub use self::failure_spell::FailureSpell;
pub use self::retry_after::{LONGEST_WAIT, RETRY_AFTER_MS, retry_after};
pub use self::tls::{CertificateAuthorities, CertificateError, ClientIdentity, ServerTrust};
