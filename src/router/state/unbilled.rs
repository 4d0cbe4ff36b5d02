//! Responses that were answered before they were made: their usage comes later, to whoever asks for them by id.
//!
//! Kept in this process and bounded; what is pushed out, or asked of another replica, is not billed.

use pointsman_core::config::{Name, TokenPrice};
use pointsman_core::prompt::state::StateName;
use pointsman_core::usage::UsageBounds;
use quick_cache::sync::Cache;

use super::record::StateRecordKey;
use crate::budgets::DeferredSettlement;

/// The most responses that are remembered.
const MOST: usize = 10_000;

/// What the bill of a response needs that nobody has billed yet.
#[derive(Debug, Clone)]
pub(crate) struct UnbilledResponse {
    /// The model of the catalog that makes it; `None` where the request passed through.
    pub model: Option<Name>,
    /// The policy that chose the model, and the models that it had to choose from.
    pub policy: Option<(Name, Vec<Name>)>,
    /// The price of what passed through, where it has one.
    pub price: Option<Box<TokenPrice>>,
    /// The most that it is believed to have used, where the request passed through.
    pub bounds: UsageBounds,
    /// Tokens that were taken from the client's allowance for the prompt.
    pub debited: u64,
    /// What its client's budgets count for it until then.
    pub budget: Option<DeferredSettlement>,
    /// US dollars for the judges that were asked about it.
    pub judges: f64,
}

/// The responses that nobody has billed yet. Outlives reloads.
pub(in crate::router) struct UnbilledResponses(Cache<StateRecordKey, UnbilledResponse>);

impl Default for UnbilledResponses {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl UnbilledResponses {
    pub(in crate::router) fn remember(&self, client: Option<&Name>, name: &StateName, response: UnbilledResponse) {
        self.0.insert(StateRecordKey::of(client, name), response);
    }

    /// Gives a response out once.
    pub(in crate::router) fn take(&self, client: Option<&Name>, name: &StateName) -> Option<UnbilledResponse> {
        self.0.remove(&StateRecordKey::of(client, name)).map(|(_, response)| response)
    }
}
