//! The definitions of what is counted of providers' keys and of credentials that renew themselves.

use super::super::family::MetricDefinition;

pub(in super::super) const KEY_REQUESTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_provider_key_requests_total",
    help: "Requests to a provider with several keys, by the name of the key that they went with.",
    labels: ["provider", "key"],
    buckets: &[],
};

pub(in super::super) const KEY_RESTING: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_provider_key_resting",
    help: "1 while a key of a provider with several rests, because it was rate-limited (429) or refused (401, 403).",
    labels: ["provider", "key"],
    buckets: &[],
};

pub(in super::super) const CREDENTIAL_RENEWALS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_credential_renewals_total",
    help: "Fetches of a credential that expires (Google's tokens, temporary credentials of AWS), by how they ended.",
    labels: ["provider", "outcome"],
    buckets: &[],
};

pub(in super::super) const CREDENTIAL_EXPIRY: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_credential_expiry_timestamp_seconds",
    help: "Unix time at which the provider's present credential expires; 0 while there is none.",
    labels: ["provider"],
    buckets: &[],
};
