//! The informational answers of an upstream: the few that may come before the real one, and the 101 that ends HTTP.

use http::StatusCode;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::UpstreamAttempts;

/// The most informational answers that one attempt may bring before its real one. Servers send one, or a 102 now and
/// then while they work; each goes to the client, and counts as a sign of life.
const MOST: u32 = 100;

impl UpstreamAttempts {
    /// Lets an informational answer through to the client.
    ///
    /// # Errors
    /// For a 101 whose request asked for none, or is routed: behind it, nobody reads what goes to and fro. And for more
    /// answers than anybody needs. The connection ends with the attempt.
    pub(in crate::proxy) fn inform(&mut self, session: &Session, status: StatusCode) -> Result<()> {
        self.informed += 1;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let is_asked = session.as_downstream().is_upgrade_req() && self.asks_for_nothing_known();
            return if is_asked { Ok(()) } else { refused("it switched protocols, and nobody had asked it to") };
        }
        if self.informed > MOST { refused("its informational answers do not end") } else { Ok(()) }
    }

    /// Returns whether the request is only passed on, on a path that no dialect reads.
    fn asks_for_nothing_known(&self) -> bool {
        self.target().is_none() && self.body.asks_for().is_none()
    }
}

fn refused(why: &'static str) -> Result<()> {
    Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up())
}
