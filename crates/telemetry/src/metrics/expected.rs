//! Series that start at zero instead of at their first event, so that a rate over them sees that event.

use pointsman_core::config::Name;
use pointsman_core::scores::ScoreSource;

use super::{AttemptOutcome, ClientOutcome, Metrics, TokenDirection};

impl Metrics {
    /// Starts the counter of every rejection at zero.
    pub fn expect_rejections(&self, codes: &[&'static str]) {
        for code in codes {
            self.rejections.with([(*code).into()]);
        }
    }

    /// Starts the counters of a provider at zero.
    pub fn expect_provider(&self, provider: &Name) {
        for outcome in AttemptOutcome::ALL {
            self.attempts.with([provider.into(), outcome.as_str().into()]);
        }
    }

    /// Starts the counters of a model at zero.
    pub fn expect_model(&self, model: &Name) {
        for direction in TokenDirection::ALL {
            self.tokens.with([model.into(), direction.as_str().into()]);
        }
        self.streaming.expect_model(model);
        self.usage_estimated.with([model.into()]);
        self.usage_unknown.with([model.into()]);
        self.costs.expect_model(model);
    }

    /// Starts the counters of a client at zero.
    pub fn expect_client(&self, client: &Name) {
        for outcome in ClientOutcome::ALL {
            self.client_requests.with([client.into(), outcome.as_str().into()]);
        }
    }

    /// Starts the counters of a classifier at zero.
    pub fn expect_classifier(&self, classifier: &Name, reasons: &[&'static str]) {
        self.queues.depth.with([classifier.into()]);
        for source in ScoreSource::NAMES {
            self.answers.with([classifier.into(), source.into()]);
        }
        for reason in reasons {
            self.degraded.with([classifier.into(), (*reason).into()]);
        }
    }
}
