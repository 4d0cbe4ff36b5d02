//! Asks a cheap model again what it has answered already, so that its answers can be compared.
//!
//! Owns the exchange with the provider. Knows no client: what is asked is made by the proxy, which also reads what comes
//! back. The provider's key, peers, breaker and `max_concurrent` hold here too.

use std::sync::Arc;

use http::{HeaderValue, header};

use crate::upstream::{Deployment, ModelCall, ProviderAnswer, ProviderCall, ProviderCaller};

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (sample)");

/// The largest answer that is read.
const MAX_BYTES: usize = 1 << 20;

/// Asks a cheap model again.
#[derive(Debug)]
pub(crate) struct AnswerSampler {
    deployment: Arc<Deployment>,
    caller: Arc<ProviderCaller>,
}

impl AnswerSampler {
    /// Makes the sampler of a model.
    pub(crate) fn new(deployment: &Arc<Deployment>, caller: &Arc<ProviderCaller>) -> Self {
        Self { deployment: Arc::clone(deployment), caller: Arc::clone(caller) }
    }

    /// Returns the model that is asked.
    pub(crate) const fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// Asks for one more answer; `None` where there is none. A status that is none of success is an answer too.
    pub(crate) async fn ask(&self, call: &ModelCall) -> Option<ProviderAnswer> {
        let provider = &self.deployment.provider;
        let agent = (header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let fields: Vec<_> = call.fields.iter().cloned().chain([agent]).collect();
        let post = ProviderCall {
            path: &call.path,
            fields: &fields,
            body: &call.body,
            max_bytes: MAX_BYTES,
            silence: Some(provider.timeouts.whole.0),
        };
        self.caller.post(&self.deployment, post).await.ok()
    }
}
