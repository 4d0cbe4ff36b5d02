//! The terms on which the admin plane serves: who may use it, and its certificates.
//!
//! They belong to the newest load. A rollback keeps them, because what served before may let in callers that were taken
//! out since, or everybody.

use pointsman_core::config::AdminConfig;

use crate::certificates::AdminServerTls;

/// The section `admin` and what its files hold.
#[derive(Debug, PartialEq)]
pub(crate) struct AdminTerms {
    /// The section as the configuration has it.
    pub(crate) section: AdminConfig,
    /// TLS, where the listener speaks it.
    pub(crate) tls: Option<AdminServerTls>,
}
